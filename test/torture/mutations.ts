import fc from "fast-check";

/** Names that mean something to JavaScript: what a message says must never reach an object by them. */
export const SCRIPT_NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "__defineGetter__",
  "then",
] as const;

/** Pieces that parsers and proxies stumble over. */
const PIECES = [
  ...SCRIPT_NAMES,
  "",
  " ",
  "\t",
  ";",
  ",",
  "<",
  ">",
  '"',
  "\\",
  '\\"',
  "\r\n",
  "\r\n ",
  "\n",
  "\r",
  "\0",
  "\x7f",
  "\xff",
  "\xc3\xa9",
  "%",
  "%00",
  "%zz",
  "=",
  ":",
  "@",
  "?",
  "/",
  "*",
  ";tag=",
  ";tag=__proto__",
  ";lr",
  ";did=",
  ";did=constructor",
  ";r2=on",
  ";maddr=192.0.2.1",
  ";rport=99999",
  ";branch=z9hG4bK",
  ";method=BYE",
  "?Route=%3Csip:x%3E",
  "99999999999999999999",
  "4294967296",
  "-1",
  "0",
  "1e9",
  "0x10",
  "sip:",
  "sips:",
  "tel:+1",
  "sip:a:b@[::1]:0",
  "[::1]",
  "[",
  "<sip:192.0.2.1;lr>",
  "<sip:203.0.113.1>",
  "SIP/2.0",
  "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK00000000.x",
  "INVITE",
  "z9hG4bK",
] as const;

/** Header names to write instead of others: some known in all their spellings, some to nobody. */
const NAMES = [
  ...SCRIPT_NAMES,
  "Via",
  "v",
  "From",
  "To",
  "t",
  "Call-ID",
  "i",
  "CSeq",
  "Max-Forwards",
  "Max-Breadth",
  "Contact",
  "m",
  "Route",
  "Record-Route",
  "Content-Length",
  "l",
  "Content-Type",
  "Proxy-Require",
  "Require",
  "Expires",
  "Retry-After",
  "Reason",
  "Timestamp",
  "Session-Expires",
  "Authorization",
  "Proxy-Authenticate",
  "WWW-Authenticate",
  "Event",
  "Refer-To",
  "Replaces",
  "X",
  "",
] as const;

const METHODS = [
  "INVITE",
  "ACK",
  "CANCEL",
  "BYE",
  "OPTIONS",
  "REGISTER",
  "PRACK",
  "UPDATE",
  "MESSAGE",
  "__proto__",
  "constructor",
  "x",
] as const;

/** One change to the parts of a message. Numbers choose among what the message has, whatever it has. */
export type Mutation =
  | { readonly kind: "drop" | "double" | "fold"; readonly line: number }
  | { readonly kind: "swap"; readonly line: number; readonly other: number }
  | { readonly kind: "rename"; readonly line: number; readonly name: string }
  | { readonly kind: "value"; readonly line: number; readonly piece: string }
  | { readonly kind: "insert" | "splice"; readonly line: number; readonly at: number; readonly cut: number; readonly piece: string }
  | { readonly kind: "grow"; readonly line: number; readonly at: number; readonly piece: string; readonly times: number }
  | { readonly kind: "lines"; readonly line: number; readonly name: string; readonly piece: string; readonly times: number }
  | { readonly kind: "method"; readonly method: string }
  | { readonly kind: "start"; readonly at: number; readonly cut: number; readonly piece: string }
  | { readonly kind: "byte"; readonly at: number; readonly code: number }
  | { readonly kind: "truncate"; readonly at: number }
  | { readonly kind: "body"; readonly piece: string; readonly times: number }
  | { readonly kind: "borrow"; readonly line: number; readonly from: number; readonly other: number };

const nat = fc.nat(1_000_000);
const piece = fc.constantFrom<string>(...PIECES);
const name = fc.constantFrom<string>(...NAMES);
const cut = fc.nat(20);
/** Mostly few: a message of 64 KB costs as much as hundreds of others. */
const times = fc.oneof(
  { weight: 12, arbitrary: fc.nat(30) },
  { weight: 2, arbitrary: fc.nat(600) },
  { weight: 1, arbitrary: fc.nat(9_000) },
);

/** Any mutation. Those that leave nothing of a message to look at are rare. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  ...[
    fc.record({ kind: fc.constantFrom("drop" as const, "double" as const, "fold" as const), line: nat }),
    fc.record({ kind: fc.constant("swap" as const), line: nat, other: nat }),
    fc.record({ kind: fc.constant("rename" as const), line: nat, name }),
    fc.record({ kind: fc.constant("value" as const), line: nat, piece }),
    fc.record({ kind: fc.constantFrom("insert" as const, "splice" as const), line: nat, at: nat, cut, piece }),
    fc.record({ kind: fc.constant("grow" as const), line: nat, at: nat, piece, times }),
    fc.record({ kind: fc.constant("lines" as const), line: nat, name, piece, times: fc.nat(250) }),
    fc.record({ kind: fc.constant("method" as const), method: fc.constantFrom(...METHODS) }),
    fc.record({ kind: fc.constant("body" as const), piece, times }),
    fc.record({ kind: fc.constant("borrow" as const), line: nat, from: nat, other: nat }),
  ].map((arbitrary) => ({ weight: 4, arbitrary })),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("start" as const), at: nat, cut, piece }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("byte" as const), at: nat, code: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("truncate" as const), at: nat }) },
);

/** One message of an attack: which of the originals, what is done to it, who sends it, and whether time passes behind it. */
export interface Attack {
  readonly original: number;
  readonly mutations: readonly Mutation[];
  readonly sender: number;
  readonly passMs: number;
}

export const attack: fc.Arbitrary<Attack> = fc.record({
  original: nat,
  mutations: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 6, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 1 }) },
    { weight: 3, arbitrary: fc.array(mutation, { minLength: 2, maxLength: 5 }) },
  ),
  sender: fc.nat(3),
  passMs: fc.oneof(
    { weight: 20, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.nat(600) },
    { weight: 1, arbitrary: fc.nat(40_000) },
  ),
});

interface Parts {
  start: string;
  readonly lines: string[];
  body: string;
}

function taken(text: string): Parts {
  const end = text.indexOf("\r\n\r\n");
  const head = end === -1 ? text : text.slice(0, end);
  const [start = "", ...lines] = head.split(/\r\n(?![ \t])/);
  return { start, lines, body: end === -1 ? "" : text.slice(end + 4) };
}

function spliced(text: string, at: number, length: number, piece: string): string {
  const place = at % (text.length + 1);
  return text.slice(0, place) + piece + text.slice(place + length);
}

/** The message with its mutations; `originals` are what it may borrow lines from. */
export function mutated(text: string, mutations: readonly Mutation[], originals: readonly string[]): string {
  const parts = taken(text);
  let out: string | undefined;
  for (const each of mutations) {
    if (each.kind === "byte") out = spliced(out ?? joined(parts), each.at, 1, String.fromCharCode(each.code));
    else if (each.kind === "truncate") out = (out ?? joined(parts)).slice(0, each.at % ((out ?? joined(parts)).length + 1));
    else if (out === undefined) change(parts, each, originals);
  }
  return (out ?? joined(parts)).slice(0, 70_000);
}

function joined({ start, lines, body }: Parts): string {
  return `${[start, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

function change(parts: Parts, mutation: Mutation, originals: readonly string[]): void {
  const { lines } = parts;
  const at = "line" in mutation ? mutation.line % (lines.length + 1) : 0;
  const line = lines[at] ?? "X: y";
  const colon = line.indexOf(":");
  switch (mutation.kind) {
    case "drop":
      lines.splice(at, 1);
      break;
    case "double":
      lines.splice(at, 0, line);
      break;
    case "fold":
      lines[at] = line.replaceAll(" ", "\r\n ");
      break;
    case "swap": {
      const other = mutation.other % (lines.length + 1);
      lines[at] = lines[other] ?? "";
      lines[other] = line;
      break;
    }
    case "rename":
      lines[at] = mutation.name + line.slice(Math.max(colon, 0));
      break;
    case "value":
      lines[at] = `${line.slice(0, colon + 1)} ${mutation.piece}`;
      break;
    case "insert":
      lines[at] = spliced(line, mutation.at, 0, mutation.piece);
      break;
    case "splice":
      lines[at] = spliced(line, mutation.at, mutation.cut, mutation.piece);
      break;
    case "grow":
      lines[at] = spliced(line, mutation.at, 0, mutation.piece.repeat(mutation.times));
      break;
    case "lines":
      lines.splice(at, 0, ...new Array<string>(mutation.times).fill(`${mutation.name}: ${mutation.piece}`));
      break;
    case "method":
      parts.start = parts.start.replace(/^\S+/, mutation.method);
      for (const [i, each] of lines.entries()) if (/^cseq *:/i.test(each)) lines[i] = each.replace(/\S+$/, mutation.method);
      break;
    case "start":
      parts.start = spliced(parts.start, mutation.at, mutation.cut, mutation.piece);
      break;
    case "body":
      parts.body += mutation.piece.repeat(mutation.times);
      break;
    case "borrow": {
      const other = taken(originals[mutation.from % originals.length] ?? "").lines;
      lines[at] = other[mutation.other % Math.max(other.length, 1)] ?? "";
      break;
    }
  }
}
