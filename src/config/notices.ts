import { parseListen } from "./listen.ts";
import { defaultOf, type Reading, type SetKey } from "./read-values.ts";
import type { ConfigValues } from "./schema.ts";

/** What {@link noticeRules} has a sentence for. */
const OWN_NOTICE = /^routing\.rules\[\d+\]\./;

/** One sentence, with its place, for each key of the file that is set to something that has no effect. */
export function noticesOf(values: ConfigValues, set: Reading["set"], file: string): string[] {
  const notices: string[] = [];
  for (const key of set.values()) {
    if (!OWN_NOTICE.test(key.path) && key.schema.unbuilt !== undefined && asksForSomething(key))
      say(key.path, `has no effect: ${key.schema.unbuilt}`);
  }
  for (const [i, text] of values.sip.listen.entries()) {
    if (parseListen(text).transport !== "udp") say(`sip.listen[${i}]`, `"${text}" is not served: this version listens on UDP only`);
  }
  if (!values.load_balancer.db_url.startsWith("sqlite:")) {
    say("load_balancer.db_url", "is not an sqlite: address: this version opens SQLite files only and cannot start with it");
  }
  noticeRules(values.routing, set, say);
  return notices;

  function say(path: string, text: string): void {
    const key = set.get(path);
    const place = key ? `${file}:${key.line}:${key.column}: ` : "";
    notices.push(`${place}${path} ${text}`);
  }
}

function noticeRules(routing: ConfigValues["routing"], set: Reading["set"], say: (path: string, text: string) => void): void {
  if (routing.script !== null) {
    if (set.has("routing.rules")) say("routing.rules", "has no effect: routing.script decides where calls go");
    return;
  }
  const leftOut = routing.rules.map((rule) => rule.dispatch !== undefined || rule.distribute !== undefined);
  if (leftOut.every((isLeftOut) => isLeftOut))
    say("routing.rules", "has no rule that works and there is no routing.script: every call is refused");
  for (const [i, isLeftOut] of leftOut.entries()) {
    const what = routing.rules[i]?.dispatch ? "dispatcher" : "distributor";
    if (isLeftOut) say(`routing.rules[${i}]`, `has no effect: this version has no ${what}, its calls go by the rules after it`);
  }
  const all = routing.rules.findIndex(({ match }, i) => Object.keys(match).length === 0 && !leftOut[i]);
  for (const [i, { match }] of routing.rules.entries()) {
    if (all === -1 || i <= all || match.method?.every((method) => method.toUpperCase() !== "INVITE")) continue;
    say(`routing.rules[${i}]`, `is never reached: routing.rules[${all}] takes every INVITE`);
  }
}

function asksForSomething({ schema, value }: SetKey): boolean {
  const harmless = "harmless" in schema ? schema.harmless : defaultOf(schema);
  return JSON.stringify(value) !== JSON.stringify(harmless);
}
