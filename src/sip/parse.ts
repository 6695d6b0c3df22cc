import { CSeqSpan, scanCSeq } from "./cseq.ts";
import { FOLDED, HeaderIndex, LINE_START_SHIFT, SLOTS_PER_HEADER, VALUE_END_SHIFT, VALUE_START_MASK } from "./header-index.ts";
import { H, type HeaderId, headerIdAsSpelled, headerIdOf, headerName } from "./headers.ts";
import { MAX_FOLDED_LINES, MAX_HEADERS, MAX_LINE_BYTES, MAX_MAX_FORWARDS, MAX_MESSAGE_BYTES } from "./limits.ts";
import { type MalformedMessage, SipRequest, SipResponse } from "./message.ts";
import { knownMethodAt } from "./methods.ts";
import { NameAddrSpan, scanNameAddr } from "./name-addr.ts";
import { parseQuickly } from "./quick-parse.ts";
import { COLON, CR, equalsIgnoreCase, isBlank, isClass, isToken, LF, SPACE, scanNumber, TAB, TOKEN_CHAR, trimEnd, unfold } from "./text.ts";
import { isUriText, schemeEnd } from "./uri.ts";
import { decodeVia, hasStrayValue, type Via } from "./via.ts";

/** What can be wrong with a message; the first one found is told. */
interface Fault {
  readonly code: string;
  readonly status: number;
  readonly reason: string;
}

function bad(code: string, reason: string, status = 400): Fault {
  return { code, status, reason };
}

const EMPTY = bad("empty", "Empty Message");
const NOT_SIP = bad("not-sip", "Not SIP");
const BAD_REQUEST_LINE = bad("bad-request-line", "Bad Request-Line");
const BAD_STATUS_LINE = bad("bad-status-line", "Bad Status-Line");
const BAD_REQUEST_URI = bad("bad-request-uri", "Bad Request-URI");
const BAD_VERSION = bad("bad-version", "Version Not Supported", 505);
const BAD_HEADER_LINE = bad("bad-header-line", "Bad Header Line");
const NO_END_OF_HEADERS = bad("no-end-of-headers", "Missing End of Headers");
const MESSAGE_TOO_LARGE = bad("message-too-large", "Message Too Large", 513);
const TOO_MANY_HEADERS = bad("too-many-headers", "Too Many Headers", 513);
const LINE_TOO_LONG = bad("line-too-long", "Header Line Too Long", 513);
const MISSING_VIA = bad("missing-via", "Missing Via");
const MISSING_FROM = bad("missing-from", "Missing From");
const MISSING_TO = bad("missing-to", "Missing To");
const MISSING_CALL_ID = bad("missing-call-id", "Missing Call-ID");
const MISSING_CSEQ = bad("missing-cseq", "Missing CSeq");
const BAD_VIA = bad("bad-via", "Bad Via");
const BAD_FROM = bad("bad-from", "Bad From");
const BAD_TO = bad("bad-to", "Bad To");
const BAD_CALL_ID = bad("bad-call-id", "Bad Call-ID");
const BAD_CSEQ = bad("bad-cseq", "Bad CSeq");
const CSEQ_METHOD = bad("cseq-method", "Bad CSeq: Method Does Not Match");
const BAD_MAX_FORWARDS = bad("bad-max-forwards", "Bad Max-Forwards");
const BAD_CONTENT_LENGTH = bad("bad-content-length", "Bad Content-Length");
const SHORT_BODY = bad("short-body", "Bad Content-Length: Body Is Shorter");
const DUPLICATE_FROM = bad("duplicate-from", "Multiple From");
const DUPLICATE_TO = bad("duplicate-to", "Multiple To");
const DUPLICATE_CALL_ID = bad("duplicate-call-id", "Multiple Call-ID");
const DUPLICATE_CSEQ = bad("duplicate-cseq", "Multiple CSeq");
const DUPLICATE_MAX_FORWARDS = bad("duplicate-max-forwards", "Multiple Max-Forwards");
const DUPLICATE_CONTENT_LENGTH = bad("duplicate-content-length", "Multiple Content-Length");

const VERSION = "SIP/2.0";

/** Scratch table of the pass, copied at its end: a message keeps as many slots as it has headers. */
const scratch: number[] = new Array<number>(MAX_HEADERS * SLOTS_PER_HEADER).fill(0);
const addressSpan = /* @__PURE__ */ new NameAddrSpan();
const cseqSpan = /* @__PURE__ */ new CSeqSpan();

/**
 * Parses one whole datagram, or one message off a stream. Never throws and never takes longer than its length asks for: whatever is wrong
 * is told in a `MalformedMessage`. Line ends before the message (RFC 3261 §7.5) and bytes behind its body (§18.3) are cut off; line ends may
 * be LF alone.
 *
 * @param input one character a byte (latin1)
 */
export function parseMessage(input: string): SipRequest | SipResponse | MalformedMessage {
  if (input.charCodeAt(0) > CR && input.length <= MAX_MESSAGE_BYTES) return parseQuickly(input) ?? parseGenerally(input);
  let start = 0;
  while (start < input.length && (input.charCodeAt(start) === CR || input.charCodeAt(start) === LF)) start++;
  const tooLarge = input.length - start > MAX_MESSAGE_BYTES;
  const raw = start === 0 && !tooLarge ? input : input.slice(start, start + MAX_MESSAGE_BYTES);
  if (raw.length === 0) return malformed(EMPTY, undefined);
  return (tooLarge ? undefined : parseQuickly(raw)) ?? parseGenerally(raw, tooLarge);
}

/**
 * {@link parseMessage} without its quick form for ordinary messages: the two agree in everything, and this one takes all others.
 *
 * @param tooLarge there was more of the message than `raw`, which is not empty and does not start with a line end
 */
export function parseGenerally(raw: string, tooLarge = false): SipRequest | SipResponse | MalformedMessage {
  const lf = raw.indexOf("\n");
  const lineEnd = lf > 0 && raw.charCodeAt(lf - 1) === CR ? lf - 1 : lf;
  if (lineEnd === -1) return malformed(NOT_SIP, undefined);
  return equalsIgnoreCase(raw, 0, 4, "sip/") ? parseResponse(raw, lineEnd, lf + 1, tooLarge) : parseRequest(raw, lineEnd, lf + 1, tooLarge);
}

function malformed(fault: Fault, answerable: SipRequest | undefined): MalformedMessage {
  return { kind: "malformed", status: fault.status, reason: fault.reason, code: fault.code, answerable };
}

function parseRequest(raw: string, lineEnd: number, headersStart: number, tooLarge: boolean): SipRequest | MalformedMessage {
  const methodEnd = raw.indexOf(" ");
  if (methodEnd <= 0 || methodEnd >= lineEnd) return malformed(NOT_SIP, undefined);
  const method = knownMethodAt(raw, 0, methodEnd) ?? raw.slice(0, methodEnd);
  if (!isToken(method)) return malformed(NOT_SIP, undefined);
  let versionEnd = lineEnd;
  let versionStart = lineEnd - VERSION.length;
  const isVersion2 = raw.startsWith(" SIP/2.0", versionStart - 1);
  if (!isVersion2) {
    versionEnd = trimEnd(raw, methodEnd, lineEnd);
    versionStart = raw.lastIndexOf(" ", versionEnd - 1) + 1;
    if (!equalsIgnoreCase(raw, versionStart, versionStart + 4, "sip/")) return malformed(NOT_SIP, undefined);
  }
  const uriStart = methodEnd + 1;
  const uriEnd = versionStart - 1;
  const uri = raw.slice(uriStart, Math.max(uriStart, uriEnd));
  let fault: Fault | undefined;
  if (tooLarge) fault = MESSAGE_TOO_LARGE;
  else if (lineEnd > MAX_LINE_BYTES) fault = LINE_TOO_LONG;
  else if (!isUriText(raw, uriStart, uriEnd) || versionEnd !== lineEnd) fault = BAD_REQUEST_LINE;
  else if (!isVersion2 && !equalsIgnoreCase(raw, versionStart, versionEnd, "sip/2.0")) fault = BAD_VERSION;
  else if (schemeEnd(raw, uriStart, uriEnd) === -1) fault = BAD_REQUEST_URI;

  const index = new HeaderIndex(raw);
  fault = scanHeaders(index, headersStart, fault);
  fault = checkHeaders(index, method, fault);
  fault ??= checkMaxForwards(index);
  const request = new SipRequest(index, method, uri);
  if (fault === undefined) return request;
  const answerable =
    method !== "ACK" && index.topVia !== undefined && index.from !== -1 && index.to !== -1 && index.callId !== -1 && index.cseq !== -1;
  return malformed(fault, answerable ? request : undefined);
}

function parseResponse(raw: string, lineEnd: number, headersStart: number, tooLarge: boolean): SipResponse | MalformedMessage {
  const codeStart = VERSION.length + 1;
  const codeEnd = codeStart + 3;
  if (tooLarge) return malformed(MESSAGE_TOO_LARGE, undefined);
  if (lineEnd > MAX_LINE_BYTES) return malformed(LINE_TOO_LONG, undefined);
  if (!equalsIgnoreCase(raw, 0, VERSION.length, "sip/2.0")) return malformed(BAD_VERSION, undefined);
  const status = codeEnd <= lineEnd && raw.charCodeAt(VERSION.length) === SPACE ? scanNumber(raw, codeStart, codeEnd, 699) : -1;
  const hasReason = codeEnd < lineEnd;
  if (status < 100 || (hasReason && raw.charCodeAt(codeEnd) !== SPACE)) return malformed(BAD_STATUS_LINE, undefined);
  for (let at = codeEnd; at < lineEnd; at++) {
    const code = raw.charCodeAt(at);
    if (code === 0 || code === CR) return malformed(BAD_STATUS_LINE, undefined);
  }

  const index = new HeaderIndex(raw);
  const fault = checkHeaders(index, undefined, scanHeaders(index, headersStart, undefined));
  if (fault !== undefined) return malformed(fault, undefined);
  return new SipResponse(index, status, hasReason ? raw.slice(codeEnd + 1, lineEnd) : "");
}

/** Finds each header and the body. Goes on after a fault, so that what can be answered is. */
function scanHeaders(index: HeaderIndex, start: number, fault: Fault | undefined): Fault | undefined {
  const { raw } = index;
  const { length } = raw;
  let count = 0;
  let pos = start;
  if (raw.charCodeAt(start - 2) !== CR) index.hasBareLf = true;
  // Offset of the next CR, searched for when the last one is passed: a search that finds none is not made again.
  let cr = start - 1;
  let foldedLines = 0;
  for (;;) {
    let lf = raw.indexOf("\n", pos);
    if (lf === -1) {
      fault ??= NO_END_OF_HEADERS;
      index.headersEnd = length;
      index.bodyStart = length;
      break;
    }
    if (cr < pos && cr !== -1) cr = raw.indexOf("\r", pos);
    if (lf === pos || (cr === pos && lf === pos + 1)) {
      index.headersEnd = pos;
      index.bodyStart = lf + 1;
      if (lf === pos) index.hasBareLf = true;
      break;
    }
    // A CR by itself is a line end to some parsers and not to others: a header that only one of the two sees can be smuggled past the other.
    let bareCr = cr !== -1 && cr < lf - 1;
    let folded = 0;
    for (let next = raw.charCodeAt(lf + 1); next === SPACE || next === TAB; next = raw.charCodeAt(lf + 1)) {
      const end = raw.indexOf("\n", lf + 1);
      if (end === -1) break;
      if (cr !== -1 && cr <= lf) cr = raw.indexOf("\r", lf + 1);
      if (cr !== -1 && cr < end - 1) bareCr = true;
      if (raw.charCodeAt(lf - 1) !== CR) index.hasBareLf = true;
      lf = end;
      folded = FOLDED;
      foldedLines++;
    }
    const lineStart = pos;
    pos = lf + 1;
    if (raw.charCodeAt(lf - 1) !== CR) index.hasBareLf = true;

    if (bareCr) {
      fault ??= BAD_HEADER_LINE;
      continue;
    }
    let id = headerIdAsSpelled(raw, lineStart);
    let nameEnd = lineStart + headerName(id).length;
    let valueStart = nameEnd + 1;
    if (id === H.Other) {
      while (isClass(raw, nameEnd, TOKEN_CHAR)) nameEnd++;
      let colon = nameEnd;
      while (raw.charCodeAt(colon) === SPACE || raw.charCodeAt(colon) === TAB) colon++;
      if (nameEnd === lineStart || raw.charCodeAt(colon) !== COLON) {
        fault ??= BAD_HEADER_LINE;
        continue;
      }
      valueStart = colon + 1;
      id = headerIdOf(raw, lineStart, nameEnd);
    }
    if (lf - lineStart > MAX_LINE_BYTES) {
      fault ??= LINE_TOO_LONG;
      continue;
    }
    if (count === MAX_HEADERS || (folded !== 0 && foldedLines > MAX_FOLDED_LINES)) {
      fault ??= TOO_MANY_HEADERS;
      continue;
    }
    while (valueStart < lf && isBlank(raw.charCodeAt(valueStart))) valueStart++;
    let valueEnd = lf;
    while (valueEnd > valueStart && isBlank(raw.charCodeAt(valueEnd - 1))) valueEnd--;

    const slot = count * SLOTS_PER_HEADER;
    scratch[slot] = id | folded | (lineStart << LINE_START_SHIFT);
    scratch[slot + 1] = (valueStart - lineStart) | ((valueEnd - lineStart) << VALUE_END_SHIFT);
    if (id !== H.Other && id <= H.ContentLength) fault = noteHeader(index, id, count, fault);
    count++;
  }
  index.count = count;
  index.slots = scratch.slice(0, count * SLOTS_PER_HEADER);
  index.bodyEnd = length;
  return fault;
}

/** Remembers where a header that every message is asked for stands, and finds a second one that says otherwise. */
function noteHeader(index: HeaderIndex, id: HeaderId, i: number, fault: Fault | undefined): Fault | undefined {
  switch (id) {
    case H.Via:
      if (index.via === -1) index.via = i;
      return fault;
    case H.From:
      if (index.from === -1) index.from = i;
      else if (differs(index.raw, index.from, i)) return fault ?? DUPLICATE_FROM;
      return fault;
    case H.To:
      if (index.to === -1) index.to = i;
      else if (differs(index.raw, index.to, i)) return fault ?? DUPLICATE_TO;
      return fault;
    case H.CallId:
      if (index.callId === -1) index.callId = i;
      else if (differs(index.raw, index.callId, i)) return fault ?? DUPLICATE_CALL_ID;
      return fault;
    case H.CSeq:
      if (index.cseq === -1) index.cseq = i;
      else if (differs(index.raw, index.cseq, i)) return fault ?? DUPLICATE_CSEQ;
      return fault;
    case H.MaxForwards:
      if (index.maxForwards === -1) index.maxForwards = i;
      else if (differs(index.raw, index.maxForwards, i)) return fault ?? DUPLICATE_MAX_FORWARDS;
      return fault;
    case H.ContentLength:
      if (index.contentLength === -1) index.contentLength = i;
      else if (differs(index.raw, index.contentLength, i)) return fault ?? DUPLICATE_CONTENT_LENGTH;
      return fault;
  }
  return fault;
}

function differs(raw: string, first: number, second: number): boolean {
  return scratchValue(raw, first) !== scratchValue(raw, second);
}

function scratchValue(raw: string, i: number): string {
  const line = scratch[i * SLOTS_PER_HEADER]! >> LINE_START_SHIFT;
  const packed = scratch[i * SLOTS_PER_HEADER + 1]!;
  return raw.slice(line + (packed & VALUE_START_MASK), line + (packed >> VALUE_END_SHIFT));
}

/**
 * Decodes the headers that requests and responses must have (RFC 3261 §8.1.1, §16.3 step 1).
 *
 * @param method of the request, undefined for a response
 */
function checkHeaders(index: HeaderIndex, method: string | undefined, fault: Fault | undefined): Fault | undefined {
  const via = index.via === -1 ? MISSING_VIA : checkVia(index, fault === BAD_VERSION);
  const from = index.from === -1 ? MISSING_FROM : checkFrom(index);
  const to = index.to === -1 ? MISSING_TO : checkTo(index);
  const callId = index.callId === -1 ? MISSING_CALL_ID : checkCallId(index);
  const cseq = index.cseq === -1 ? MISSING_CSEQ : checkCSeq(index, method);
  return fault ?? via ?? from ?? to ?? callId ?? cseq ?? checkContentLength(index);
}

/** Sets `text`, `start`, `end` to the value of header `i`: in `raw`, or unfolded into a string of its own. */
const value = { text: "", start: 0, end: 0 };

function takeValue(index: HeaderIndex, i: number): void {
  const packedLine = index.slots[i * SLOTS_PER_HEADER]!;
  const packedValue = index.slots[i * SLOTS_PER_HEADER + 1]!;
  const line = packedLine >> LINE_START_SHIFT;
  const start = line + (packedValue & VALUE_START_MASK);
  const end = line + (packedValue >> VALUE_END_SHIFT);
  if ((packedLine & FOLDED) === 0) {
    value.text = index.raw;
    value.start = start;
    value.end = end;
  } else {
    value.text = unfold(index.raw.slice(start, end));
    value.start = 0;
    value.end = value.text.length;
  }
}

/** @param isOfOtherVersion the request is refused for its version, which its Via has, too: it is read all the same, to send the refusal */
function checkVia(index: HeaderIndex, isOfOtherVersion: boolean): Fault | undefined {
  takeValue(index, index.via);
  const { text, start, end } = value;
  index.topVia = decodeVia(text, start, end);
  if (index.topVia === undefined && isOfOtherVersion) index.topVia = decodeAsVersion2(text.slice(start, end));
  return index.topVia === undefined || hasStrayValue(text, start, end) ? BAD_VIA : undefined;
}

function decodeAsVersion2(via: string): Via | undefined {
  const slash = via.indexOf("/", via.indexOf("/") + 1);
  if (slash === -1 || !equalsIgnoreCase(via, 0, 3, "sip")) return undefined;
  const text = VERSION + via.slice(slash);
  return decodeVia(text, 0, text.length);
}

function checkFrom(index: HeaderIndex): Fault | undefined {
  takeValue(index, index.from);
  if (!scanNameAddr(value.text, value.start, value.end, addressSpan)) return BAD_FROM;
  if (addressSpan.tagStart !== -1) index.fromTag = value.text.slice(addressSpan.tagStart, addressSpan.tagEnd);
  return undefined;
}

function checkTo(index: HeaderIndex): Fault | undefined {
  takeValue(index, index.to);
  if (!scanNameAddr(value.text, value.start, value.end, addressSpan)) return BAD_TO;
  if (addressSpan.tagStart !== -1) index.toTag = value.text.slice(addressSpan.tagStart, addressSpan.tagEnd);
  return undefined;
}

/** Any run of bytes is let through: it is compared, never interpreted (RFC 3261 §20.8). */
function checkCallId(index: HeaderIndex): Fault | undefined {
  takeValue(index, index.callId);
  index.callIdValue = value.text.slice(value.start, value.end);
  return value.start === value.end ? BAD_CALL_ID : undefined;
}

function checkCSeq(index: HeaderIndex, method: string | undefined): Fault | undefined {
  index.cseqMethod = method ?? "";
  takeValue(index, index.cseq);
  if (!scanCSeq(value.text, value.start, value.end, cseqSpan)) return BAD_CSEQ;
  index.cseqNumber = cseqSpan.number;
  const { methodStart } = cseqSpan;
  if (method === undefined) {
    index.cseqMethod = knownMethodAt(value.text, methodStart, value.end) ?? value.text.slice(methodStart, value.end);
    return undefined;
  }
  return method.length === value.end - methodStart && value.text.startsWith(method, methodStart) ? undefined : CSEQ_METHOD;
}

/** A body longer than announced is cut, a shorter one is a fault: "If the transport packet ends before the end of the message body, this is considered an error" (RFC 3261 §18.3). */
function checkContentLength(index: HeaderIndex): Fault | undefined {
  if (index.contentLength === -1) return undefined;
  takeValue(index, index.contentLength);
  const bytes = scanNumber(value.text, value.start, value.end, Number.MAX_SAFE_INTEGER);
  if (bytes === -1) return BAD_CONTENT_LENGTH;
  const end = index.bodyStart + bytes;
  if (end > index.raw.length) return SHORT_BODY;
  if (end < index.raw.length) index.raw = index.raw.slice(0, end);
  index.bodyEnd = end;
  return undefined;
}

function checkMaxForwards(index: HeaderIndex): Fault | undefined {
  if (index.maxForwards === -1) return undefined;
  takeValue(index, index.maxForwards);
  index.maxForwardsValue = scanNumber(value.text, value.start, value.end, MAX_MAX_FORWARDS);
  return index.maxForwardsValue === -1 ? BAD_MAX_FORWARDS : undefined;
}
