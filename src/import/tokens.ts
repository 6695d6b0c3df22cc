import { ImportSyntaxError, MAX_TEXT, MAX_TOKENS } from "./limits.ts";

/** What a token is. `directive` is a whole line of Kamailio's preprocessor, `variable` a pseudo-variable such as `$avp(x)`. */
export type TokenKind = "word" | "text" | "variable" | "sign" | "directive";

/** One token. `text` of a quoted text is without quotes and escapes. `line` counts from 1. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

/** Signs of two characters and more, longest first. */
const SIGNS = ["===", "!==", "=>", "==", "!=", "=~", "!~", "<=", ">=", "&&", "||", "+=", "-=", ":=", "<<", ">>"];
/** What may stand behind `:`, `-` or `/` within a word. */
const WORD = /[A-Za-z0-9_.@%*[]/;
/** Characters of names and of addresses without quotes. Operators among them end a word, see `endOfWord`. */
const PLAIN = /[A-Za-z0-9_.@%]/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Cuts the text of an `opensips.cfg` or `kamailio.cfg` into tokens. Comments begin with `#` or `//`, or stand between `/*` and its end; `#!` and `!!` at the
 * beginning of a line begin a directive of Kamailio's preprocessor.
 *
 * @param tell is told of each quoted text that was ended with its line, as nothing closes it
 * @throws {ImportSyntaxError} for a text that is too long, for comments that nothing closes, and without `tell` for quotes that nothing closes
 */
export function tokensOf(raw: string, tell?: (line: number, text: string) => void): Token[] {
  const text = raw.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  try {
    return cut(text, undefined);
  } catch (cause) {
    if (!(cause instanceof UnclosedQuote) || tell === undefined) throw cause;
    return cut(text, tell);
  }
}

/** One quote too few or too many turns all texts behind it inside out. */
class UnclosedQuote extends ImportSyntaxError {}

/** What may stand behind the end of a quoted text. */
const BEHIND_TEXT = /^[ \t]*(?:[,;)\]}+=!&|?:<>.#-]|\r?\n|$)/;

/** @param tell undefined: a quoted text may have line breaks; else one that has ends where a text can end, or else with its first line */
function cut(text: string, tell: ((line: number, text: string) => void) | undefined): Token[] {
  if (text.length > MAX_TEXT)
    throw new ImportSyntaxError(`Cannot read the configuration: it has ${text.length} characters, want at most ${MAX_TEXT}`);
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const char = text[at] as string;
    if (char === "\n") {
      line += 1;
      at += 1;
    } else if (/\s/.test(char)) at += 1;
    else if ((text.startsWith("#!", at) || text.startsWith("!!", at)) && isLineStart(text, at)) at = directive(at);
    else if (char === "#" || (text.startsWith("//", at) && !/[a-z]:$/.test(text.slice(Math.max(0, at - 2), at)))) at = lineEnd(text, at);
    else if (text.startsWith("/*", at)) at = comment(at);
    else if (char === '"' || char === "'" || char === "`") at = quoted(at, char);
    else if (char === "$") at = variable(at);
    else if (PLAIN.test(char)) {
      const end = endOfWord(text, at);
      push("word", text.slice(at, end));
      at = end;
    } else {
      const sign = SIGNS.find((candidate) => text.startsWith(candidate, at)) ?? char;
      push("sign", sign);
      at += sign.length;
    }
  }
  return tokens;

  function push(kind: TokenKind, value: string): void {
    if (tokens.length >= MAX_TOKENS)
      throw new ImportSyntaxError(`Cannot read the configuration: it has more than ${MAX_TOKENS} words and signs`);
    tokens.push({ kind, text: value, line });
  }

  /** A line that ends in a backslash goes on in the next one. */
  function directive(start: number): number {
    let end = lineEnd(text, start);
    while (text[end - 1] === "\\" && end < text.length) end = lineEnd(text, end + 1);
    const whole = text.slice(start, end);
    push("directive", whole.slice(2).replaceAll("\\\n", " ").trim());
    line += countBreaks(whole);
    return end;
  }

  function comment(start: number): number {
    const end = text.indexOf("*/", start + 2);
    if (end === -1) throw new ImportSyntaxError(`Cannot read line ${line}: a comment begins that nothing ends, want "*/"`);
    line += countBreaks(text.slice(start, end));
    return end + 2;
  }

  function quoted(start: number, quote: string): number {
    const parts: string[] = [];
    let i = start + 1;
    while (i < text.length && text[i] !== quote) {
      if (text[i] === "\\" && i + 1 < text.length) {
        const next = text[i + 1] as string;
        // Of a regular expression the backslash is part: only what it certainly escapes loses it.
        parts.push(ESCAPES[next] ?? (next === quote || next === "\\" || next === "\n" ? next : `\\${next}`));
        i += 2;
      } else {
        parts.push(text[i] as string);
        i += 1;
      }
    }
    if (tell !== undefined) {
      const firstLine = lineEnd(text, start);
      if (i > firstLine && !(i < text.length && BEHIND_TEXT.test(text.slice(i + 1, i + 200)))) {
        tell(line, `a text begins that nothing ends, want ${quote}: it was ended with its line`);
        push("text", text.slice(start + 1, firstLine));
        return firstLine;
      }
    }
    if (i >= text.length) throw new UnclosedQuote(`Cannot read line ${line}: a text begins that nothing ends, want ${quote}`);
    push("text", parts.join(""));
    line += countBreaks(text.slice(start, i));
    return i + 1;
  }

  /** `$ru`, `$avp(x)`, `$(hdr(X)[*])`, `$T_reply_code`, `$hdr(X-A)`, `$(ru{uri.user})`, `$xavp(a=>b)`. */
  function variable(start: number): number {
    let i = start + 1;
    while (i < text.length && /[A-Za-z0-9_.]/.test(text[i] as string)) i += 1;
    const nameEnd = i;
    if (text[i] === "(") {
      let depth = 0;
      for (; i < text.length; i += 1) {
        if (text[i] === "(") depth += 1;
        else if (text[i] === ")") depth -= 1;
        else if (text[i] === "\n") break;
        if (depth === 0) break;
      }
      i = text[i] === ")" ? i + 1 : nameEnd;
    }
    push("variable", text.slice(start, i));
    return i;
  }
}

function isLineStart(text: string, at: number): boolean {
  let i = at - 1;
  while (i >= 0 && (text[i] === " " || text[i] === "\t")) i -= 1;
  return i < 0 || text[i] === "\n";
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function countBreaks(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** A word goes on over what stands within addresses, `udp:10.0.0.1:5060` and `sip-router`, but not over operators. */
function endOfWord(text: string, start: number): number {
  let end = start;
  while (end < text.length) {
    const char = text[end] as string;
    if (PLAIN.test(char)) end += 1;
    else if ((char === ":" || char === "-" || char === "/") && WORD.test(text[end + 1] ?? "") && text[end + 1] !== ":") {
      // `msg:len>=2048` and `udp:*:5060` are one word each up to the operator.
      if (text.startsWith("/*", end) || text.startsWith("//", end)) break;
      end += 1;
    } else if (char === "*" && text[end - 1] === ":") end += 1;
    else if (char === "[" && text[end - 1] === ":" && /^\[[0-9A-Fa-f:.]{2,45}\]/.test(text.slice(end, end + 48)))
      end = text.indexOf("]", end) + 1;
    else break;
  }
  return end;
}
