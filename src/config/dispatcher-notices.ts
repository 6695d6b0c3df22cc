import { parseRoutes } from "../dispatch/index.ts";
import { defaultOf, type Reading } from "./read-values.ts";
import type { ConfigValues } from "./schema.ts";

/** Keys of probing, which mean nothing while nobody is probed. */
const PROBING_KEYS = ["method", "from", "reply_codes", "latency_stats"].map((name) => `ds_ping_${name}`);

/** Keys of the dispatcher that have no effect, or another one than somebody may expect. */
export function noticeDispatcher(
  { dispatcher, routing }: ConfigValues,
  set: Reading["set"],
  say: (path: string, text: string) => void,
): void {
  if (dispatcher.db_url === "sqlite::memory:") say("dispatcher.db_url", "has no effect: a table in memory is always empty");
  if (dispatcher.db_url === null && set.has("dispatcher.table_name"))
    say("dispatcher.table_name", "has no effect: dispatcher.db_url names no database");
  if (dispatcher.ds_ping_interval > 0) return;
  for (const name of [...PROBING_KEYS, "ds_probing_mode", "outbound_proxy"]) {
    const key = set.get(`dispatcher.${name}`);
    if (key !== undefined && JSON.stringify(key.value) !== JSON.stringify(defaultOf(key.schema)))
      say(`dispatcher.${name}`, "has no effect: dispatcher.ds_ping_interval is 0");
  }
  if (routing.script !== null) return;
  for (const [i, { dispatch, disable_on }] of routing.rules.entries()) {
    const path = `routing.rules[${i}].disable_on`;
    if (dispatch === undefined || !set.has(path) || disable_on.length === 0 || /^a/i.test(dispatch.mark)) continue;
    say(
      path,
      "takes destinations out until somebody sets their state: dispatcher.ds_ping_interval is 0, so nobody finds out that they are back",
    );
  }
}

/** One sentence for each rule with sets of the dispatcher that are not there. */
export function missingSets({ script, rules }: ConfigValues["routing"], sets: Iterable<number>): string[] {
  const known = new Set(sets);
  return (script === null ? rules : []).flatMap(({ dispatch }, i) => {
    if (dispatch === undefined) return [];
    const routes = dispatch.routes === undefined ? undefined : parseRoutes(dispatch.routes);
    const wanted = Array.isArray(routes) ? routes.map(({ set }) => set) : [dispatch.set];
    const missing = wanted.filter((id) => !known.has(id));
    if (missing.length === 0) return [];
    const what = missing.length === wanted.length ? "refuses its calls" : "passes over some of its sets";
    return [`routing.rules[${i}].dispatch ${what}: the dispatcher has no set ${missing.join(", ")}`];
  });
}
