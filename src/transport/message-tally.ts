import type { Endpoint } from "../transaction/index.ts";

/** Methods that are counted apart; any other is {@link OTHER}. */
const METHODS = [
  ..."INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE INFO".split(" "),
  ..."SUBSCRIBE NOTIFY PUBLISH MESSAGE REFER".split(" "),
];
/** By code of a first letter: the methods that begin with it. Looking at all of them would cost more than the rest. */
const BY_FIRST_LETTER: readonly (readonly number[] | undefined)[] = byFirstLetter();
/** What is no SIP message, or has a method that nobody knows. */
const OTHER = "other";
const OTHER_METHOD = METHODS.length;
const TRANSPORTS: readonly Endpoint["transport"][] = ["udp", "tcp", "tls", "ws", "wss"];

/** Codes that are registered with IANA; any other is counted by its class, so that nobody makes up values without end. */
const CODES: readonly (number | string)[] = [
  ...[100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 428, 429, 430, 433],
  ...[436, 437, 438, 439, 440, 469, 470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494],
  ...[500, 501, 502, 503, 504, 505, 513, 555, 580, 600, 603, 604, 606, 607, 608],
  ...["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"],
];
const FIRST_CODE = 100;
const LAST_CODE = 699;
/** Place in {@link CODES} by code less {@link FIRST_CODE}. */
const PLACES = Uint8Array.from({ length: LAST_CODE - FIRST_CODE + 1 }, (_, i) => placeOf(i + FIRST_CODE));
/** Of one transport: the requests by method, what is no message, then the responses: the codes of each method. */
const RESPONSES_FROM = METHODS.length + 1;
const KINDS = RESPONSES_FROM + (METHODS.length + 1) * CODES.length;
/** `SIP/2.0 ` stands before a code. */
const CODE_AT = 8;
const SLASH = 0x2f;
const ZERO = 0x30;
const NINE = 0x39;
const BLANK = 0x20;
/** As nearly everybody writes it: found without a regular expression. */
const USUAL_CSEQ = "\nCSeq: ";
/** RFC 3261 §7.3.1: any case, and a line that goes on in the next one. It looks at each line once. */
const ANY_CSEQ = /\ncseq[ \t]*:[ \t]*(?:\r?\n[ \t]+)?\d+[ \t]/i;

/** Messages of one kind over one transport. */
export interface MessageCount {
  readonly transport: Endpoint["transport"];
  /** In capitals, or `other`. Of a response: that of its CSeq. */
  readonly method: string;
  /** Of a response: registered ones by number, others by class, such as `4xx`. */
  readonly code?: number | string;
  readonly count: number;
}

/** Counts messages by transport, method and code, from how they begin, and responses from their CSeq. It reads some characters, and allocates nothing. */
export class MessageTally {
  readonly #counts = TRANSPORTS.map(() => new Float64Array(KINDS));

  count(text: string, transport: Endpoint["transport"]): void {
    this.#counts[transport === "udp" ? 0 : TRANSPORTS.indexOf(transport)]![kindOf(text)]!++;
  }

  /** Kinds that there were. */
  read(): MessageCount[] {
    const read: MessageCount[] = [];
    for (const [index, transport] of TRANSPORTS.entries()) {
      this.#counts[index]!.forEach((count, kind) => {
        if (count !== 0) read.push({ transport, ...describe(kind), count });
      });
    }
    return read;
  }
}

function describe(kind: number): Pick<MessageCount, "method" | "code"> {
  if (kind < RESPONSES_FROM) return { method: METHODS[kind] ?? OTHER };
  const response = kind - RESPONSES_FROM;
  return { method: METHODS[Math.trunc(response / CODES.length)] ?? OTHER, code: CODES[response % CODES.length]! };
}

function kindOf(text: string): number {
  if (text.charCodeAt(3) !== SLASH) return methodAt(text, 0);
  const code = digit(text, CODE_AT) * 100 + digit(text, CODE_AT + 1) * 10 + digit(text, CODE_AT + 2);
  if (!(code >= FIRST_CODE && code <= LAST_CODE)) return OTHER_METHOD; // NaN is neither
  return RESPONSES_FROM + methodOfCSeq(text) * CODES.length + PLACES[code - FIRST_CODE]!;
}

/** Place in {@link METHODS} of the method that begins here, before a blank or the end of the line. */
function methodAt(text: string, at: number): number {
  const candidates = BY_FIRST_LETTER[text.charCodeAt(at)];
  if (candidates === undefined) return OTHER_METHOD;
  for (let i = 0; i < candidates.length; i++) {
    const method = METHODS[candidates[i]!]!;
    if (text.charCodeAt(at + method.length) <= BLANK && text.startsWith(method, at)) return candidates[i]!;
  }
  return OTHER_METHOD;
}

function methodOfCSeq(text: string): number {
  let at = text.indexOf(USUAL_CSEQ);
  if (at === -1) {
    const found = ANY_CSEQ.exec(text);
    return found === null ? OTHER_METHOD : methodAt(text, found.index + found[0].length);
  }
  at += USUAL_CSEQ.length;
  let next = text.charCodeAt(at);
  while (next >= ZERO && next <= NINE) next = text.charCodeAt(++at);
  return methodAt(text, at + 1);
}

function placeOf(code: number): number {
  const place = CODES.indexOf(code);
  return place === -1 ? CODES.indexOf(`${Math.trunc(code / 100)}xx`) : place;
}

function byFirstLetter(): number[][] {
  const byLetter: number[][] = [];
  for (const [index, method] of METHODS.entries()) {
    byLetter[method.charCodeAt(0)] ??= [];
    byLetter[method.charCodeAt(0)]!.push(index);
  }
  return byLetter;
}

function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - ZERO;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}
