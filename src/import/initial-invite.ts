import { BY_PROXY } from "./known-calls.ts";
import type { Match } from "./match.ts";
import type { Value } from "./new-config.ts";
import { isSelection } from "./selection.ts";
import type { Call, Statement, Test } from "./tree.ts";
import { lineOf } from "./words.ts";

/** The end of a `route(NAME)` that is a condition: what its `return` answers says how it goes on. */
export interface Returned {
  readonly kind: "returned";
  readonly line: number;
  readonly then: Rest;
  readonly otherwise: Rest;
}
/** Statements that are left on a way; null is the end of a `route(NAME)`, where `return` leads to. */
export type Rest = readonly (Statement | Returned | null)[];

/** How many statements are searched for a selection that decides which way is followed. */
const MAX_LOOKED_AT = 500;

/** Calls that answer a request. */
export const FINAL_REPLY = new Set(["send_reply", "sl_send_reply", "t_reply", "sl_reply", "t_send_reply", "send_reply_mode"]);
/** Calls that send it on. */
export const RELAY = new Set(["t_relay", "forward", "t_relay_to", "t_relay_to_udp", "t_relay_to_tcp", "t_forward_nonack"]);

/** A condition that stands where its statements would. */
export function conditional(test: Test, then: Rest, otherwise: Rest): Statement {
  return { kind: "if", line: lineOf(test), test, body: then as readonly Statement[], otherwise: otherwise as readonly Statement[] };
}

/** What a condition answers for an initial INVITE, when that is known. */
export function knownAnswer(test: Test): boolean | undefined {
  if (test.kind === "call") {
    if (test.name === "is_method") return (test.args[0] ?? "").split(/[|\s]+/).includes("INVITE");
    return Object.hasOwn(BY_PROXY, test.name) ? BY_PROXY[test.name] : undefined;
  }
  if (test.kind !== "compare") return undefined;
  const { left, operator, right } = test;
  if (left === "method" || left === "$rm") {
    const isInvite = operator.endsWith("~") ? right.split(/[|()^$\s]+/).includes("INVITE") : right === "INVITE";
    return isInvite === !operator.startsWith("!");
  }
  // A number that is missing, a length, the proxy's own address: what a good call does not show.
  if ((right === "NULL" || right === "null" || right === "$null") && /^\$(?:rU|fU|tU|ru|du)$/.test(left)) return operator === "!=";
  if (/^(?:msg:len|\$ml)$/.test(left)) return operator === "<" || operator === "<=";
  // Nobody calls from the proxy's own address.
  if (right === "myself") return left.startsWith("from_") ? undefined : (operator === "==") !== left.startsWith("src");
  return undefined;
}

/** Both matches in one, undefined when a rule cannot ask for both. */
export function mergeMatch(known: Match, added: Match): Match | undefined {
  const merged: { [key: string]: Value } = { ...known };
  for (const [key, value] of Object.entries(added)) {
    if (key === "header" && merged[key] !== undefined) {
      const [name = ""] = Object.keys(value as object);
      if (Object.hasOwn(merged[key] as object, name)) return undefined;
      merged[key] = { ...(merged[key] as object), ...(value as object) };
    } else if (merged[key] !== undefined) return undefined;
    else merged[key] = value;
  }
  return merged;
}

/** What `return` of a script answers, above 0 for true; 0 ends the script. @returns undefined when that is not known before a call comes */
export function returnedBy({ args }: Call): number | undefined {
  const text = args.join("").replaceAll(/[()\s]/g, "");
  return text === "" ? 1 : /^-?\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Whether a call of some kind stands in statements, at most so deep. */
export function mentions(statements: Rest, is: (call: Call) => boolean, depth: number): boolean {
  if (depth === 0) return false;
  return statements.slice(0, MAX_LOOKED_AT).some((statement) => {
    if (statement === null || statement.kind === "assign") return false;
    if (statement.kind === "call") return is(statement);
    if (statement.kind === "loop")
      return (statement.test !== undefined && testMentions(statement.test, is, depth - 1)) || mentions(statement.body, is, depth - 1);
    if (statement.kind === "returned") return mentions(statement.then, is, depth - 1) || mentions(statement.otherwise, is, depth - 1);
    return (
      testMentions(statement.test, is, depth - 1) || mentions(statement.body, is, depth - 1) || mentions(statement.otherwise, is, depth - 1)
    );
  });
}

function testMentions(test: Test, is: (call: Call) => boolean, depth: number): boolean {
  if (depth === 0) return false;
  if (test.kind === "call") return is(test);
  if (test.kind === "not") return testMentions(test.of, is, depth - 1);
  return (test.kind === "and" || test.kind === "or") && (testMentions(test.left, is, depth - 1) || testMentions(test.right, is, depth - 1));
}

/** Whether statements come to an answer or their end before anything else decides. */
export function refusesAtOnce(statements: Rest): boolean {
  for (const statement of statements) {
    if (statement === null || statement.kind !== "call") return false;
    if (FINAL_REPLY.has(statement.name) || statement.name === "exit" || statement.name === "drop" || statement.name === "sl_reply_error")
      return true;
    if (isSelection(statement) || RELAY.has(statement.name) || statement.name === "route") return false;
  }
  return false;
}
