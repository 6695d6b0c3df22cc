import { contactUri, type Dialog, type DialogMatch } from "../dialog/index.ts";
import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Endpoint, ServerTransaction } from "../transaction/index.ts";
import { Branch } from "./branch.ts";
import { loopFingerprint, makeBranch } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";
import { callerRefreshed, flowAfter, isGone, isReachedByFlow } from "./flow.ts";
import { Forwarding } from "./forward.ts";
import { HopList, isTooLarge } from "./hop-list.ts";
import { type InDialogPlan, planInDialog, targetOf, targetsOf } from "./in-dialog-target.ts";
import type { RoutePlan } from "./loose-route.ts";
import type { FailureCause } from "./ports.ts";
import { ResponseContext } from "./response-context.ts";
import { isGuarded, mayReach } from "./target-guard.ts";

const NONE: readonly never[] = [];
/** The request comes again with them (RFC 3261 §22.2, §22.3). */
const ASKS_FOR_CREDENTIALS = new Set([401, 407]);

/** What may carry an offer and its answer (RFC 3261 §13.2.1, RFC 3311, RFC 3262 §5). */
const SETS_SESSION = new Set(["INVITE", "UPDATE", "PRACK"]);

function forwarding(
  core: ProxyCore,
  request: SipRequest,
  source: Endpoint,
  route: RoutePlan,
  plan: InDialogPlan,
  branch: string,
  target: Endpoint,
): Forwarding {
  const out = new Forwarding(core, request, source, target, branch, plan.requestUri, route);
  out.popRoutes = plan.popRoutes;
  out.appendRoute = plan.appendRoute;
  out.pushRoutes = plan.pushRoutes;
  out.isInDialog = true;
  return out;
}

/** The ACK of a 2xx goes end to end without a transaction (RFC 3261 §16.11). */
export function forwardAck(core: ProxyCore, request: SipRequest, source: Endpoint, match: DialogMatch, route: RoutePlan): void {
  const plan = planInDialog(core, request, source, match, route);
  if (plan.isDenied) {
    core.counters.drop_requests++;
    return;
  }
  const found = targetOf(core, plan);
  if (found instanceof Promise)
    found.then((target) => sendAck(core, request, source, match, route, plan, target)).catch(() => core.counters.drop_requests++);
  else sendAck(core, request, source, match, route, plan, found);
}

function sendAck(
  core: ProxyCore,
  request: SipRequest,
  source: Endpoint,
  match: DialogMatch,
  route: RoutePlan,
  plan: InDialogPlan,
  target: Endpoint,
): void {
  if (!mayGo(core, match, plan, target)) {
    core.counters.drop_requests++;
    return;
  }
  noteSession(match, request, undefined); // it answers what the 2xx offered (RFC 3261 §13.2.1)
  if (match.direction === "downstream") core.dialogs.acknowledged(match.dialog);
  const branch = makeBranch(loopFingerprint(request), core.layer.chance.token());
  core.counters.fwd_requests++;
  core.layer.wire.send(forwarding(core, request, source, route, plan, branch, target).write(), target);
}

function mayGo(core: ProxyCore, { dialog }: DialogMatch, plan: InDialogPlan, target: Endpoint): boolean {
  return !isGuarded(core, dialog) || mayReach(core, dialog, { target, peer: plan.fallback, isOfPeer: plan.isOfPeer });
}

/**
 * The ACK of a negative answer to an INVITE whose transaction was lost: it goes where that INVITE went, with its branch, as from a stateless proxy
 * (RFC 3261 §16.11), since nobody here has acknowledged the answer.
 */
export function forwardAckOfRefusal(core: ProxyCore, request: SipRequest, source: Endpoint, dialog: Dialog, route: RoutePlan): void {
  const target = dialog.calleeEndpoint;
  if (target === undefined) {
    core.counters.drop_requests++;
    return;
  }
  core.counters.fwd_requests++;
  const out = new Forwarding(core, request, source, target, dialog.inviteBranch, route.requestUri, route);
  out.isInDialog = true;
  core.layer.wire.send(out.write(), target);
}

function noteSession({ dialog, direction }: DialogMatch, request: SipRequest, response: SipResponse | undefined): void {
  if (direction === "downstream") dialog.noteSessions(request, response);
  else dialog.noteSessions(response, request);
}

/** A request inside a dialog, on its way to the other side (RFC 3261 §16.12). */
export class InDialogContext extends ResponseContext {
  override readonly dialog = undefined;
  readonly #match: DialogMatch;
  readonly #route: RoutePlan;
  /** What the call gives back is kept until this BYE is answered. */
  #isHolding = false;
  #isNegotiating = false;
  /** Its receiver has only one connection, or address, that leads to it; without that there is no way (RFC 5626 §5.3). */
  #isOnFlow = false;
  #plan: InDialogPlan | undefined;
  #hops: HopList | undefined;
  #fingerprint = "";

  constructor(core: ProxyCore, transaction: ServerTransaction, match: DialogMatch, route: RoutePlan) {
    super(core, transaction);
    this.#match = match;
    this.#route = route;
  }

  /** @param isTryingSent 100 went to its sender before */
  start(isTryingSent = false): void {
    const { core, transaction } = this;
    const { request, source } = transaction;
    if (request.method === "INVITE" && !isTryingSent) transaction.reply(100, "Trying");
    const plan = planInDialog(core, request, source, this.#match, this.#route);
    if (plan.isDenied) {
      this.#refuse({});
      return;
    }
    const found = targetsOf(core, plan);
    if (found instanceof Promise) found.then((targets) => this.#pass(plan, targets)).catch(() => this.reject(500, "Internal Error"));
    else this.#pass(plan, found);
  }

  override branchFailure(branch: Branch, response: SipResponse | undefined, cause: FailureCause): void {
    const plan = this.#plan;
    const hops = this.#hops;
    const isAwaited = branch === this.branch && this.finalStatus === 0 && !this.cancelled;
    if (isAwaited && plan !== undefined && hops?.advance(branch, response, cause)) this.#transmit(plan, hops);
    else super.branchFailure(branch, response, cause);
  }

  /** Passes it on, unless what is kept from callers would be reached. */
  #pass(plan: InDialogPlan, targets: readonly Endpoint[]): void {
    if (this.finalStatus !== 0) return; // cancelled while its host name was looked up
    const { core } = this;
    const { request } = this.transaction;
    const isBye = request.method === "BYE";
    const target = targets[0] ?? plan.fallback;
    const isAllowed = mayGo(core, this.#match, plan, target);
    // The side that hangs up cannot help where the other one wants its requests: the call would go on without end.
    if (!isAllowed && !(isBye && plan.isOfPeer)) {
      this.#refuse({ address: target.address, port: target.port });
      return;
    }
    if (!this.#negotiate()) {
      this.reject(491, "Request Pending");
      return;
    }
    const isOld = request.cseqNumber < this.#highestCseq(request);
    try {
      if (isBye && !isOld) this.#endCallBefore();
      if (!isOld) this.#noteCseq(request);
      if (!isAllowed) this.#send(plan, plan.fallback, [plan.fallback]);
      else if (targets.length === 1) this.#send(plan, target, targets);
      else this.#send(plan, target, [target, ...targets.slice(1).filter((other) => mayGo(core, this.#match, plan, other))]);
    } catch (error) {
      this.#negotiated();
      this.#settle(); // nobody will answer what was not sent
      throw error;
    }
  }

  /** The BYE is about to pass. That of the caller ends the call for its destination only when it gets there. */
  #endCallBefore(): void {
    const { admission } = this.core;
    if (this.#match.direction === "downstream" && admission?.hold !== undefined) {
      this.#isHolding = true;
      admission.hold(this.#match.dialog.load);
    }
    this.core.dialogs.byes.sent(this.#match.dialog);
    this.#endCall();
  }

  /** It may change the session. False when a ping of ours is in its way, so that its receiver would refuse it as out of order (RFC 3261 §14.2): it comes again soon. */
  #negotiate(): boolean {
    const { method } = this.transaction.request;
    if (method !== "INVITE" && method !== "UPDATE") return true;
    const { dialog, direction } = this.#match;
    if (dialog.pinged?.giveWay(direction === "downstream" ? "callee" : "caller")) return false;
    this.#isNegotiating = true;
    dialog.negotiations++;
    return true;
  }

  #negotiated(): void {
    if (!this.#isNegotiating) return;
    this.#isNegotiating = false;
    this.#match.dialog.negotiations--;
  }

  #settle(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.core.admission?.settle?.(this.#match.dialog.load);
  }

  #refuse(target: { readonly address?: string; readonly port?: number }): void {
    const { callId, method, uri: requestUri } = this.transaction.request;
    this.core.log.info({ callId, method, requestUri, ...target }, "Request inside a call refused: its target is not allowed");
    this.reject(403, "Target Not Allowed");
  }

  /** Of the side that sends this request. One with a lower number will be refused by its receiver (RFC 3261 §12.2.2). */
  #highestCseq(request: SipRequest): number {
    const { dialog, direction } = this.#match;
    return direction === "downstream" ? dialog.callerCseq : (dialog.findLeg(request.fromTag)?.cseq ?? 0);
  }

  #noteCseq(request: SipRequest): void {
    const { dialog, direction } = this.#match;
    const leg = direction === "downstream" ? undefined : dialog.findLeg(request.fromTag);
    if (direction === "downstream") dialog.callerCseq = request.cseqNumber;
    else if (leg !== undefined) leg.cseq = request.cseqNumber;
    this.core.dialogs.changed(dialog);
  }

  #endCall(): void {
    this.core.dialogs.bye(this.#match, this.transaction.request);
  }

  /** @param target the first of them */
  #send(plan: InDialogPlan, target: Endpoint, targets: readonly Endpoint[]): void {
    this.#isOnFlow = isReachedByFlow(plan.hop, target);
    if (this.#isOnFlow && isGone(target)) {
      this.onFailure(undefined, "transport-error");
      return;
    }
    this.#plan = plan;
    this.#hops = new HopList(this.core, this.transaction.request.callId, targets, plan.hop, undefined, NONE, undefined);
    this.#transmit(plan, this.#hops);
  }

  #transmit(plan: InDialogPlan, hops: HopList): void {
    const { core, transaction } = this;
    const { request, source } = transaction;
    if (this.#fingerprint === "") this.#fingerprint = loopFingerprint(request);
    const branch = makeBranch(this.#fingerprint, core.layer.chance.token());
    const out = forwarding(core, request, source, this.#route, plan, branch, hops.current);
    const text = hops.place(out);
    const { target } = out;
    if (isTooLarge(target, text)) {
      this.#settle();
      this.reject(513, "Message Too Large");
      return;
    }
    this.attempts++;
    this.branch = new Branch(core, this, {
      method: request.method,
      text,
      branch,
      target,
      destination: undefined,
      counted: undefined,
      cells: NONE,
      outcome: undefined,
      hasNext: hops.hasNext,
      answerWithinMs: undefined,
    });
  }

  protected override onProvisional(): void {
    // Passed on as it is: a provisional response inside a dialog changes nothing of it.
  }

  protected override onSuccess(branch: Branch, response: SipResponse): void {
    this.#negotiated();
    const method = this.transaction.request.method;
    const target = branch.target.insteadOf ?? branch.target;
    if (target !== this.#hops?.first) this.#movePeer(target);
    if (method === "INVITE" || method === "UPDATE") {
      this.#refreshTargets(response);
      this.core.dialogs.refreshed(this.#match.dialog, response);
    }
    if (SETS_SESSION.has(method)) noteSession(this.#match, this.transaction.request, response);
    if (method !== "BYE") return;
    this.#endCall();
    this.core.dialogs.byeAnswered(this.#match);
    this.core.dialogs.byeOver(this.#match.dialog);
    this.#settle();
    this.#endElsewhere();
  }

  /** Only an INVITE may be answered again: what refreshes the targets needs it. */
  protected override settled(): void {
    if (this.transaction.method === "INVITE") return;
    this.transaction.forgetRequest();
    this.transaction.user = undefined;
  }

  protected override onOrphan(): void {
    // A 2xx to a re-INVITE that was answered already; both sides still have their dialog, its ACK is theirs.
    this.core.counters.drop_replies++;
  }

  protected override onFailure(_response: SipResponse | undefined, cause: FailureCause): void {
    this.#settle();
    if (cause === "transport-error" && this.#isOnFlow) this.reject(430, "Flow Failed");
    else this.sendBest();
  }

  /** A refused BYE may come again, with credentials or a better CSeq: the call is remembered until its sender has given up. */
  protected override onRejected(status: number): void {
    this.#negotiated();
    const isOver = status === 481 || status === 408; // the other side knows no such call (RFC 3261 §15.1.1)
    if (this.transaction.request.method !== "BYE") return;
    if (isOver) this.core.dialogs.byeAnswered(this.#match);
    else this.core.dialogs.remember(this.#match.dialog);
    if (status === 481) this.core.dialogs.byeOver(this.#match.dialog); // 408 may be our own, to ourselves: its sender goes on
    if (!ASKS_FOR_CREDENTIALS.has(status)) this.#endElsewhere();
  }

  /** Another address of its name has answered than the one where it was: the ACK goes there, and what comes after. */
  #movePeer(target: Endpoint): void {
    const { dialog, direction } = this.#match;
    if (direction === "downstream") dialog.calleeEndpoint = target;
    else dialog.callerEndpoint = target;
    this.core.dialogs.changed(dialog);
  }

  /** The call has ended. This node could not end it when it is still another one's, or has become that while the BYE was on its way. */
  #endElsewhere(): void {
    const { dialog } = this.#match;
    if (dialog.isGuest || dialog.endReason === "Taken over") this.core.elsewhere?.hungUp?.(dialog);
  }

  /** Target refresh: both sides may have moved (RFC 3261 §12.2). */
  #refreshTargets(response: SipResponse): void {
    const { dialog, direction } = this.#match;
    const request = this.transaction.request;
    const asked = contactUri(request);
    const answered = contactUri(response);
    const leg = dialog.findLeg(direction === "downstream" ? request.toTag : request.fromTag);
    const caller = direction === "downstream" ? asked : answered;
    const callee = direction === "downstream" ? answered : asked;
    if (caller !== "") dialog.callerContact = caller;
    if (callee !== "" && leg !== undefined) leg.contact = callee;
    const { source } = this.transaction;
    if (direction === "downstream") callerRefreshed(dialog, source);
    else if (dialog.calleeEndpoint !== undefined) dialog.calleeEndpoint = flowAfter(dialog.calleeEndpoint, source);
    this.core.dialogs.changed(dialog);
  }
}
