import { quoted, SipSyntaxError } from "./errors.ts";
import { H } from "./headers.ts";
import { DEFAULT_MAX_FORWARDS } from "./limits.ts";
import type { SipMessage, SipRequest, SipResponse } from "./message.ts";
import { hasLineEnd, isToken, listValueEnd, skipBlank, trimEnd } from "./text.ts";

/** Extra headers as `[name, value]`, in order. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

export interface ResponseOptions {
  /** Tag for To, when it has none and the status is above 100 (RFC 3261 §8.2.6.2). */
  readonly toTag?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** Ready-made first Via value, with its `received` and `rport`; without it the Via goes back as it came. */
  readonly via?: string | undefined;
  /** One character a byte (latin1). */
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
}

export interface RequestOptions {
  readonly method: string;
  readonly uri: string;
  /** Via value. */
  readonly via: string;
  /** From value with its tag. */
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  /** Hops; {@link DEFAULT_MAX_FORWARDS} without it. */
  readonly maxForwards?: number | undefined;
  /** Route values, the first hop first. */
  readonly routes?: readonly string[] | undefined;
  /** Contact value. */
  readonly contact?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** One character a byte (latin1). */
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
}

/**
 * A response to `request` (RFC 3261 §8.2.6.2): From, Call-ID, CSeq and each Via as they came, To with a tag, and in a 100 the Timestamp.
 * Also for the request inside a `MalformedMessage`.
 *
 * @throws {SipSyntaxError} when a reason, header or body option would break the message
 */
export function buildResponse(request: SipRequest, status: number, reason: string, options: ResponseOptions = {}): string {
  let out = `SIP/2.0 ${status} ${checked("reason phrase", reason)}\r\n`;
  let viaSeen = false;
  for (let i = request.indexOf(H.Via); i !== -1; i = request.indexOf(H.Via, i + 1)) {
    const value = request.headerValueAt(i);
    out += viaSeen || options.via === undefined ? `Via: ${value}\r\n` : viaWithFirst(value, options.via);
    viaSeen = true;
  }
  const to = request.value(H.To) ?? "";
  const tag = options.toTag !== undefined && status > 100 && request.toTag === "" ? `;tag=${checked("tag", options.toTag)}` : "";
  out += `From: ${request.value(H.From) ?? ""}\r\nTo: ${to}${tag}\r\nCall-ID: ${request.value(H.CallId) ?? ""}\r\nCSeq: ${request.value(H.CSeq) ?? ""}\r\n`;
  if (status === 100) {
    const timestamp = request.value(H.Timestamp);
    if (timestamp !== undefined) out += `Timestamp: ${timestamp}\r\n`;
  }
  return out + extraHeaders(options.headers) + bodyPart(options.body, options.contentType);
}

/** The Via lines for `value` when its first value is replaced by `first`. */
function viaWithFirst(value: string, first: string): string {
  if (!value.includes(",")) return `Via: ${checked("Via", first)}\r\n`;
  const rest = skipBlank(value, listValueEnd(value, 0, value.length) + 1, value.length);
  const line = `Via: ${checked("Via", first)}\r\n`;
  return rest < value.length ? `${line}Via: ${value.slice(rest)}\r\n` : line;
}

/**
 * The ACK for a final response other than 2xx (RFC 3261 §17.1.1.3).
 *
 * @param sent the INVITE as this element sent it
 */
export function buildAck(sent: SipRequest, response: SipResponse): string {
  return `${sameHop(sent, "ACK", response)}Content-Length: 0\r\n\r\n`;
}

/**
 * The CANCEL of a request (RFC 3261 §9.1).
 *
 * @param sent the request as this element sent it
 * @param reason value of a Reason header (RFC 3326), such as `SIP;cause=200;text="Call completed elsewhere"`
 */
export function buildCancel(sent: SipRequest, reason?: string): string {
  const reasonLine = reason === undefined ? "" : `Reason: ${checked("Reason", reason)}\r\n`;
  return `${sameHop(sent, "CANCEL", sent)}${reasonLine}Content-Length: 0\r\n\r\n`;
}

/** Start line and headers of a request that takes the way of `sent` and is matched to it: "a single Via header field value", the same Route. */
function sameHop(sent: SipRequest, method: string, toFrom: SipMessage): string {
  let out = `${method} ${sent.uri} SIP/2.0\r\nVia: ${firstValue(sent.value(H.Via) ?? "")}\r\n`;
  for (let i = sent.indexOf(H.Route); i !== -1; i = sent.indexOf(H.Route, i + 1)) out += `Route: ${sent.headerValueAt(i)}\r\n`;
  return `${out}From: ${sent.value(H.From) ?? ""}\r\nTo: ${toFrom.value(H.To) ?? ""}\r\nCall-ID: ${sent.callId}\r\nCSeq: ${sent.cseqNumber} ${method}\r\nMax-Forwards: ${DEFAULT_MAX_FORWARDS}\r\n`;
}

function firstValue(list: string): string {
  return list.slice(0, trimEnd(list, 0, listValueEnd(list, 0, list.length)));
}

/**
 * A request of this element's own (RFC 3261 §8.1.1).
 *
 * @throws {SipSyntaxError} when a value has a line end in it
 */
export function buildRequest(request: RequestOptions): string {
  const { method } = request;
  let out = `${checked("method", method)} ${checked("Request-URI", request.uri)} SIP/2.0\r\nVia: ${checked("Via", request.via)}\r\n`;
  for (const route of request.routes ?? []) out += `Route: ${repeated("Route", route)}\r\n`;
  out += `Max-Forwards: ${request.maxForwards ?? DEFAULT_MAX_FORWARDS}\r\nFrom: ${repeated("From", request.from)}\r\nTo: ${repeated("To", request.to)}\r\n`;
  out += `Call-ID: ${repeated("Call-ID", request.callId)}\r\nCSeq: ${request.cseq} ${method}\r\n`;
  if (request.contact !== undefined) out += `Contact: ${checked("Contact", request.contact)}\r\n`;
  return out + extraHeaders(request.headers) + bodyPart(request.body, request.contentType);
}

function extraHeaders(headers: HeaderList | undefined): string {
  let out = "";
  for (const [name, value] of headers ?? []) {
    if (!isToken(name)) throw new SipSyntaxError(`Cannot write header ${quoted(name)}: want a name of letters, digits and hyphens`);
    out += `${name}: ${checked(name, value)}\r\n`;
  }
  return out;
}

function bodyPart(body: string | undefined, contentType: string | undefined): string {
  if (body === undefined || body === "") return "Content-Length: 0\r\n\r\n";
  const type = contentType === undefined ? "" : `Content-Type: ${checked("Content-Type", contentType)}\r\n`;
  return `${type}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** `text` when it can stand in one line. */
function checked(what: string, text: string): string {
  if (hasLineEnd(text)) throw new SipSyntaxError(`Cannot write ${what} ${quoted(text)}: want text without line ends`);
  return text;
}

/**
 * `text` when it can stand in one line. Unlike {@link checked} it may hold a NUL, as a quoted display name may (RFC 4475 §3.1.1.2): what identifies
 * a call has to be repeated as it came, or the call could not be hung up.
 */
function repeated(what: string, text: string): string {
  checked(what, text.replaceAll("\0", ""));
  return text;
}
