import type { ProxyCall } from "../proxy/ports.ts";
import { parseIp } from "./cidr.ts";
import { splitUri, type UriParts } from "./request-uri.ts";
import type { Rule } from "./rules.ts";
import { decodeText } from "./text.ts";

/** What is looked at by several rules and decoded at most once a request. */
interface Looked {
  uri: UriParts | undefined;
}

/** The first rule whose every condition holds, or `undefined`. Conditions that no rule has are never looked at. */
export function findRule(rules: readonly Rule[], call: ProxyCall): Rule | undefined {
  const looked: Looked = { uri: undefined };
  for (const rule of rules) {
    if (matches(rule, call, looked)) return rule;
  }
  return undefined;
}

function matches(rule: Rule, call: ProxyCall, looked: Looked): boolean {
  if (!rule.methods.includes(call.request.method)) return false;
  if (rule.user || rule.hosts) {
    looked.uri ??= splitUri(call.requestUri);
    if (rule.hosts && !rule.hosts.includes(looked.uri.host)) return false;
    if (rule.user && !rule.user(decodeText(looked.uri.user))) return false;
  }
  return (!rule.sources || matchesSource(rule.sources, call)) && (!rule.headers || matchesHeaders(rule.headers, call));
}

function matchesSource(sources: NonNullable<Rule["sources"]>, call: ProxyCall): boolean {
  const address = parseIp(call.source.address);
  return address !== undefined && sources.some((block) => block(address));
}

/** Of a header that stands several times one value has to match. */
function matchesHeaders(headers: NonNullable<Rule["headers"]>, call: ProxyCall): boolean {
  return headers.every(({ name, matches }) => call.request.headers(name).some((value) => matches(decodeText(value))));
}
