import { ImportSyntaxError } from "./limits.ts";
import { parseTest } from "./tests.ts";
import type { TokenReader } from "./token-reader.ts";
import type { Token } from "./tokens.ts";
import type { Statement } from "./tree.ts";
import { wordsOf } from "./words.ts";

type Tell = (line: number, text: string) => void;

const ASSIGNMENTS = new Set(["=", "+=", "-=", ":="]);
const LOOPS = new Set(["while", "for", "switch"]);

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
  if (token.kind === "word" && LOOPS.has(token.text)) return [loop(token.text, line)];
  if (token.kind === "word" && (token.text === "case" || token.text === "default" || token.text.startsWith("default:"))) {
    while (!reader.takeSign(":") && !reader.isSign("}") && reader.peek()?.line === line) reader.next();
    return [];
  }
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
