import type { LbCode } from "../balancer/index.ts";
import type { ProxyCall, Router } from "../proxy/ports.ts";
import type { SipResponse } from "../sip/index.ts";
import { findRule } from "./match.ts";
import { pointAtPick } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";
import { compileRules, type RejectSpec, type RoutingSpec, type Rule } from "./rules.ts";
import { holdsStatus } from "./status-set.ts";

/** Under this name a call remembers its rule between request() and failure(), whatever rules a reload brings in between. */
const ATTEMPT = "default-route";
/** A target that cannot be used counts as a transport error does (RFC 3261 §16.9). */
const TRANSPORT_ERROR_STATUS = 503;

/** What one call has gone through. */
interface Attempt {
  readonly rule: Rule;
  failovers: number;
  /** The current destination has sent a provisional response: whoever does not pick up now, the destination is alive. */
  progressed: boolean;
}

interface Context extends RoutingPorts {
  readonly rules: readonly Rule[];
  readonly reject: RejectSpec;
}

/**
 * The route that the configuration's rules describe: the first rule that matches selects a destination, and further ones when it fails.
 *
 * No rule: 404. First selection without success: the statuses of `reject`. A failed destination is disabled when `disable_on` names the
 * status (a call that rang until it timed out disables nothing), and replaced when `failover_on` does, at most `max_failovers` times;
 * after that the best response goes to the caller.
 * Nothing is tried after a CANCEL (RFC 3261 §16.10).
 *
 * @throws {RoutingError} when a rule cannot be used
 */
export function createDefaultRouter(routing: RoutingSpec, ports: RoutingPorts): Router {
  const context: Context = { ...ports, rules: compileRules(routing.rules), reject: routing.reject };
  const methods = new Set(["INVITE", ...context.rules.flatMap((rule) => rule.methods)]);
  return {
    request: (call) => startCall(context, call),
    failure: (call) => continueCall(context, call),
    reply: noteProgress,
    handles: (method) => methods.has(method),
  };
}

function startCall(context: Context, call: ProxyCall): void {
  const { balancer, log } = context;
  const rule = findRule(context.rules, call);
  if (!rule) {
    const { method } = call.request;
    log.info({ callId: call.callId, method, requestUri: call.requestUri, source: call.source.address }, "No rule matches, answered 404");
    call.reply(404, "No route");
    return;
  }
  call.openDialog();
  const code = balancer.start(call.load, rule.group, rule.resources, rule.flags);
  if (code !== 1) {
    rejectCall(context, call, rule, code);
    return;
  }
  const attempt: Attempt = { rule, failovers: 0, progressed: false };
  call.variables.set(ATTEMPT, attempt);
  pointAtPick(call);
  if (call.relay() || tryNext(context, call, attempt, TRANSPORT_ERROR_STATUS) || call.cancelled) return;
  rejectCall(context, call, rule, -3);
}

function continueCall(context: Context, call: ProxyCall): void {
  const attempt = call.variables.get(ATTEMPT) as Attempt | undefined;
  if (attempt) tryNext(context, call, attempt, call.status);
}

function noteProgress(call: ProxyCall, { status }: SipResponse): void {
  if (status <= 100 || status >= 200) return;
  const attempt = call.variables.get(ATTEMPT) as Attempt | undefined;
  if (attempt) attempt.progressed = true;
}

/** Takes note of a failed branch and relays to the next destination if there may be one. False: nothing more is tried. */
function tryNext({ balancer, log }: Context, call: ProxyCall, attempt: Attempt, failedWith: number): boolean {
  const { rule } = attempt;
  for (let status = failedWith; !call.cancelled; status = TRANSPORT_ERROR_STATUS) {
    const failed = call.load.destination;
    const isAlive = attempt.progressed && call.failureCause === "timeout";
    if (failed && !isAlive && holdsStatus(rule.disableOn, status)) {
      balancer.disableDestination(call.load);
      log.warn({ callId: call.callId, destination: failed.id, uri: failed.uri, status }, "Destination disabled after a failed call");
    }
    if (!holdsStatus(rule.failoverOn, status) || attempt.failovers >= rule.maxFailovers) return false;
    const code = balancer.next(call.load);
    if (code !== 1) {
      log.info({ callId: call.callId, rule: rule.number, failed: failed?.id, status, code }, "No further destination for the call");
      return false;
    }
    attempt.failovers++;
    attempt.progressed = false;
    log.info(
      { callId: call.callId, failed: failed?.id, status, destination: call.load.destination?.id },
      "Call goes to the next destination",
    );
    pointAtPick(call);
    if (call.relay()) return true;
  }
  return false;
}

function rejectCall({ reject, log }: Context, call: ProxyCall, rule: Rule, code: LbCode): void {
  const fields = { callId: call.callId, rule: rule.number, group: rule.group, resources: rule.resources, code };
  switch (code) {
    case -2:
      log.info(fields, "Call refused: every destination is full");
      call.reply(reject.no_capacity, "Service full");
      return;
    case -3:
      log.warn(fields, "Call refused: no destination is available");
      call.reply(reject.no_destination, "No destination available");
      return;
    case -4:
      log.error(fields, "Call refused: no destination of any group has the resources that the rule names");
      call.reply(reject.bad_resource, "Bad resource");
      return;
    default:
      log.error(fields, "Call refused: the balancer could not work on it");
      call.reply(500, "Load balancing failed");
  }
}
