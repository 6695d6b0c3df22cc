import { MAX_EXCERPT } from "./limits.ts";
import type { Call, Test } from "./tree.ts";

/** A condition in words of its script, cut when it is long. */
export function wordsOf(test: Test): string {
  return text(test, 8).slice(0, MAX_EXCERPT);
}

function text(test: Test, depth: number): string {
  if (depth === 0) return "…";
  switch (test.kind) {
    case "and":
      return `${text(test.left, depth - 1)} && ${text(test.right, depth - 1)}`;
    case "or":
      return `${text(test.left, depth - 1)} || ${text(test.right, depth - 1)}`;
    case "not":
      return `!${text(test.of, depth - 1)}`;
    case "call":
      return callInWords(test);
    case "compare":
      return `${test.left} ${test.operator} ${test.right}`;
    case "plain":
      return test.text;
  }
}

/** The line that a condition begins at. */
export function lineOf(test: Test): number {
  let at = test;
  while (!("line" in at)) at = at.kind === "not" ? at.of : at.left;
  return at.line;
}

/** A number in digits, also as `(int)` arguments of OpenSIPS are quoted; undefined for variables. */
export function wholeNumber(value: string | undefined): number | undefined {
  const digits = value?.trim().replace(/^- /, "-"); // the sign is a token of its own
  return digits !== undefined && /^-?\d{1,9}$/.test(digits) ? Number(digits) : undefined;
}

/** A call in words of its script. Arguments of what asks for passwords may be some. */
export function callInWords({ name, args }: Call): string {
  return `${name}(${/auth|passw|secret/i.test(name) && args.length > 1 ? "…" : args.join(", ").slice(0, MAX_EXCERPT)})`;
}
