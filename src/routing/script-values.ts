import { H, type HeaderId, headerId } from "../sip/index.ts";
import { RoutingError } from "./errors.ts";
import { holdsSpaceOrControl } from "./text.ts";

/** Longest URI a script may set: what a message may hold in one line, with room for the rest of the line. */
const MAX_URI_LENGTH = 4096;
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

/** Headers that make the transaction, the dialog and the message itself: the proxy writes them. */
const OWN_HEADERS: ReadonlySet<HeaderId> = new Set<HeaderId>([
  H.Via,
  H.From,
  H.To,
  H.CallId,
  H.CSeq,
  H.MaxForwards,
  H.Route,
  H.RecordRoute,
  H.ContentLength,
]);

/** @throws {RoutingError} unless the text can stand as a URI on a request line or in a Route */
export function checkUri(what: string, uri: unknown): asserts uri is string {
  const isUsable =
    typeof uri === "string" && uri.length <= MAX_URI_LENGTH && /^[A-Za-z][A-Za-z0-9+.-]*:./.test(uri) && !holdsSpaceOrControl(uri);
  if (!isUsable || /[<>"]/.test(uri)) {
    throw new RoutingError(`Cannot set ${what} to ${quote(uri)}: want a URI without spaces, such as "sip:alice@192.0.2.1:5060"`);
  }
}

/** @throws {RoutingError} for what is no header name, and for the headers that belong to the proxy */
export function checkHeaderName(action: string, name: unknown): asserts name is string {
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw new RoutingError(`Cannot ${action} header ${quote(name)}: want the name of a header, such as "X-Tenant"`);
  }
  if (OWN_HEADERS.has(headerId(name))) {
    throw new RoutingError(`Cannot ${action} header "${name}": the proxy writes it, want a header that it does not need`);
  }
}

/** @throws {RoutingError} for what is no status, and for accepting an INVITE, which only a callee can (RFC 3261 §13.3.1.4) */
export function checkReply(method: string, status: unknown): asserts status is number {
  if (typeof status !== "number" || !Number.isInteger(status) || status < 100 || status > 699) {
    throw new RoutingError(`Cannot reply with status ${quote(status)}: want a whole number from 100 to 699`);
  }
  if (method === "INVITE" && status >= 200 && status < 300) {
    throw new RoutingError(`Cannot reply to INVITE with status ${status}: only a callee can accept a call, want another class than 2xx`);
  }
}

/** @throws {RoutingError} unless the group is a whole number */
export function checkGroup(action: string, group: unknown): void {
  if (!Number.isInteger(group)) throw new RoutingError(`Cannot run ${action} for group ${quote(group)}: want a whole number`);
}

/** @throws {RoutingError} unless the value is a string */
export function checkString(action: string, name: string, value: unknown): void {
  if (typeof value !== "string") throw new RoutingError(`Cannot run ${action} with ${name} ${quote(value)}: want a string`);
}

/** @throws {RoutingError} unless the value is a list of strings */
export function checkStrings(action: string, name: string, value: unknown): void {
  if (!Array.isArray(value)) throw new RoutingError(`Cannot run ${action} with ${name} ${quote(value)}: want a list of strings`);
  for (const entry of value) checkString(action, `one of ${name}`, entry);
}

/** @throws {RoutingError} unless it is a time in milliseconds, or undefined */
export function checkWait(name: string, ms: unknown): void {
  if (ms !== undefined && !(typeof ms === "number" && Number.isFinite(ms) && ms > 0)) {
    throw new RoutingError(`Cannot set ${name} to ${quote(ms)}: want milliseconds above 0, or undefined`);
  }
}

function quote(value: unknown): string {
  const text = typeof value === "string" ? value : String(value);
  return `"${text.length > 100 ? `${text.slice(0, 100)}…` : text}"`;
}
