import type { Destination } from "../balancer/index.ts";
import type { Destination as Counted } from "../dispatch/index.ts";
import { buildAck, buildCancel, type MalformedMessage, parseMessage, type SipRequest, type SipResponse } from "../sip/index.ts";
import {
  CANCEL_WAIT_MS,
  type ClientTransaction,
  type ClientUser,
  type Endpoint,
  REFUSED,
  State,
  Timer,
  type TimerOwner,
} from "../transaction/index.ts";
import type { BranchOutcome } from "./branch-outcome.ts";
import type { ProxyCore } from "./core.ts";
import { lacksRoom } from "./lack-of-room.ts";
import type { FailureCause } from "./ports.ts";

/** Who is told what becomes of a branch. */
export interface BranchOwner {
  branchProvisional(branch: Branch, response: SipResponse): void;
  /** Every 2xx, also copies and those of a branch that was given up. */
  branchSuccess(branch: Branch, response: SipResponse): void;
  /** Once, unless the branch succeeded. */
  branchFailure(branch: Branch, response: SipResponse | undefined, cause: FailureCause): void;
}

const TIMER_C = 1;
const CANCEL_WAIT = 2;
const FORGET = 3;

/** Answers to a CANCEL are of no interest: the INVITE's own answer tells the outcome (RFC 3261 §9.1). */
const IGNORE: ClientUser = { response() {}, timeout() {}, transportError() {} };

/** One attempt to have the request answered by one target (RFC 3261 §16.6 and §16.7). It is its own timer, of which it has one at a time. */
export class Branch extends Timer implements ClientUser, TimerOwner {
  readonly id: string;
  readonly target: Endpoint;
  /** What the balancer counted for this attempt; counted again when this branch wins after it was given up. */
  readonly destination: Destination | undefined;
  readonly cells: readonly number[];
  /** The same, of what the dispatcher counted. */
  readonly counted: Counted | undefined;
  readonly #core: ProxyCore;
  readonly #owner: BranchOwner;
  readonly #isInvite: boolean;
  readonly #transaction: ClientTransaction;
  /** What was sent, as long as a CANCEL or an ACK may have to be made of it. */
  #text: string;
  #outcome: BranchOutcome | undefined;
  /** The first answer is waited for less long than usual. */
  readonly #hurried: boolean;
  /** It was ended before the usual time. */
  cutShort = false;
  /** Something came back, if only a 100. */
  heard = false;
  /** Something other than 100 came: the call is at work there. */
  rang = false;
  readonly #hasNext: boolean;
  #failed = false;
  #succeeded = false;
  #cancelWanted = false;
  #cancelSent = false;
  #cancelReason: string | undefined = undefined;

  constructor(
    core: ProxyCore,
    owner: BranchOwner,
    request: {
      method: string;
      text: string;
      branch: string;
      target: Endpoint;
      destination: Destination | undefined;
      cells: readonly number[];
      counted?: Counted | undefined;
      /** Is told what becomes of the branch; absent when no destination is judged by it. */
      outcome?: BranchOutcome | undefined;
      /** There is another address of the same name: that this one does not answer says nothing yet. */
      hasNext?: boolean;
      /** Wait for the first answer when that is less than `fr_timeout`, ms. A destination that had less time than it may have is not blamed. */
      answerWithinMs?: number | undefined;
    },
  ) {
    super(undefined, 0, 0);
    this.#core = core;
    this.#owner = owner;
    this.id = request.branch;
    this.target = request.target;
    this.destination = request.destination;
    this.cells = request.cells;
    this.counted = request.counted;
    this.#text = request.text;
    this.#isInvite = request.method === "INVITE";
    core.counters.fwd_requests++;
    const { method, text, branch, target, answerWithinMs = Number.POSITIVE_INFINITY } = request;
    const { frMs } = core.timeouts;
    this.#hurried = answerWithinMs < frMs;
    this.#outcome = request.outcome;
    this.#hasNext = request.hasNext ?? false;
    this.#transaction = core.layer.send({ method, text, branch, target, timeoutMs: Math.min(frMs, answerWithinMs) }, this);
  }

  response(_transaction: ClientTransaction, response: SipResponse): void {
    const status = response.status;
    this.heard = true;
    if (status > 100 && status < 200) this.rang = true;
    if (status > 100 && !(status === 503 && this.#saysNothingYet && !this.rang && !lacksRoom(response))) this.#outcome?.responded(response);
    if (status < 200) this.#provisional(response);
    else if (status < 300) this.#success(response);
    else this.#fail(response, "response");
  }

  timeout(): void {
    if (this.#isInvite) this.#core.counters.timeouts_invite++;
    else this.#core.counters.timeouts_other++;
    if (this.#isInvite) this.#waitForLateAnswer();
    this.cutShort = this.#hurried;
    if (!this.cutShort && (this.heard || !(this.#saysNothingYet || this.#isOffer))) this.#outcome?.failed("timeout");
    this.#fail(undefined, "timeout");
  }

  transportError(_transaction: ClientTransaction, reason: string): void {
    const isRefused = reason.startsWith(REFUSED);
    if (!this.#isOffer) {
      this.#core.counters.transport_errors++;
      const target = `${this.target.address}:${this.target.port}`;
      this.#core.sendFailures?.note(target, reason, isRefused ? "nobody listens at target of request" : "cannot send request to target");
      if (!this.#saysNothingYet) this.#outcome?.failed("transport");
    }
    // It may have arrived before its connection broke, or before the host said that nobody listens there.
    if (this.#isInvite) this.#waitForLateAnswer();
    this.#fail(undefined, isRefused ? "refused" : "transport-error");
  }

  /**
   * Takes the attempt back. Before a provisional response the CANCEL waits for one (RFC 3261 §9.1).
   * @param reason value of a Reason header (RFC 3326)
   */
  cancel(reason?: string): void {
    if (!this.#isInvite || this.#cancelWanted || this.#succeeded) return;
    this.#cancelWanted = true;
    this.#cancelReason = reason;
    if (this.#transaction.state === State.Proceeding) this.#sendCancel();
  }

  /** Nothing is left to be done but to pass on further 2xx, which goes to `user` from now on. False when its transaction is over: they come by `lateAnswer`. */
  leaveTo(user: ClientUser): boolean {
    if (this.#transaction.state !== State.Accepted) return false;
    this.#transaction.user = user;
    return true;
  }

  /** An answer to a branch whose transaction timed out: it would leave a call that nobody knows of. */
  lateAnswer(response: SipResponse): void {
    this.#core.counters.late_answers++;
    const status = response.status;
    if (status < 200) {
      this.#cancelWanted = true;
      this.#sendCancel();
    } else if (status < 300) {
      this.#owner.branchSuccess(this, response);
    } else {
      const sent = this.#sent();
      if (sent !== undefined) this.#core.layer.wire.send(buildAck(sent, response), this.target);
    }
  }

  timerFired(kind: number): void {
    if (kind === FORGET) {
      this.#core.abandoned.delete(this.id);
      return;
    }
    if (kind === TIMER_C) {
      this.#core.counters.timeouts_invite++;
      this.cancel('SIP;cause=408;text="Request Timeout"');
    } else {
      this.#transaction.abandon();
      this.#waitForLateAnswer();
    }
    this.#outcome?.failed("timeout");
    this.#fail(undefined, "timeout");
  }

  /** The next address goes on, unless nobody waits any more. */
  get #saysNothingYet(): boolean {
    return this.#hasNext && !this.#cancelWanted;
  }

  /** Nobody has to take requests over TCP: that this one is not taken says nothing of the destination, if it was cancelled meanwhile, either. */
  get #isOffer(): boolean {
    return this.target.insteadOf !== undefined;
  }

  #provisional(response: SipResponse): void {
    if (!this.#isInvite) return; // a 1xx to another request than INVITE must not be passed on (RFC 4320 §4.1)
    if (this.#cancelWanted) {
      this.#sendCancel();
      return;
    }
    // RFC 3261 §16.7 step 2: Timer C starts again with each 1xx but 100, which here starts it for the first time.
    if (response.status > 100 || !this.isPending) this.#startTimer(this.#core.timeouts.frInviteMs, TIMER_C);
    if (response.status > 100) this.#owner.branchProvisional(this, response);
  }

  #success(response: SipResponse): void {
    this.#succeeded = true;
    this.#text = "";
    this.#outcome = undefined; // it has said what there is to say
    this.#stopTimer();
    this.#owner.branchSuccess(this, response);
  }

  #fail(response: SipResponse | undefined, cause: FailureCause): void {
    if (cause === "response") {
      this.#stopTimer();
      this.#text = "";
    }
    if (this.#failed || this.#succeeded) return;
    this.#failed = true;
    if (cause !== "response" && !this.heard && !this.cutShort) this.#core.large?.refused(this.target);
    this.#owner.branchFailure(this, response, cause);
  }

  #sendCancel(): void {
    if (this.#cancelSent) return;
    const sent = this.#sent();
    if (sent === undefined) return;
    this.#cancelSent = true;
    const text = buildCancel(sent, this.#cancelReason);
    this.#core.layer.send({ method: "CANCEL", text, branch: this.id, target: this.target, timeoutMs: this.#core.timeouts.frMs }, IGNORE);
    if (this.#transaction.state === State.Proceeding) this.#startTimer(CANCEL_WAIT_MS, CANCEL_WAIT);
  }

  #waitForLateAnswer(): void {
    this.#core.abandoned.set(this.id, this);
    this.#startTimer(CANCEL_WAIT_MS, FORGET);
  }

  #sent(): SipRequest | undefined {
    // Our Via may have taken it over a limit of what we accept: it was sent all the same.
    const sent = parseMessage(this.#text);
    return sent.kind === "malformed" ? (sent as MalformedMessage).answerable : (sent as SipRequest);
  }

  #startTimer(ms: number, kind: number): void {
    this.kind = kind;
    this.#core.wheel.restart(this, ms, this, this.#core.nowMs());
  }

  #stopTimer(): void {
    this.#core.wheel.cancel(this);
  }
}
