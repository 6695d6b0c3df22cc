import { ImportSyntaxError, MAX_TOKENS } from "./limits.ts";
import { MAX_INCLUDE_DEPTH, type Sources } from "./sources.ts";
import type { Token } from "./tokens.ts";

/** Something that preprocessing has to tell. */
type Tell = (line: number, text: string) => void;

/** Most tokens that one definition may stand for. */
const MAX_DEFINITION_TOKENS = 1000;
/** A word, or a directive with the name of the file behind it. */
const INCLUDE = /^(include_file|import_file)(?:\s+(.+))?$/;

/**
 * Carries out Kamailio's preprocessor: `#!ifdef`, `#!ifndef`, `#!else`, `#!endif`, `#!define`, `#!trydef`, `#!redefine`, `#!subst`, `#!substdef`. Words that are
 * defined are replaced once, as there; patterns of `subst` in quoted texts. Files of `include_file` and `import_file` stand where they are named.
 *
 * @param cut makes tokens of the text of a definition
 * @returns the tokens that are left, without directives
 */
export function preprocess(tokens: readonly Token[], cut: (text: string) => Token[], tell: Tell, sources: Sources): Token[] {
  const defined = new Map<string, readonly Token[]>();
  const patterns: { readonly from: string; readonly to: string }[] = [];
  /** For each open `#!ifdef`: whether its part is read, and whether what surrounds it is. */
  const open: { taken: boolean; outer: boolean }[] = [];
  const result: Token[] = [];
  let reading = true;
  walk(tokens, 0);
  if (open.length > 0) tell(tokens.at(-1)?.line ?? 1, `${open.length} "#!ifdef" without "#!endif"`);
  return result;

  function walk(some: readonly Token[], depth: number): void {
    for (let at = 0; at < some.length && result.length <= MAX_TOKENS; at += 1) {
      const token = some[at] as Token;
      const named = INCLUDE.exec(token.text);
      if (token.kind === "directive" && named === null) directive(token);
      else if (!reading) continue;
      else if (named === null || token.kind === "text") add(token);
      else if (token.kind === "directive") include(named[1] === "import_file", unquoted(named[2] ?? ""), token.line, depth);
      else {
        const path = some[at + 1];
        if (path?.kind !== "text") {
          add(token);
          continue;
        }
        at += some[at + 2]?.text === ";" ? 2 : 1;
        include(named[1] === "import_file", path.text, token.line, depth);
      }
    }
  }

  /** `import_file` of a file that is not there is no fault. */
  function include(isOptional: boolean, path: string, line: number, depth: number): void {
    let added: readonly Token[];
    try {
      if (depth >= MAX_INCLUDE_DEPTH) throw new ImportSyntaxError(`files include each other more than ${MAX_INCLUDE_DEPTH} deep`);
      added = sources.tokensOf(path, line);
    } catch (cause) {
      if (!(cause instanceof ImportSyntaxError)) throw cause;
      if (!isOptional || !/ENOENT/.test(cause.message))
        tell(line, `the file "${path}" is not read (${cause.message}): put its text here and import again`);
      return;
    }
    walk(added, depth + 1);
  }

  function add(token: Token): void {
    const definition = token.kind === "word" ? defined.get(token.text) : undefined;
    if (definition !== undefined) {
      for (const part of definition) result.push({ ...part, line: token.line });
    } else if (token.kind === "word" && token.text.includes(":")) result.push({ ...token, text: withinAddress(token.text) });
    else if (token.kind === "text" && patterns.length > 0) {
      let { text } = token;
      for (const { from, to } of patterns) text = text.replaceAll(from, () => to);
      result.push({ ...token, text: text.slice(0, 10_000) });
    } else result.push(token);
  }

  /** `udp:MY_IP:5060`: a part that is defined as one word is replaced. */
  function withinAddress(text: string): string {
    const parts = text.split(":").map((part) => {
      const definition = defined.get(part);
      return definition?.length === 1 ? (definition[0]?.text ?? part) : part;
    });
    return parts.join(":").slice(0, 1000);
  }

  function directive({ text, line }: Token): void {
    const [name = "", first = ""] = text.split(/\s+/, 2);
    const word = name.toLowerCase();
    if (word === "ifdef" || word === "ifndef") {
      open.push({ taken: defined.has(first) === (word === "ifdef"), outer: reading });
      reading = reading && (open.at(-1)?.taken ?? true);
    } else if (word === "ifexp") {
      open.push({ taken: false, outer: reading });
      if (reading) tell(line, `"#!ifexp" is not computed, its part is left out`);
      reading = false;
    } else if (word === "else") {
      const last = open.at(-1);
      if (last) reading = last.outer && !last.taken;
    } else if (word === "endif") reading = open.pop()?.outer ?? reading;
    else if (reading) define(word, first, text, line);
  }

  function define(word: string, first: string, text: string, line: number): void {
    const value = text.slice(text.indexOf(first, text.search(/\s/)) + first.length).trim();
    if (word === "define" || word === "redefine" || word === "trydef" || word === "trydefine") {
      if (first !== "" && !(word.startsWith("try") && defined.has(first))) defined.set(first, cut(value).slice(0, MAX_DEFINITION_TOKENS));
    } else if (word === "subst" || word === "substdef" || word === "substdefs") {
      const [from, to] = readSubstitution(text.slice(word.length).trim());
      if (from === "") {
        tell(line, `"#!${word}" cannot be read`);
        return;
      }
      patterns.push({ from, to });
      if (word !== "subst") defined.set(from, word === "substdefs" ? [{ kind: "text", text: to, line }] : cut(to));
    } else if (!["kamailio", "ser", "opensips", "all", "maxcompat", "none"].includes(word))
      tell(line, `the directive "#!${word}" is not carried out`);
  }
}

/** `/from/to/flags`, with any character for the slashes, in quotation marks or not. Two empty texts when it is not that. */
function readSubstitution(text: string): [from: string, to: string] {
  const bare = text.startsWith('"') ? text.slice(1) : text;
  const [, from, to, flags] = bare.split(bare.charAt(0), 4);
  return from === undefined || to === undefined || flags === undefined ? ["", ""] : [from, to];
}

function unquoted(text: string): string {
  return text.trim().replace(/^(["'])(.*)\1;?$/, "$2");
}
