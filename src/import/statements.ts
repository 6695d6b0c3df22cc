import { ImportSyntaxError } from "./limits.ts";
import { parseTest } from "./tests.ts";
import type { TokenReader } from "./token-reader.ts";
import type { Token } from "./tokens.ts";
import type { Statement } from "./tree.ts";
import { wordsOf } from "./words.ts";

type Tell = (line: number, text: string) => void;

const ASSIGNMENTS = new Set(["=", "+=", "-=", ":="]);
const LOOPS = new Set(["while", "for", "switch"]);
/** Most cases of a `switch`: each has the statements of those that it falls through to. */
const MAX_CASES = 100;

/**
 * Reads statements up to the `}` that ends them, which is taken too.
 *
 * @param depth how deep blocks may stand within this one
 * @throws {ImportSyntaxError} when the text ends before, or blocks stand too deep
 */
export function parseStatements(reader: TokenReader, tell: Tell, depth: number): Statement[] {
  if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${reader.last.line}: blocks stand too deep within each other`);
  const statements: Statement[] = [];
  while (!reader.takeSign("}")) statements.push(...parseStatement(reader, tell, depth));
  return statements;
}

/** One statement, or those of a block in braces. */
function parseStatement(reader: TokenReader, tell: Tell, depth: number): Statement[] {
  if (reader.takeSign("{")) return parseStatements(reader, tell, depth - 1);
  const token = reader.next();
  const { line } = token;
  if (token.kind === "sign" && token.text === ";") return [];
  if (token.kind === "word" && token.text === "if") {
    if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${line}: conditions stand too deep within each other`);
    const test = parseTest(reader, depth);
    const body = parseStatement(reader, tell, depth - 1);
    const next = reader.peek();
    const hasElse = next?.kind === "word" && next.text === "else";
    if (hasElse) reader.next();
    return [{ kind: "if", line, test, body, otherwise: hasElse ? parseStatement(reader, tell, depth - 1) : [] }];
  }
  if (token.kind === "word" && token.text === "switch" && reader.isSign("(")) return [...parseSwitch(reader, tell, depth, line)];
  if (token.kind === "word" && LOOPS.has(token.text)) return [loop(token.text, line)];
  if (token.kind === "word" && reader.isSign("(")) {
    const args = reader.arguments();
    endStatement();
    return [{ kind: "call", line, name: token.text, args }];
  }
  const operator = reader.peek();
  if (operator?.kind === "sign" && ASSIGNMENTS.has(operator.text)) {
    reader.next();
    const parts = tokensOfStatement();
    const value = parts.map(({ text }) => text).join(" ");
    return [{ kind: "assign", line, target: token.text, operator: operator.text, value, parts }];
  }
  if (token.kind === "word") {
    const rest = restOfStatement();
    return [{ kind: "call", line, name: token.text, args: rest === "" ? [] : [rest] }];
  }
  const rest = restOfStatement();
  tell(line, `"${`${token.text} ${rest}`.trim().slice(0, 60)}" is not understood`);
  return [];

  function loop(name: string, at: number): Statement {
    if (name === "while" && reader.isSign("(")) {
      if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${at}: loops stand too deep within each other`);
      const test = parseTest(reader, depth);
      return { kind: "loop", line: at, text: `while (${wordsOf(test)})`, test, body: parseStatement(reader, tell, depth - 1) };
    }
    const text = reader.isSign("(") ? reader.arguments().join(", ") : "";
    if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${at}: loops stand too deep within each other`);
    return { kind: "loop", line: at, text: `${name} (${text})`, body: parseStatement(reader, tell, depth - 1) };
  }

  /** A missing semicolon is forgiven where a line ends. */
  function endStatement(): void {
    reader.takeSign(";");
  }

  /** The tokens up to the semicolon or brace. */
  function tokensOfStatement(): Token[] {
    const parts: Token[] = [];
    while (!reader.isSign(";") && !reader.isSign("}")) parts.push(reader.next());
    reader.takeSign(";");
    return parts;
  }

  function restOfStatement(): string {
    return tokensOfStatement()
      .map(({ text }) => text)
      .join(" ");
  }
}

/** A `switch` as a chain of conditions. One with too many cases, or with a case that goes on in the next one within a condition, stays a loop that nobody follows. */
function parseSwitch(reader: TokenReader, tell: Tell, depth: number, line: number): readonly Statement[] {
  if (depth < 0) throw new ImportSyntaxError(`Cannot read line ${line}: blocks stand too deep within each other`);
  const asked = reader.arguments().join(" ");
  const cases: { line: number; value: string | undefined; body: Statement[] }[] = [];
  if (!reader.takeSign("{")) tell(line, "a switch has no cases");
  else
    while (!reader.takeSign("}")) {
      const next = reader.peek();
      const label = next?.kind === "word" ? /^(case|default)(?::(.*))?$/.exec(next.text) : null;
      if (label === null) {
        const some = parseStatement(reader, tell, depth - 1);
        cases.at(-1)?.body.push(...some);
        continue;
      }
      reader.next();
      const words: string[] = [];
      while (label[1] === "case" && !reader.isSign(":") && !reader.isSign("}") && reader.peek()?.line === next?.line)
        words.push(reader.next().text.replace(/:$/, ""));
      reader.takeSign(":");
      if (label[2]) tell(line, `"${label[0]}" is not understood, want a blank behind the colon`);
      cases.push({ line: next?.line ?? line, value: label[1] === "case" ? words.join(" ") : undefined, body: [] });
    }
  const bodies = cases.map((_, at) => bodyFrom(cases.slice(at).map(({ body }) => body)));
  if (cases.length > MAX_CASES || cases.some(({ body }) => body.some((each) => each.kind === "if" && breaks(each, 20))))
    return [{ kind: "loop", line, text: `switch (${asked})`, body: cases.flatMap(({ body }) => body) }];
  const fallback = cases.findIndex(({ value }) => value === undefined);
  let chain: readonly Statement[] = bodies[fallback] ?? [];
  for (const [at, { value: right, line: where }] of [...cases.entries()].reverse()) {
    const test = { kind: "compare", line: where, left: asked, operator: "==", right: right ?? "" } as const;
    if (right !== undefined) chain = [{ kind: "if", line: where, test, body: bodies[at] ?? [], otherwise: chain }];
  }
  return chain;
}

/** The statements of a case and of those that it falls through to. */
function bodyFrom(bodies: readonly (readonly Statement[])[]): Statement[] {
  const all = bodies.flat();
  const end = all.findIndex((each) => each.kind === "call" && ["break", "exit", "drop", "return"].includes(each.name));
  const last = all[end];
  return last === undefined ? all : all.slice(0, isBreak(last) ? end : end + 1);
}

function isBreak(statement: Statement): boolean {
  return statement.kind === "call" && statement.name === "break";
}

function breaks(statement: Statement, depth: number): boolean {
  if (isBreak(statement) || depth === 0) return true;
  return statement.kind === "if" && [...statement.body, ...statement.otherwise].some((each) => breaks(each, depth - 1));
}
