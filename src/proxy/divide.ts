import { type DialogMatch, DialogState } from "../dialog/index.ts";
import { type SipRequest, type SipResponse, SipSyntaxError } from "../sip/index.ts";
import { type Endpoint, requestKeys } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { planRoute } from "./loose-route.ts";

/** Requests of the other process that are remembered at a time, each by its names: more than it can have transactions. */
const MAX_KEYS = 500_000;
const REGISTER = "REGISTER";

/** Two processes of this program share the messages of one address: each message belongs to one of them. */
export interface Divide {
  /** Looks at a message. True: the other process has got it, and nothing is to be done here. */
  takes(message: SipRequest | SipResponse, text: string, source: Endpoint): boolean;
}

type Pass = (text: string, source: Endpoint) => void;
type DividedCore = Pick<ProxyCore, "layer" | "dialogs" | "abandoned" | "network">;

/**
 * What the process that has the sockets by now leaves to the one before: all that belongs to its transactions, and to calls that it still sets up. What neither
 * knows goes there as well, as it remembers calls and branches that are over; it gives back what is not its own.
 */
export class ShareOfFormer implements Divide {
  /** Calls whose INVITE is handled there. */
  readonly calls = new Set<string>();
  readonly #core: DividedCore;
  readonly #keys = new Set<string>();
  readonly #pass: Pass;

  constructor(core: DividedCore, pass: Pass) {
    this.#core = core;
    this.#pass = pass;
  }

  /** The other process has transactions of requests with these names: see `requestKeys`. */
  note(keys: Iterable<string>): void {
    for (const key of keys) if (this.#keys.size < MAX_KEYS) this.#keys.add(key);
  }

  takes(message: SipRequest | SipResponse, text: string, source: Endpoint): boolean {
    const { layer, abandoned } = this.#core;
    if (layer.owns(message)) return false;
    const isTheirs =
      message.kind === "response"
        ? !abandoned.has((message as SipResponse).topVia.branch)
        : this.#isTheirRequest(message as SipRequest, source);
    if (isTheirs) this.#pass(text, source);
    return isTheirs;
  }

  #isTheirRequest(request: SipRequest, source: Endpoint): boolean {
    const keys = requestKeys(request);
    if (keys.some((key) => this.#keys.has(key))) return true;
    const match = matchOf(this.#core, request, source);
    if (match === undefined) return request.toTag !== "";
    if (!this.calls.has(match.dialog.did)) return false;
    if (request.method !== "ACK") this.note(keys); // its copies follow it, whoever has the call by then
    return true;
  }
}

/** What the process that has given its sockets away leaves to the one after it: all but what belongs to its transactions and to calls that it still sets up. */
export class ShareOfNext implements Divide {
  /** False: the sockets are about to be given away, and are still read here. */
  hasSwitched = false;
  readonly #core: DividedCore;
  readonly #pass: Pass;

  constructor(core: DividedCore, pass: Pass) {
    this.#core = core;
    this.#pass = pass;
  }

  takes(message: SipRequest | SipResponse, text: string, source: Endpoint): boolean {
    // What is registered now the other one would not know: it comes again within half a second (RFC 3261 §17.1.2.2), and goes there.
    if (!this.hasSwitched)
      return message.kind === "request" && (message as SipRequest).method === REGISTER && !this.#core.layer.owns(message);
    if (this.#isOurs(message, source)) return false;
    this.#pass(text, source);
    return true;
  }

  #isOurs(message: SipRequest | SipResponse, source: Endpoint): boolean {
    const { layer, abandoned } = this.#core;
    if (layer.owns(message)) return true;
    if (message.kind === "response") return abandoned.has((message as SipResponse).topVia.branch);
    const dialog = matchOf(this.#core, message as SipRequest, source)?.dialog;
    return dialog !== undefined && (dialog.pending !== undefined || dialog.state === DialogState.Deleted);
  }
}

function matchOf({ dialogs, network }: DividedCore, request: SipRequest, source: Endpoint): DialogMatch | undefined {
  try {
    return dialogs.match(planRoute(request, network, source).did, request);
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    return undefined;
  }
}
