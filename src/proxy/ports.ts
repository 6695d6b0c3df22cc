import type { CallLoad, Destination } from "../balancer/index.ts";
import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Endpoint, Listener } from "../transaction/ports.ts";
import type { UriTarget } from "./uri-targets.ts";

/** Attempts for one request: a route that tries again and again must come to an end (as OpenSIPS `MAX_BRANCHES`). */
export const MAX_BRANCHES = 12;

/**
 * How a branch failed: by a negative final response, by silence, or because nothing could be sent; "refused": the host of its target says that nobody listens
 * there, which is silence that need not be waited for; "capacity": it never began, as all nodes of the cluster together have no room for it on any
 * destination of the session.
 */
export type FailureCause = "response" | "timeout" | "refused" | "transport-error" | "capacity";

/** Says whether the cluster has room for what a call has chosen. Neither of its promises rejects, and they resolve within a second or so. */
export interface Admission {
  /** Whether the pick of this call has to be asked for. Cheap; false when no load of it is counted exactly. */
  isNeeded(load: CallLoad): boolean;
  /**
   * Asks for the pick of a call, or does without when nobody can be asked and the operator wants calls all the same. "full": taken by others, of whom the
   * balancer knows by now; `Balancer.reselect` is to follow, or the end of the pick. "closed": nobody can say, and the operator wants no call then; the
   * pick is to be ended.
   */
  reserve(load: CallLoad): Promise<"reserved" | "full" | "closed">;
  /** Asks what others hold, for a start that found every destination full. True: it may be tried again. */
  refresh(group: number, resources: string): Promise<boolean>;
  /** The caller hangs up: what the call gives back from now on is given to others only after {@link settle}, as the destination has the call until it agrees. */
  hold?(load: CallLoad): void;
  /** The destination has answered the BYE, or nobody waits for that any longer. Follows each {@link hold} once: several BYEs of one call may be under way. */
  settle?(load: CallLoad): void;
}

/** Has the last look at where a request is about to go, host names resolved, and at where others would send it from there, names as they stand. */
export interface TargetGuard {
  /** Also told of each refusal that follows: it may count them. */
  accepts(target: UriTarget): boolean;
}

/** A further place that a request is sent to: chosen by the configuration, so that the guard has no say. */
export interface ForkTarget {
  readonly uri: string;
  /** Request-URI there; that of the call when it is left out. */
  readonly requestUri?: string | undefined;
  /** As {@link ProxyCall.sendFrom}. */
  readonly sendFrom?: Listener | undefined;
  /** The row where the call counts when this target has it, and the cells there; undefined: nowhere. */
  readonly row?: Destination | undefined;
  readonly cells?: readonly number[];
}

/**
 * One request that needs a routing decision, and later the branches that the decision made.
 * This is all that the routing floor sees of the proxy (RFC 3261 §16.2: the response context).
 */
export interface ProxyCall {
  readonly request: SipRequest;
  readonly source: Endpoint;
  readonly callId: string;
  /** What this call counts: its leases and its load-balancing session. */
  readonly load: CallLoad;
  /** Makes the dialog that owns the leases. Idempotent; to be called before the first lease is taken. No effect for a request other than INVITE. @param flags bits of DialogFlag, added to those that it has */
  openDialog(flags?: number): void;
  /** Request-URI of what relay() sends (OpenSIPS `$ru`). */
  requestUri: string;
  /** Where relay() sends, when set (OpenSIPS `$du`); else the Request-URI decides. */
  destinationUri: string | undefined;
  /** The caller sent CANCEL: relay() answers false. */
  readonly cancelled: boolean;
  /** In failure(): the negative final response; undefined when the failure was made here. */
  readonly response: SipResponse | undefined;
  /** In failure() and reply(): the status code; 408 for a time-out, 503 for a transport error made here and for want of room. 0 before. */
  readonly status: number;
  readonly failureCause: FailureCause | undefined;
  /** Branches that have been tried and have failed. */
  readonly failovers: number;
  /** Milliseconds since the request came. */
  readonly ageMs: number;
  /**
   * For how long the next relay() waits for the first answer, where `fr_timeout` is longer, in milliseconds. Undefined, as before each
   * handler: `fr_timeout`. Running out of this time is a time-out that says nothing of the destination.
   */
  answerWithinMs: number | undefined;
  /** In failure(): `answerWithinMs` ended a branch that `fr_timeout` would have waited for. */
  readonly cutShort: boolean;
  /** The destination whose resolved address goes with `destinationUri`; undefined: resolve the URI itself. */
  setTarget(destination: Destination | undefined): void;
  /** Asked by relay() where to send follows from a URI rather than from setTarget(): what it does not accept is answered 403. */
  guard?: TargetGuard | undefined;
  /** A `destinationUri`, or without one a `requestUri`, whose host the configuration chose and not the caller: while relay() sends there, the guard is not asked. */
  exemptUri?: string | undefined;
  /** The listener that relay() sends from where it reaches the target; undefined: the one that the request came to. */
  sendFrom?: Listener | undefined;
  /**
   * Where the next relay() sends the request at the same time as to its target: whoever accepts it first has it, and it has failed when all have. Names
   * lead to their first address only then.
   */
  forkTo?: readonly ForkTarget[];
  /**
   * Forwards the request. False when it was cancelled or answered already, or when its target is known to be unusable: then nothing is
   * decided yet; also when {@link MAX_BRANCHES} attempts have failed. A target whose host name must be looked up first fails later, as a transport error in failure().
   * Where loads are counted exactly in a cluster, the pick is asked for first: when others were faster, the call goes to another destination of the
   * session, and without one to failure() with the cause "capacity".
   */
  relay(): boolean;
  /** Answers the request. False when a final response was sent already. */
  reply(status: number, reason?: string, headers?: readonly (readonly [string, string])[]): boolean;
  /** Ends the request without any answer. */
  drop(): void;
  readonly variables: Map<string, unknown>;
  /** Adds a header to what relay() sends. */
  addHeader(name: string, value: string): void;
  /** Removes every header of that name from what relay() sends. */
  removeHeader(name: string): void;
}

/**
 * Decides where requests go. The routing floor implements it.
 *
 * Handlers may be asynchronous. A throw or a rejection is answered 500, logged with the Call-ID, and the leases are released.
 * A request() without a decision is answered 500; a failure() without one lets the best response go upstream.
 */
export interface Router {
  request(call: ProxyCall): void | Promise<void>;
  failure(call: ProxyCall): void | Promise<void>;
  /** Sees every response on its way to the caller; cannot change it. */
  reply?(call: ProxyCall, response: SipResponse): void;
  /** The request has got a final response of 300 or more, or is to get none: nothing more is asked of it. It must not throw. */
  rejected?(call: ProxyCall): void;
  /** It never looks at the request of a call that was answered 2xx, also when further answers pass. Absent: it may, and requests are kept until their transactions end. */
  readonly forgetsCalls?: boolean | undefined;
  /** What callers cannot reach, neither by an initial request nor inside a call; absent when nothing is kept from them. */
  readonly guard?: TargetGuard | undefined;
  /** Whether an initial request of this method may be routed at all; the proxy answers 405 otherwise (RFC 3261 §21.4.6). */
  handles(method: string): boolean;
}

/** Where the proxy's log lines go; the shape of pino. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
