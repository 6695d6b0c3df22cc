import { parseRequestedResources } from "../balancer/index.ts";
import { parseDialogFlags } from "../dialog/index.ts";
import { compileCidr, type IpWords } from "./cidr.ts";
import { compileDispatch, type DispatchRule, type DispatchSpec } from "./dispatch-rule.ts";
import { RoutingError } from "./errors.ts";
import { compilePattern } from "./pattern.ts";
import { compileStatusList, type StatusSet } from "./status-set.ts";

/** Which requests a rule is for: all that is named must hold. Nothing named: every INVITE. */
export interface RoutingMatchSpec {
  /** One method or several; INVITE when not given. */
  readonly method?: string | readonly string[] | null | undefined;
  /** Regular expression on the user part of the Request-URI, without its password; of a tel URI on its number. */
  readonly ruri_user?: string | null | undefined;
  /** Host of the Request-URI, upper and lower case alike. */
  readonly ruri_host?: string | readonly string[] | null | undefined;
  /** Address or CIDR block the request comes from. */
  readonly source?: string | readonly string[] | null | undefined;
  /** Regular expressions on the values of headers, by header name. */
  readonly header?: Readonly<Record<string, string>> | null | undefined;
}

/** One rule of `routing.rules` in the configuration. */
export interface RoutingRuleSpec {
  readonly match: RoutingMatchSpec;
  readonly group: number;
  readonly resources: string;
  readonly flags: string;
  /** Words or letters of `parseDialogFlags`; none when absent. */
  readonly dialog_flags?: string;
  readonly failover_on: readonly (string | number)[];
  readonly max_failovers: number;
  readonly disable_on: readonly (string | number)[];
  /** Seconds after which a call goes to no further destination; 0, as when absent: it always may. */
  readonly failover_budget?: number;
  /** False: no failover once the caller heard early media. True when absent. */
  readonly early_media_failover?: boolean;
  /** Choose from sets of the dispatcher in place of a group; the resources may be "" then: the table of destinations has no say. */
  readonly dispatch?: DispatchSpec;
  /** Choose from this list of the distributor in place of a group; the resources may be "" then: the call is counted nowhere. */
  readonly distribute?: string;
  /** Answer with this status in place of choosing. */
  readonly answer?: number;
  /** What the log says of a call that is answered so. */
  readonly note?: string;
}

/** `routing.reject`: the status codes that answer a first selection without success. */
export interface RejectSpec {
  readonly no_capacity: number;
  readonly no_destination: number;
  readonly bad_resource: number;
}

/** The part of `routing` in the configuration that the default route works from. */
export interface RoutingSpec {
  readonly rules: readonly RoutingRuleSpec[];
  readonly reject: RejectSpec;
}

/** A rule ready for use: what it does not ask for is `undefined` and costs nothing. */
export interface Rule {
  /** Place in the list, from 1, for the log. */
  readonly number: number;
  readonly methods: readonly string[];
  readonly user: ((user: string) => boolean) | undefined;
  readonly hosts: readonly string[] | undefined;
  readonly sources: readonly ((address: IpWords) => boolean)[] | undefined;
  readonly headers: readonly { readonly name: string; readonly matches: (value: string) => boolean }[] | undefined;
  readonly group: number;
  readonly resources: string;
  readonly flags: string;
  /** Bits of `DialogFlag`. */
  readonly dialogFlags: number;
  readonly failoverOn: StatusSet;
  readonly disableOn: StatusSet;
  readonly maxFailovers: number;
  /** Milliseconds; infinite without a budget. */
  readonly failoverBudgetMs: number;
  readonly earlyMediaFailover: boolean;
  /** Sets of the dispatcher to choose from in place of the group. */
  readonly dispatch: DispatchRule | undefined;
  /** A list of the distributor to choose from in place of the group. */
  readonly distribute: string | undefined;
  /** The status that its calls are answered with, in place of a choice. */
  readonly answer: number | undefined;
  readonly note: string | undefined;
}

/** Requests that only exist within a dialog, or that no route can be chosen for (RFC 3261 §9, §13.2.2.4, §15.1; RFC 3262; RFC 3311). */
const NOT_INITIAL: ReadonlySet<string> = new Set(["ACK", "BYE", "CANCEL", "PRACK", "UPDATE"]);
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
const RESOURCE_NAME = /^[A-Za-z0-9_-]+(?:\/[sb])?$/;

/**
 * Compiles the rules of the default route, so that a call meets no text that is still to be parsed.
 *
 * @throws {RoutingError} that names the rule, the key, the value and what is wanted
 */
export function compileRules(specs: readonly RoutingRuleSpec[]): Rule[] {
  return specs.map(compileRule);
}

/**
 * Checks a method that a rule or a route module wants to route. Methods are case-sensitive and all that are in use are upper case
 * (RFC 3261 §7.1), so "invite" is a slip.
 *
 * @throws {RoutingError} for what is no method or cannot be routed as an initial request
 */
export function checkMethod(key: string, method: string): void {
  if (!TOKEN.test(method) || method !== method.toUpperCase()) {
    throw new RoutingError(`Cannot use ${key} "${method}": want a SIP method in upper case, such as "INVITE"`);
  }
  if (NOT_INITIAL.has(method)) {
    throw new RoutingError(`Cannot use ${key} "${method}": it follows the route of its dialog, want the method of an initial request`);
  }
}

function compileRule(spec: RoutingRuleSpec, index: number): Rule {
  const key = `routing.rules[${index}]`;
  const { match } = spec;
  const methods = toList(match.method) ?? ["INVITE"];
  for (const method of methods) checkMethod(`${key}.match.method`, method);
  const headers = Object.entries(match.header ?? {});
  if (!(Number.isInteger(spec.max_failovers) && spec.max_failovers >= 0)) {
    throw new RoutingError(`Cannot use ${key}.max_failovers ${spec.max_failovers}: want a whole number from 0`);
  }
  const { failover_budget = 0, early_media_failover = true } = spec;
  if (!(Number.isFinite(failover_budget) && failover_budget >= 0)) {
    throw new RoutingError(`Cannot use ${key}.failover_budget ${failover_budget}: want seconds from 0`);
  }
  const dialogFlags = parseDialogFlags(spec.dialog_flags ?? "");
  if (dialogFlags === undefined) {
    throw new RoutingError(
      `Cannot use ${key}.dialog_flags "${spec.dialog_flags}": want words such as "options-ping-caller, options-ping-callee"`,
    );
  }
  if (!(isGiven(spec.distribute) || isGiven(spec.dispatch) || isGiven(spec.answer)) || spec.resources !== "")
    checkResources(`${key}.resources`, spec.resources);
  return {
    number: index + 1,
    methods,
    user: isGiven(match.ruri_user) ? compilePattern(`${key}.match.ruri_user`, match.ruri_user) : undefined,
    hosts: toList(match.ruri_host)?.map((host) => plainHost(host)),
    sources: toList(match.source)?.map((block) => compileCidr(block)),
    headers: headers.length === 0 ? undefined : headers.map(([name, pattern]) => compileHeader(`${key}.match.header`, name, pattern)),
    group: spec.group,
    resources: spec.resources,
    flags: spec.flags,
    dialogFlags,
    failoverOn: compileStatusList(`${key}.failover_on`, spec.failover_on),
    disableOn: compileStatusList(`${key}.disable_on`, spec.disable_on),
    maxFailovers: spec.max_failovers,
    failoverBudgetMs: failover_budget === 0 ? Number.POSITIVE_INFINITY : failover_budget * 1000,
    earlyMediaFailover: early_media_failover,
    dispatch: spec.dispatch && compileDispatch(`${key}.dispatch`, spec.dispatch),
    distribute: spec.distribute,
    answer: spec.answer,
    note: spec.note,
  };
}

function compileHeader(key: string, name: string, pattern: string): { name: string; matches: (value: string) => boolean } {
  if (!TOKEN.test(name)) throw new RoutingError(`Cannot use ${key} "${name}": want the name of a header, such as "User-Agent"`);
  return { name, matches: compilePattern(`${key}.${name}`, pattern) };
}

/** A list that the balancer would refuse for every call is refused here once. */
export function checkResources(key: string, resources: string): void {
  const names = parseRequestedResources(resources);
  const isUsable = names && new Set(names).size === names.length && names.every((name) => RESOURCE_NAME.test(name));
  if (!isUsable) {
    throw new RoutingError(
      `Cannot use ${key} "${resources}": want different resource names with semicolons between them, such as "pstn;transcoding"`,
    );
  }
}

/** A host as `Request-URI`s are compared: lower case, an IPv6 address without brackets. */
function plainHost(host: string): string {
  const lower = host.trim().toLowerCase();
  return lower.startsWith("[") && lower.endsWith("]") ? lower.slice(1, -1) : lower;
}

/** One or several values as a list; nothing, or an empty list, asks for nothing. */
function toList(value: string | readonly string[] | null | undefined): readonly string[] | undefined {
  if (!isGiven(value)) return undefined;
  const list = typeof value === "string" ? [value] : value;
  return list.length === 0 ? undefined : list;
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
