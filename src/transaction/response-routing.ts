import { endOfRport, H, NO_RPORT, type SipRequest, UNUSUAL_VIA, type Via, withParams } from "../sip/index.ts";
import type { Endpoint } from "./ports.ts";

const DEFAULT_PORT = 5060;
const DEFAULT_TLS_PORT = 5061;

/**
 * Where the responses to a request go: to its source when the transport is reliable or `rport` was asked for,
 * else to the source address and the port of sent-by (RFC 3261 §18.2.2, RFC 3581 §4). A reliable transport answers on the connection of the request,
 * and where that is closed opens another one to the port of sent-by.
 * A `maddr` parameter is not obeyed: it would let anyone point our answers at a third party.
 */
export function responseTarget(via: Via, source: Endpoint): Endpoint {
  const port = via.port ?? (via.transport === "TLS" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
  if (source.transport !== "udp") return source.connection === undefined || port === source.port ? source : { ...source, port };
  if (via.hasRport) return source;
  return port === source.port ? source : { transport: source.transport, address: source.address, port, listener: source.listener };
}

/**
 * Parameters to add to the top Via of a received request: `received` when sent-by is not the source address, and both when
 * `rport` was asked for (RFC 3261 §18.2.1, RFC 3581 §4). Empty when there is nothing to add.
 */
export function stampVia(via: Via, source: Endpoint): string {
  if (via.hasRport) return `;received=${source.address};rport=${source.port}`;
  // A `received` that the sender wrote itself is not to be believed by the hops behind us.
  return via.host === source.address && via.received === undefined ? "" : `;received=${source.address}`;
}

/** The top Via value as it goes back in a response of ours, with these parameters; undefined when it goes back as it came. */
export function stampedVia(request: SipRequest, source: Endpoint): string | undefined {
  const via = request.topVia;
  if (!via.hasRport && via.host === source.address && via.received === undefined) return undefined;
  const { raw } = request;
  const i = request.indexOf(H.Via);
  const start = request.valueStartAt(i);
  const end = request.valueEndAt(i);
  const rportEnd = endOfRport(raw, start, end);
  if (rportEnd === UNUSUAL_VIA || (rportEnd === NO_RPORT && via.hasRport)) return readAndStamp(request, source);
  if (rportEnd === NO_RPORT) return `${raw.slice(start, end)};received=${source.address}`;
  return `${raw.slice(start, rportEnd)}=${source.port}${raw.slice(rportEnd, end)};received=${source.address}`;
}

/** {@link stampedVia} of any Via. */
export function readAndStamp(request: SipRequest, source: Endpoint): string | undefined {
  const params = stampVia(request.topVia, source);
  if (params === "") return undefined;
  const value = request.list(H.Via)[0] ?? "";
  // A quoted parameter may hold a NUL, which is never written: such a Via goes back without a mark.
  return value.includes("\0") ? undefined : withParams(value, params);
}
