import { MAX_HOST_BYTES, MAX_PORT } from "./limits.ts";
import { MESSAGE_BYTES, MESSAGE_WORDS, wordOf } from "./message-bytes.ts";
import { CLASS, COLON, COMMA, CR, EQUALS, HOST_CHAR, OPEN_BRACKET, PARAM_CHAR, SEMICOLON } from "./text.ts";
import type { Via } from "./via.ts";

const bytes = MESSAGE_BYTES;
const words = MESSAGE_WORDS;
const classes = CLASS;
const DOT = 0x2e;
const HYPHEN = 0x2d;
const LETTER_T = 0x74;
const SIP_SLASH = wordOf("SIP/");
const VERSION_SLASH = wordOf("2.0/");
const UDP = wordOf("UDP ");
const TCP = wordOf("TCP ");
const TLS = wordOf("TLS ");
const BRAN = wordOf("bran");
const NCH_EQUALS = wordOf("nch=");
const RPOR = wordOf("rpor");
const RECE = wordOf("rece");
const IVED = wordOf("ived");
/** Length of `SIP/2.0/UDP ` and the two others. */
const PROTOCOL_BYTES = 12;

/** A Via in the text of its message, cut out when it is asked for: of the Via of a response nothing but the branch ever is. */
class QuickVia implements Via {
  readonly transport: string;
  readonly port: number | undefined;
  readonly branch: string;
  readonly received: string | undefined;
  readonly rport: number | undefined;
  readonly hasRport: boolean;
  readonly #text: string;
  readonly #hostStart: number;
  readonly #hostEnd: number;
  readonly #paramsStart: number;
  readonly #end: number;

  constructor(text: string, transport: string, port: number, hostStart: number, hostEnd: number, paramsStart: number) {
    const { branchStart, branchEnd, receivedStart, receivedEnd, rport } = walk;
    this.transport = transport;
    this.port = port === 0 ? undefined : port;
    this.branch = text.slice(branchStart, branchEnd);
    this.received = receivedStart === -1 ? undefined : text.slice(receivedStart, receivedEnd);
    this.rport = rport > 0 ? rport : undefined;
    this.hasRport = rport !== -1;
    this.#text = text;
    this.#hostStart = hostStart;
    this.#hostEnd = hostEnd;
    this.#paramsStart = paramsStart;
    this.#end = walk.at;
  }

  get host(): string {
    return this.#text.slice(this.#hostStart, this.#hostEnd);
  }

  get sentBy(): string {
    return this.#text.slice(this.#hostStart, this.#paramsStart);
  }

  get params(): string {
    return this.#text.slice(this.#paramsStart, this.#end);
  }
}

/** What the walk over the parameters has found; offsets. */
const walk = {
  /** Behind the value. */
  at: 0,
  branchStart: -1,
  branchEnd: -1,
  receivedStart: -1,
  receivedEnd: -1,
  /** -1: there is no rport; 0: there is one without a value. */
  rport: -1,
  number: 0,
};

/**
 * Decodes the Via value that starts at `start` of `raw`, whose bytes have been taken, when it is as nearly all are: SIP/2.0 over UDP, TCP or TLS, a host in small
 * letters or an IPv4 address, no white space, no quotes, each parameter that matters in small letters and once. Undefined for any other, about which `decodeVia` is
 * to be asked; of what is taken here that one makes the same. The value ends at {@link quickViaEnd}, where a CR or a comma stands.
 */
export function decodeViaQuickly(raw: string, start: number): Via | undefined {
  if (words.getInt32(start, true) !== SIP_SLASH || words.getInt32(start + 4, true) !== VERSION_SLASH) return undefined;
  const protocol = words.getInt32(start + 8, true);
  if (protocol !== UDP && protocol !== TCP && protocol !== TLS) return undefined;
  const hostStart = start + PROTOCOL_BYTES;
  let at = hostStart;
  if (bytes[at] === DOT || bytes[at] === HYPHEN) return undefined;
  while ((classes[bytes[at]!]! & HOST_CHAR) !== 0) at++;
  const hostEnd = at;
  if (hostEnd === hostStart || hostEnd - hostStart > MAX_HOST_BYTES) return undefined;
  let port = 0;
  if (bytes[at] === COLON) {
    at = numberEnd(at + 1);
    port = walk.number;
    if (port === 0) return undefined;
  }
  if (!walkParams(at)) return undefined;
  return new QuickVia(raw, protocol === UDP ? "UDP" : protocol === TCP ? "TCP" : "TLS", port, hostStart, hostEnd, at);
}

/** Offset behind the value that {@link decodeViaQuickly} has decoded last. */
export function quickViaEnd(): number {
  return walk.at;
}

/** Offset behind the digits at `at`, whose number is `walk.number`: 0 when it is no port. */
function numberEnd(at: number): number {
  let number = 0;
  for (let digit = bytes[at]! - 0x30; digit >= 0 && digit <= 9 && number <= MAX_PORT; digit = bytes[at]! - 0x30) {
    number = number * 10 + digit;
    at++;
  }
  walk.number = number > MAX_PORT ? 0 : number;
  return at;
}

/** Walks over the parameters to the CR or comma behind them; false when they are to be left to `decodeVia`. */
function walkParams(start: number): boolean {
  walk.branchStart = walk.branchEnd = walk.receivedStart = walk.receivedEnd = walk.rport = -1;
  let at = start;
  while (bytes[at] === SEMICOLON) {
    const nameStart = at + 1;
    const word = words.getInt32(nameStart, true);
    if (word === BRAN && words.getInt32(nameStart + 3, true) === NCH_EQUALS) {
      if (walk.branchStart !== -1) return false;
      walk.branchStart = nameStart + 7;
      at = paramCharsEnd(nameStart + 7);
      walk.branchEnd = at;
      continue;
    }
    at = paramCharsEnd(nameStart);
    const nameEnd = at;
    const hasValue = bytes[at] === EQUALS;
    if (hasValue) at = paramCharsEnd(at + 1);
    switch (nameEnd - nameStart) {
      case 0:
      case 6:
        return false;
      case 5:
        if (walk.rport !== -1 || word !== RPOR || bytes[nameStart + 4] !== LETTER_T) return false;
        walk.rport = 0;
        if (!hasValue) break;
        if (numberEnd(nameEnd + 1) !== at || walk.number === 0) return false;
        walk.rport = walk.number;
        break;
      case 8:
        if (walk.receivedStart !== -1 || !hasValue || word !== RECE || words.getInt32(nameStart + 4, true) !== IVED) return false;
        if (bytes[nameEnd + 1] === OPEN_BRACKET) return false;
        walk.receivedStart = nameEnd + 1;
        walk.receivedEnd = at;
        break;
    }
  }
  walk.at = at;
  return bytes[at] === CR || bytes[at] === COMMA;
}

function paramCharsEnd(at: number): number {
  while ((classes[bytes[at]!]! & PARAM_CHAR) !== 0) at++;
  return at;
}
