import { contactUri, type DialogMatch } from "../dialog/index.ts";
import { parseNameAddr, type SipRequest, type SipResponse, tryParseSipUri } from "../sip/index.ts";
import type { Endpoint, ServerTransaction } from "../transaction/index.ts";
import { Branch } from "./branch.ts";
import { loopFingerprint, makeBranch } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";
import { type ForwardPlan, forwardedRequest } from "./forward.ts";
import { isOwnUri, isStrictRouter, type RoutePlan } from "./loose-route.ts";
import { nextHop } from "./next-hop.ts";
import type { FailureCause } from "./ports.ts";
import { ResponseContext } from "./response-context.ts";

const NONE: readonly never[] = [];

/** Where an in-dialog request goes and how it is changed, but for the branch and the target's address. */
interface InDialogPlan {
  readonly hop: string;
  readonly requestUri: string;
  readonly appendRoute: string | undefined;
  readonly pushRoutes: readonly string[];
}

/** RFC 3261 §16.5 and §16.6 step 6 for a request inside a dialog. */
function planInDialog(core: ProxyCore, match: DialogMatch, route: RoutePlan): InDialogPlan {
  if (route.nextRoute !== undefined) {
    if (!isStrictRouter(route.nextRoute))
      return { hop: route.nextRoute, requestUri: route.requestUri, appendRoute: undefined, pushRoutes: NONE };
    // The next hop is a strict router: it wants itself in the Request-URI, and the target in the last Route.
    return { hop: route.nextRoute, requestUri: route.nextRoute, appendRoute: route.requestUri, pushRoutes: NONE };
  }
  const uri = tryParseSipUri(route.requestUri);
  if (uri === undefined || !isOwnUri(uri, core.network))
    return { hop: route.requestUri, requestUri: route.requestUri, appendRoute: undefined, pushRoutes: NONE };
  // The peer addresses us instead of the other side: it lost the Contact or the route set. The dialog knows both.
  const { dialog, direction } = match;
  const contact = direction === "downstream" ? dialog.calleeContact : dialog.callerContact;
  const routes = direction === "downstream" ? dialog.calleeRouteSet : dialog.callerRouteSet;
  const first = routes[0];
  return { hop: first === undefined ? contact : parseNameAddr(first).uri, requestUri: contact, appendRoute: undefined, pushRoutes: routes };
}

function forwardPlan(core: ProxyCore, route: RoutePlan, plan: InDialogPlan, branch: string, target: Endpoint): ForwardPlan {
  return {
    branch,
    target,
    requestUri: plan.requestUri,
    // The Route that became the Request-URI is taken out too.
    popRoutes: route.popRoutes + (plan.appendRoute === undefined ? 0 : 1),
    dropLastRoute: route.dropLastRoute,
    appendRoute: plan.appendRoute,
    pushRoutes: plan.pushRoutes,
    defaultMaxForwards: core.defaultMaxForwards,
    did: undefined,
    addHeaders: NONE,
    removeHeaders: NONE,
  };
}

/** The listener that the other side of the call knows us by. */
function preferredListener(match: DialogMatch, source: Endpoint): Endpoint["listener"] {
  const { dialog, direction } = match;
  return (direction === "downstream" ? dialog.calleeEndpoint : dialog.callerEndpoint)?.listener ?? source.listener;
}

/** The ACK of a 2xx goes end to end without a transaction (RFC 3261 §16.11). */
export function forwardAck(core: ProxyCore, request: SipRequest, source: Endpoint, match: DialogMatch, route: RoutePlan): void {
  if (match.direction === "downstream") core.dialogs.acknowledged(match.dialog);
  const plan = planInDialog(core, match, route);
  const found = nextHop(core.network, plan.hop, preferredListener(match, source));
  if (found instanceof Promise) found.then(transmit).catch(() => undefined);
  else transmit(found);

  function transmit(target: Endpoint | undefined): void {
    if (target === undefined) {
      core.counters.drop_requests++;
      return;
    }
    const branch = makeBranch(loopFingerprint(request), core.layer.chance.token());
    core.counters.fwd_requests++;
    core.layer.wire.send(forwardedRequest(request, source, forwardPlan(core, route, plan, branch, target)), target);
  }
}

/** A request inside a dialog, on its way to the other side (RFC 3261 §16.12). */
export class InDialogContext extends ResponseContext {
  readonly #match: DialogMatch;
  readonly #route: RoutePlan;

  constructor(core: ProxyCore, transaction: ServerTransaction, match: DialogMatch, route: RoutePlan) {
    super(core, transaction);
    this.#match = match;
    this.#route = route;
  }

  start(fingerprint: string): void {
    const { core, transaction } = this;
    const { request, source } = transaction;
    const { dialog, direction } = this.#match;
    if (request.method === "INVITE") transaction.reply(100, "Trying");
    if (request.method === "BYE") core.dialogs.bye(this.#match, request);
    if (direction === "downstream") dialog.callerCseq = Math.max(dialog.callerCseq, request.cseqNumber);
    else {
      const leg = dialog.findLeg(request.fromTag);
      if (leg !== undefined) leg.cseq = Math.max(leg.cseq, request.cseqNumber);
    }
    const plan = planInDialog(core, this.#match, this.#route);
    const found = nextHop(core.network, plan.hop, preferredListener(this.#match, source));
    if (found instanceof Promise)
      found.then((target) => this.#send(plan, target, fingerprint)).catch(() => this.reject(500, "Internal Error"));
    else this.#send(plan, found, fingerprint);
  }

  #send(plan: InDialogPlan, target: Endpoint | undefined, fingerprint: string): void {
    if (this.finalStatus !== 0) return; // cancelled while its host name was looked up
    const { core, transaction } = this;
    const { request, source } = transaction;
    if (target === undefined) {
      core.log.warn(
        { callId: request.callId, uri: plan.hop },
        `cannot forward ${request.method} inside the dialog: its target has no address that can be reached`,
      );
      this.reject(500, "Next Hop Unreachable");
      return;
    }
    const branch = makeBranch(fingerprint, core.layer.chance.token());
    const text = forwardedRequest(request, source, forwardPlan(core, this.#route, plan, branch, target));
    this.branch = new Branch(core, this, { method: request.method, text, branch, target, destination: undefined, cells: NONE });
  }

  protected override onProvisional(): void {
    // Passed on as it is: a provisional response inside a dialog changes nothing of it.
  }

  protected override onSuccess(_branch: Branch, response: SipResponse): void {
    const method = this.transaction.request.method;
    if (method === "INVITE" || method === "UPDATE") this.#refreshTargets(response);
  }

  protected override onOrphan(): void {
    // A 2xx to a re-INVITE that was answered already; both sides still have their dialog, its ACK is theirs.
    this.core.counters.drop_replies++;
  }

  protected override onFailure(_response: SipResponse | undefined, _cause: FailureCause): void {
    this.sendBest();
  }

  protected override onRejected(): void {
    // Nothing is counted for a request inside a dialog.
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
  }
}
