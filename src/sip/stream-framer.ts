import { MAX_HEADERS, MAX_LINE_BYTES, MAX_MESSAGE_BYTES } from "./limits.ts";
import { COLON, CR, equalsIgnoreCase, isClass, isToken, LF, SPACE, scanNumber, skipBlank, TAB, TOKEN_CHAR, trimEnd } from "./text.ts";

/**
 * Why a stream cannot be read any further. Where the next message would begin can only be guessed then, and who guesses otherwise than the sender can be
 * made to read a message that nobody sent: the connection must end.
 *
 * - `not-sip`: a first line that is neither a request line nor a status line
 * - `line-too-long`: a first line beyond `MAX_LINE_BYTES`
 * - `too-many-lines`: a head with more than four times `MAX_HEADERS` lines
 * - `message-too-large`: more than `MAX_MESSAGE_BYTES`, by its head or by what it says of its body
 * - `no-content-length`: required over streams (RFC 3261 §18.3, §20.14)
 * - `bad-content-length`: no number, or several of them, even when they say the same
 */
export const FRAMING_FAULTS = [
  "not-sip",
  "line-too-long",
  "too-many-lines",
  "message-too-large",
  "no-content-length",
  "bad-content-length",
] as const;
export type FramingFault = (typeof FRAMING_FAULTS)[number];

/** A whole message, or a keep-alive that wants an answer: one CRLF (RFC 5626 §3.5.1). */
export type StreamFrame = { readonly kind: "message"; readonly text: string } | { readonly kind: "ping" };

/** The parser refuses a message by its headers and says so; of a head with far more lines than that nobody is told. */
const MAX_HEAD_LINES = 4 * MAX_HEADERS;
const PING: StreamFrame = { kind: "ping" };
/** Line ends of a keep-alive of the client; its answer has one. */
const PING_LINE_ENDS = 2;
const UNKNOWN = -1;

/**
 * Cuts a byte stream into messages by Content-Length (RFC 3261 §18.3). It holds no more than one message and what came with it, looks at each byte a bounded
 * number of times, and finds the end of the head where `parseMessage` finds it.
 */
export class StreamFramer {
  #text = "";
  /** What came since the text was last looked at holds a line end: without one there is nothing new to be found in a head. */
  #hasNews = false;
  /** A line end before this was looked at. */
  #searchedTo = 0;
  #lines = 0;
  /** Length of the message in front, once its head is there. */
  #length = UNKNOWN;
  /** Line ends between messages that were not answered yet. */
  #lineEnds = 0;
  #fault: FramingFault | undefined;

  /** Set once nothing more can be read; what comes then is dropped. */
  get fault(): FramingFault | undefined {
    return this.#fault;
  }

  /** A message has begun and is not whole. Line ends between messages are none. */
  get isPartial(): boolean {
    return this.#text !== "" && this.#text !== "\r";
  }

  /** @param chunk bytes as they came, one character a byte (latin1) */
  push(chunk: string): void {
    if (this.#fault !== undefined || chunk === "") return;
    if (!this.#hasNews) this.#hasNews = this.#text === "" || this.#text === "\r" || chunk.includes("\n");
    this.#text += chunk;
  }

  /** The next frame; undefined when more must come first, or there is a fault. To be asked until then after each `push`. */
  next(): StreamFrame | undefined {
    if (this.#fault !== undefined) return undefined;
    if (this.#length === UNKNOWN) {
      if (!this.#hasNews) return this.#wait();
      this.#skipLineEnds();
      if (this.#lineEnds >= PING_LINE_ENDS) {
        this.#lineEnds = 0; // any number of them gets one answer: line ends in do not become as many packets out
        return PING;
      }
      const headEnd = this.#findHeadEnd();
      if (headEnd === UNKNOWN) return this.#wait();
      const bodyLength = this.#bodyLength(headEnd);
      if (bodyLength === UNKNOWN) return undefined;
      if (headEnd + bodyLength > MAX_MESSAGE_BYTES) return this.#end("message-too-large");
      this.#length = headEnd + bodyLength;
    }
    if (this.#text.length < this.#length) return undefined;
    const whole = this.#text;
    const text = ownPart(whole, 0, this.#length);
    this.#text = ownPart(whole, this.#length, whole.length);
    this.#length = UNKNOWN;
    this.#searchedTo = 0;
    this.#lines = 0;
    this.#lineEnds = 0;
    this.#hasNews = this.#text !== "";
    return { kind: "message", text };
  }

  #wait(): undefined {
    this.#hasNews = false;
    if (this.#fault !== undefined) return undefined;
    // A first line whose end came last counts no line yet: what follows it decides whether the head ends there.
    if (this.#lines === 0 && this.#text.length > MAX_LINE_BYTES + 2) return this.#end("line-too-long");
    if (this.#text.length > MAX_MESSAGE_BYTES) return this.#end("message-too-large");
    return undefined;
  }

  #end(fault: FramingFault): undefined {
    this.#fault = fault;
    this.#text = "";
    return undefined;
  }

  /** RFC 3261 §7.5: line ends before a message are no part of it. */
  #skipLineEnds(): void {
    if (this.#searchedTo > 0) return;
    let at = 0;
    for (;;) {
      const code = this.#text.charCodeAt(at);
      if (code === LF) at++;
      else if (code === CR && this.#text.charCodeAt(at + 1) === LF) at += 2;
      else break;
      this.#lineEnds++;
    }
    if (at > 0) this.#text = this.#text.slice(at);
  }

  /** Index behind the empty line; UNKNOWN when it is not there yet, or there is a fault. */
  #findHeadEnd(): number {
    const text = this.#text;
    if (text === "" || text === "\r") return UNKNOWN;
    if (this.#searchedTo === 0 && !isClass(text, 0, TOKEN_CHAR)) return this.#end("not-sip") ?? UNKNOWN;
    for (;;) {
      const lf = text.indexOf("\n", this.#searchedTo);
      if (lf === -1) return UNKNOWN;
      if (this.#lines === 0) {
        if (lf > MAX_LINE_BYTES) return this.#end("line-too-long") ?? UNKNOWN;
        if (!isFirstLine(text.slice(0, lf))) return this.#end("not-sip") ?? UNKNOWN;
      }
      const next = text.charCodeAt(lf + 1);
      if (Number.isNaN(next)) return UNKNOWN;
      if (next === LF) return lf + 2;
      if (next === CR) {
        const afterNext = text.charCodeAt(lf + 2);
        if (Number.isNaN(afterNext)) return UNKNOWN;
        if (afterNext === LF) return lf + 3;
      }
      this.#searchedTo = lf + 1;
      this.#lines++;
      if (this.#lines > MAX_HEAD_LINES) return this.#end("too-many-lines") ?? UNKNOWN;
      if (lf > MAX_MESSAGE_BYTES) return this.#end("message-too-large") ?? UNKNOWN;
    }
  }

  /** What the head says of the body's length; UNKNOWN, and a fault, when it does not say it. */
  #bodyLength(headEnd: number): number {
    const text = this.#text;
    let length = UNKNOWN;
    let lineStart = text.indexOf("\n") + 1;
    while (lineStart < headEnd) {
      let lf = text.indexOf("\n", lineStart);
      for (let next = text.charCodeAt(lf + 1); lf + 1 < headEnd && (next === SPACE || next === TAB); next = text.charCodeAt(lf + 1)) {
        lf = text.indexOf("\n", lf + 1);
      }
      const valueStart = contentLengthValue(text, lineStart, lf);
      if (valueStart !== UNKNOWN) {
        const isSecond = length !== UNKNOWN;
        const valueEnd = trimEnd(text, valueStart, lf);
        length = scanNumber(text, skipBlank(text, valueStart, valueEnd), valueEnd, Number.MAX_SAFE_INTEGER);
        if (isSecond || length === UNKNOWN) return this.#end("bad-content-length") ?? UNKNOWN;
      }
      lineStart = lf + 1;
    }
    return length === UNKNOWN ? (this.#end("no-content-length") ?? UNKNOWN) : length;
  }
}

/** A part of a text; one that is small beside it is copied, as what is remembered of it would keep all of that in memory. */
function ownPart(whole: string, start: number, end: number): string {
  const part = whole.slice(start, end);
  return part.length * 2 < whole.length ? ` ${part}`.slice(1) : part;
}

/** Start of the value when the line is a Content-Length header, in its long or compact form; else UNKNOWN. */
function contentLengthValue(text: string, start: number, end: number): number {
  const first = text.charCodeAt(start) | 0x20;
  if (first !== 0x63 && first !== 0x6c) return UNKNOWN;
  let nameEnd = start;
  while (isClass(text, nameEnd, TOKEN_CHAR)) nameEnd++;
  if (!equalsIgnoreCase(text, start, nameEnd, "content-length") && !equalsIgnoreCase(text, start, nameEnd, "l")) return UNKNOWN;
  let colon = nameEnd;
  while (text.charCodeAt(colon) === SPACE || text.charCodeAt(colon) === TAB) colon++;
  return text.charCodeAt(colon) === COLON && colon < end ? colon + 1 : UNKNOWN;
}

/** `SIP/…` in front, or ` SIP/…` at the end: all that the parser has an answer to. */
function isFirstLine(line: string): boolean {
  const end = trimEnd(line, 0, line.length);
  if (equalsIgnoreCase(line, 0, Math.min(4, end), "sip/")) return true;
  const methodEnd = line.indexOf(" ");
  if (methodEnd <= 0 || !isToken(line, 0, methodEnd)) return false;
  const version = line.lastIndexOf(" ", end - 1) + 1;
  return version > methodEnd && equalsIgnoreCase(line, version, Math.min(version + 4, end), "sip/");
}
