import fc from "fast-check";

/** A well-formed request in parts, and as text. */
export interface RequestModel {
  readonly method: string;
  readonly uri: string;
  /** Header lines in order, name and value as they stand. */
  readonly headers: readonly (readonly [name: string, separator: string, value: string])[];
  readonly body: string;
  readonly lineEnd: string;
}

/** The value of a folded header on one line. */
export function onOneLine(value: string): string {
  return value.replace(/[ \t\r\n]*\n[ \t\r\n]*/g, " ");
}

export function textOf(model: RequestModel): string {
  const lines = model.headers.map(([name, separator, value]) => `${name}${separator}${value}${model.lineEnd}`);
  return `${model.method} ${model.uri} SIP/2.0${model.lineEnd}${lines.join("")}${model.lineEnd}${model.body}`;
}

const latin1 = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 120 }).map((codes) => String.fromCharCode(...codes));
const visible = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f);
/** Words of any visible characters with single blanks or folds between them. */
const freeText = fc
  .array(fc.tuple(fc.array(visible, { minLength: 1, maxLength: 12 }), fc.constantFrom(" ", "\t", "  ", "\r\n ", "\r\n\t ")), {
    maxLength: 6,
  })
  .map((words) => words.map(([codes, blank], i) => (i === 0 ? "" : blank) + String.fromCharCode(...codes)).join(""));
const token = fc.string({ unit: fc.constantFrom(..."abcXYZ019-.!%*_+`'~"), minLength: 1, maxLength: 12 });
const separator = fc.constantFrom(":", ": ", " : ", "\t:\t", ":  ", ":\r\n ");
const host = fc.constantFrom("192.0.2.1", "Example.COM", "[2001:DB8::1]", "a-b.example", "192.0.2.1:5070", "[::1]:5060");
export const uriText = fc
  .tuple(
    fc.constantFrom("sip:", "sips:", "SIP:"),
    fc.option(token, { nil: undefined }),
    host,
    fc.constantFrom("", ";lr", ";transport=tcp;LR", ";x=y?a=b"),
  )
  .map(([scheme, user, at, rest]) => `${scheme}${user === undefined ? "" : `${user}@`}${at}${rest}`);
const quotedName = fc
  .string({ unit: fc.constantFrom(...'ab ,;<>@:\\"', "\xe4"), maxLength: 12 })
  .map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`);
export const nameAddr = fc
  .tuple(fc.oneof(fc.constant(""), quotedName, token), fc.constantFrom("", " ", "\t"), uriText)
  .map(([name, blank, uri]) => `${name}${name === "" ? "" : blank}<${uri}>`);
export const viaValue = fc
  .tuple(
    fc.constantFrom("SIP/2.0/UDP ", "SIP / 2.0 / TCP\t", "sip/2.0/tls "),
    host,
    fc.constantFrom("", ";rport", ";rport=9;received=192.0.2.9"),
    token,
  )
  .map(([protocol, at, params, branch]) => `${protocol}${at}${params};branch=z9hG4bK${branch}`);

/** The name in some case, long or compact. */
function spelled(...names: readonly string[]): fc.Arbitrary<string> {
  return fc.constantFrom(...names.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()]));
}

function line(name: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<[string, string, string]> {
  return fc.tuple(name, separator, value);
}

function list(name: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<[string, string, string]> {
  return line(
    name,
    fc
      .array(value, { minLength: 1, maxLength: 3 })
      .chain((values) => fc.constantFrom(",", ", ", " ,\r\n ").map((comma) => values.join(comma))),
  );
}

const extra = fc.oneof(
  list(spelled("Route"), nameAddr),
  list(spelled("Record-Route"), nameAddr),
  line(spelled("Subject", "s"), freeText),
  line(spelled("Supported", "k"), fc.constantFrom("100rel", "100rel, timer", "")),
  line(
    token.map((name) => `X-${name}`),
    freeText,
  ),
  line(fc.constantFrom("__proto__", "constructor", "toString"), freeText),
);

/** Well-formed requests with headers in any order, spelling, folding and number. */
export const requestModel: fc.Arbitrary<RequestModel> = fc
  .record({
    method: fc.oneof(fc.constantFrom("INVITE", "BYE", "OPTIONS"), token),
    uri: uriText,
    vias: fc.array(list(spelled("Via", "v"), viaValue), { minLength: 1, maxLength: 3 }),
    from: line(spelled("From", "f"), nameAddr),
    to: line(spelled("To", "t"), nameAddr),
    callId: line(spelled("Call-ID", "i"), token),
    cseqNumber: fc.nat({ max: 2 ** 31 - 1 }),
    cseq: spelled("CSeq"),
    maxForwards: fc.option(line(spelled("Max-Forwards"), fc.nat({ max: 255 }).map(String)), { nil: undefined }),
    tag: fc.constantFrom("", ";tag=a1", " ; TAG = b2"),
    contentLength: fc.boolean(),
    extras: fc.array(extra, { maxLength: 8 }),
    body: latin1,
    lineEnd: fc.constantFrom("\r\n", "\r\n", "\r\n", "\n"),
    order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
  })
  .map((parts) => {
    const [fromName, fromSeparator, fromValue] = parts.from;
    const headers: [string, string, string][] = [
      ...parts.vias,
      [fromName, fromSeparator, fromValue + parts.tag],
      parts.to,
      parts.callId,
      [parts.cseq, ": ", `${parts.cseqNumber} ${parts.method}`],
      ...(parts.maxForwards === undefined ? [] : [parts.maxForwards]),
      ...(parts.contentLength ? [["Content-Length", ": ", String(parts.body.length)] as [string, string, string]] : []),
      ...parts.extras,
    ];
    const ordered = headers
      .map((header, i) => ({ header, key: parts.order[i % 40]! }))
      .sort((a, b) => a.key - b.key)
      .map(({ header }) => header);
    return { method: parts.method, uri: parts.uri, headers: ordered, body: parts.body, lineEnd: parts.lineEnd };
  });
