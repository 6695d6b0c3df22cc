import type { CallLoad } from "../balancer/index.ts";
import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Chance, Endpoint, TimerWheel } from "../transaction/index.ts";
import { Dialog, DialogState, type Direction } from "./dialog.ts";

/** Ongoing calls at a time; beyond it new calls are refused. A dialog costs some 3 KB. */
export const MAX_DIALOGS = 1_000_000;
/** How long an ended call is still found, so that a crossed BYE or a late ACK reaches its peer (OpenSIPS `race_condition_timeout`). */
export const ENDED_LINGER_MS = 5_000;
/** How long a caller has to learn of a call whose callee has sent BYE already, before it is hung up. */
const OVERTAKEN_BYE_MS = 1_000;

/** The same when a BYE was refused: as long as its sender may take for the next try. */
const REFUSED_BYE_LINGER_MS = 32_000;

/** Why calls end, in the words of the OpenSIPS dialog module. */
export type EndReason = "Upstream BYE" | "Downstream BYE" | "Lifetime Timeout" | "MI Termination" | "Cancelled" | "Rejected" | "Shutdown";

/** Statistics of the OpenSIPS dialog module, under its names. */
export class DialogCounters {
  active_dialogs = 0;
  early_dialogs = 0;
  processed_dialogs = 0;
  expired_dialogs = 0;
  failed_dialogs = 0;
}

export interface DialogTableOptions {
  readonly wheel: TimerWheel;
  readonly chance: Chance;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Wall clock, milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Lifetime from the 2xx, milliseconds (`default_timeout`). */
  readonly defaultTimeoutMs: number;
  /** Gives back what the call counts. */
  readonly release: (load: CallLoad) => void;
  readonly maxDialogs?: number;
}

/** A request and the dialog that it belongs to. */
export interface DialogMatch {
  readonly dialog: Dialog;
  readonly direction: Direction;
}

/** All ongoing calls, found by `did` or by Call-ID and tags (OpenSIPS `dlg_match_mode` 1, DID_FALLBACK). */
export class DialogTable {
  readonly counters = new DialogCounters();
  /** Is told when a lifetime ends, before the leases are given back: the shell then ends the call on both sides. */
  onExpired: ((dialog: Dialog) => void) | undefined = undefined;
  /** Is told of each change of a state, when it is done. It must not throw. */
  onState: ((dialog: Dialog, before: DialogState) => void) | undefined = undefined;
  readonly #options: DialogTableOptions;
  readonly #byDid = new Map<string, Dialog>();
  /** Usually one dialog a Call-ID; a spiral through us makes a second one. */
  readonly #byCallId = new Map<string, Dialog[]>();
  readonly #onTimer = (dialog: Dialog): void => this.#timerFired(dialog);
  #serial = 0;
  #ongoing = 0;

  constructor(options: DialogTableOptions) {
    this.#options = options;
  }

  /** Calls that have not ended. */
  get size(): number {
    return this.#ongoing;
  }

  get full(): boolean {
    return this.#byDid.size >= (this.#options.maxDialogs ?? MAX_DIALOGS);
  }

  /** Calls that have not ended, oldest first. */
  *list(): IterableIterator<Dialog> {
    for (const dialog of this.#byDid.values()) if (dialog.state !== DialogState.Deleted) yield dialog;
  }

  byDid(did: string): Dialog | undefined {
    const dialog = this.#byDid.get(did);
    return dialog?.state === DialogState.Deleted ? undefined : dialog;
  }

  byCallId(callId: string, fromTag?: string): Dialog | undefined {
    return this.#byCallId
      .get(callId)
      ?.find((dialog) => dialog.state !== DialogState.Deleted && (fromTag === undefined || dialog.fromTag === fromTag));
  }

  create(invite: SipRequest, source: Endpoint): Dialog {
    this.#serial++;
    const dialog = new Dialog(`${this.#serial.toString(36)}.${this.#options.chance.token()}`, invite, source, this.#onTimer);
    this.#byDid.set(dialog.did, dialog);
    const others = this.#byCallId.get(dialog.callId);
    if (others === undefined) this.#byCallId.set(dialog.callId, [dialog]);
    else others.push(dialog);
    this.#ongoing++;
    this.counters.processed_dialogs++;
    return dialog;
  }

  /** The dialog of an in-dialog request, also for some seconds after its end. The `did` counts only when Call-ID and tags agree. */
  match(did: string | undefined, request: SipRequest): DialogMatch | undefined {
    if (did !== undefined) {
      const dialog = this.#byDid.get(did);
      if (dialog !== undefined && dialog.callId === request.callId) {
        const direction = dialog.directionOf(request);
        if (direction !== undefined) return { dialog, direction };
      }
    }
    const others = this.#byCallId.get(request.callId);
    if (others === undefined) return undefined;
    // A call whose legs are these goes before one that rings and would take any tag.
    for (const dialog of others) {
      const direction = dialog.directionOf(request);
      if (direction !== undefined && dialog.hasLegOf(request, direction)) return { dialog, direction };
    }
    for (const dialog of others) {
      const direction = dialog.directionOf(request);
      if (direction !== undefined) return { dialog, direction };
    }
    return undefined;
  }

  /** Keeps an ended call longer: its BYE was refused and may come again (RFC 3261 §22.2). */
  remember(dialog: Dialog): void {
    if (dialog.state === DialogState.Deleted && dialog.timer !== undefined) this.#startTimer(dialog, REFUSED_BYE_LINGER_MS);
  }

  /** A 101–199 passed. */
  provisional(dialog: Dialog, response: SipResponse): void {
    if (dialog.state >= DialogState.ConfirmedNoAck) return;
    dialog.learnLeg(response, "early");
    this.#setState(dialog, DialogState.Early);
  }

  /** A 2xx passed: the call is up, its lifetime starts. Later 2xx of forks add legs. A leg that was sent BYE before has ended already. */
  confirmed(dialog: Dialog, response: SipResponse): void {
    if (dialog.state === DialogState.Deleted) return;
    const leg = dialog.learnLeg(response, "confirmed");
    if (dialog.state >= DialogState.ConfirmedNoAck) return;
    dialog.load.closed = true; // what the call counts is settled: a route handler that is still busy must not count it elsewhere
    this.#setState(dialog, DialogState.ConfirmedNoAck);
    const { wallMs, defaultTimeoutMs } = this.#options;
    dialog.startedAtMs = wallMs();
    dialog.expiresAtMs = dialog.startedAtMs + defaultTimeoutMs;
    this.#startTimer(dialog, defaultTimeoutMs);
    if (leg?.state !== "ended") return;
    if (leg.earlyBye === "downstream") {
      this.end(dialog, "Downstream BYE");
      return;
    }
    // The callee's BYE has overtaken its 2xx, and the caller knew no call that it could have ended: it is hung up when it does.
    leg.state = "confirmed";
    this.#startTimer(dialog, OVERTAKEN_BYE_MS);
  }

  /** The ACK of the 2xx passed. */
  acknowledged(dialog: Dialog): void {
    if (dialog.state === DialogState.ConfirmedNoAck) this.#setState(dialog, DialogState.Confirmed);
  }

  /** A BYE passes. A fork that is hung up does not end the call while another one talks; a BYE before the 2xx ends nothing yet: the INVITE's answer will. */
  bye(match: DialogMatch, request: SipRequest): void {
    const { dialog, direction } = match;
    if (dialog.state === DialogState.Deleted) return;
    dialog.endLeg(direction === "downstream" ? request.toTag : request.fromTag, direction);
    if (dialog.state < DialogState.ConfirmedNoAck) return;
    if (dialog.legs.some((other) => other.state === "confirmed")) return;
    this.end(dialog, direction === "downstream" ? "Downstream BYE" : "Upstream BYE");
  }

  /** Ends the call and gives its leases back, exactly once. */
  end(dialog: Dialog, reason: EndReason): void {
    if (dialog.state === DialogState.Deleted) return;
    const wasUp = dialog.state >= DialogState.ConfirmedNoAck;
    dialog.endReason = reason;
    this.#setState(dialog, DialogState.Deleted);
    this.#ongoing--;
    if (reason === "Lifetime Timeout") this.counters.expired_dialogs++;
    else if (!wasUp) this.counters.failed_dialogs++;
    dialog.load.closed = true;
    this.#options.release(dialog.load);
    if (wasUp) this.#startTimer(dialog, ENDED_LINGER_MS);
    else this.#forget(dialog);
  }

  #setState(dialog: Dialog, state: DialogState): void {
    const before = dialog.state;
    if (before === state) return;
    this.#countState(before, -1);
    dialog.state = state;
    this.#countState(state, 1);
    this.onState?.(dialog, before);
  }

  #countState(state: DialogState, by: number): void {
    if (state === DialogState.Early) this.counters.early_dialogs += by;
    else if (state === DialogState.ConfirmedNoAck || state === DialogState.Confirmed) this.counters.active_dialogs += by;
  }

  #startTimer(dialog: Dialog, ms: number): void {
    dialog.timer = this.#options.wheel.cancel(dialog.timer);
    dialog.timer = this.#options.wheel.schedule(ms, dialog, 0, this.#options.nowMs());
  }

  /** The lifetime of a call ended, or the wait after its end. */
  #timerFired(dialog: Dialog): void {
    if (dialog.state === DialogState.Deleted) {
      this.#forget(dialog);
      return;
    }
    try {
      this.onExpired?.(dialog);
    } finally {
      this.end(dialog, dialog.leg?.earlyBye === "upstream" ? "Upstream BYE" : "Lifetime Timeout");
    }
  }

  #forget(dialog: Dialog): void {
    dialog.timer = this.#options.wheel.cancel(dialog.timer);
    this.#byDid.delete(dialog.did);
    const others = this.#byCallId.get(dialog.callId);
    if (others === undefined) return;
    if (others.length === 1) this.#byCallId.delete(dialog.callId);
    else others.splice(others.indexOf(dialog), 1);
  }
}
