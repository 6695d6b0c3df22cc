import type { Endpoint } from "../transaction/index.ts";

const COLON = 0x3a;
const SPACE = 0x20;
const LETTER_M = 0x6d;
/** As a bit, it tells a small letter from a capital one. */
const SMALL = 0x20;
const BY_UDP = ";transport=udp";

/**
 * Whether a URI may have a parameter `method` or `maddr`, found out without reading it in full: some parameter of it begins with that letter, or with white space.
 * Nearly none has.
 */
export function mayHaveMParam(uri: string): boolean {
  for (let at = uri.indexOf(";"); at !== -1; at = uri.indexOf(";", at + 1)) {
    const code = uri.charCodeAt(at + 1);
    if ((code | SMALL) === LETTER_M || code <= SPACE) return true;
  }
  return false;
}

/** Whether a URI may have to be changed before it stands in a Request-URI; see `asRequestUri`. */
export function mayNeedRepair(uri: string): boolean {
  return uri.includes("?") || mayHaveMParam(uri);
}

/**
 * Whether a URI says nothing but that a request goes by UDP to this place, its port written: such as `sip:alice@192.0.2.1:5060`. It need not be read then.
 *
 * @param uri that has been taken from a message, so that its characters are those of a URI
 */
export function namesPlace(uri: string, place: Endpoint): boolean {
  if (place.transport !== "udp" || !uri.startsWith("sip:")) return false;
  const { address, port } = place;
  const atSign = uri.indexOf("@");
  const host = atSign === -1 ? "sip:".length : atSign + 1;
  if (atSign === "sip:".length || (atSign !== -1 && uri.charCodeAt("sip:".length) === COLON)) return false;
  const colon = host + address.length;
  const end = uri.endsWith(BY_UDP) ? uri.length - BY_UDP.length : uri.length;
  return uri.startsWith(address, host) && uri.charCodeAt(colon) === COLON && isPort(uri, colon + 1, end, port) && isIpv4(address);
}

/** Whether a range is this number, without a zero before it. */
function isPort(text: string, start: number, end: number, port: number): boolean {
  let left = port;
  for (let at = end - 1; at >= start; at--) {
    if (text.charCodeAt(at) !== 0x30 + (left % 10) || left === 0) return false;
    left = Math.trunc(left / 10);
  }
  return left === 0 && port > 0;
}

/** Whether an IP address is one of IPv4. */
function isIpv4(address: string): boolean {
  return !address.includes(":");
}
