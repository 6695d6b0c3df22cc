import { type Address, CallLoad, type Destination } from "../balancer/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import { reasonPhrase, type SipRequest, type SipResponse } from "../sip/index.ts";
import type { Endpoint, ServerTransaction, Timer, TimerOwner } from "../transaction/index.ts";
import { Branch } from "./branch.ts";
import { makeBranch } from "./branch-id.ts";
import { BranchOutcome } from "./branch-outcome.ts";
import type { ProxyCore } from "./core.ts";
import { forwardedRequest } from "./forward.ts";
import { endOrphan } from "./hangup.ts";
import type { RoutePlan } from "./loose-route.ts";
import { nextHop } from "./next-hop.ts";
import { type FailureCause, MAX_BRANCHES, type ProxyCall, type TargetGuard } from "./ports.ts";
import { ResponseContext } from "./response-context.ts";

/** How long a handler may take before the caller is answered 500: Timer C of the hop before us is longer. */
const HANDLER_TIMEOUT_MS = 30_000;
const NO_CELLS: readonly number[] = [];
/** What a dropped request counts as: refused. Never sent. */
const DROPPED_STATUS = 403;

/**
 * An initial request: the router decides where it goes, and decides again when that fails (RFC 3261 §16.5, §16.7).
 * Its dialog owns what it counts.
 */
export class RequestContext extends ResponseContext implements ProxyCall, TimerOwner {
  readonly request: SipRequest;
  readonly source: Endpoint;
  requestUri: string;
  destinationUri: string | undefined = undefined;
  guard: TargetGuard | undefined = undefined;
  response: SipResponse | undefined = undefined;
  status = 0;
  failureCause: FailureCause | undefined = undefined;
  failovers = 0;
  answerWithinMs: number | undefined = undefined;
  cutShort = false;
  dialog: Dialog | undefined = undefined;
  readonly #sinceMs: number;
  readonly #fingerprint: string;
  readonly #route: RoutePlan;
  #looseLoad: CallLoad | undefined;
  #variables: Map<string, unknown> | undefined;
  #target: Destination | undefined;
  #addHeaders: [string, string][] = [];
  #removeHeaders: string[] = [];
  #decided = false;
  /** A target is being looked up, or is known to be unusable and the router not told yet. */
  #sending = false;
  /** Which run of a handler is the present one: what an earlier one does when it comes to its end decides nothing. */
  #turn = 0;
  #tryingSent = false;
  #handlerTimer: Timer | undefined;

  constructor(core: ProxyCore, transaction: ServerTransaction, route: RoutePlan, fingerprint: string) {
    super(core, transaction);
    this.request = transaction.request;
    this.source = transaction.source;
    this.#sinceMs = core.nowMs();
    this.#route = route;
    this.requestUri = route.requestUri;
    this.#fingerprint = fingerprint;
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

  get variables(): Map<string, unknown> {
    this.#variables ??= new Map();
    return this.#variables;
  }

  start(): void {
    this.#decide("request");
  }

  openDialog(): void {
    if (this.dialog !== undefined || this.request.method !== "INVITE" || this.finalStatus !== 0) return;
    this.dialog = this.core.dialogs.create(this.request, this.source);
    this.dialog.pending = this;
  }

  setTarget(destination: Destination | undefined): void {
    this.#target = destination;
  }

  addHeader(name: string, value: string): void {
    this.#addHeaders.push([name, value]);
  }

  removeHeader(name: string): void {
    this.#removeHeaders.push(name);
    this.#addHeaders = this.#addHeaders.filter(([added]) => added.toLowerCase() !== name.toLowerCase());
  }

  relay(): boolean {
    if (this.cancelled || this.finalStatus !== 0 || this.branch !== undefined || this.#sending) return false;
    if (this.failovers >= MAX_BRANCHES) {
      this.core.log.warn({ callId: this.callId }, `cannot relay request again: ${MAX_BRANCHES} attempts have failed`);
      return false;
    }
    const found = this.#resolveTarget();
    if (found === undefined) {
      this.#noteUnusableTarget();
      return false;
    }
    this.#decided = true;
    this.cutShort = false; // that was the branch before
    this.openDialog();
    this.#trying();
    if (found instanceof Promise) {
      this.#sending = true;
      found.then((target) => this.#send(target)).catch((error: unknown) => this.#scriptError(error));
    } else this.#send(found);
    return true;
  }

  reply(status: number, reason: string = reasonPhrase(status), headers?: readonly (readonly [string, string])[]): boolean {
    if (this.finalStatus !== 0) return false;
    if (status < 200) {
      this.transaction.reply(status, reason, headers);
      return true;
    }
    this.#decided = true;
    this.branch?.cancel();
    this.branch = undefined;
    const sent = this.reject(status, reason, headers);
    if (status < 300) this.#end("Rejected"); // a call that we answer ourselves occupies no destination
    return sent;
  }

  drop(): void {
    if (this.finalStatus !== 0) return;
    this.#decided = true;
    this.core.counters.drop_requests++;
    this.branch?.cancel();
    this.branch = undefined;
    this.fallSilent(DROPPED_STATUS);
  }

  /** Ends a call that is not up yet: the destination gets CANCEL, the caller this answer. */
  abort(status: number, reason: string): void {
    this.branch?.cancel();
    this.branch = undefined;
    this.reject(status, reason);
  }

  timerFired(): void {
    this.#handlerTimer = undefined;
    if (this.#decided || this.finalStatus !== 0) return; // it may take its time for whatever else it does
    this.#scriptError(new Error(`Cannot wait longer for the route handler: no decision within ${HANDLER_TIMEOUT_MS} ms`));
  }

  override branchFailure(branch: Branch, response: SipResponse | undefined, cause: FailureCause): void {
    if (branch === this.branch) this.cutShort = branch.cutShort;
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
      if (dialog.load.destination !== branch.destination) {
        if (branch.destination === undefined) core.balancer.reset(dialog.load);
        else core.balancer.moveTo(dialog.load, branch.destination, branch.cells);
      }
      dialog.calleeEndpoint = branch.target;
      dialog.pending = undefined;
    }
    if (dialog !== undefined) core.dialogs.confirmed(dialog, response);
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
    this.status = response?.status ?? (cause === "timeout" ? 408 : 503);
    this.failovers++;
    this.dialog?.forgetEarlyLegs();
    if (response !== undefined) this.#observe(response);
    this.#decide("failure");
  }

  protected override onRejected(): void {
    this.#end(this.cancelled ? "Cancelled" : "Rejected");
  }

  #decide(handler: "request" | "failure"): void {
    this.#decided = false;
    this.answerWithinMs = undefined;
    const turn = ++this.#turn;
    let outcome: void | Promise<void>;
    try {
      outcome = this.core.router[handler](this);
    } catch (error) {
      this.#scriptError(error);
      return;
    }
    if (!(outcome instanceof Promise)) {
      this.#settle(handler, turn);
      return;
    }
    this.#trying();
    this.core.wheel.cancel(this.#handlerTimer);
    const timer = this.core.wheel.schedule(HANDLER_TIMEOUT_MS, this, 0, this.core.nowMs());
    this.#handlerTimer = timer;
    outcome.then(
      () => {
        this.core.wheel.cancel(timer);
        this.#settle(handler, turn);
      },
      (error: unknown) => {
        this.core.wheel.cancel(timer);
        this.#scriptError(error);
      },
    );
  }

  /** The caller stops repeating its INVITE as soon as it is sure that somebody works on it (RFC 3261 §16.2). */
  #trying(): void {
    if (this.#tryingSent || this.request.method !== "INVITE") return;
    this.#tryingSent = true;
    this.transaction.reply(100, "Trying");
  }

  #settle(handler: "request" | "failure", turn: number): void {
    if (turn !== this.#turn || this.#decided || this.finalStatus !== 0) return;
    if (handler === "failure") {
      this.sendBest();
      return;
    }
    this.core.log.warn({ callId: this.callId }, "route handler ended without relay(), reply() or drop(): answering 500");
    this.reject(500, "No Routing Decision");
  }

  #scriptError(error: unknown): void {
    this.core.counters.script_errors++;
    this.core.log.error(
      { callId: this.callId, err: error },
      this.finalStatus === 0 ? "route handler failed: answering 500" : "route handler failed after the request was answered",
    );
    this.branch?.cancel();
    this.branch = undefined;
    this.reject(500, "Server Internal Error");
  }

  #resolveTarget(): Endpoint | undefined | Promise<Endpoint | undefined> {
    const { network } = this.core;
    const preferred = this.source.listener;
    if (this.destinationUri !== undefined) {
      if (this.#target?.uri !== this.destinationUri) return nextHop(network, this.destinationUri, preferred);
      for (const address of this.#target.addresses) {
        const endpoint = network.endpoint(address.ip, address.port, address.transport, preferred);
        if (endpoint !== undefined) return endpoint;
      }
      return undefined;
    }
    return nextHop(network, this.requestUri, preferred);
  }

  /** The address of the destination that was chosen; undefined when where to send follows from a URI. */
  #targetAddress(): Address | undefined {
    return this.destinationUri !== undefined && this.#target?.uri === this.destinationUri ? this.#target.addresses[0] : undefined;
  }

  #send(target: Endpoint | undefined): void {
    this.#sending = false;
    if (this.finalStatus !== 0) return;
    if (this.cancelled) {
      this.reject(487, "Request Terminated");
      return;
    }
    // The script may have sent the call elsewhere than to its pick: then the destination is not concerned.
    const judged = this.#target?.uri === this.destinationUri ? this.#target : undefined;
    if (target === undefined) {
      this.#noteUnusableTarget();
      this.onFailure(undefined, "transport-error");
      return;
    }
    if (this.guard !== undefined && this.#targetAddress() === undefined && !this.guard.accepts(target)) {
      const { address, port } = target;
      this.core.log.info({ callId: this.callId, requestUri: this.requestUri, address, port }, "Request refused: its target is not allowed");
      this.reject(403, "Target Not Allowed");
      return;
    }
    const { core, request, source } = this;
    const branch = makeBranch(this.#fingerprint, core.layer.chance.token());
    const text = forwardedRequest(request, source, {
      branch,
      target,
      requestUri: this.requestUri,
      popRoutes: this.#route.popRoutes,
      dropLastRoute: this.#route.dropLastRoute,
      appendRoute: undefined,
      pushRoutes: [],
      defaultMaxForwards: core.defaultMaxForwards,
      did: this.dialog?.did,
      addHeaders: this.#addHeaders,
      removeHeaders: this.#removeHeaders,
    });
    if (this.dialog !== undefined) {
      this.dialog.calleeEndpoint = target;
      this.dialog.guard = this.guard === core.router.guard ? undefined : this.guard; // that one applies anyway
    }
    const destination = this.load.destination;
    const cells = destination === undefined ? NO_CELLS : core.balancer.pickedCells(this.load);
    if (this.failovers > 0) core.counters.failovers++;
    const { answerWithinMs } = this;
    this.branch = new Branch(core, this, { method: request.method, text, branch, target, destination, cells, judged, answerWithinMs });
  }

  #noteUnusableTarget(): void {
    const uri = this.destinationUri ?? this.requestUri;
    const picked = this.#target?.uri === this.destinationUri ? this.#target : undefined;
    if (picked !== undefined && this.core.outcomes !== undefined) new BranchOutcome(this.core.outcomes, picked).failed("transport");
    this.core.counters.transport_errors++;
    this.core.log.warn(
      { callId: this.callId, uri },
      "cannot relay request: its target has no address that can be reached from a listener of its transport",
    );
    this.noteFailure(503);
    this.status = 503;
    this.failureCause = "transport-error";
  }

  /** The router sees a response pass; its faults are its own. */
  #observe(response: SipResponse): void {
    const { router, log } = this.core;
    if (router.reply === undefined) return;
    const { status, response: before } = this;
    this.status = response.status;
    this.response = response;
    try {
      router.reply(this, response);
    } catch (error) {
      this.core.counters.script_errors++;
      log.error({ callId: this.callId, err: error }, "reply handler failed: the response passes all the same");
    }
    this.status = status;
    this.response = before;
  }

  /** The call is over for the balancer: its leases go back, exactly once. */
  #end(reason: "Cancelled" | "Rejected"): void {
    if (this.#handlerTimer !== undefined) this.#handlerTimer = this.core.wheel.cancel(this.#handlerTimer);
    if (this.dialog !== undefined) {
      this.dialog.pending = undefined;
      this.core.dialogs.end(this.dialog, reason);
    } else if (this.#looseLoad !== undefined) {
      this.#looseLoad.closed = true;
      this.core.balancer.release(this.#looseLoad);
    }
  }
}
