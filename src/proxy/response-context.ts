import type { Dialog } from "../dialog/index.ts";
import { H, reasonPhrase, type SipRequest, type SipResponse } from "../sip/index.ts";
import type { ServerTransaction, ServerUser } from "../transaction/index.ts";
import type { Branch, BranchOwner } from "./branch.ts";
import type { ProxyCore } from "./core.ts";
import { hasNextVia, isChallenge, passResponse } from "./pass-response.ts";
import type { FailureCause } from "./ports.ts";

/** Responses that a UAC can act on are preferred among the 4xx (RFC 3261 §16.7 step 6). */
const PREFERRED_4XX = new Set([401, 407, 415, 420, 484]);
/** Why a call whose caller has vanished is taken back (RFC 3326). */
const CALLER_GONE = 'SIP;cause=430;text="Flow Failed"';

/**
 * One request on its way and the responses to it (RFC 3261 §16.2). Branches are tried one after the other, those before were given up;
 * or several at once, and then the last one that fails is what failed.
 */
export abstract class ResponseContext implements BranchOwner, ServerUser {
  cancelled = false;
  /** The call that the request opens. */
  abstract dialog: Dialog | undefined;
  protected readonly core: ProxyCore;
  protected readonly transaction: ServerTransaction;
  /** The branch that is waited for. */
  protected branch: Branch | undefined = undefined;
  /** Others that are waited for at the same time; absent when there are none. */
  #forks: Set<Branch> | undefined = undefined;
  /** Status of the final response that went to the caller, or of the one that was kept back on purpose; 0 before. */
  finalStatus = 0;
  /** Its caller can be answered no more. */
  #isDeserted = false;
  #best: SipResponse | undefined = undefined;
  #bestStatus = 0;
  #challenged: SipResponse[] | undefined = undefined;
  /** Branches that there have been. */
  protected attempts = 0;

  constructor(core: ProxyCore, transaction: ServerTransaction) {
    this.core = core;
    this.transaction = transaction;
    transaction.user = this;
  }

  /** A 1xx passes to the caller. */
  protected abstract onProvisional(branch: Branch, response: SipResponse): void;
  /** A 2xx is about to pass to the caller. */
  protected abstract onSuccess(branch: Branch, response: SipResponse): void;
  /** A 2xx came that the caller can do nothing with: it was told that the call failed, or has ended the call. */
  protected abstract onOrphan(branch: Branch, response: SipResponse): void;
  /** The branch failed; the context still has no answer and was not cancelled. */
  protected abstract onFailure(response: SipResponse | undefined, cause: FailureCause): void;
  /** A final response of 300 or more went to the caller. */
  protected abstract onRejected(status: number): void;

  branchProvisional(branch: Branch, response: SipResponse): void {
    if (!this.#isAwaited(branch) || this.finalStatus !== 0 || this.cancelled) return;
    this.onProvisional(branch, response);
    passResponse(this.core, this.transaction, response, this.#challenged);
  }

  /** Whether the call that this 2xx belongs to is over for its caller. */
  protected isStranded(_response: SipResponse): boolean {
    return false;
  }

  branchSuccess(branch: Branch, response: SipResponse): void {
    if (this.#isDeserted) this.reject(487, "Request Terminated"); // nobody would acknowledge it, nor hang up
    if (this.finalStatus >= 300 || this.isStranded(response)) {
      this.onOrphan(branch, response);
      return;
    }
    this.#cancelOthers(branch, 'SIP;cause=200;text="Call completed elsewhere"');
    this.#forks?.delete(branch);
    this.branch = branch;
    this.onSuccess(branch, response);
    if (this.cancelled) this.cancelledLate();
    if (this.finalStatus === 0) this.core.counters.requests_2xx++;
    const isFirst = this.finalStatus === 0;
    this.finalStatus = response.status;
    this.#forgetOthers();
    passResponse(this.core, this.transaction, response, this.#challenged);
    // Whoever has sent the other Vias back sends them back again: they need not be known for what comes late.
    if (isFirst && this.attempts === 1 && hasNextVia(response)) this.settled(branch);
  }

  /** The only branch was answered 2xx, which went to the caller: the place to let go of what is needed no more, as transactions stay for 32 s. */
  protected abstract settled(branch: Branch): void;

  branchFailure(branch: Branch, response: SipResponse | undefined, cause: FailureCause): void {
    if (!this.#isAwaited(branch)) return;
    this.#forget(branch);
    if (this.finalStatus !== 0) return;
    this.noteFailure(response?.status ?? statusOfFailure(cause), response);
    if (this.branch !== undefined) {
      // Nobody else is to be asked (RFC 3261 §16.7 step 5).
      if (response !== undefined && response.status >= 600) this.#cancelOthers(branch, undefined);
      return;
    }
    if (this.cancelled) this.#endCancelled(response);
    else this.onFailure(response, cause);
  }

  /** Waits for a branch together with the one that is waited for already. */
  protected fork(branch: Branch): void {
    this.#forks ??= new Set();
    this.#forks.add(branch);
  }

  /** Whether there are several branches that are waited for. */
  protected get isForked(): boolean {
    return this.#forks !== undefined && this.#forks.size > 0;
  }

  /** Takes back whatever is waited for, and waits for it no longer. */
  protected giveUp(): void {
    this.#cancelOthers(undefined, undefined);
    this.branch = undefined;
    this.#forks = undefined;
  }

  #isAwaited(branch: Branch): boolean {
    return branch === this.branch || this.#forks?.has(branch) === true;
  }

  /** The branch has come to its end: another one takes its place, when there is one. */
  #forget(branch: Branch): void {
    this.#forks?.delete(branch);
    if (branch !== this.branch) return;
    this.branch = undefined;
    const [other] = this.#forks ?? [];
    if (other === undefined) return;
    this.#forks?.delete(other);
    this.branch = other;
  }

  #cancelOthers(branch: Branch | undefined, reason: string | undefined): void {
    if (this.branch !== branch) this.branch?.cancel(reason);
    for (const other of this.#forks ?? []) if (other !== branch) other.cancel(reason);
  }

  /** Remembers an answer if it is better than those before. */
  protected noteFailure(status: number, response?: SipResponse): void {
    if (response !== undefined && isChallenge(status)) {
      this.#challenged ??= [];
      this.#challenged.push(response);
    }
    if (this.#bestStatus !== 0 && rank(status) >= rank(this.#bestStatus)) return;
    this.#best = response;
    this.#bestStatus = status;
  }

  /** RFC 3261 §16.10. The CANCEL itself is answered by the transaction layer. */
  cancel(cancel: SipRequest): void {
    this.#takeBack(reasonOf(cancel));
  }

  cancelledLate(): void {
    if (this.dialog !== undefined) this.core.dialogs.raced(this.dialog);
  }

  /**
   * As if it had cancelled. RFC 3261 §16.9 warns of that when an answer cannot be sent, as a Via could be made so that calls of others fail; no Via leads to
   * this caller, it can only fail calls of its own.
   */
  callerGone(): void {
    if (this.finalStatus !== 0) return;
    this.#isDeserted = true;
    this.core.counters.callers_gone++;
    this.#takeBack(CALLER_GONE);
  }

  #takeBack(reason: string | undefined): void {
    if (this.finalStatus !== 0 || this.cancelled) return;
    this.cancelled = true;
    if (this.branch === undefined) this.reject(487, "Request Terminated");
    else this.#cancelOthers(undefined, reason);
  }

  /** A branch has failed: there is a response to be sent, if it is only our own. */
  protected get hasFailed(): boolean {
    return this.#bestStatus !== 0;
  }

  /** Sends the best response there is (RFC 3261 §16.7 step 6). */
  protected sendBest(): void {
    if (this.finalStatus !== 0) return;
    const best = this.#best;
    // A 503 says that a whole server is overloaded; it is not true of us, so the caller is told 500.
    if (this.#bestStatus === 503) this.reject(500, best?.reason ?? "Destination Unreachable");
    else if (best === undefined && this.transaction.request.method !== "INVITE" && this.#bestStatus === 408) {
      this.#count(408);
      this.fallSilent(408);
    } else if (best === undefined) this.reject(this.#bestStatus || 500, reasonPhrase(this.#bestStatus || 500));
    else this.#finish(best);
  }

  /** Answers with a final response of our own. */
  protected reject(status: number, reason: string, headers?: readonly (readonly [string, string])[]): boolean {
    if (this.finalStatus !== 0) return false;
    this.finalStatus = status;
    this.#count(status);
    this.transaction.reply(status, reason, headers);
    this.#forgetOthers();
    if (status >= 300) this.onRejected(status);
    return true;
  }

  /**
   * Ends the request as if this status had been sent. For a script that wants silence, and for a 408 to another request than INVITE:
   * it would come after the caller's own time-out and must not be sent (RFC 4320 §4.1).
   */
  protected fallSilent(status: number): void {
    if (this.finalStatus !== 0) return;
    this.finalStatus = status;
    this.transaction.silence();
    this.onRejected(status);
  }

  #finish(response: SipResponse): void {
    this.finalStatus = response.status;
    this.#count(response.status);
    passResponse(this.core, this.transaction, response, this.#challenged);
    this.#forgetOthers();
    this.onRejected(response.status);
  }

  /** The best answer has been chosen: no other is kept until the last timer ends. */
  #forgetOthers(): void {
    this.#best = undefined;
    this.#challenged = undefined;
  }

  /** What the callee itself said of a cancelled request passes (RFC 3261 §16.7 step 6); silence and server failures are 487 to the caller. */
  #endCancelled(response: SipResponse | undefined): void {
    const group = Math.trunc((response?.status ?? 0) / 100);
    if (response !== undefined && (group === 4 || group === 6)) this.#finish(response);
    else this.reject(487, "Request Terminated");
  }

  #count(status: number): void {
    const counters = this.core.counters;
    if (status < 300) counters.requests_2xx++;
    else if (status < 400) counters.requests_3xx++;
    else if (status < 500) counters.requests_4xx++;
    else if (status < 600) counters.requests_5xx++;
    else counters.requests_6xx++;
  }
}

/** Why the caller gives up: all that it says of it, in one list (RFC 3326 §2). A NUL in it is never written. */
function reasonOf(cancel: SipRequest): string | undefined {
  const reasons = cancel.list(H.Reason).filter((value) => !value.includes("\0"));
  return reasons.length === 0 ? undefined : reasons.join(", ");
}

/** What a failure without a response counts as (RFC 3261 §16.8, §16.9). */
export function statusOfFailure(cause: FailureCause): number {
  return cause === "timeout" || cause === "refused" ? 408 : 503;
}

/** Lower is better: 6xx, then the lowest class, in it what the caller can act on; 503 and our own 408 last in their class. */
function rank(status: number): number {
  const group = status >= 600 ? 0 : Math.trunc(status / 100);
  const within = PREFERRED_4XX.has(status) ? 0 : status === 503 || status === 408 ? 2 : 1;
  return group * 10 + within;
}
