import { ImportSyntaxError, MAX_DEPTH, MAX_EXCERPT, MAX_FINDINGS } from "./limits.ts";
import { preprocess } from "./preprocess.ts";
import { Sources } from "./sources.ts";
import { parseStatements } from "./statements.ts";
import { TokenReader } from "./token-reader.ts";
import { type Token, tokensOf } from "./tokens.ts";
import type { Block, CfgFile, Flavor, ModParam, Setting } from "./tree.ts";

/** Names of blocks. `request_route` and `reply_route` are Kamailio's. */
const BLOCKS = /^(?:request_route|reply_route|(?:[a-z]+_)?route)$/;

/**
 * Reads an `opensips.cfg` or `kamailio.cfg`, as much of it as can be understood.
 *
 * @param wanted whose it is; undefined: found out
 * @param sources the files that it includes
 * @throws {ImportSyntaxError} for what has no end: quotes, comments, blocks, or too much of everything
 */
export function parseCfg(text: string, wanted?: Flavor, sources: Sources = new Sources()): CfgFile {
  try {
    return parse(text, wanted, sources);
  } catch (cause) {
    if (!(cause instanceof ImportSyntaxError)) throw cause;
    throw new ImportSyntaxError(sources.inWords(cause.message), { cause });
  }
}

function parse(text: string, wanted: Flavor | undefined, sources: Sources): CfgFile {
  const problems: { line: number; text: string }[] = [];
  const tell = (line: number, words: string): void => {
    if (problems.length < MAX_FINDINGS) problems.push({ line, text: words });
  };
  const raw = tokensOf(text, tell);
  const flavor = wanted ?? flavorOf(raw);
  const reader = new TokenReader(preprocess(raw, tokensOf, tell, sources), tell);
  const settings: Setting[] = [];
  const modules: { name: string; line: number }[] = [];
  const params: ModParam[] = [];
  const blocks: Block[] = [];
  for (let token = reader.peek(); token !== undefined; token = reader.peek()) {
    if (token.kind === "word" && BLOCKS.test(token.text) && isBlock(reader)) blocks.push(readBlock(reader, tell));
    else if (token.text === "modparam" || token.text === "modparamx") params.push(...readModParam(reader, tell));
    else if (token.text === "loadmodule" || token.text === "loadmodulex") readModule(reader, modules);
    else readSetting(reader, settings, tell);
  }
  return { flavor, settings, modules, params, blocks, problems };
}

/** A sign of Kamailio's: its own directives and names of blocks; the rest is taken for OpenSIPS. */
function flavorOf(tokens: readonly Token[]): Flavor {
  const isKamailio = tokens.some(
    ({ kind, text }) =>
      kind === "directive" || (kind === "word" && (text === "request_route" || text === "reply_route")) || /kamailio/.test(text),
  );
  return isKamailio ? "kamailio" : "opensips";
}

/** Whether a name of a block begins one: `route(X)` in a text that was cut does not. */
function isBlock(reader: TokenReader): boolean {
  const next = reader.peek(1);
  return next?.text === "{" || next?.text === "[";
}

function readBlock(reader: TokenReader, tell: (line: number, text: string) => void): Block {
  const { text: type, line } = reader.next();
  let name = "";
  if (reader.takeSign("[")) {
    const words: string[] = [];
    while (reader.peek() !== undefined && !reader.isSign("]")) words.push(reader.next().text);
    reader.takeSign("]");
    name = words.join("").split(",")[0] ?? "";
  }
  if (!reader.takeSign("{")) throw new ImportSyntaxError(`Cannot read line ${line}: a block ${type} begins, want "{"`);
  return { type: type === "request_route" ? "route" : type, name, line, body: parseStatements(reader, tell, MAX_DEPTH) };
}

function readModParam(reader: TokenReader, tell: (line: number, text: string) => void): ModParam[] {
  const { line } = reader.next();
  const args = reader.isSign("(") ? reader.arguments() : [];
  reader.takeSign(";");
  const [module, name, value] = args;
  if (module === undefined || name === undefined || value === undefined) {
    tell(line, "a modparam cannot be read, want a module, a name and a value");
    return [];
  }
  return module.split("|").map((part) => ({ module: part.trim().replace(/\.so$/, ""), name, value, line }));
}

function readModule(reader: TokenReader, modules: { name: string; line: number }[]): void {
  const { line } = reader.next();
  const file = reader.peek();
  if (file?.kind !== "text" && file?.kind !== "word") return;
  reader.next();
  modules.push({ name: (file.text.split("/").at(-1) ?? "").replace(/\.so$/, ""), line });
  reader.takeSign(";");
}

/** `name = value`, whose end is that of its line; a list goes on after a comma. What has another form is told and left out to the end of its line. */
function readSetting(reader: TokenReader, settings: Setting[], tell: (line: number, text: string) => void): void {
  const first = reader.next();
  const words: string[] = [];
  const isAssigned = reader.takeSign("=");
  let line = isAssigned ? reader.last.line : first.line;
  for (let token = reader.peek(); token !== undefined; token = reader.peek()) {
    const isFurther = words.length === 0 ? isAssigned : words.at(-1) === ",";
    if (token.line !== line && !isFurther) break;
    if (token.text === ";" && token.kind === "sign") {
      reader.next();
      break;
    }
    line = token.line;
    words.push(reader.next().text);
  }
  if (isAssigned && first.kind === "word") settings.push({ name: first.text, words, text: words.join(" "), line: first.line });
  else if (first.text !== ";") tell(first.line, `"${[first.text, ...words].join(" ").slice(0, MAX_EXCERPT)}" is not understood`);
}
