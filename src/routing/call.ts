import type { LbCode } from "../balancer/index.ts";
import { parseDialogFlags } from "../dialog/index.ts";
import { NO_FORKS } from "../proxy/forks.ts";
import type { FailureCause } from "../proxy/ports.ts";
import { type NameAddr, nameAddrParam, type SipResponse } from "../sip/index.ts";
import { type CallContext, mayAct } from "./call-context.ts";
import { type DistributeOptions, distributedNode } from "./distribute.ts";
import { RoutingError } from "./errors.ts";
import { type LbDestination, LoadBalancing } from "./load-balancing.ts";
import { replaceUser, splitUri } from "./request-uri.ts";
import { guardWith, isBlacklisted } from "./script-blacklists.ts";
import { DispatcherFunctions } from "./script-dispatch.ts";
import { distributeAgain, distributeCall } from "./script-distribution.ts";
import { checkHeaderName, checkReply, checkString, checkUri, checkWait } from "./script-values.ts";
import { decodeText, encodeLine, encodeText } from "./text.ts";

/** Where a request came from. */
export interface CallSource {
  readonly transport: "udp" | "tcp" | "tls" | "ws" | "wss";
  readonly address: string;
  readonly port: number;
}

/** One side of a call, as its From or To header names it. */
export interface CallParty {
  readonly uri: string;
  readonly user: string;
  readonly host: string;
  readonly displayName: string;
  /** "" when there is none. */
  readonly tag: string;
}

/** A response as scripts see it. */
export interface CallResponse {
  readonly status: number;
  readonly reason: string;
  header(name: string): string | undefined;
  headers(name: string): string[];
}

/** Log lines of a script; each carries the Call-ID. */
export interface CallLog {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

/**
 * One call, as the handlers of a route module see it: the script API.
 *
 * Texts are ordinary strings; on the wire they are UTF-8. A value that cannot be used throws `RoutingError`, which answers the
 * request 500 when the script does not catch it. `docs/scripting.md` maps the functions and variables of opensips.cfg to this class.
 */
export class Call {
  /** The load-balancing functions. */
  readonly lb: LoadBalancing;
  /** The functions of Kamailio's dispatcher. */
  readonly ds: DispatcherFunctions;
  readonly log: CallLog;
  readonly #context: CallContext;
  #distributeCode: LbCode | 0 = 0;

  constructor(context: CallContext) {
    this.#context = context;
    this.lb = new LoadBalancing(context);
    this.ds = new DispatcherFunctions(context);
    this.log = logFor(context);
  }

  /** `$rm` */
  get method(): string {
    return this.#context.proxyCall.request.method;
  }

  /** `$ci` */
  get callId(): string {
    return decodeText(this.#context.proxyCall.callId);
  }

  /** `$ru`, settable: the Request-URI of what relay() sends. */
  get requestUri(): string {
    return decodeText(this.#context.proxyCall.requestUri);
  }

  set requestUri(uri: string) {
    checkUri("the Request-URI", uri);
    if (!mayAct(this.#context, "set requestUri")) return;
    this.#context.proxyCall.requestUri = encodeText(uri);
  }

  /** `$rU`, settable: user part of the Request-URI, escapes as they stand, without a password; of a tel URI the number. */
  get ruriUser(): string {
    return decodeText(splitUri(this.#context.proxyCall.requestUri).user);
  }

  set ruriUser(user: string) {
    const uri = replaceUser(this.#context.proxyCall.requestUri, user);
    if (mayAct(this.#context, "set ruriUser")) this.#context.proxyCall.requestUri = uri;
  }

  /** `$rd`: host of the Request-URI, lower case, an IPv6 address without brackets. */
  get ruriHost(): string {
    return decodeText(splitUri(this.#context.proxyCall.requestUri).host);
  }

  /** `$du`, settable: where relay() sends, whatever the Request-URI says. The lb functions set it. */
  get destinationUri(): string | undefined {
    const uri = this.#context.proxyCall.destinationUri;
    return uri === undefined ? undefined : decodeText(uri);
  }

  set destinationUri(uri: string | undefined) {
    if (uri !== undefined) checkUri("the destination URI", uri);
    if (!mayAct(this.#context, "set destinationUri")) return;
    const { proxyCall } = this.#context;
    proxyCall.destinationUri = uri === undefined ? undefined : encodeText(uri);
    proxyCall.exemptUri = undefined;
    proxyCall.sendFrom = undefined;
    proxyCall.forkTo = NO_FORKS;
    proxyCall.setTarget(undefined);
  }

  /** `$si`, `$sp`, `$sP`: where the request came from. */
  get source(): CallSource {
    const { transport, address, port } = this.#context.proxyCall.source;
    return { transport, address, port };
  }

  /** The destination that is selected now. */
  get destination(): LbDestination | undefined {
    return this.#context.proxyCall.load.destination;
  }

  /** `$fu`, `$fU`, `$fd`, `$fn`, `$ft` */
  get from(): CallParty {
    return party(this.#context.proxyCall.request.from);
  }

  /** `$tu`, `$tU`, `$td`, `$tn`, `$tt` */
  get to(): CallParty {
    return party(this.#context.proxyCall.request.to);
  }

  /** `$hdr(name)`: the first header of that name in the request. */
  header(name: string): string | undefined {
    const value = this.#context.proxyCall.request.header(name);
    return value === undefined ? undefined : decodeText(value);
  }

  /** Every header of that name in the request, in order. */
  headers(name: string): string[] {
    return this.#context.proxyCall.request.headers(name).map(decodeText);
  }

  /** `$rb`: the body of the request. */
  get body(): string {
    return decodeText(this.#context.proxyCall.request.body);
  }

  /**
   * `create_dialog(flags)`: the call's dialog is made anyway; this says what is asked for it, such as pings. Flags add up. Without effect for a request other
   * than INVITE.
   *
   * @param flags words with commas between them, such as "options-ping-caller, options-ping-callee", or the letters P, p, R, r, B
   * @throws {RoutingError} for a flag that is not known
   */
  createDialog(flags = ""): void {
    checkString("createDialog", "flags", flags);
    const bits = parseDialogFlags(flags);
    if (bits === undefined)
      throw new RoutingError(`Cannot createDialog("${flags}"): want words such as "options-ping-caller, options-ping-callee"`);
    if (mayAct(this.#context, "createDialog")) this.#context.proxyCall.openDialog(bits);
  }

  /** Adds a header to what relay() sends; line breaks in the value become spaces. */
  addHeader(name: string, value: string): void {
    checkHeaderName("add", name);
    if (!mayAct(this.#context, "addHeader")) return;
    this.#context.proxyCall.addHeader(name, encodeLine(String(value)));
  }

  /** Removes every header of that name from what relay() sends. */
  removeHeader(name: string): void {
    checkHeaderName("remove", name);
    if (mayAct(this.#context, "removeHeader")) this.#context.proxyCall.removeHeader(name);
  }

  /** What the script remembers about this call from handler to handler (`$var`, `$avp`, `$dlg_val`). */
  get vars(): Map<string, unknown> {
    return this.#context.proxyCall.variables;
  }

  /** `t_was_cancelled()`: the caller has hung up already. */
  get cancelled(): boolean {
    return this.#context.proxyCall.cancelled;
  }

  /** `$T_reply_code`, in failure() and reply(): 408 also for a time-out, 503 also for a transport error. 0 in request(). */
  get status(): number {
    return this.#context.response?.status ?? this.#context.proxyCall.status;
  }

  /** `t_check_status()`: whether the status matches a regular expression as a whole, such as `408|5..`. */
  statusIs(pattern: string): boolean {
    return this.#context.patterns.matches(pattern, this.status);
  }

  /**
   * In failure(): what ended the branch. `t_local_replied()` is true for all but "response". "capacity": there was none, as other nodes of the cluster have
   * taken the last places of what was selected.
   */
  get failureCause(): FailureCause | undefined {
    return this.#context.proxyCall.failureCause;
  }

  /** How many branches have been tried and have failed. */
  get failovers(): number {
    return this.#context.proxyCall.failovers;
  }

  /** Milliseconds since the request came, to stop trying in time. */
  get ageMs(): number {
    return this.#context.proxyCall.ageMs;
  }

  /**
   * `$T_fr_timeout`: for how long the next relay() waits for the first answer, in milliseconds, where `tm.fr_timeout` is longer; undefined
   * at the beginning of each handler. A destination that it cuts short is not judged by that.
   */
  get answerWithinMs(): number | undefined {
    return this.#context.proxyCall.answerWithinMs;
  }

  set answerWithinMs(ms: number | undefined) {
    checkWait("answerWithinMs", ms);
    this.#context.proxyCall.answerWithinMs = ms;
  }

  /** In failure(): `answerWithinMs` ended a branch that `tm.fr_timeout` would have waited for: no reason to disable the destination. */
  get cutShort(): boolean {
    return this.#context.proxyCall.cutShort;
  }

  /** In failure() and reply(): the response, unless there is none because the failure was made here. */
  get response(): CallResponse | undefined {
    const response = this.#context.response ?? this.#context.proxyCall.response;
    return response && viewResponse(response);
  }

  /**
   * Whether a list of `lb_define_blacklist` holds where a request to this URI would go: a destination of its groups, by address, port and
   * transport. A host name is compared with those in the destinations' URIs, and not looked up; `useBlacklist()` sees what it leads to.
   */
  isBlacklisted(uri: string, list: string): boolean {
    return isBlacklisted(this.#context, uri, list);
  }

  /**
   * `use_blacklist()`: from now on `relay()` sends this call to nothing that the list holds, after host names have been looked up; the
   * request is answered 403 instead. What the lb functions select is always reached.
   */
  useBlacklist(list: string): void {
    guardWith(this.#context, list);
  }

  /**
   * The next node of a list of the distributor, FreeSWITCH's `distributor(LIST exceptions…)`: sets `destinationUri` to it. Nodes that are down, or full of
   * `resources`, are passed over, and so are those of the exceptions. False, with the reason in `distributeCode`, when none is left.
   */
  distribute(list: string, options: DistributeOptions = {}): boolean {
    this.#distributeCode = distributeCall(this.#context, list, options);
    return this.#distributeCode === 1;
  }

  /** Gives up the current node of the list and goes to another one, to none twice. False when none is left, and without a list before. */
  distributeNext(): boolean {
    this.#distributeCode = distributeAgain(this.#context);
    return this.#distributeCode === 1;
  }

  /** Code of the latest of these two: 1 done; -1 too late, no list before or ill-formed resources; -2 all full; -3 no node left; -4 no such list. 0 before the first. */
  get distributeCode(): LbCode | 0 {
    return this.#distributeCode;
  }

  /** Name of the node that the call goes to, FreeSWITCH's variable DISTRIBUTOR; undefined when there is none. */
  get distributedNode(): string | undefined {
    return distributedNode(this.#context.proxyCall);
  }

  /**
   * `t_relay()`: forwards the request. False, without effect, when it was decided or cancelled before or the target cannot be used. Where loads are counted
   * exactly in a cluster, the call goes to another destination of the session when the other nodes were faster: `destination` may be another one afterwards.
   */
  relay(): boolean {
    if (!mayAct(this.#context, "relay")) return false;
    const relayed = this.#context.proxyCall.relay();
    if (relayed) this.#context.decided = true;
    return relayed;
  }

  /**
   * `t_reply()`, `sl_send_reply()`: answers the request. False, without effect, when it was decided before.
   *
   * @param status 100 to 699; not 2xx for an INVITE, which only a callee can accept
   * @param reason the standard phrase when not given
   * @param headers further headers by name, such as `{ "Retry-After": "10" }`
   */
  reply(status: number, reason?: string, headers: Readonly<Record<string, string>> = {}): boolean {
    checkReply(this.method, status);
    const lines = Object.entries(headers).map(([name, value]): readonly [string, string] => {
      checkHeaderName("send", name);
      return [name, encodeLine(String(value))];
    });
    if (!mayAct(this.#context, "reply")) return false;
    const replied = this.#context.proxyCall.reply(status, reason === undefined ? undefined : encodeLine(String(reason)), lines);
    if (replied && status >= 200) this.#context.decided = true;
    return replied;
  }

  /** `drop()`: ends the request without any answer; for scanners, to which every answer is news. */
  drop(): void {
    if (!mayAct(this.#context, "drop")) return;
    this.#context.proxyCall.drop();
    this.#context.decided = true;
  }
}

function party(address: NameAddr): CallParty {
  const { user, host } = splitUri(address.uri);
  return {
    uri: decodeText(address.uri),
    user: decodeText(user),
    host: decodeText(host),
    displayName: decodeText(address.displayName),
    tag: nameAddrParam(address, "tag") ?? "",
  };
}

function viewResponse(response: SipResponse): CallResponse {
  return {
    status: response.status,
    reason: decodeText(response.reason),
    header(name) {
      const value = response.header(name);
      return value === undefined ? undefined : decodeText(value);
    },
    headers: (name) => response.headers(name).map(decodeText),
  };
}

function logFor({ log, proxyCall }: CallContext): CallLog {
  const withCallId = (fields: object | undefined) => ({ ...fields, callId: proxyCall.callId });
  return {
    debug: (message, fields) => log.debug(withCallId(fields), message),
    info: (message, fields) => log.info(withCallId(fields), message),
    warn: (message, fields) => log.warn(withCallId(fields), message),
    error: (message, fields) => log.error(withCallId(fields), message),
  };
}
