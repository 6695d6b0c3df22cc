import { FINAL_REPLY, mentions, type Rest } from "./initial-invite.ts";
import type { Assignment, Call, CfgFile, Test } from "./tree.ts";

/** Calls that find out who a caller is or whether he may call: addresses, passwords, certificates, lists. */
const ASKS_WHO =
  /auth|verif|credential|trusted|blacklist|whitelist|blocklist|^allow_|^check_(?:address|addr|source|from|to$|uri|user|fraud)|^get_source_group|(?:^|_)from_(?:gw|gateway|list)|^ds_is_in_list|^is_(?:from|user|domain|uri_host)|^does_uri|^db_(?:is_user|check|does)|^secf_|^geoip|^stir_|^acl/i;
/** Of those, what asks nothing: it sends a challenge, or clears up. */
const ASKS_NOTHING = /challenge|^consume_credentials|^add_|^remove_|^stir_shaken_(?:auth|sign)/i;
/** Variables that say who a caller is or where he came in. */
const TELLS_WHO =
  /^\$\(?(?:si|siz|sp|su|sas|tls|au|aU|ar|ad|Au|adu|Ri|Rp|RAi|socket_in|proto|pr|P)\b|^\$\(?(?:si|tls)[{_]|^(?:src_|from_uri|dst_ip|dst_port|proto)/;
/** Most blocks that ask: whatever is beyond is not followed into each other. */
const MAX_ASKING = 200;
const LOGS = /^x?log$|^x(?:dbg|info|notice|warn|err|alert)$/;
/** Answers that mean that a caller may not (RFC 3261 §21.4.2, §21.4.4, §21.4.8, §21.6.2; RFC 8197). */
const REFUSALS = new Set(["401", "403", "407", "603", "607"]);

/** Whether a call finds out who a caller is or whether he may call. */
export function asksWho({ name }: Call): boolean {
  return ASKS_WHO.test(name) && !ASKS_NOTHING.test(name);
}

/** Finds calls that ask so themselves, or enter a block that does. */
export function asksWhoWithin({ blocks }: CfgFile): (call: Call) => boolean {
  const asking = new Set<string>();
  const asks = (call: Call): boolean => asksWho(call) || (call.name === "route" && asking.has(call.args[0] ?? ""));
  for (let before = -1; before < asking.size && asking.size < MAX_ASKING; ) {
    before = asking.size;
    for (const { type, name, body } of blocks) if (type === "route" && mentions(body, asks, 20)) asking.add(name);
  }
  return asks;
}

/** Whether a value is what such a call answers. */
export function asksWhoIn({ parts }: Assignment): boolean {
  return parts.some(({ kind, text }) => kind === "word" && ASKS_WHO.test(text) && !ASKS_NOTHING.test(text));
}

/**
 * Whether a condition that has no counterpart keeps strangers out, so that calls must not go on without it: it asks who calls, or one of its sides says that the caller may not.
 */
export function isGuard(test: Test, then: Rest, otherwise: Rest): boolean {
  return isAboutCaller(test) || forbids(then) || forbids(otherwise);
}

function isAboutCaller(test: Test): boolean {
  switch (test.kind) {
    case "call":
      return asksWho(test);
    case "compare":
      return TELLS_WHO.test(test.left) || (test.right === "myself" && /^(?:from|src)/.test(test.left));
    case "plain":
      return TELLS_WHO.test(test.text) || ASKS_WHO.test(test.text);
    case "not":
      return isAboutCaller(test.of);
    default:
      return isAboutCaller(test.left) || isAboutCaller(test.right);
  }
}

/** Whether the first thing that decides a call is to say that its caller may not, or to ask for a password. */
function forbids(statements: Rest): boolean {
  for (const statement of statements) {
    if (statement === null || statement.kind !== "call") return false;
    if (FINAL_REPLY.has(statement.name)) return REFUSALS.has((statement.args[0] ?? "").trim());
    if (/challenge/.test(statement.name)) return true;
    if (statement.name === "route" || statement.name === "exit") return false;
  }
  return false;
}

/** Whether statements do no more than to write into the log: nothing depends on whether they are reached. */
export function isOnlyLogging(statements: Rest): boolean {
  return !mentions(statements, ({ name }) => !LOGS.test(name), 20) && statements.every((each) => each === null || each.kind === "call");
}
