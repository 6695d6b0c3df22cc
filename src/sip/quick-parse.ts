import { CSeqSpan, scanCSeq } from "./cseq.ts";
import { HeaderIndex, LINE_START_SHIFT, SLOTS_PER_HEADER, VALUE_END_SHIFT } from "./header-index.ts";
import { H, type HeaderId, headerIdAsSpelled, headerIdOf, headerName } from "./headers.ts";
import { MAX_LINE_BYTES, MAX_MAX_FORWARDS } from "./limits.ts";
import { SipRequest, SipResponse } from "./message.ts";
import { knownMethodAt } from "./methods.ts";
import { NameAddrSpan, scanNameAddr } from "./name-addr.ts";
import { QuickAddress, scanAddressQuickly } from "./quick-address.ts";
import { decodeViaQuickly, quickViaEnd } from "./quick-via.ts";
import { reasonPhrase } from "./reason-phrases.ts";
import { CLASS, COLON, CR, isDigit, LF, SPACE, scanNumber, TAB, TOKEN_CHAR, URI_CHAR } from "./text.ts";
import { decodeVia, hasStrayValue } from "./via.ts";

/** Most headers that the quick form takes; nearly all messages have fewer. */
const MAX_QUICK_HEADERS = 64;
/** Digits of a CSeq number that is below 2**31 whatever they are. */
const MAX_QUICK_CSEQ_DIGITS = 9;
/** Digits of a Content-Length that nearly all bodies have. */
const MAX_QUICK_LENGTH_DIGITS = 5;

const scratch: number[] = new Array<number>(MAX_QUICK_HEADERS * SLOTS_PER_HEADER).fill(0);
const address = /* @__PURE__ */ new QuickAddress();
const addressSpan = /* @__PURE__ */ new NameAddrSpan();
const cseqSpan = /* @__PURE__ */ new CSeqSpan();
/** Where the header whose value is not in its quick form ends, and the line behind it begins. */
const found = { valueStart: 0, valueEnd: 0, next: 0 };

/**
 * The message when it is an ordinary, well-formed one: a method that is known, CRLF line ends, no folded lines, none of the headers twice that may
 * stand once only. Undefined for any other, of which the general parser of parse.ts makes a message, too, or tells what is wrong with it; of what is
 * taken here that one makes the same. Costs half to a third of it, as each character is looked at once at most, and those of most values by searches for
 * the end of the line only.
 *
 * @param raw no longer than `MAX_MESSAGE_BYTES`
 */
export function parseQuickly(raw: string): SipRequest | SipResponse | undefined {
  if (raw.startsWith("SIP/2.0 ")) return quickResponse(raw);
  const method = methodOf(raw);
  return method === "" ? undefined : quickRequest(raw, method);
}

function methodOf(raw: string): string {
  switch (raw.charCodeAt(0)) {
    case 0x41:
      return raw.startsWith("ACK ") ? "ACK" : "";
    case 0x42:
      return raw.startsWith("BYE ") ? "BYE" : "";
    case 0x43:
      return raw.startsWith("CANCEL ") ? "CANCEL" : "";
    case 0x49:
      if (raw.startsWith("INVITE ")) return "INVITE";
      return raw.startsWith("INFO ") ? "INFO" : "";
    case 0x4f:
      return raw.startsWith("OPTIONS ") ? "OPTIONS" : "";
    case 0x50:
      return raw.startsWith("PRACK ") ? "PRACK" : "";
    case 0x52:
      return raw.startsWith("REGISTER ") ? "REGISTER" : "";
    case 0x55:
      return raw.startsWith("UPDATE ") ? "UPDATE" : "";
    default:
      return "";
  }
}

function quickRequest(raw: string, method: string): SipRequest | undefined {
  const uriStart = method.length + 1;
  if (!raw.startsWith("sip:", uriStart)) return undefined;
  const { length } = raw;
  let at = uriStart + 4;
  while (at < length && (CLASS[raw.charCodeAt(at)]! & URI_CHAR) !== 0) at++;
  if (at > MAX_LINE_BYTES - 8 || !raw.startsWith(" SIP/2.0\r\n", at)) return undefined;
  const index = new HeaderIndex(raw);
  index.cseqMethod = method;
  return scanQuickly(index, at + 10, method) ? new SipRequest(index, method, raw.slice(uriStart, at)) : undefined;
}

function quickResponse(raw: string): SipResponse | undefined {
  const status = scanNumber(raw, 8, 11, 699);
  if (status < 100 || raw.charCodeAt(11) !== SPACE) return undefined;
  let reason = reasonPhrase(status);
  let at = 12 + reason.length;
  if (raw.charCodeAt(at) !== CR || !raw.startsWith(reason, 12)) {
    at = raw.indexOf("\r", 12);
    if (at === -1 || at > MAX_LINE_BYTES) return undefined;
    reason = raw.slice(12, at);
    if (reason.includes("\n") || reason.includes("\0")) return undefined;
  }
  if (raw.charCodeAt(at + 1) !== LF) return undefined;
  const index = new HeaderIndex(raw);
  return scanQuickly(index, at + 2, undefined) ? new SipResponse(index, status, reason) : undefined;
}

/**
 * Finds and checks the headers, and cuts the body.
 *
 * @param method of the request, undefined for a response
 * @returns false when the message is not an ordinary one
 */
function scanQuickly(index: HeaderIndex, start: number, method: string | undefined): boolean {
  const { raw } = index;
  const last = raw.length - 1;
  let bodyBytes = -1;
  let count = 0;
  let lineStart = start;
  for (;;) {
    if (lineStart >= last) return false;
    if (raw.charCodeAt(lineStart) === CR) break;
    let id = nameAt(raw, lineStart);
    let at = lineStart + headerName(id).length + 1;
    if (id === H.Other) {
      let nameEnd = lineStart;
      while (nameEnd < last && (CLASS[raw.charCodeAt(nameEnd)]! & TOKEN_CHAR) !== 0) nameEnd++;
      if (nameEnd === lineStart || raw.charCodeAt(nameEnd) !== COLON) return false;
      id = headerIdOf(raw, lineStart, nameEnd);
      at = nameEnd + 1;
    }
    for (let code = raw.charCodeAt(at); code === SPACE || code === TAB; code = raw.charCodeAt(at)) at++;

    // Where the value ends when it is of the quick form and a CR stands there; -1: the end is to be searched for, and the value left to the general decoder.
    let end = -1;
    switch (id) {
      case H.Via:
        if (index.via !== -1) break;
        index.via = count;
        index.topVia = decodeViaQuickly(raw, at);
        if (index.topVia !== undefined) end = quickViaEnd();
        break;
      case H.From:
        if (index.from !== -1) return false;
        index.from = count;
        end = scanAddressQuickly(raw, at, address);
        if (end !== -1) index.fromTag = raw.slice(address.tagStart, address.tagEnd);
        break;
      case H.To:
        if (index.to !== -1) return false;
        index.to = count;
        end = scanAddressQuickly(raw, at, address);
        if (end !== -1) index.toTag = raw.slice(address.tagStart, address.tagEnd);
        break;
      case H.CallId:
        if (index.callId !== -1) return false;
        index.callId = count;
        break;
      case H.CSeq:
        if (index.cseq !== -1) return false;
        index.cseq = count;
        end = scanCSeqQuickly(index, at, method);
        break;
      case H.MaxForwards:
        if (index.maxForwards !== -1) return false;
        index.maxForwards = count;
        if (method === undefined) break;
        end = digitsEnd(raw, at, 2);
        if (end !== -1) index.maxForwardsValue = scanNumber(raw, at, end, MAX_MAX_FORWARDS);
        break;
      case H.ContentLength:
        if (index.contentLength !== -1) return false;
        index.contentLength = count;
        end = digitsEnd(raw, at, MAX_QUICK_LENGTH_DIGITS);
        if (end === -1) return false;
        bodyBytes = scanNumber(raw, at, end, Number.MAX_SAFE_INTEGER);
        break;
    }

    let next = end + 2;
    if (end === -1 || raw.charCodeAt(end) !== CR) {
      if (!findEnd(raw, at)) return false;
      if (id !== H.Other && id <= H.ContentLength && !checkValue(index, id, count, method, end)) return false;
      at = found.valueStart;
      end = found.valueEnd;
      next = found.next;
    } else if (raw.charCodeAt(end + 1) !== LF) return false;
    if (next - 1 - lineStart > MAX_LINE_BYTES || count === MAX_QUICK_HEADERS) return false;
    const slot = count * SLOTS_PER_HEADER;
    scratch[slot] = id | (lineStart << LINE_START_SHIFT);
    scratch[slot + 1] = (at - lineStart) | ((end - lineStart) << VALUE_END_SHIFT);
    count++;
    lineStart = next;
  }
  if (raw.charCodeAt(lineStart + 1) !== LF) return false;
  if (index.topVia === undefined || index.from === -1 || index.to === -1 || index.callId === -1 || index.cseq === -1) return false;
  index.count = count;
  index.slots = scratch.slice(0, count * SLOTS_PER_HEADER);
  index.headersEnd = lineStart;
  index.bodyStart = lineStart + 2;
  index.bodyEnd = bodyBytes === -1 ? raw.length : index.bodyStart + bodyBytes;
  if (index.bodyEnd > raw.length) return false;
  if (index.bodyEnd < raw.length) index.raw = raw.slice(0, index.bodyEnd);
  return true;
}

/** {@link headerIdAsSpelled}, with those first that every message has. */
function nameAt(raw: string, at: number): HeaderId {
  switch (raw.charCodeAt(at)) {
    case 0x56:
      if (raw.startsWith("Via:", at)) return H.Via;
      break;
    case 0x46:
      if (raw.startsWith("From:", at)) return H.From;
      break;
    case 0x54:
      if (raw.startsWith("To:", at)) return H.To;
      break;
    case 0x43:
      switch (raw.charCodeAt(at + 1)) {
        case 0x53:
          if (raw.startsWith("CSeq:", at)) return H.CSeq;
          break;
        case 0x61:
          if (raw.startsWith("Call-ID:", at)) return H.CallId;
          break;
        case 0x6f:
          if (raw.startsWith("Contact:", at)) return H.Contact;
          if (raw.startsWith("Content-Length:", at)) return H.ContentLength;
          break;
      }
      break;
  }
  return headerIdAsSpelled(raw, at);
}

/** Sets {@link found} for the value that starts at `at`; false when its line does not end in CRLF, or has a CR or LF inside. */
function findEnd(raw: string, at: number): boolean {
  const lf = raw.indexOf("\n", at);
  if (lf === -1 || raw.indexOf("\r", at) !== lf - 1) return false;
  let end = lf - 1;
  // The general parser puts an empty value before the LF.
  if (end <= at) at = end = lf;
  else for (let code = raw.charCodeAt(end - 1); code === SPACE || code === TAB; code = raw.charCodeAt(end - 1)) end--;
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
function checkValue(index: HeaderIndex, id: HeaderId, i: number, method: string | undefined, quickEnd: number): boolean {
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

/** Offset behind the number that starts at `at`, when it has one to `max` digits and a CR stands there; else -1. */
function digitsEnd(raw: string, at: number, max: number): number {
  const start = at;
  while (isDigit(raw.charCodeAt(at))) at++;
  return at > start && at - start <= max && raw.charCodeAt(at) === CR ? at : -1;
}

/** Reads a CSeq of number, one space, known method: the offset behind it when a CR stands there, else -1. */
function scanCSeqQuickly(index: HeaderIndex, start: number, method: string | undefined): number {
  const { raw } = index;
  let at = start;
  let number = 0;
  for (let code = raw.charCodeAt(at); isDigit(code); code = raw.charCodeAt(at)) {
    number = number * 10 + (code - 0x30);
    if (++at - start > MAX_QUICK_CSEQ_DIGITS) return -1;
  }
  if (at === start || raw.charCodeAt(at) !== SPACE) return -1;
  at++;
  if (method !== undefined) {
    if (!raw.startsWith(method, at)) return -1;
    at += method.length;
  } else {
    const known = raw.startsWith("INVITE", at) ? "INVITE" : raw.startsWith("BYE", at) ? "BYE" : "";
    if (known === "") return -1;
    at += known.length;
    if (raw.charCodeAt(at) !== CR) return -1;
    index.cseqMethod = known;
  }
  if (raw.charCodeAt(at) !== CR) return -1;
  index.cseqNumber = number;
  return at;
}
