import { CallLoad, type Destination } from "../balancer/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import { reasonPhrase, type SipRequest, type SipResponse } from "../sip/index.ts";
import type { Endpoint, ServerTransaction } from "../transaction/index.ts";
import { admit, CLOSED_RETRY_AFTER_S } from "./admission.ts";
import { leaveAnswered } from "./answered-invite.ts";
import { Branch } from "./branch.ts";
import { loopFingerprint, makeBranch } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";
import { breadthOf, countAt, type Fork, NO_FORKS, resolveForks } from "./forks.ts";
import { Forwarding } from "./forward.ts";
import { type HandledRequest, type Handler, HandlerRun, runReply } from "./handler-run.ts";
import { endOrphan } from "./hangup.ts";
import { HopList, isTooLarge, noteUnreachable } from "./hop-list.ts";
import type { RoutePlan } from "./loose-route.ts";
import { endpointsOf, type Hops, nextHops } from "./next-hop.ts";
import { type Admission, type FailureCause, MAX_BRANCHES } from "./ports.ts";
import { statusOfFailure } from "./response-context.ts";
import { RoutedRequest } from "./routed-request.ts";
import { refusalOf } from "./target-guard.ts";

const NO_CELLS: readonly number[] = [];
/** A dropped request counts as refused. */
const DROPPED_STATUS = 403;

/**
 * An initial request: the router decides where it goes, and decides again when that fails (RFC 3261 §16.5, §16.7).
 * Its dialog owns what it counts.
 */
export class RequestContext extends RoutedRequest implements HandledRequest {
  readonly source: Endpoint;
  requestUri: string;
  dialog: Dialog | undefined = undefined;
  readonly #sinceMs: number;
  #fingerprint = "";
  readonly #route: RoutePlan;
  #looseLoad: CallLoad | undefined;
  #hops: HopList | undefined;
  /** Of each branch, while several are under way. */
  #maxBreadth: number | undefined;
  readonly #handler: HandlerRun;
  /** The pick is being asked for, a target is being looked up, or is known to be unusable and the router not told yet. */
  #sending = false;
  #tryingSent = false;

  constructor(core: ProxyCore, transaction: ServerTransaction, route: RoutePlan) {
    super(core, transaction);
    this.source = transaction.source;
    this.#sinceMs = core.nowMs();
    this.#route = route;
    this.requestUri = route.requestUri;
    this.#handler = new HandlerRun(core, this);
  }

  get request(): SipRequest {
    return this.transaction.request;
  }

  get callId(): string {
    return this.request.callId;
  }

  get ageMs(): number {
    return this.core.nowMs() - this.#sinceMs;
  }

  get load(): CallLoad {
    if (this.dialog !== undefined) return this.dialog.load;
    if (this.#looseLoad === undefined) {
      this.#looseLoad = new CallLoad();
      this.#looseLoad.callId = this.callId;
      // A handler that wakes up after the answer must not count what nobody would end.
      this.#looseLoad.closed = this.finalStatus !== 0;
    }
    return this.#looseLoad;
  }

  get isAnswered(): boolean {
    return this.finalStatus !== 0;
  }

  start(): void {
    this.#decide("request");
  }

  openDialog(flags = 0): void {
    if (this.dialog === undefined && this.request.method === "INVITE" && this.finalStatus === 0) {
      this.dialog = this.core.dialogs.create(this.request, this.source);
      this.dialog.pending = this;
    }
    if (this.dialog !== undefined) this.dialog.flags |= flags;
  }

  relay(): boolean {
    if (this.cancelled || this.finalStatus !== 0 || this.branch !== undefined || this.#sending) return false;
    if (this.failovers >= MAX_BRANCHES) {
      this.core.log.warn({ callId: this.callId }, `cannot relay request again: ${MAX_BRANCHES} attempts have failed`);
      return false;
    }
    const found = this.#resolveTarget();
    if (!(found instanceof Promise) && found.length === 0 && this.forkTo.length === 0) {
      this.#noteUnusableTarget();
      return false;
    }
    this.#handler.decided = true;
    this.cutShort = false; // that was the branch before
    this.openDialog();
    this.#trying();
    const { admission } = this.core;
    if (admission?.isNeeded(this.load)) this.#askFor(admission, found);
    else this.#sendTo(found);
    return true;
  }

  reply(status: number, reason: string = reasonPhrase(status), headers?: readonly (readonly [string, string])[]): boolean {
    if (this.finalStatus !== 0) return false;
    if (status < 200) {
      this.transaction.reply(status, reason, headers);
      return true;
    }
    this.#handler.decided = true;
    this.giveUp();
    const sent = this.reject(status, reason, headers);
    if (status < 300) this.#end("Rejected"); // a call that we answer ourselves occupies no destination
    return sent;
  }

  drop(): void {
    if (this.finalStatus !== 0) return;
    this.#handler.decided = true;
    this.core.counters.drop_requests++;
    this.giveUp();
    this.fallSilent(DROPPED_STATUS);
  }

  /** Ends a call that is not up yet: the destination gets CANCEL, the caller this answer. */
  abort(status: number, reason: string): void {
    this.giveUp();
    this.reject(status, reason);
  }

  handlerWaits(): void {
    this.#trying();
  }

  handlerEnded(handler: Handler): void {
    if (this.isAnswered) return;
    if (handler === "failure") {
      if (this.failureCause === "capacity" && !this.hasFailed) this.reject(503, "Service full");
      else this.sendBest();
      return;
    }
    this.core.log.warn({ callId: this.callId }, "route handler ended without relay(), reply() or drop(): answering 500");
    this.reject(500, "No Routing Decision");
  }

  handlerFailed(error: unknown): void {
    this.core.counters.script_errors++;
    this.core.log.error(
      { callId: this.callId, err: error },
      this.finalStatus === 0 ? "route handler failed: answering 500" : "route handler failed after the request was answered",
    );
    this.giveUp();
    this.reject(500, "Server Internal Error");
  }

  override branchFailure(branch: Branch, response: SipResponse | undefined, cause: FailureCause): void {
    if (branch === this.branch && !this.isForked) {
      this.cutShort = branch.cutShort;
      if (this.finalStatus === 0 && !this.cancelled && this.#hops?.advance(branch, response, cause)) {
        this.dialog?.forgetEarlyLegs();
        this.#transmit(this.#hops);
        return;
      }
    }
    super.branchFailure(branch, response, cause);
  }

  protected override onProvisional(_branch: Branch, response: SipResponse): void {
    if (this.dialog !== undefined) this.core.dialogs.provisional(this.dialog, response);
    this.#observe(response);
  }

  protected override onSuccess(branch: Branch, response: SipResponse): void {
    const { dialog, core } = this;
    if (dialog === undefined) {
      this.#end("Rejected");
    } else if (dialog.state < DialogState.ConfirmedNoAck) {
      // A destination that was given up answered after all: the call is there, so it is counted there.
      countAt(core.balancer, dialog.load, branch.destination, branch.cells);
      if (core.dispatcher?.countedOn(dialog.load) !== branch.counted) core.dispatcher?.moveTo(dialog.load, branch.counted);
      dialog.calleeEndpoint = branch.target.insteadOf ?? branch.target;
      dialog.inviteBranch = branch.id;
      dialog.pending = undefined;
    }
    this.#hops = undefined;
    if (dialog !== undefined) core.dialogs.confirmed(dialog, response, this.request);
    this.#observe(response);
  }

  protected override isStranded(response: SipResponse): boolean {
    const { dialog } = this;
    return dialog?.state === DialogState.Deleted && dialog.findLeg(response.toTag) === undefined;
  }

  protected override onOrphan(branch: Branch, response: SipResponse): void {
    if (this.dialog !== undefined) endOrphan(this.core, this.dialog, response, branch.target);
  }

  protected override onFailure(response: SipResponse | undefined, cause: FailureCause): void {
    this.response = response;
    this.failureCause = cause;
    this.status = response?.status ?? statusOfFailure(cause);
    this.failovers++;
    if (this.dialog !== undefined) {
      this.dialog.forgetEarlyLegs();
      this.core.dialogs.changed(this.dialog);
    }
    if (response !== undefined) this.#observe(response);
    this.#decide("failure");
  }

  protected override settled(branch: Branch): void {
    if (this.dialog !== undefined) leaveAnswered(this.core, this.transaction, this.dialog, branch, this.cancelled);
  }

  protected override onRejected(): void {
    this.#end(this.cancelled ? "Cancelled" : "Rejected");
    this.core.router.rejected?.(this);
  }

  #decide(handler: Handler): void {
    this.answerWithinMs = undefined;
    this.#handler.start(handler);
  }

  /** The caller stops repeating its INVITE as soon as it is sure that somebody works on it (RFC 3261 §16.2). */
  #trying(): void {
    if (this.#tryingSent || this.request.method !== "INVITE") return;
    this.#tryingSent = true;
    this.transaction.reply(100, "Trying");
  }

  #resolveTarget(): Hops {
    const { network } = this.core;
    const listener = this.sendFrom ?? this.source.listener;
    const destination = this.addressee;
    return destination ? endpointsOf(network, destination, listener) : nextHops(network, this.destinationUri ?? this.requestUri, listener);
  }

  /** The call waits until the cluster has said whether there is room, and goes where there is some. */
  #askFor(admission: Admission, found: Hops): void {
    this.#sending = true;
    admit(admission, this.core.balancer, this.load, () => this.isAnswered || this.cancelled)
      .then(({ outcome, hasMoved }) => {
        this.#sending = false;
        if (outcome === "reserved") this.#sendTo(hasMoved ? this.#followPick() : found);
        else if (outcome === "full") this.onFailure(undefined, "capacity");
        else if (outcome === "closed") this.reject(503, "Service Unavailable", [["Retry-After", String(CLOSED_RETRY_AFTER_S)]]);
      })
      .catch((error: unknown) => this.handlerFailed(error));
  }

  /** The pick is another one than the router knows of. A URI that the router has set itself stays. */
  #followPick(): Hops {
    const { destination } = this.load;
    if (this.addressee !== undefined && destination !== undefined) {
      this.target = destination;
      this.destinationUri = destination.uri;
    }
    return this.#resolveTarget();
  }

  #sendTo(found: Hops): void {
    const others = this.forkTo;
    this.forkTo = NO_FORKS;
    this.#maxBreadth = undefined;
    if (others.length > 0) {
      this.#sending = true;
      resolveForks(this.core.network, found, others, this.source.listener)
        .then(({ targets, forks }) => this.#sendToAll(targets, forks))
        .catch((error: unknown) => this.handlerFailed(error));
    } else if (found instanceof Promise) {
      this.#sending = true;
      found.then((targets) => this.#send(targets)).catch((error: unknown) => this.handlerFailed(error));
    } else this.#send(found);
  }

  /** One of the forks takes the place of a target that cannot be reached. */
  #sendToAll(targets: readonly Endpoint[], forks: readonly Fork[]): void {
    const first = targets.length === 0 ? forks[0] : undefined;
    const others = first === undefined ? forks : forks.slice(1);
    if (first !== undefined) {
      const { uri, requestUri = this.requestUri, row, cells = NO_CELLS } = first.target;
      [this.destinationUri, this.exemptUri, this.requestUri] = [uri, uri, requestUri];
      if (!this.load.closed) countAt(this.core.balancer, this.load, row, cells);
    }
    if (others.length > 0) this.#maxBreadth = Math.max(1, Math.floor(breadthOf(this.request) / (others.length + 1)));
    this.#send(first?.places ?? targets);
    if (this.branch === undefined || others.length === 0) return; // it was answered, or nothing could be sent
    this.#hops = undefined;
    for (const { target, places } of others) {
      const { uri, requestUri = this.requestUri, row, cells = NO_CELLS } = target;
      const hops = new HopList(this.core, this.callId, places.slice(0, 1), uri, undefined, cells, this.answerWithinMs);
      const branch = this.#branchTo(hops, requestUri, row);
      if (branch !== undefined) this.fork(branch);
    }
  }

  #send(targets: readonly Endpoint[]): void {
    this.#sending = false;
    if (this.finalStatus !== 0) return;
    if (this.cancelled) return void this.reject(487, "Request Terminated");
    if (targets.length === 0) {
      this.#noteUnusableTarget();
      this.onFailure(undefined, "transport-error");
      return;
    }
    const { core, load, answerWithinMs } = this;
    const refusal = refusalOf(targets, this.requestUri, this.isExempt ? undefined : this.guard);
    if (refusal !== undefined) {
      const { target, status, reason, headers } = refusal;
      if (status === 403) {
        const { address, port } = target;
        core.log.info({ callId: this.callId, requestUri: this.requestUri, address, port }, "Request refused: its target is not allowed");
      }
      this.reject(status, reason, headers);
      return;
    }
    if (this.failovers > 0) this.noteFailover();
    const cells = load.destination === undefined ? NO_CELLS : core.balancer.pickedCells(load);
    const uri = this.addressee?.uri ?? this.destinationUri ?? this.requestUri;
    this.#hops = new HopList(core, this.callId, targets, uri, this.addressee, cells, answerWithinMs);
    this.#transmit(this.#hops);
  }

  #transmit(hops: HopList): void {
    const branch = this.#branchTo(hops, this.requestUri, this.load.destination);
    if (branch === undefined) this.reject(513, "Message Too Large");
    else this.branch = branch;
  }

  /** Sends the request to the current place of these; undefined when it is too large for that. */
  #branchTo(hops: HopList, requestUri: string, destination: Destination | undefined): Branch | undefined {
    const { core, request, source } = this;
    const { cells, outcome, hasNext, answerWithinMs } = hops;
    if (this.#fingerprint === "") this.#fingerprint = loopFingerprint(request);
    const branch = makeBranch(this.#fingerprint, core.layer.chance.token());
    const plan = new Forwarding(core, request, source, hops.current, branch, requestUri, this.#route);
    plan.did = this.dialog?.did;
    plan.maxBreadth = this.#maxBreadth;
    plan.addHeaders = this.addHeaders;
    plan.removeHeaders = this.removeHeaders;
    const text = hops.place(plan);
    const { target } = plan;
    if (isTooLarge(target, text)) return undefined;
    if (this.dialog !== undefined) {
      this.dialog.inviteSent(target.insteadOf ?? target, branch, requestUri, request.cseqNumber);
      this.dialog.guard = this.guard === core.router.guard ? undefined : this.guard; // that one applies anyway
      core.dialogs.changed(this.dialog);
    }
    const counted = core.dispatcher?.countedOn(this.load);
    this.attempts++;
    const sent = { method: request.method, text, branch, target, destination, counted, cells, outcome, hasNext, answerWithinMs };
    return new Branch(core, this, sent);
  }

  #noteUnusableTarget(): void {
    noteUnreachable(this.core, this.callId, this.destinationUri ?? this.requestUri, this.addressee);
    this.noteFailure(503);
    [this.status, this.failureCause] = [503, "transport-error"];
  }

  /** The router sees a response pass. */
  #observe(response: SipResponse): void {
    if (this.dialog !== undefined) this.core.measures?.observe(this, response);
    runReply(this.core, this, response);
  }

  /** The call is over for the balancer: its leases go back, exactly once. */
  #end(reason: "Cancelled" | "Rejected"): void {
    this.#handler.stop();
    if (this.dialog !== undefined) {
      this.dialog.pending = undefined;
      this.core.dialogs.end(this.dialog, reason);
    } else if (this.#looseLoad !== undefined) {
      this.#looseLoad.closed = true;
      this.core.balancer.release(this.#looseLoad);
    }
  }
}
