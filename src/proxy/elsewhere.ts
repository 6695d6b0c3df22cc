import type { Dialog } from "../dialog/index.ts";
import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { ServerTransaction, ServerUser } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";

/** Messages whose call is asked for at a time; beyond it they are refused at once. Each is kept meanwhile. */
export const MAX_SEARCHES = 1_000;
/** How long a message waits for its call, in milliseconds: less than its sender waits for its answer, whatever becomes of whoever is asked. */
export const SEARCH_MS = 2_000;
/** Longest name of a call; ours are shorter. */
const MAX_DID_CHARS = 64;
/** A fault of whoever is asked is logged at most once in so many milliseconds. */
const LOG_EVERY_MS = 10_000;

/** A call that another node had, or has. */
export interface FoundDialog {
  readonly dialog: Dialog;
  /** Another node has the call and goes on with it: the message is forwarded by what is known of it, and nothing of the call is changed. */
  readonly isGuest: boolean;
}

/** What came of a search; "unknown": nobody could say, as nobody was reached in time, or too many are asked for already. Undefined: no node has the call. */
export type Found = FoundDialog | "unknown" | undefined;

/** The calls of other nodes of a cluster, as the proxy sees them. */
export interface Elsewhere {
  /**
   * Asks for the call of a message. It must leave everything as it is unless Call-ID and tags of the message are those of the call: see `Dialog.owns`.
   * Between the moment at which the call is in the dialog table and the end of the search no other message may be taken, or it would overtake this one.
   *
   * @param did of our Record-Route, when the message carries it
   * @returns undefined at once when no node can have the call. What it resolves to is in the dialog table, unless it is a guest
   */
  find(did: string | undefined, message: SipRequest | SipResponse): Promise<Found> | undefined;
  /** A BYE of a call that this node does not have, or has no more, was answered: its node has not seen it, and would count the call on. */
  hungUp?(dialog: Dialog): void;
}

/** Messages that wait for their call. */
export class Searches {
  readonly #core: ProxyCore;
  #underWay = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(core: ProxyCore) {
    this.#core = core;
  }

  /**
   * Asks for the call of a message.
   *
   * @param done is told once, within {@link SEARCH_MS}, at once only when it is "unknown"
   * @returns false when there is nobody to ask: then `done` is never called
   */
  start(did: string | undefined, message: SipRequest | SipResponse, done: (found: Found) => void): boolean {
    const { elsewhere, dialogs, wheel } = this.#core;
    const { counters } = dialogs;
    const { callId } = message;
    if (elsewhere === undefined || (did !== undefined && did.length > MAX_DID_CHARS)) return false;
    if (this.#underWay >= MAX_SEARCHES) {
      counters.searches_refused++;
      done("unknown");
      return true;
    }
    let search: Promise<Found> | undefined;
    try {
      search = elsewhere.find(did, message);
    } catch (error) {
      search = Promise.resolve(this.#fault(error, callId));
    }
    if (search === undefined) return false;
    counters.searches++;
    this.#underWay++;
    let tell: typeof done | undefined = done;
    const finish = (found: Found): void => {
      const told = tell;
      if (told === undefined) return;
      tell = undefined; // a search that never ends keeps no message
      wheel.cancel(timer);
      this.#underWay--;
      if (found === undefined || found === "unknown") counters.searches_failed++;
      told(found);
    };
    const timer = wheel.schedule(SEARCH_MS, { timerFired: () => finish("unknown") }, 0, this.#core.nowMs());
    search
      .catch((error: unknown) => this.#fault(error, callId))
      .then((found) => finish(found ?? undefined))
      .catch((error: unknown) =>
        this.#core.log.error({ err: error, callId, did }, "cannot process a message whose call was asked for: internal error"),
      );
    return true;
  }

  #fault(error: unknown, callId: string): "unknown" {
    const now = this.#core.nowMs();
    if (now - this.#loggedAtMs >= LOG_EVERY_MS) {
      this.#loggedAtMs = now;
      this.#core.log.warn({ err: error, callId }, "cannot ask for a call in the cluster: its message is refused");
    }
    return "unknown";
  }
}

/** A request whose call is asked for: only a CANCEL may come meanwhile. */
export class WaitingRequest implements ServerUser {
  isCancelled = false;
  readonly #core: ProxyCore;
  readonly #transaction: ServerTransaction;

  constructor(core: ProxyCore, transaction: ServerTransaction) {
    this.#core = core;
    this.#transaction = transaction;
    transaction.user = this;
  }

  callerGone(): void {
    this.#core.counters.callers_gone++;
    this.cancel();
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.#core.counters.requests_4xx++;
    this.#transaction.reply(487, "Request Terminated");
  }
}
