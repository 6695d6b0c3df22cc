import { CSeqSpan, scanCSeq } from "./cseq.ts";
import { HeaderIndex, LINE_START_SHIFT, SLOTS_PER_HEADER, VALUE_END_SHIFT } from "./header-index.ts";
import { H, type HeaderId, headerIdOf } from "./headers.ts";
import { MAX_LINE_BYTES, MAX_MAX_FORWARDS } from "./limits.ts";
import { SipRequest, SipResponse } from "./message.ts";
import { MESSAGE_BYTES, MESSAGE_WORDS, takeBytes, wordOf } from "./message-bytes.ts";
import { knownMethodAt } from "./methods.ts";
import { NameAddrSpan, scanNameAddr } from "./name-addr.ts";
import { QuickAddress, scanAddressQuickly } from "./quick-address.ts";
import { quickNameAt, quickNameBytes } from "./quick-names.ts";
import { decodeViaQuickly, quickViaEnd } from "./quick-via.ts";
import { reasonPhrase } from "./reason-phrases.ts";
import { CLASS, COLON, COMMA, CR, LF, LIST_CHAR, SPACE, scanNumber, TAB, TOKEN_CHAR, URI_CHAR } from "./text.ts";
import { decodeVia, hasStrayValue } from "./via.ts";

/** Most headers that the quick form takes; nearly all messages have fewer. */
const MAX_QUICK_HEADERS = 64;
/** Digits of a CSeq number that is below 2**31 whatever they are. */
const MAX_QUICK_CSEQ_DIGITS = 9;
/** Digits of a Content-Length that nearly all bodies have. */
const MAX_QUICK_LENGTH_DIGITS = 5;
/** Values up to this length are looked through for their end, which takes less time than calling for a search of it; longer ones are searched. */
const SHORT_VALUE_BYTES = 80;

const bytes = MESSAGE_BYTES;
const words = MESSAGE_WORDS;
const classes = CLASS;
const SIP_SLASH = wordOf("SIP/");
const VERSION_SPACE = wordOf("2.0 ");
const VERSION_CR = wordOf("2.0\r");
const SIP_COLON = wordOf("sip:");
const INVI = wordOf("INVI");
const ITE_SPACE = wordOf("ITE ");
const ACK_SPACE = wordOf("ACK ");
const BYE_SPACE = wordOf("BYE ");
const ITE_CR = wordOf("ITE\r");
const ACK_CR = wordOf("ACK\r");
const BYE_CR = wordOf("BYE\r");
const CANC = wordOf("CANC");
const CEL_SPACE = wordOf("CEL ");
const scratch: number[] = new Array<number>(MAX_QUICK_HEADERS * SLOTS_PER_HEADER).fill(0);
/** One for all messages: a message takes out of it what it keeps. */
const index = /* @__PURE__ */ new HeaderIndex("");
const address = /* @__PURE__ */ new QuickAddress();
const addressSpan = /* @__PURE__ */ new NameAddrSpan();
const cseqSpan = /* @__PURE__ */ new CSeqSpan();
/** Where the header whose value is not in its quick form ends, and the line behind it begins. */
const found = { number: 0, valueStart: 0, valueEnd: 0, next: 0 };

/**
 * The message when it is an ordinary, well-formed one: of ASCII, a method that is known, CRLF line ends, no folded lines, none of the headers twice that may
 * stand once only. Undefined for any other, of which the general parser of parse.ts makes a message, too, or tells what is wrong with it; of what is
 * taken here that one makes the same. Costs half to a third of it, as each character is looked at once at most, and those of most values by searches for
 * the end of the line only.
 *
 * @param raw no longer than `MAX_MESSAGE_BYTES`
 */
export function parseQuickly(raw: string): SipRequest | SipResponse | undefined {
  if (!takeBytes(raw)) return undefined;
  switch (words.getInt32(0, true)) {
    case SIP_SLASH:
      return words.getInt32(4, true) === VERSION_SPACE ? quickResponse(raw) : undefined;
    case INVI:
      return words.getInt32(3, true) === ITE_SPACE ? quickRequest(raw, "INVITE") : undefined;
    case ACK_SPACE:
      return quickRequest(raw, "ACK");
    case BYE_SPACE:
      return quickRequest(raw, "BYE");
    case CANC:
      return words.getInt32(3, true) === CEL_SPACE ? quickRequest(raw, "CANCEL") : undefined;
  }
  const space = raw.indexOf(" ");
  const method = space <= 0 ? undefined : knownMethodAt(raw, 0, space);
  return method === undefined ? undefined : quickRequest(raw, method);
}

function quickRequest(raw: string, method: string): SipRequest | undefined {
  const uriStart = method.length + 1;
  if (words.getInt32(uriStart, true) !== SIP_COLON) return undefined;
  let at = uriStart + 4;
  while ((classes[bytes[at]!]! & URI_CHAR) !== 0) at++;
  if (bytes[at] !== SPACE || words.getInt32(at + 1, true) !== SIP_SLASH || words.getInt32(at + 5, true) !== VERSION_CR) return undefined;
  if (bytes[at + 9] !== LF || at > MAX_LINE_BYTES - 8) return undefined;
  index.reset(raw);
  index.cseqMethod = method;
  return scanQuickly(raw, at + 10, method) ? new SipRequest(index, method, raw.slice(uriStart, at)) : undefined;
}

function quickResponse(raw: string): SipResponse | undefined {
  if (digitsEnd(8, 3) !== 11 || found.number < 100 || found.number > 699 || bytes[11] !== SPACE) return undefined;
  const status = found.number;
  let reason = reasonPhrase(status);
  let at = 12 + reason.length;
  if (bytes[at] !== CR || !raw.startsWith(reason, 12)) {
    at = raw.indexOf("\r", 12);
    if (at === -1 || at > MAX_LINE_BYTES) return undefined;
    reason = raw.slice(12, at);
    if (reason.includes("\n") || reason.includes("\0")) return undefined;
  }
  if (bytes[at + 1] !== LF) return undefined;
  index.reset(raw);
  return scanQuickly(raw, at + 2, undefined) ? new SipResponse(index, status, reason) : undefined;
}

/**
 * Finds and checks the headers, and cuts the body.
 *
 * @param method of the request, undefined for a response
 * @returns false when the message is not an ordinary one
 */
function scanQuickly(raw: string, start: number, method: string | undefined): boolean {
  const last = raw.length - 1;
  let bodyBytes = -1;
  let count = 0;
  let lineStart = start;
  for (;;) {
    if (lineStart >= last) return false;
    if (bytes[lineStart] === CR) break;
    let id = quickNameAt(lineStart);
    let at = lineStart + quickNameBytes(id);
    if (id === H.Other) {
      let nameEnd = lineStart;
      while ((classes[bytes[nameEnd]!]! & TOKEN_CHAR) !== 0) nameEnd++;
      if (nameEnd === lineStart || bytes[nameEnd] !== COLON) return false;
      id = headerIdOf(raw, lineStart, nameEnd);
      at = nameEnd + 1;
    }
    for (let code = bytes[at]!; code === SPACE || code === TAB; code = bytes[at]!) at++;

    // Where the value ends when it is of the quick form and a CR stands there; -1: the end is to be searched for, and the value left to the general decoder.
    let end = -1;
    switch (id) {
      case H.Via:
        if (index.via !== -1) break;
        index.via = count;
        index.topVia = decodeViaQuickly(raw, at);
        if (index.topVia !== undefined) end = furtherViasEnd(quickViaEnd());
        break;
      case H.From:
        if (index.from !== -1) return false;
        index.from = count;
        end = scanAddressQuickly(at, address);
        if (end !== -1) index.fromTag = raw.slice(address.tagStart, address.tagEnd);
        break;
      case H.To:
        if (index.to !== -1) return false;
        index.to = count;
        end = scanAddressQuickly(at, address);
        if (end !== -1) index.toTag = raw.slice(address.tagStart, address.tagEnd);
        break;
      case H.CallId:
        if (index.callId !== -1) return false;
        index.callId = count;
        break;
      case H.CSeq:
        if (index.cseq !== -1) return false;
        index.cseq = count;
        end = scanCSeqQuickly(at, method);
        break;
      case H.MaxForwards:
        if (index.maxForwards !== -1) return false;
        index.maxForwards = count;
        if (method === undefined) break;
        end = digitsEnd(at, 2);
        if (end !== -1) index.maxForwardsValue = found.number;
        break;
      case H.ContentLength:
        if (index.contentLength !== -1) return false;
        index.contentLength = count;
        end = digitsEnd(at, MAX_QUICK_LENGTH_DIGITS);
        if (end === -1) return false;
        bodyBytes = found.number;
        break;
    }

    let next = end + 2;
    if (end === -1 || bytes[end] !== CR) {
      if (!findEnd(raw, at)) return false;
      if (id !== H.Other && id <= H.ContentLength && !checkValue(id, count, method, end)) return false;
      at = found.valueStart;
      end = found.valueEnd;
      next = found.next;
    } else if (bytes[end + 1] !== LF) return false;
    if (next - 1 - lineStart > MAX_LINE_BYTES || count === MAX_QUICK_HEADERS) return false;
    const slot = count * SLOTS_PER_HEADER;
    scratch[slot] = id | (lineStart << LINE_START_SHIFT);
    scratch[slot + 1] = (at - lineStart) | ((end - lineStart) << VALUE_END_SHIFT);
    count++;
    lineStart = next;
  }
  if (bytes[lineStart + 1] !== LF) return false;
  if (index.topVia === undefined || index.from === -1 || index.to === -1 || index.callId === -1 || index.cseq === -1) return false;
  index.count = count;
  index.slots = slotsOf(count);
  index.headersEnd = lineStart;
  index.bodyStart = lineStart + 2;
  index.bodyEnd = bodyBytes === -1 ? raw.length : index.bodyStart + bodyBytes;
  if (index.bodyEnd > raw.length) return false;
  if (index.bodyEnd < raw.length) index.raw = raw.slice(0, index.bodyEnd);
  return true;
}

/**
 * The slots of `count` headers in an array of their own. Array literals, up to three headers longer than need be, are made where they stand, in 25 ns;
 * a call of slice() takes 100.
 */
function slotsOf(count: number): readonly number[] {
  const s = scratch;
  if (count <= 8) {
    return [s[0]!, s[1]!, s[2]!, s[3]!, s[4]!, s[5]!, s[6]!, s[7]!, s[8]!, s[9]!, s[10]!, s[11]!, s[12]!, s[13]!, s[14]!, s[15]!];
  }
  if (count <= 10) {
    return [
      s[0]!,
      s[1]!,
      s[2]!,
      s[3]!,
      s[4]!,
      s[5]!,
      s[6]!,
      s[7]!,
      s[8]!,
      s[9]!,
      s[10]!,
      s[11]!,
      s[12]!,
      s[13]!,
      s[14]!,
      s[15]!,
      s[16]!,
      s[17]!,
      s[18]!,
      s[19]!,
    ];
  }
  if (count <= 12) {
    return [
      s[0]!,
      s[1]!,
      s[2]!,
      s[3]!,
      s[4]!,
      s[5]!,
      s[6]!,
      s[7]!,
      s[8]!,
      s[9]!,
      s[10]!,
      s[11]!,
      s[12]!,
      s[13]!,
      s[14]!,
      s[15]!,
      s[16]!,
      s[17]!,
      s[18]!,
      s[19]!,
      s[20]!,
      s[21]!,
      s[22]!,
      s[23]!,
    ];
  }
  return s.slice(0, count * SLOTS_PER_HEADER);
}

/** Passes over the Vias that stand behind commas: the offset behind the last when a CR stands there and each of them begins as a Via does, else that of something else. */
function furtherViasEnd(start: number): number {
  let at = start;
  while (bytes[at] === COMMA) {
    const first = bytes[at + 1] === SPACE ? at + 2 : at + 1;
    if (words.getInt32(first, true) !== SIP_SLASH) return at;
    at = first + 4;
    while (bytes[at]! >= SPACE && (classes[bytes[at]!]! & LIST_CHAR) === 0) at++;
    if (bytes[at - 1] === SPACE) return start;
  }
  return at;
}

/** Sets {@link found} for the value that starts at `at`; false when its line does not end in CRLF, or has a CR or LF inside. */
function findEnd(raw: string, at: number): boolean {
  // Four bytes at a time as long as none of them is below a space: below 0x20 the difference borrows from bit 7, where nothing but ASCII stands.
  let cr = at;
  const far = at + SHORT_VALUE_BYTES;
  for (let word = words.getInt32(cr, true); ((word - 0x20202020) & ~word & 0x80808080) === 0 && cr < far; word = words.getInt32(cr, true))
    cr += 4;
  while (bytes[cr]! >= SPACE && cr < far) cr++;
  let lf = cr + 1;
  if (bytes[cr] !== CR || bytes[lf] !== LF) {
    lf = raw.indexOf("\n", at);
    if (lf === -1 || raw.indexOf("\r", at) !== lf - 1) return false;
  }
  let end = lf - 1;
  // The general parser puts an empty value before the LF.
  if (end <= at) at = end = lf;
  else for (let code = bytes[end - 1]!; code === SPACE || code === TAB; code = bytes[end - 1]!) end--;
  found.valueStart = at;
  found.valueEnd = end;
  found.next = lf + 1;
  return true;
}

/**
 * Decodes the value at {@link found} as the general parser does.
 *
 * @param quickEnd behind what the quick form has decoded of it; -1: nothing
 */
function checkValue(id: HeaderId, i: number, method: string | undefined, quickEnd: number): boolean {
  const { raw } = index;
  const { valueStart: start, valueEnd: end } = found;
  switch (id) {
    case H.Via:
      if (index.via !== i) return true;
      if (quickEnd === -1) index.topVia = decodeVia(raw, start, end);
      return index.topVia !== undefined && !hasStrayValue(raw, start, end);
    case H.From:
      if (!scanNameAddr(raw, start, end, addressSpan)) return false;
      index.fromTag = addressSpan.tagStart === -1 ? "" : raw.slice(addressSpan.tagStart, addressSpan.tagEnd);
      return true;
    case H.To:
      if (!scanNameAddr(raw, start, end, addressSpan)) return false;
      index.toTag = addressSpan.tagStart === -1 ? "" : raw.slice(addressSpan.tagStart, addressSpan.tagEnd);
      return true;
    case H.CallId:
      index.callIdValue = raw.slice(start, end);
      return start < end;
    case H.CSeq:
      if (!scanCSeq(raw, start, end, cseqSpan)) return false;
      index.cseqNumber = cseqSpan.number;
      if (method === undefined) {
        index.cseqMethod = knownMethodAt(raw, cseqSpan.methodStart, end) ?? raw.slice(cseqSpan.methodStart, end);
        return true;
      }
      return method.length === end - cseqSpan.methodStart && raw.startsWith(method, cseqSpan.methodStart);
    case H.MaxForwards:
      if (method === undefined) return true;
      index.maxForwardsValue = scanNumber(raw, start, end, MAX_MAX_FORWARDS);
      return index.maxForwardsValue !== -1;
  }
  return id !== H.ContentLength;
}

/** Offset behind the one to `max` digits at `at`, whose number is in {@link found}; -1 when there are none or more. */
function digitsEnd(start: number, max: number): number {
  let at = start;
  let number = 0;
  for (let digit = bytes[at]! - 0x30; digit >= 0 && digit <= 9; digit = bytes[at]! - 0x30) {
    number = number * 10 + digit;
    if (++at - start > max) return -1;
  }
  found.number = number;
  return at > start ? at : -1;
}

/** Reads a CSeq of number, one space and method: the offset behind it when a CR stands there, else -1. */
function scanCSeqQuickly(start: number, method: string | undefined): number {
  const space = digitsEnd(start, MAX_QUICK_CSEQ_DIGITS);
  if (space === -1 || bytes[space] !== SPACE) return -1;
  let known = "";
  switch (words.getInt32(space + 1, true)) {
    case INVI:
      if (words.getInt32(space + 4, true) === ITE_CR) known = "INVITE";
      break;
    case ACK_CR:
      known = "ACK";
      break;
    case BYE_CR:
      known = "BYE";
      break;
  }
  if (known === "" || (method !== undefined && method !== known)) return -1;
  index.cseqMethod = known;
  index.cseqNumber = found.number;
  return space + 1 + known.length;
}
