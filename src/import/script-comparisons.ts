import { knownAnswer } from "./initial-invite.ts";
import { posixToJs } from "./match.ts";
import type { Expression, ScriptValues } from "./script-values.ts";
import type { Test } from "./tree.ts";

/** What the functions of balancer and dispatcher answer. */
const CODES = { lb: new Set(["1", "-1", "-2", "-3", "-4"]), ds: new Set(["1", "-1"]) };

/** A comparison in TypeScript, or its answer where that is known for every initial INVITE; undefined for one that has no counterpart. */
export function compared(test: Test & { kind: "compare" }, values: ScriptValues): boolean | string | undefined {
  const known = knownAnswer(test);
  const { left, operator, right } = test;
  // What a good call does not show is asked all the same, where it can be.
  if (known !== undefined && !/^\$[rft]U$/.test(left)) return known;
  const subject = right === "myself" ? undefined : values.variable(left);
  if (subject === undefined) return undefined;
  const isNegated = operator.startsWith("!");
  if (operator.endsWith("~")) return matched(subject, right, isNegated, values);
  if (["<", ">", "<=", ">="].includes(operator)) {
    const limit = values.asNumber(right);
    return limit && `${subject.type === "number" ? subject.code : `Number(${subject.code})`} ${operator} ${limit}`;
  }
  if (!["==", "!=", "===", "!=="].includes(operator)) return undefined;
  if (right === "NULL" || right === "null" || right === "$null" || right === "") {
    return subject.type === "text" ? `${subject.code} ${isNegated ? "!==" : "==="} ""` : undefined;
  }
  if (subject.type === "number") {
    const wanted = values.asNumber(right.replaceAll(" ", ""));
    // The compiler knows which codes there are.
    const code =
      /^call\.(?:lb|ds)\.code$/.test(subject.code) && !CODES[subject.code.includes("lb") ? "lb" : "ds"].has(wanted ?? "")
        ? `Number(${subject.code})`
        : subject.code;
    return wanted && `${code} ${isNegated ? "!==" : "==="} ${wanted}`;
  }
  if (subject.code === "call.source.address" && /^[0-9a-fA-F:.]{2,45}\/\d{1,3}$/.test(right)) {
    values.helpers.add("isIn");
    return `${isNegated ? "!" : ""}isIn(${subject.code}, ${JSON.stringify(right)})`;
  }
  const wanted = values.asText(right);
  if (wanted === undefined) return undefined;
  values.helpers.add("same");
  return `${isNegated ? "!" : ""}same(${subject.code}, ${wanted})`;
}

function matched(subject: Expression, pattern: string, isNegated: boolean, values: ScriptValues): string | undefined {
  if (pattern.includes("$") && /\$[A-Za-z(]/.test(pattern)) return undefined;
  let expression: RegExp;
  try {
    expression = new RegExp(posixToJs(pattern), "i");
  } catch {
    return undefined;
  }
  values.helpers.add("matches");
  const value = subject.type === "text" ? subject.code : `String(${subject.code})`;
  return `${isNegated ? "!" : ""}matches(${value}, ${expression})`;
}
