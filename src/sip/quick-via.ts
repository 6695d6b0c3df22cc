import { MAX_HOST_BYTES, MAX_PORT } from "./limits.ts";
import { CLASS, COLON, COMMA, CR, EQUALS, isDigit, OPEN_BRACKET, PARAM_CHAR, SEMICOLON, scanNumber } from "./text.ts";
import type { Via } from "./via.ts";

const DOT = 0x2e;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;
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

  constructor(text: string, transport: string, port: number | undefined, hostStart: number, hostEnd: number, paramsStart: number) {
    const { branchStart, branchEnd, receivedStart, receivedEnd, rport } = walk;
    this.transport = transport;
    this.port = port;
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
};

/**
 * Decodes the Via value that starts at `start` when it is as nearly all are: SIP/2.0 over UDP, TCP or TLS, a host in small letters or an IPv4 address, no white
 * space, no quotes, each parameter that matters in small letters and once. Undefined for any other, about which `decodeVia` is to be asked; of what is taken here
 * that one makes the same. The value ends at {@link quickViaEnd}, where a CR or a comma stands.
 */
export function decodeViaQuickly(raw: string, start: number): Via | undefined {
  let transport = "UDP";
  if (!raw.startsWith("SIP/2.0/UDP ", start)) {
    if (raw.startsWith("SIP/2.0/TCP ", start)) transport = "TCP";
    else if (raw.startsWith("SIP/2.0/TLS ", start)) transport = "TLS";
    else return undefined;
  }
  const hostStart = start + PROTOCOL_BYTES;
  let at = hostStart;
  let code = raw.charCodeAt(at);
  if (code === DOT || code === HYPHEN) return undefined;
  while ((code >= 0x61 && code <= 0x7a) || isDigit(code) || code === DOT || code === HYPHEN || code === UNDERSCORE)
    code = raw.charCodeAt(++at);
  const hostEnd = at;
  if (hostEnd === hostStart || hostEnd - hostStart > MAX_HOST_BYTES) return undefined;
  let port: number | undefined;
  if (code === COLON) {
    port = 0;
    for (code = raw.charCodeAt(++at); isDigit(code); code = raw.charCodeAt(++at)) {
      port = port * 10 + (code - 0x30);
      if (port > MAX_PORT) return undefined;
    }
    if (port === 0) return undefined;
  }
  return walkParams(raw, at) ? new QuickVia(raw, transport, port, hostStart, hostEnd, at) : undefined;
}

/** Offset behind the value that {@link decodeViaQuickly} has decoded last. */
export function quickViaEnd(): number {
  return walk.at;
}

/** Walks over the parameters to the CR or comma behind them; false when they are to be left to `decodeVia`. */
function walkParams(raw: string, start: number): boolean {
  walk.branchStart = walk.branchEnd = walk.receivedStart = walk.receivedEnd = walk.rport = -1;
  let at = start;
  let code = raw.charCodeAt(at);
  while (code === SEMICOLON) {
    const nameStart = at + 1;
    let valueStart = nameStart;
    if (raw.startsWith("branch=", nameStart)) valueStart = nameStart + 7;
    at = paramCharsEnd(raw, valueStart);
    code = raw.charCodeAt(at);
    if (valueStart !== nameStart) {
      if (walk.branchStart !== -1) return false;
      walk.branchStart = valueStart;
      walk.branchEnd = at;
      continue;
    }
    const nameEnd = at;
    if (code === EQUALS) {
      valueStart = at + 1;
      at = paramCharsEnd(raw, valueStart);
      code = raw.charCodeAt(at);
    }
    switch (nameEnd - nameStart) {
      case 0:
      case 6:
        return false;
      case 5:
        if (walk.rport !== -1 || !raw.startsWith("rport", nameStart)) return false;
        walk.rport = valueStart === nameStart ? 0 : scanNumber(raw, valueStart, at, MAX_PORT);
        if (walk.rport === -1 || (walk.rport === 0 && valueStart !== nameStart)) return false;
        break;
      case 8:
        if (walk.receivedStart !== -1 || valueStart === nameStart || !raw.startsWith("received", nameStart)) return false;
        if (raw.charCodeAt(valueStart) === OPEN_BRACKET) return false;
        walk.receivedStart = valueStart;
        walk.receivedEnd = at;
        break;
    }
  }
  walk.at = at;
  return code === CR || code === COMMA;
}

function paramCharsEnd(raw: string, at: number): number {
  const { length } = raw;
  while (at < length && (CLASS[raw.charCodeAt(at)]! & PARAM_CHAR) !== 0) at++;
  return at;
}
