import type { TakeReason } from "../cluster/dialogs/dialog-replica.ts";
import type { Config } from "../config/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import type { Log, SipProxy } from "../proxy/index.ts";

/** Whoever had sent a BYE when the program ended sends it again within 4 s (RFC 3261 timer E): what ends so needs no question. */
const FIRST_MS = 5_000;
/** Calls that are asked for in a second: their callees have calls to handle. */
export const RESTORED_PINGS_PER_SECOND = 100;
const SECOND_MS = 1_000;

export interface RestoredPingsPorts {
  /** Calls that have not ended. */
  readonly dialogs: { list(): IterableIterator<Dialog>; byDid(did: string): Dialog | undefined };
  /** Who asks the parties of calls. */
  readonly pings: () => Pick<SipProxy, "verify" | "askNow">;
  readonly config: { readonly dialog: Pick<Config["dialog"], "ping_restored_calls"> };
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly log: Log;
}

/**
 * A BYE that passed in the last milliseconds before a crash was not written down, and who sent one while nobody was there may have given up: such calls come
 * back with a start, or go on at another node of the cluster, although they are over, of whatever age they are. So each callee is asked for its calls once,
 * spread over time. Only what it does not know ends: silence says as much as it did before.
 */
export class RestoredPings {
  readonly #ports: RestoredPingsPorts;
  /** Their names: a hundred thousand wait for a quarter of an hour, and most of them may end before their turn. */
  #waiting: string[] = [];
  #hasBegun = false;
  #isClosed = false;
  #stopTimer: (() => void) | undefined;

  constructor(ports: RestoredPingsPorts) {
    this.#ports = ports;
  }

  /** To be called once, when calls of before the start are there and SIP is taken. */
  begin(): void {
    this.#hasBegun = true;
    for (const dialog of this.#ports.dialogs.list()) if (dialog.isRestored) this.#add(dialog);
  }

  /** A call of another node, or of this one's former life, goes on here. */
  taken(dialog: Dialog, reason: TakeReason): void {
    if (reason === "offered") this.#doubted(dialog);
    // What a message has brought here is alive; what comes before the start is in the list then.
    else if (reason !== "asked" && this.#hasBegun) this.#add(dialog);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#waiting = [];
  }

  /** Its node may not end it: its time is over, which its own timer sees to, or a party is silent. */
  #doubted(dialog: Dialog): void {
    const { pings, wallMs } = this.#ports;
    if (dialog.expiresAtMs > wallMs()) pings().askNow(dialog);
  }

  #add(dialog: Dialog): void {
    const { config, after } = this.#ports;
    if (this.#isClosed || !config.dialog.ping_restored_calls || dialog.state < DialogState.ConfirmedNoAck) return;
    this.#waiting.push(dialog.did);
    this.#stopTimer ??= after(FIRST_MS, () => this.#begin());
  }

  #begin(): void {
    const calls = this.#waiting.length;
    this.#ports.log.info(
      { calls, seconds: Math.ceil(calls / RESTORED_PINGS_PER_SECOND) },
      "The callees of restored calls are asked whether they still have them",
    );
    this.#ask(0);
  }

  /** Those of the next second. */
  #ask(from: number): void {
    const { dialogs, pings, after } = this.#ports;
    const calls = this.#waiting;
    const until = Math.min(calls.length, from + RESTORED_PINGS_PER_SECOND);
    for (let i = from; i < until; i++) {
      const dialog = dialogs.byDid(calls[i]!);
      if (dialog !== undefined) pings().verify(dialog, ((i - from) * SECOND_MS) / RESTORED_PINGS_PER_SECOND, "if it says no");
    }
    if (until < calls.length) this.#stopTimer = after(SECOND_MS, () => this.#ask(until));
    else {
      this.#waiting = [];
      this.#stopTimer = undefined;
    }
  }
}
