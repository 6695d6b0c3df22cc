import { tryParseSipUri } from "../sip/index.ts";
import { RoutingError } from "./errors.ts";
import { encodeText } from "./text.ts";

/** The two parts of a URI that routes are chosen by. */
export interface UriParts {
  /** As it stands in the URI, escapes included, without a password; "" when there is none. Of a tel URI the number. */
  readonly user: string;
  /** Lower case, an IPv6 address without brackets; "" when there is none. */
  readonly host: string;
}

const NO_PARTS: UriParts = { user: "", host: "" };
const TEL = "tel:";

/** Takes user and host out of a SIP, SIPS or tel URI; both are empty for any other. */
export function splitUri(uri: string): UriParts {
  const parsed = tryParseSipUri(uri);
  if (parsed) return { user: withoutPassword(parsed.user ?? ""), host: parsed.host };
  if (uri.slice(0, TEL.length).toLowerCase() !== TEL) return NO_PARTS;
  const end = uri.indexOf(";");
  return { user: uri.slice(TEL.length, end === -1 ? undefined : end), host: "" };
}

function withoutPassword(user: string): string {
  const colon = user.indexOf(":");
  return colon === -1 ? user : user.slice(0, colon);
}

/**
 * The URI with another user part, everything else untouched; a password goes with the old user.
 * Characters that may not stand in a user part are escaped.
 *
 * @throws {RoutingError} when the URI is neither SIP, SIPS nor tel
 */
export function replaceUser(uri: string, user: string): string {
  const schemeEnd = uri.indexOf(":") + 1;
  const escaped = escapeUser(user);
  if (uri.slice(0, schemeEnd).toLowerCase() === TEL) {
    const end = uri.indexOf(";");
    return uri.slice(0, schemeEnd) + escaped + (end === -1 ? "" : uri.slice(end));
  }
  const parsed = tryParseSipUri(uri);
  if (!parsed) throw new RoutingError(`Cannot set the user of Request-URI "${uri}" to "${user}": want a sip, sips or tel URI`);
  const rest = uri.slice(parsed.user === undefined ? schemeEnd : uri.indexOf("@") + 1);
  return uri.slice(0, schemeEnd) + (escaped === "" ? "" : `${escaped}@`) + rest;
}

/** Escapes what RFC 3261 §25.1 does not allow in a user part; an escape that is there already stays. */
function escapeUser(user: string): string {
  return encodeText(user).replace(/%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-_.!~*'()&=+$,;?/%]/g, escapeOctet);
}

function escapeOctet(octet: string): string {
  return `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/**
 * The URI with host, port and parameters of another SIP URI in place of its own, as `ds_select_domain` leaves it: the user stays. Of a URI without
 * host, such as a tel URI, the other one takes the place, with the number as its user. `undefined` for any other URI, such as `urn:service:sos`: what it
 * says would be lost.
 */
export function withHostOf(uri: string, other: string): string | undefined {
  const rest = other.slice(other.indexOf(":") + 1);
  const hosts = rest.slice(rest.indexOf("@") + 1);
  const schemeEnd = uri.indexOf(":") + 1;
  if (uri.slice(0, schemeEnd).toLowerCase() === TEL) {
    const { user } = splitUri(uri);
    return `${other.slice(0, other.indexOf(":") + 1)}${user}@${hosts}`;
  }
  if (!/^sips?:/i.test(uri)) return undefined;
  const at = uri.indexOf("@");
  return uri.slice(0, at === -1 ? schemeEnd : at + 1) + hosts;
}
