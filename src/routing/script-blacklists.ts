import { type CallContext, mayAct } from "./call-context.ts";
import { BlacklistGuard, checkList, listHolding } from "./deny-targets.ts";
import { checkString } from "./script-values.ts";
import { encodeText } from "./text.ts";

/** @throws {RoutingError} for a list that is not defined */
export function isBlacklisted({ blacklists }: CallContext, uri: string, list: string): boolean {
  checkString("isBlacklisted", "uri", uri);
  checkList("blacklist", list, blacklists);
  return blacklists !== undefined && listHolding(blacklists, [list], encodeText(uri)) !== undefined;
}

/**
 * Adds a list to those that the call's targets are compared with.
 *
 * @throws {RoutingError} for a list that is not defined
 */
export function guardWith(context: CallContext, list: string): void {
  const { blacklists, counters, proxyCall } = context;
  checkList("blacklist", list, blacklists);
  if (blacklists === undefined || !mayAct(context, "useBlacklist")) return;
  const lists = proxyCall.guard instanceof BlacklistGuard ? proxyCall.guard.lists : [];
  if (!lists.includes(list)) proxyCall.guard = new BlacklistGuard(blacklists, [...lists, list], counters);
}
