import { ImportSyntaxError, MAX_JOINED } from "./limits.ts";
import type { TokenReader } from "./token-reader.ts";
import type { Test } from "./tree.ts";

const OPERATORS = new Set(["==", "!=", "=~", "!~", "<", ">", "<=", ">=", "===", "!=="]);

/**
 * Reads a condition in brackets, as after `if`, or one call without. What goes on with an operator that is not understood is plain as a whole.
 *
 * @param depth how many brackets may stand within each other
 * @throws {ImportSyntaxError} when the brackets are not closed or stand too deep
 */
export function parseTest(reader: TokenReader, depth: number): Test {
  const { line } = reader.last;
  if (!reader.takeSign("(")) return single(reader, depth);
  const test = either(reader, depth);
  if (reader.takeSign(")")) return test;
  const rest = operand(reader, true);
  reader.takeSign(")");
  return { kind: "plain", line, text: `… ${rest}` };
}

function either(reader: TokenReader, depth: number): Test {
  let left = both(reader, depth);
  for (let joined = 0; takeOperator(reader, "||", "or"); joined += 1)
    left = { kind: "or", left, right: both(reader, bounded(depth, joined)) };
  return left;
}

function both(reader: TokenReader, depth: number): Test {
  let left = single(reader, depth);
  for (let joined = 0; takeOperator(reader, "&&", "and"); joined += 1)
    left = { kind: "and", left, right: single(reader, bounded(depth, joined)) };
  return left;
}

/** The depth that is left, none behind too many joined conditions: whoever reads the tree descends into it. */
function bounded(depth: number, joined: number): number {
  return joined >= MAX_JOINED ? -1 : depth;
}

function takeOperator(reader: TokenReader, sign: string, word: string): boolean {
  const token = reader.peek();
  if (token?.kind === "word" && token.text === word) {
    reader.next();
    return true;
  }
  return reader.takeSign(sign);
}

function single(reader: TokenReader, depth: number): Test {
  if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${reader.last.line}: brackets stand too deep within each other`);
  const next = reader.peek();
  if (reader.takeSign("!") || (next?.kind === "word" && next.text === "not" && reader.next()))
    return { kind: "not", of: single(reader, depth - 1) };
  if (reader.takeSign("(")) {
    const inner = either(reader, depth - 1);
    if (!reader.takeSign(")")) throw new ImportSyntaxError(`Cannot read line ${reader.last.line}: a bracket is open, want ")"`);
    return inner;
  }
  const { line } = reader.last;
  const first = reader.next();
  if (first.kind === "word" && reader.isSign("(")) {
    const call: Test = { kind: "call", line: first.line, name: first.text, args: reader.arguments() };
    return isOperator(reader) ? { kind: "plain", line, text: `${first.text}(${call.args.join(", ")}) ${operand(reader)}` } : call;
  }
  const left = first.text;
  if (!isOperator(reader)) return { kind: "plain", line: first.line, text: `${left} ${operand(reader)}`.trim() };
  const operator = reader.next().text;
  return { kind: "compare", line: first.line, left, operator, right: operand(reader) };
}

function isOperator(reader: TokenReader): boolean {
  const token = reader.peek();
  return token?.kind === "sign" && OPERATORS.has(token.text);
}

/** The tokens up to the next `&&`, `||` or closing bracket; with `pastLogic` up to the bracket. */
function operand(reader: TokenReader, pastLogic = false): string {
  const parts: string[] = [];
  let open = 0;
  for (;;) {
    const token = reader.peek();
    if (token === undefined)
      throw new ImportSyntaxError(`Cannot read line ${reader.last.line}: the text ends within a condition, want ")"`);
    const isLogic =
      (token.kind === "sign" && (token.text === "&&" || token.text === "||")) ||
      (token.kind === "word" && (token.text === "and" || token.text === "or"));
    if (open === 0 && ((isLogic && !pastLogic) || reader.isSign(")"))) return parts.join(" ");
    if (reader.isSign("(")) open += 1;
    if (reader.isSign(")")) open -= 1;
    parts.push(reader.next().text);
  }
}
