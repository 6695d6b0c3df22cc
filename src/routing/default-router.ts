import type { LbCode } from "../balancer/index.ts";
import { lacksRoom } from "../proxy/lack-of-room.ts";
import { type FailureCause, MAX_BRANCHES, type ProxyCall, type Router } from "../proxy/ports.ts";
import type { SipResponse } from "../sip/index.ts";
import type { RoutingCounters } from "./counters.ts";
import { dispatchedTo } from "./dispatch.ts";
import { dispatchFirst, dispatchNext, markFailed } from "./dispatch-rule.ts";
import { distributedNode, nextDistribution, startDistribution } from "./distribute.ts";
import { findRule } from "./match.ts";
import { pointAtPick } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";
import { compileRules, type RejectSpec, type RoutingSpec, type Rule } from "./rules.ts";
import { holdsFailure } from "./status-set.ts";

/** Under this name a call remembers its rule between request() and failure(), whatever rules a reload brings in between. */
const ATTEMPT = "default-route";
/** A target that cannot be used counts as a transport error does (RFC 3261 §16.9). */
const TRANSPORT_ERROR_STATUS = 503;
/** With less than this left of its budget a call goes to no further destination: one lost INVITE is repeated after as long (RFC 3261 §17.1.1.1, T1). */
export const SHORTEST_ATTEMPT_MS = 500;
/** RFC 3261 §21.4.9; the status of a time-out, too. */
const REQUEST_TIMEOUT = 408;
/** RFC 3261 §21.1.5: says how the call goes on, and is what gateways send with ringing tones and announcements. */
const SESSION_PROGRESS = 183;

/** What one call has gone through. */
interface Attempt {
  readonly rule: Rule;
  /** What other nodes hold was asked for again already: once a call. */
  refreshed: boolean;
  failovers: number;
  /** The current destination has sent a provisional response: whoever does not pick up now, the destination is alive. */
  progressed: boolean;
  /** The caller heard early media, from this destination or one before: another one would speak over it. */
  hadMedia: boolean;
}

/** What ended the latest attempt. */
interface Failure {
  readonly status: number;
  readonly cause: FailureCause | undefined;
  readonly response?: SipResponse | undefined;
}

const UNUSABLE_TARGET: Failure = { status: TRANSPORT_ERROR_STATUS, cause: "transport-error" };

/** Why a call that may fail over goes nowhere else, as the counter is called. */
type Stop = keyof RoutingCounters & `failover_${string}`;

const STOP_MESSAGES: Readonly<Record<Stop, string>> = {
  failover_no_destination: "No further destination for the call",
  failover_max_reached: "No further destination tried: the rule's max_failovers, or what one call may try at all, is reached",
  failover_budget_spent: "No further destination tried: the rule's failover_budget is used up",
  failover_after_media: "No further destination tried: the caller heard early media",
};

interface Context extends RoutingPorts {
  readonly rules: readonly Rule[];
  readonly reject: RejectSpec;
}

/**
 * The route that the configuration's rules describe: the first rule that matches selects a destination, in a group or in a list of the distributor,
 * and further ones when it fails.
 *
 * No rule: 404. A rule with `answer`: that status. First selection without success: the statuses of `reject`. A failed destination is disabled when `disable_on` names the
 * failure (a call that rang until it timed out here or there disables nothing, nor does one from before the destination was last enabled), and replaced
 * when `failover_on` does, at most `max_failovers` times, within `failover_budget`, and as long as the caller heard no early media if that is asked for;
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
    forgetsCalls: true,
    handles: (method) => methods.has(method),
  };
}

function startCall(context: Context, call: ProxyCall): void | Promise<void> {
  const { log } = context;
  const rule = findRule(context.rules, call);
  if (!rule) {
    const { method } = call.request;
    log.info({ callId: call.callId, method, requestUri: call.requestUri, source: call.source.address }, "No rule matches, answered 404");
    call.reply(404, "No route");
    return;
  }
  if (rule.answer !== undefined) {
    answerCall(context, call, rule, rule.answer);
    return;
  }
  call.openDialog(rule.dialogFlags);
  const attempt: Attempt = { rule, refreshed: false, failovers: 0, progressed: false, hadMedia: false };
  call.variables.set(ATTEMPT, attempt);
  return beginAttempt(context, call, attempt);
}

function answerCall({ log }: Context, call: ProxyCall, { number, note }: Rule, status: number): void {
  const words = `Call answered ${status} by its rule${note === undefined ? "" : `: ${note}`}`;
  log.info({ callId: call.callId, rule: number, requestUri: call.requestUri, source: call.source.address }, words);
  call.reply(status);
}

function beginAttempt(context: Context, call: ProxyCall, attempt: Attempt): void | Promise<void> {
  const { rule } = attempt;
  const code = chooseFirst(context, call, rule);
  if (code === -2) return refuseOrRefresh(context, call, attempt);
  if (code !== 1) {
    rejectCall(context, call, rule, code);
    return;
  }
  point(call, rule);
  if (call.relay() || tryNext(context, call, attempt, UNUSABLE_TARGET) || call.cancelled) return;
  rejectCall(context, call, rule, -3);
}

/** Every destination is full, as far as this node knows: other nodes may have given places back meanwhile. */
function refuseOrRefresh(context: Context, call: ProxyCall, attempt: Attempt): void | Promise<void> {
  const { rule } = attempt;
  const { admission } = context;
  if (admission === undefined || attempt.refreshed || !isBalanced(rule)) {
    rejectCall(context, call, rule, -2);
    return;
  }
  attempt.refreshed = true;
  return admission.refresh(rule.group, rule.resources).then((hasRoom) => {
    if (call.cancelled || call.load.closed) return;
    if (hasRoom) return beginAttempt(context, call, attempt);
    rejectCall(context, call, rule, -2);
  });
}

/**
 * The cluster has no room at a destination of the dispatcher: that is no failure, so that the call goes on in its set, whatever `max_failovers` says. The balancer
 * has gone through its group by itself. False: nobody is left.
 */
function goOnWhereFull(context: Context, call: ProxyCall, { rule }: Attempt): boolean {
  if (rule.dispatch === undefined) return false;
  while (call.failovers < MAX_BRANCHES && chooseNext(context, call, rule) === 1) {
    if (call.relay()) return true;
  }
  return false;
}

function continueCall(context: Context, call: ProxyCall): void | Promise<void> {
  const attempt = call.variables.get(ATTEMPT) as Attempt | undefined;
  if (attempt === undefined) return;
  if (call.failureCause !== "capacity") {
    tryNext(context, call, attempt, { status: call.status, cause: call.failureCause, response: call.response });
  } else if (goOnWhereFull(context, call, attempt) || call.cancelled) {
    return;
  } else if (attempt.failovers === 0) {
    return refuseOrRefresh(context, call, attempt);
  } else {
    endFailover(context, call, attempt, "failover_no_destination", { status: call.status, code: -2 });
  }
}

function noteProgress(call: ProxyCall, { status, body }: SipResponse): void {
  if (status <= 100 || status >= 200) return;
  const attempt = call.variables.get(ATTEMPT) as Attempt | undefined;
  if (attempt === undefined) return;
  attempt.progressed = true;
  if (status === SESSION_PROGRESS || body !== "") attempt.hadMedia = true;
}

function chooseFirst(context: Context, call: ProxyCall, { dispatch, distribute, group, resources, flags }: Rule): LbCode {
  if (dispatch !== undefined) return dispatchFirst(context, call, dispatch, resources === "" ? [] : resources.split(";"));
  if (distribute !== undefined) return startDistribution(context, call, distribute, { resources });
  return context.balancer.start(call.load, group, resources, flags);
}

function chooseNext(context: Context, call: ProxyCall, { dispatch, distribute }: Rule): LbCode {
  if (dispatch !== undefined) return dispatchNext(context, call, dispatch);
  return distribute === undefined ? context.balancer.next(call.load) : nextDistribution(context, call);
}

/** Whether the balancer itself chooses. */
function isBalanced({ dispatch, distribute }: Rule): boolean {
  return dispatch === undefined && distribute === undefined;
}

/** What a dispatcher has chosen it has led the call to already. */
function point(call: ProxyCall, { dispatch }: Rule): void {
  if (dispatch === undefined) pointAtPick(call);
}

/** Takes note of a failed branch and relays to the next destination if there may be one. False: nothing more is tried. */
function tryNext(context: Context, call: ProxyCall, attempt: Attempt, latest: Failure): boolean {
  const { balancer, log } = context;
  const { rule } = attempt;
  for (let failure = latest; !call.cancelled; failure = UNUSABLE_TARGET) {
    const { status } = failure;
    const failed = call.load.destination;
    const isDisabling = isBlamed(call, attempt, failure) && holdsFailure(rule.disableOn, status, failure.cause);
    if (rule.dispatch !== undefined) {
      if (isDisabling) markFailed(context, call, rule.dispatch, status);
    } else if (failed && isDisabling) {
      const wasEnabled = balancer.isEnabled(failed);
      balancer.disableDestination(call.load);
      if (wasEnabled && !balancer.isEnabled(failed))
        log.warn({ callId: call.callId, destination: failed.id, uri: failed.uri, status }, "Destination disabled after a failed call");
    }
    if (!holdsFailure(rule.failoverOn, status, failure.cause)) return false;
    const stop = stopOf(call, attempt);
    const code = stop === undefined ? chooseNext(context, call, rule) : 0;
    if (code !== 1) {
      endFailover(context, call, attempt, stop ?? "failover_no_destination", { failed: failed?.id, status, code });
      return false;
    }
    attempt.failovers++;
    attempt.progressed = false;
    log.info(
      {
        ...{ callId: call.callId, failed: failed?.id, status, destination: call.load.destination?.id },
        ...{ node: distributedNode(call), uri: dispatchedTo(call)?.uri },
      },
      "Call goes to the next destination",
    );
    point(call, rule);
    // The first attempt may take what fr_timeout allows: what it does not answer it is blamed for.
    if (rule.failoverBudgetMs !== Number.POSITIVE_INFINITY) call.answerWithinMs = rule.failoverBudgetMs - call.ageMs;
    if (call.relay()) return true;
  }
  return false;
}

/**
 * Whether the destination failed: not when it is a FreeSWITCH without room for one more call, not when it rang, whoever did not pick up, be it that it says so itself with 408 or that nobody waits longer,
 * nor when it had less time than it may have.
 */
function isBlamed(call: ProxyCall, { progressed }: Attempt, { status, cause, response }: Failure): boolean {
  if (response !== undefined && call.load.destination?.isFed && lacksRoom(response)) return false; // its capacity says so by now
  if (progressed && status === REQUEST_TIMEOUT) return false;
  return cause !== "timeout" || !call.cutShort;
}

/** What keeps a call that may fail over from the next destination, whatever the balancer has. */
function stopOf(call: ProxyCall, { rule, failovers, hadMedia }: Attempt): Stop | undefined {
  // Beyond MAX_BRANCHES relay() answers false, which must not be taken for a fault of the destination.
  if (failovers >= rule.maxFailovers || call.failovers >= MAX_BRANCHES) return "failover_max_reached";
  if (hadMedia && !rule.earlyMediaFailover) return "failover_after_media";
  if (rule.failoverBudgetMs - call.ageMs < SHORTEST_ATTEMPT_MS) return "failover_budget_spent";
  return undefined;
}

function endFailover({ log, counters }: Context, call: ProxyCall, { rule }: Attempt, stop: Stop, fields: object): void {
  if (counters) counters[stop]++;
  if (stop === "failover_max_reached" && rule.maxFailovers === 0) return; // nobody expected more
  log.info({ callId: call.callId, rule: rule.number, ...fields }, STOP_MESSAGES[stop]);
}

function rejectCall({ reject, log }: Context, call: ProxyCall, rule: Rule, code: LbCode): void {
  const { resources } = rule;
  const fields = { callId: call.callId, rule: rule.number, ...sourceOf(rule), resources, code };
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
      log.error(fields, `Call refused: ${MISSING[kindOf(rule)].sentence}`);
      call.reply(reject.bad_resource, MISSING[kindOf(rule)].reason);
      return;
    default:
      log.error(fields, "Call refused: the balancer could not work on it");
      call.reply(500, "Load balancing failed");
  }
}

/** What a rule takes its destinations from, and what is said when that is not there. */
const MISSING = {
  group: { sentence: "no destination of any group has the resources that the rule names", reason: "Bad resource" },
  list: { sentence: "the distributor has no such list", reason: "No such list" },
  sets: { sentence: "the dispatcher has no such set", reason: "No such set" },
} as const;

function kindOf({ dispatch, distribute }: Rule): keyof typeof MISSING {
  return dispatch !== undefined ? "sets" : distribute !== undefined ? "list" : "group";
}

function sourceOf({ dispatch, distribute: list, group }: Rule): object {
  if (dispatch !== undefined) return { sets: dispatch.routes.map(({ set }) => set) };
  return list === undefined ? { group } : { list };
}
