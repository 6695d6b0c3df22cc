import { COMMA, EQUALS, equalsIgnoreCase, isBlank, isClass, PARAM_CHAR, QUOTE, SEMICOLON, skipBlank, skipQuoted, unquote } from "./text.ts";

/**
 * Where {@link nextParam} stands in a run of `;name=value` parameters. One cursor serves a whole walk, so walking allocates nothing.
 * All numbers are offsets; `valueStart` is -1 for a parameter without a value.
 */
export class ParamCursor {
  /** Where to go on; set it to the first semicolon before the first step. */
  at = 0;
  /** Offset of the semicolon of the current parameter. */
  semicolon = 0;
  nameStart = 0;
  nameEnd = 0;
  valueStart = -1;
  valueEnd = -1;
  /** True when the walk ended at something that is no parameter (other than the end or a comma). */
  malformed = false;

  start(at: number): this {
    this.at = at;
    this.malformed = false;
    return this;
  }
}

/**
 * Steps to the next parameter (RFC 3261 §25.1 generic-param, uri-parameter): false at `end`, at a comma outside quotes, or when
 * `cursor.malformed`. Empty parameters (`;;`, a last `;`) are passed over, as old equipment sends them.
 */
export function nextParam(text: string, end: number, cursor: ParamCursor): boolean {
  let at = cursor.at;
  for (;;) {
    at = skipBlank(text, at, end);
    cursor.at = at;
    if (at >= end) return false;
    const separator = text.charCodeAt(at);
    if (separator !== SEMICOLON) {
      cursor.malformed = separator !== COMMA;
      return false;
    }
    cursor.semicolon = at;
    at = skipBlank(text, at + 1, end);
    const nameStart = at;
    while (at < end && isClass(text, at, PARAM_CHAR)) at++;
    const nameEnd = at;
    if (at < end && isBlank(text.charCodeAt(at))) at = skipBlank(text, at, end);
    const hasValue = at < end && text.charCodeAt(at) === EQUALS;
    if (nameEnd === nameStart) {
      if (!hasValue) continue;
      cursor.malformed = true;
      return false;
    }
    cursor.nameStart = nameStart;
    cursor.nameEnd = nameEnd;
    cursor.valueStart = -1;
    cursor.valueEnd = -1;
    if (hasValue) {
      at = skipBlank(text, at + 1, end);
      cursor.valueStart = at;
      if (at < end && text.charCodeAt(at) === QUOTE) {
        at = skipQuoted(text, at, end);
        if (at === -1) {
          cursor.malformed = true;
          return false;
        }
      } else {
        while (at < end && (isClass(text, at, PARAM_CHAR) || text.charCodeAt(at) === EQUALS)) at++;
      }
      cursor.valueEnd = at;
    }
    cursor.at = at;
    return true;
  }
}

/** True when the current parameter has this name; `lower` has letters in lower case only. */
export function paramIs(text: string, cursor: ParamCursor, lower: string): boolean {
  const length = cursor.nameEnd - cursor.nameStart;
  if (length !== lower.length) return false;
  return text.startsWith(lower, cursor.nameStart) || equalsIgnoreCase(text, cursor.nameStart, cursor.nameEnd, lower);
}

const lookup = /* @__PURE__ */ new ParamCursor();

/**
 * The value of the first parameter called `name` (any case) in raw `;name=value` text: quotes taken off, "" for a parameter without
 * a value, undefined when there is none.
 */
export function paramValue(params: string, name: string): string | undefined {
  if (params.length === 0) return undefined;
  const lower = name.toLowerCase();
  lookup.start(0);
  while (nextParam(params, params.length, lookup)) {
    if (!paramIs(params, lookup, lower)) continue;
    return lookup.valueStart === -1 ? "" : unquote(params.slice(lookup.valueStart, lookup.valueEnd));
  }
  return undefined;
}

const existing = /* @__PURE__ */ new ParamCursor();
const wanted = /* @__PURE__ */ new ParamCursor();

/**
 * A header value, such as a Via, with more parameters: each is written over the one of the same name, further ones of that name are
 * removed, and the rest is added at the end.
 *
 * @param params a few of them, as they are to stand, such as `;received=192.0.2.1;rport=5060`
 */
export function withParams(value: string, params: string): string {
  const first = value.indexOf(";");
  if (first === -1) return value + params;
  const names: string[] = [];
  const texts: string[] = [];
  wanted.start(0);
  while (nextParam(params, params.length, wanted)) {
    names.push(params.slice(wanted.nameStart, wanted.nameEnd).toLowerCase());
    texts.push(params.slice(wanted.semicolon, wanted.valueStart === -1 ? wanted.nameEnd : wanted.valueEnd));
  }
  let out = "";
  let done = 0;
  existing.start(first);
  while (nextParam(value, value.length, existing)) {
    for (let i = 0; i < names.length; i++) {
      if (!paramIs(value, existing, names[i]!)) continue;
      out += value.slice(done, existing.semicolon) + texts[i]!;
      texts[i] = "";
      done = existing.valueStart === -1 ? existing.nameEnd : existing.valueEnd;
      break;
    }
  }
  out += value.slice(done);
  for (const text of texts) out += text;
  return out;
}
