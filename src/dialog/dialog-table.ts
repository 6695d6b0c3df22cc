import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import { DialogCounters, type EndReason } from "./counters.ts";
import { Dialog, DialogState } from "./dialog.ts";
import type { DialogMatch } from "./dialog-index.ts";
import { DialogListeners } from "./dialog-listeners.ts";
import { EndpointPool } from "./endpoint-pool.ts";
import { DialogFlag } from "./flags.ts";
import type { CalleeLeg } from "./leg.ts";
import { originOf } from "./origin.ts";
import type { DialogTableOptions } from "./ports.ts";
import { endMs, leftMs } from "./session-timer.ts";
import { catchUp, type DialogEndpoints, type DialogSnapshot, revive } from "./snapshot.ts";
import {
  BYE_AGAIN_MS,
  ENDED_LINGER_MS,
  MAX_OVERDUE_STEPS,
  OPEN_LINGER_MS,
  OVERDUE_STEP_MS,
  OVERTAKEN_BYE_MS,
  PUT_OFF_MS,
} from "./times.ts";

/** Ongoing calls at a time; beyond it new calls are refused. A call that is up costs some 1 KB. */
export const MAX_DIALOGS = 1_000_000;
/** All ongoing calls, found by `did` or by Call-ID and tags (OpenSIPS `dlg_match_mode` 1, DID_FALLBACK). */
export class DialogTable extends DialogListeners {
  readonly counters = new DialogCounters();
  readonly #options: DialogTableOptions;
  readonly #endpoints = new EndpointPool();
  readonly #onTimer = (dialog: Dialog): void => this.#timerFired(dialog);
  #serial = 0;
  #overdue = 0;
  #ongoing = 0;
  #restoredAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DialogTableOptions) {
    super();
    this.#options = options;
  }

  /** Calls that have not ended. */
  get size(): number {
    return this.#ongoing;
  }

  get full(): boolean {
    return this.count >= (this.#options.maxDialogs ?? MAX_DIALOGS);
  }

  create(invite: SipRequest, source: Endpoint): Dialog {
    this.#serial++;
    const did = `${this.#serial.toString(36)}.${this.#options.chance.token()}`;
    const dialog = new Dialog(did, originOf(invite, source), this.#onTimer);
    this.insert(dialog);
    this.#ongoing++;
    this.counters.processed_dialogs++;
    this.changed(dialog);
    return dialog;
  }

  /**
   * Goes on with a call of another node, as its snapshot says. Its leases are another matter: the balancer adopts them. A call that is not up ends
   * after {@link earlyLifetimeMs} unless a 1xx or a 2xx of it passes, see {@link onUnanswered}. One whose lifetime is over ends in its turn, if {@link mayExpire} allows it.
   * Undefined when this node has a call of that `did`, or had one a moment ago, and when there is no room.
   */
  restore(snapshot: DialogSnapshot, endpoints: DialogEndpoints): Dialog | undefined {
    if (this.full || this.knows(snapshot.did) || snapshot.state === DialogState.Deleted) return undefined;
    const dialog = revive(snapshot, endpoints, this.#onTimer);
    this.insert(dialog);
    this.#ongoing++;
    this.#countState(dialog.state, 1);
    this.counters.restored_dialogs++;
    this.#restoredAtMs = this.#options.nowMs();
    if (dialog.state < DialogState.ConfirmedNoAck) this.#startTimer(dialog, this.earlyLifetimeMs);
    else {
      dialog.load.closed = true;
      this.#endpoints.share(dialog);
      this.#startTimer(dialog, leftMs(dialog, this.#options.wallMs()) || (this.#overdue++ % MAX_OVERDUE_STEPS) * OVERDUE_STEP_MS);
    }
    this.onRestored?.(dialog);
    if (dialog.state >= DialogState.ConfirmedNoAck) this.pings?.began(dialog);
    this.changed(dialog);
    return dialog;
  }

  /**
   * Takes up a call that was over when its node ended, while one of its parties may not know that: it counts nothing and is in no list, but what still comes for
   * it is passed on, until its BYE is answered or the rest of {@link OPEN_LINGER_MS} is over.
   *
   * @param isSenderGone {@link onExpired} is told in turn: at once of calls that the node has hung up itself, those with a confirmed leg, and of the others
   *   when no party has repeated its BYE
   * @returns undefined when that time is over, when the call is known here, and when there is no room
   */
  restoreEnded(snapshot: DialogSnapshot, endpoints: DialogEndpoints, isSenderGone: boolean): Dialog | undefined {
    const restMs = Math.min(snapshot.expiresAtMs - this.#options.wallMs(), OPEN_LINGER_MS);
    if (this.full || this.knows(snapshot.did) || snapshot.state !== DialogState.Deleted || restMs <= 0) return undefined;
    const dialog = revive(snapshot, endpoints, this.#onTimer);
    dialog.load.closed = true;
    dialog.expiresAtMs = this.#options.wallMs() + restMs;
    this.insert(dialog);
    const isOurs = dialog.legs.some((leg) => leg.state === "confirmed");
    this.byes.inherited(dialog, isOurs, isSenderGone);
    const sendInMs = (this.#overdue++ % MAX_OVERDUE_STEPS) * OVERDUE_STEP_MS + (isOurs ? 0 : BYE_AGAIN_MS);
    this.#startTimer(dialog, isSenderGone ? Math.min(sendInMs, restMs) : restMs);
    return dialog;
  }

  /**
   * Notes what another process of this program tells of a call that is here too, and of which it still handles a request. What it counts is another matter.
   * No effect when it has ended here.
   */
  follow(dialog: Dialog, snapshot: DialogSnapshot, endpoints: DialogEndpoints): void {
    if (dialog.state === DialogState.Deleted) return;
    const [wasUp, expiredAtMs] = [dialog.state >= DialogState.ConfirmedNoAck, dialog.expiresAtMs];
    catchUp(dialog, snapshot, endpoints);
    this.learned(dialog);
    if (snapshot.state > dialog.state) this.#setState(dialog, snapshot.state);
    if (dialog.state >= DialogState.ConfirmedNoAck) {
      dialog.load.closed = true;
      if (dialog.expiresAtMs !== expiredAtMs) this.#startTimer(dialog, leftMs(dialog, this.#options.wallMs()));
      if (!wasUp) this.pings?.began(dialog);
    } else this.#startTimer(dialog, this.earlyLifetimeMs); // that of the other process counts, and is no longer
    this.changed(dialog);
  }

  /** The process that handled its INVITE is gone: a call that is not up ends after {@link earlyLifetimeMs} unless an answer passes. */
  orphaned(dialog: Dialog): void {
    if (dialog.state < DialogState.ConfirmedNoAck) this.#startTimer(dialog, this.earlyLifetimeMs);
  }

  /**
   * A call that another node has, for one message of it: it is in no list, is not counted, and nothing that is done with it changes anything.
   */
  guest(snapshot: DialogSnapshot, endpoints: DialogEndpoints): Dialog {
    const dialog = revive(snapshot, endpoints, this.#onTimer);
    dialog.isGuest = true;
    dialog.load.closed = true;
    return dialog;
  }

  /**
   * Another node has the call now: what it counts here is given back, and nothing is sent. False, and nothing is done, when its INVITE is still handled
   * here, since no other node can answer that, and when the call has ended.
   */
  surrender(dialog: Dialog): boolean {
    if (dialog.isGuest || dialog.state === DialogState.Deleted || dialog.pending !== undefined) return false;
    this.counters.surrendered_dialogs++;
    this.#close(dialog, "Taken over");
    // Not remembered: what still comes for it has to be asked for in the cluster.
    this.#forget(dialog);
    return true;
  }

  /** To be called when something in the snapshot of a call was changed from outside. */
  changed(dialog: Dialog): void {
    if (!dialog.isGuest && dialog.state !== DialogState.Deleted) for (const tell of this.changeListeners) tell(dialog);
  }

  /** Keeps an ended call longer: its BYE was refused and may come again (RFC 3261 §22.2), or nobody here knows whether it was answered. */
  remember(dialog: Dialog): void {
    if (dialog.state !== DialogState.Deleted || !dialog.isPending) return;
    this.#startTimer(dialog, this.#linger(dialog));
    this.byes.refused(dialog);
  }

  /** A BYE was answered, by 2xx or by one that knows no such call. @param isOwn we have sent it, and not one of the parties to the other one */
  byeOver(dialog: Dialog, isOwn = false): void {
    if (this.byes.answered(dialog, isOwn) && dialog.state === DialogState.Deleted) this.#startTimer(dialog, ENDED_LINGER_MS);
  }

  /** Whether a BYE that passed before its call came here may still be answered: who speaks of one later invents it. */
  get awaitsLostByes(): boolean {
    return this.#options.nowMs() - this.#restoredAtMs <= OPEN_LINGER_MS;
  }

  /** From now on, by the clock that a next life knows, too. @returns for how long */
  #linger(dialog: Dialog): number {
    dialog.expiresAtMs = this.#options.wallMs() + OPEN_LINGER_MS;
    return OPEN_LINGER_MS;
  }

  /** A 101–199 passed. */
  provisional(dialog: Dialog, response: SipResponse): void {
    if (dialog.isGuest || dialog.state >= DialogState.ConfirmedNoAck) return;
    dialog.learnLeg(response, "early");
    this.learned(dialog);
    this.#setState(dialog, DialogState.Early);
    if (dialog.isRestored && dialog.lostSteps === 0) this.#startTimer(dialog, this.earlyLifetimeMs); // as Timer C of the INVITE would (RFC 3261 §16.8)
    this.changed(dialog);
  }

  /**
   * A 2xx passed: the call is up, its lifetime starts. Later 2xx of forks add legs. A leg that was sent BYE before has ended already.
   * @param invite what it answers; undefined when that was lost with its node
   */
  confirmed(dialog: Dialog, response: SipResponse, invite?: SipRequest): void {
    if (dialog.isGuest || dialog.state === DialogState.Deleted) return;
    const leg = dialog.learnLeg(response, "confirmed");
    this.learned(dialog);
    if (dialog.state < DialogState.ConfirmedNoAck) {
      if (invite !== undefined) dialog.noteAnswer(invite, response);
      this.#comeUp(dialog, leg, response);
    }
    this.changed(dialog);
  }

  /** A 2xx to a re-INVITE or UPDATE passed: its Session-Expires bounds the lifetime from now on; without one only the default does (RFC 4028 §7.2, §8). */
  refreshed(dialog: Dialog, response: SipResponse): void {
    if (dialog.isGuest || !isUp(dialog)) return;
    if (dialog.expiryReason !== "Lifetime Timeout") return; // it is being hung up
    const expiresAtMs = endMs(dialog, response, this.#options);
    if (expiresAtMs === dialog.expiresAtMs) return;
    [dialog.expiresAtMs, dialog.isPutOff] = [expiresAtMs, false];
    this.#startTimer(dialog, Math.max(0, expiresAtMs - this.#options.wallMs()));
    this.changed(dialog);
  }

  /** The INVITE of a call whose transaction was lost was answered 3xx to 6xx: the call ends, and its ACK is waited for (RFC 3261 §17.1.1.3). */
  refused(dialog: Dialog, response: SipResponse): void {
    if (dialog.isGuest || dialog.state >= DialogState.ConfirmedNoAck) return;
    dialog.learnLeg(response, "early"); // its ACK has this tag
    this.learned(dialog);
    dialog.isRefused = true;
    this.end(dialog, "Rejected");
  }

  /**
   * A message shows that the INVITE of a restored call was answered 2xx, by one that passed when nobody was there to see it.
   * @param tag of the callee
   * @param contact its remote target; "" when that is not known
   */
  foundUp(dialog: Dialog, tag: string, contact = ""): void {
    if (dialog.isGuest || !dialog.isRestored || dialog.state >= DialogState.ConfirmedNoAck) return;
    const leg = dialog.confirmLeg(tag, contact);
    this.learned(dialog);
    this.#comeUp(dialog, leg, undefined);
    this.changed(dialog);
  }

  /** The INVITE of a restored call is being taken back: its answer is waited for this long. */
  takenBack(dialog: Dialog, waitMs: number): void {
    if (!dialog.isGuest && dialog.state < DialogState.ConfirmedNoAck) this.#startTimer(dialog, waitMs);
  }

  /** A BYE was answered 2xx, or by one that knows no such call. One that has ended the last leg of a restored call ends the call, as its INVITE may have been answered before. */
  byeAnswered({ dialog, direction }: DialogMatch): void {
    if (dialog.isGuest || !dialog.isRestored || dialog.state >= DialogState.ConfirmedNoAck) return;
    if (dialog.legs.some((leg) => leg.state !== "ended")) return;
    dialog.isRefused = true; // 487 may come, and its ACK
    this.end(dialog, direction === "downstream" ? "Downstream BYE" : "Upstream BYE");
  }

  #comeUp(dialog: Dialog, leg: CalleeLeg | undefined, response: SipResponse | undefined): void {
    dialog.inviteUri = "";
    dialog.inviteCseq = 0;
    dialog.load.closed = true; // what the call counts is settled: a route handler that is still busy must not count it elsewhere
    this.#options.settle?.(dialog.load);
    this.#endpoints.share(dialog);
    this.#setState(dialog, DialogState.ConfirmedNoAck);
    dialog.startedAtMs = this.#options.wallMs();
    dialog.expiresAtMs = endMs(dialog, response, this.#options);
    this.#startTimer(dialog, dialog.expiresAtMs - dialog.startedAtMs);
    this.pings?.began(dialog);
    if (leg?.state !== "ended") return;
    if (leg.earlyBye === "downstream") {
      this.end(dialog, "Downstream BYE");
      return;
    }
    // The callee's BYE has overtaken its 2xx, and the caller knew no call that it could have ended: it is hung up when it does.
    leg.state = "confirmed";
    this.#hangUpSoon(dialog, OVERTAKEN_BYE_MS, "Upstream BYE");
  }

  /** Its caller has cancelled it, and it was answered all the same: who does not hang up then is hung up, where the route has asked for that (RFC 5407). */
  raced(dialog: Dialog): void {
    const isWanted = !dialog.isGuest && (dialog.flags & DialogFlag.EndOnRaceCondition) !== 0 && dialog.expiryReason === "Lifetime Timeout";
    if (isWanted && isUp(dialog)) this.#hangUpSoon(dialog, this.raceConditionMs, "SIP Race Condition");
  }

  /** The end is in the snapshot, too: a restart in between must not give the call its whole life back. */
  #hangUpSoon(dialog: Dialog, ms: number, reason: EndReason): void {
    dialog.expiryReason = reason;
    dialog.expiresAtMs = this.#options.wallMs() + ms;
    this.#startTimer(dialog, ms);
    this.changed(dialog);
  }

  /** The ACK of the 2xx passed. */
  acknowledged(dialog: Dialog): void {
    if (dialog.isGuest || dialog.state !== DialogState.ConfirmedNoAck) return;
    this.#setState(dialog, DialogState.Confirmed);
    this.changed(dialog);
  }

  /** A BYE passes. A fork that is hung up does not end the call while another one talks; a BYE before the 2xx ends nothing yet: the INVITE's answer will. */
  bye(match: DialogMatch, request: Pick<SipRequest, "fromTag" | "toTag">): void {
    const { dialog, direction } = match;
    if (dialog.isGuest || dialog.state === DialogState.Deleted) return;
    dialog.endLeg(direction === "downstream" ? request.toTag : request.fromTag, direction);
    if (dialog.state < DialogState.ConfirmedNoAck || dialog.legs.some((other) => other.state === "confirmed")) {
      this.changed(dialog);
      return;
    }
    this.end(dialog, direction === "downstream" ? "Downstream BYE" : "Upstream BYE");
  }

  /** Ends the call and gives its leases back, exactly once. */
  end(dialog: Dialog, reason: EndReason): void {
    if (dialog.isGuest || dialog.state === DialogState.Deleted) return;
    const wasUp = dialog.state >= DialogState.ConfirmedNoAck;
    if (reason === "Lifetime Timeout") this.counters.expired_dialogs++;
    else if (!wasUp) this.counters.failed_dialogs++;
    this.#close(dialog, reason);
    if (wasUp) this.#startTimer(dialog, this.byes.has(dialog) ? this.#linger(dialog) : ENDED_LINGER_MS);
    else if (dialog.isRefused) this.#startTimer(dialog, OPEN_LINGER_MS);
    else this.#forget(dialog);
  }

  #close(dialog: Dialog, reason: EndReason): void {
    dialog.endReason = reason;
    this.#setState(dialog, DialogState.Deleted);
    this.#ongoing--;
    dialog.load.closed = true;
    this.pings?.ended(dialog);
    this.#options.release(dialog.load);
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
    this.#options.wheel.restart(dialog, ms, dialog, this.#options.nowMs());
  }

  /** The lifetime of a call ended, or the wait after its end. */
  #timerFired(dialog: Dialog): void {
    if (dialog.state === DialogState.Deleted) {
      this.#lingered(dialog);
      return;
    }
    if (dialog.state < DialogState.ConfirmedNoAck) {
      this.#unanswered(dialog);
      return;
    }
    const isOurs = dialog.expiryReason === "Upstream BYE" || this.mayEnd(dialog);
    if (!isOurs && !dialog.isPutOff) {
      dialog.isPutOff = true;
      this.#startTimer(dialog, PUT_OFF_MS);
      return;
    }
    try {
      if (isOurs) this.onExpired?.(dialog);
    } finally {
      this.end(dialog, dialog.expiryReason);
    }
  }

  #lingered(dialog: Dialog): void {
    const isUnsent = this.byes.takeUnsent(dialog);
    if (!isUnsent) this.#forget(dialog);
    else {
      this.#startTimer(dialog, Math.max(0, dialog.expiresAtMs - this.#options.wallMs()));
      this.onExpired?.(dialog);
    }
  }

  #unanswered(dialog: Dialog): void {
    let waitMs: number | undefined;
    try {
      waitMs = dialog.isRestored ? this.onUnanswered?.(dialog) : undefined;
    } finally {
      if (waitMs === undefined) this.end(dialog, "Unanswered");
      else if (dialog.state < DialogState.ConfirmedNoAck) this.#startTimer(dialog, waitMs);
    }
  }

  #forget(dialog: Dialog): void {
    this.#options.wheel.cancel(dialog);
    this.byes.forget(dialog);
    this.remove(dialog);
  }
}

function isUp({ state }: Dialog): boolean {
  return state >= DialogState.ConfirmedNoAck && state !== DialogState.Deleted;
}
