import { type Endpoint, Timer } from "../transaction/index.ts";
import type { EndReason } from "./counters.ts";

/** What was put on a call to keep targets from its parties, besides what holds for all calls. */
export interface DialogGuard {
  accepts(target: Omit<Endpoint, "listener" | "transport"> & { readonly transport: string }): boolean;
}

/** An INVITE that is not answered yet: how to end its call before it is up. */
export interface PendingInvite {
  abort(status: number, reason: string): void;
}

/** See {@link PassingState}. */
class Passing {
  callerReturn: Endpoint | undefined = undefined;
  callerSession = "";
  calleeSession = "";
  negotiations = 0;
  endReason = "";
  expiryReason: EndReason = "Lifetime Timeout";
  pending: PendingInvite | undefined = undefined;
  guard: DialogGuard | undefined = undefined;
  inviteUri = "";
  inviteCseq = 0;
  lostSteps = 0;
}

/** What most calls have for most of their time. Nobody changes it. */
const NOTHING = new Passing();

/**
 * What is so of a call for a moment, or of few calls: while it is set up, while its session is changed, when it ends. A call that just goes on shares one of
 * these with all others that do, as a field each would be a hundred bytes a call. It is
 * the timer of its call, too, which saves an object.
 */
export class PassingState extends Timer {
  #passing = NOTHING;

  constructor() {
    super(undefined, 0, 0);
  }

  /** Another connection, by which a target refresh of the caller came that was accepted while its former one was not known to have ended. */
  get callerReturn(): Endpoint | undefined {
    return this.#passing.callerReturn;
  }

  set callerReturn(to: Endpoint | undefined) {
    if (to !== this.#passing.callerReturn) PassingState.#own(this).callerReturn = to;
    if (to === undefined) PassingState.#tidy(this);
  }

  /** What each party offered or answered last, to be told again by a ping; "" when no ping needs it, when it is not known, and of a call that was restored. */
  get callerSession(): string {
    return this.#passing.callerSession;
  }

  set callerSession(to: string) {
    if (to !== this.#passing.callerSession) PassingState.#own(this).callerSession = to;
  }

  get calleeSession(): string {
    return this.#passing.calleeSession;
  }

  set calleeSession(to: string) {
    if (to !== this.#passing.calleeSession) PassingState.#own(this).calleeSession = to;
  }

  /** Requests inside it that may change the session and are not answered yet. */
  get negotiations(): number {
    return this.#passing.negotiations;
  }

  set negotiations(to: number) {
    if (to !== this.#passing.negotiations) PassingState.#own(this).negotiations = to;
    if (to === 0) PassingState.#tidy(this);
  }

  get endReason(): string {
    return this.#passing.endReason;
  }

  set endReason(to: string) {
    if (to !== this.#passing.endReason) PassingState.#own(this).endReason = to;
  }

  /** Why it ends when its lifetime does. */
  get expiryReason(): EndReason {
    return this.#passing.expiryReason;
  }

  set expiryReason(to: EndReason) {
    if (to !== this.#passing.expiryReason) PassingState.#own(this).expiryReason = to;
  }

  get pending(): PendingInvite | undefined {
    return this.#passing.pending;
  }

  set pending(to: PendingInvite | undefined) {
    if (to !== this.#passing.pending) PassingState.#own(this).pending = to;
    if (to === undefined) PassingState.#tidy(this);
  }

  get guard(): DialogGuard | undefined {
    return this.#passing.guard;
  }

  set guard(to: DialogGuard | undefined) {
    if (to !== this.#passing.guard) PassingState.#own(this).guard = to;
  }

  /** Request-URI and CSeq number of the INVITE that went out last, for a CANCEL of it when its transaction was lost; "" and 0 once the call is up. */
  get inviteUri(): string {
    return this.#passing.inviteUri;
  }

  set inviteUri(to: string) {
    if (to !== this.#passing.inviteUri) PassingState.#own(this).inviteUri = to;
    if (to === "") PassingState.#tidy(this);
  }

  get inviteCseq(): number {
    return this.#passing.inviteCseq;
  }

  set inviteCseq(to: number) {
    if (to !== this.#passing.inviteCseq) PassingState.#own(this).inviteCseq = to;
    if (to === 0) PassingState.#tidy(this);
  }

  /** How far it has got to find out what became of an INVITE whose transaction was lost: see `LostInvites`. */
  get lostSteps(): number {
    return this.#passing.lostSteps;
  }

  set lostSteps(to: number) {
    if (to !== this.#passing.lostSteps) PassingState.#own(this).lostSteps = to;
  }

  // Methods of an instance that are private would be a field of it.

  static #own(call: PassingState): Passing {
    if (call.#passing === NOTHING) call.#passing = new Passing();
    return call.#passing;
  }

  static #tidy(call: PassingState): void {
    const { callerReturn, callerSession, calleeSession, negotiations, endReason, expiryReason } = call.#passing;
    if (callerReturn !== undefined || callerSession !== "" || calleeSession !== "" || negotiations !== 0) return;
    const { pending, guard, inviteUri, inviteCseq, lostSteps } = call.#passing;
    if (endReason !== "" || expiryReason !== NOTHING.expiryReason || pending !== undefined || guard !== undefined) return;
    if (inviteUri === "" && inviteCseq === 0 && lostSteps === 0) call.#passing = NOTHING;
  }
}
