import { isIPv4, isIPv6 } from "node:net";
import { parseRequestedResources } from "../balancer/index.ts";
import { DIALOG_FLAG_WORDS, parseDialogFlags } from "../dialog/index.ts";
import { EVENT_NAMES, isEventName } from "../event-names.ts";
import { compileReplyCodes, parseBlacklist } from "../health/index.ts";
import { parseNameServer } from "../resolution/index.ts";
import { compileCidr } from "../routing/cidr.ts";
import { compilePattern } from "../routing/pattern.ts";
import { checkMethod as checkInitialMethod } from "../routing/rules.ts";
import { compileStatusList } from "../routing/status-set.ts";
import { type SipUri, tryParseSipUri, uriParam } from "../sip/index.ts";
import { parseHttpListen, parseListen } from "./listen.ts";
import { closestName } from "./spelling.ts";

/**
 * Looks at a text value of the right type: `undefined` when it can be used, else what is wanted, without a final period;
 * or why it cannot be used, then ", want" and what is wanted; or `did you mean "…"?`.
 */
export type TextCheck = (text: string) => string | undefined;

/** A SIP token (RFC 3261 §25.1), which methods, header names and tags are. */
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
/** Labels of letters, digits, hyphens and underscores: host names as they are found in practice, not only as RFC 1123 §2.1 wants them. */
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?$/;
/** An SQL name that never needs more than the usual quotes. */
const TABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const SQLITE_URL = /^sqlite:(?!\/\/(?!\/)).+$/s;
/** What a resource may be called: the name of a dialog profile, with OpenSIPS's sharing suffix (`dlg_profile.c`). */
const RESOURCE_NAME = /^[A-Za-z0-9_-]{1,64}(?:\/[sb])?$/;
/** RFC 6750 §2.1, b64token. */
const TOKEN_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const REDIS_USER = "(?:[^/?#:]*:[^/?#]+@)?";
const REDIS_HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?`;
const REDIS_HOSTS = `${REDIS_HOST}(?:,${REDIS_HOST}){0,63}`;
const SENTINEL_OPTION = "sentinel_(?:username|password)=[^#&]*";
/** The forms that the cluster can connect to; user and password stand in front of the last "@". */
const REDIS_URLS = [
  `^rediss?://${REDIS_USER}(${REDIS_HOST})(?:/\\d{0,4})?$`,
  `^rediss?\\+sentinel://${REDIS_USER}(${REDIS_HOSTS})/[^/?#]+(?:/\\d{0,4})?(?:\\?${SENTINEL_OPTION}(?:&${SENTINEL_OPTION})*)?$`,
  `^rediss?\\+cluster://${REDIS_USER}(${REDIS_HOSTS})(?:/0?)?$`,
].map((form) => new RegExp(form));
const SHARING_TAG_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const LIST_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_PORT = 65_535;

export function checkListen(text: string): string | undefined {
  return wantedBy(() => parseListen(text));
}

/** Where a capture server takes HEP. */
export function checkHepUrl(text: string): string | undefined {
  const rest = /^(?:udp|tcp):(?:\/\/)?(.*:\d{1,5})$/.exec(text)?.[1];
  return rest !== undefined && checkHostPort(rest) === undefined
    ? undefined
    : 'a transport, a host and a port, such as "udp:homer.example.net:9060" or "tcp:[2001:db8::1]:9061"';
}

export function checkNameServer(text: string): string | undefined {
  return parseNameServer(text) === undefined
    ? 'the IP address of a name server, with or without a port, such as "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:53"'
    : undefined;
}

export function checkHttpListen(text: string): string | undefined {
  return wantedBy(() => parseHttpListen(text));
}

export function checkCidr(text: string): string | undefined {
  return wantedBy(() => compileCidr(text));
}

/** An Origin as browsers send it (RFC 6454 §6.2): scheme, host, and a port that is not the usual one. */
export function checkOrigin(text: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/i.test(text)
    ? undefined
    : 'scheme, host and port of a page, such as "https://phone.example.com"';
}

export function checkPattern(text: string): string | undefined {
  return wantedBy(() => compilePattern("pattern", text));
}

export function checkStatusPattern(text: string): string | undefined {
  return wantedBy(() => compileStatusList("status", [text]));
}

export function checkHostPort(text: string): string | undefined {
  const parts = /^(\[[^\]]*\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const host = parts?.[1] ?? "";
  const port = Number(parts?.[2] ?? 1);
  if (isHost(host) && port >= 1 && port <= MAX_PORT) return undefined;
  return 'a host or host:port, such as "203.0.113.5:5060", "sip.example.net" or "[2001:db8::1]:5060"';
}

export function checkHeaderText(text: string): string | undefined {
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/.test(text) ? undefined : "1 to 200 printable ASCII characters";
}

export function checkToken(text: string): string | undefined {
  return TOKEN.test(text) ? undefined : "a name of letters, digits and -.!%*_+`'~";
}

export function checkMethod(text: string): string | undefined {
  // Methods are case-sensitive (RFC 3261 §7.1) and all that are in use are upper case, so "invite" is a slip.
  return TOKEN.test(text) && text === text.toUpperCase() ? undefined : 'a SIP method in upper case, such as "INVITE"';
}

/** A method that a rule may route: one of an initial request. */
export function checkRoutedMethod(text: string): string | undefined {
  return wantedBy(() => checkInitialMethod("method", text));
}

export function checkHost(text: string): string | undefined {
  return isHost(text) ? undefined : 'a host without a port, such as "sip.example.net", "203.0.113.5" or "[2001:db8::1]"';
}

export function checkServerName(text: string): string | undefined {
  const name = text.startsWith("*.") ? text.slice(2) : text;
  const isName = HOST_NAME.test(name) && !/^[\d.]+$/.test(name) && !name.endsWith(".");
  return isName ? undefined : 'a host name, such as "sip.example.net" or "*.example.net"';
}

export function checkSipUri(text: string): string | undefined {
  return tryParseSipUri(text) ? undefined : 'a SIP URI, such as "sip:prober@localhost"';
}

/** A resource list as lb_start takes it: names only, no capacities, none twice (OpenSIPS answers -4 to a name given twice). */
export function checkResourceList(text: string): string | undefined {
  const wanted = 'resource names with ";" between them, such as "transcoding;conference"';
  if (text.includes("=")) return `${wanted}, without capacities: these stand in the database`;
  const names = parseRequestedResources(text);
  if (!names) return wanted;
  const bad = names.find((name) => !RESOURCE_NAME.test(name));
  if (bad !== undefined) return `${wanted}: "${bad}" is not made of 1 to 64 letters, digits, "-" and "_", then optionally "/s" or "/b"`;
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  return twice === undefined ? undefined : `${wanted}: "${twice}" is named twice`;
}

export function checkFlags(text: string): string | undefined {
  return /^[nrs]*$/.test(text) ? undefined : 'letters out of "n", "r" and "s"';
}

export function checkDialogFlags(text: string): string | undefined {
  return parseDialogFlags(text) === undefined
    ? `words out of ${[...DIALOG_FLAG_WORDS.keys()].join(", ")}, with commas between them`
    : undefined;
}

export function checkTableName(text: string): string | undefined {
  return TABLE_NAME.test(text) ? undefined : "a table name of letters, digits and _, not starting with a digit, at most 64 characters";
}

export function checkSqliteUrl(text: string): string | undefined {
  return SQLITE_URL.test(text) && !text.includes("\0") ? undefined : "sqlite:FILE or sqlite:///ABSOLUTE/FILE";
}

export function checkDatabaseUrl(text: string): string | undefined {
  if (checkSqliteUrl(text) === undefined) return undefined;
  if (/^(?:mysql|postgres|postgresql):\/\/[^/].*$/s.test(text) && URL.canParse(text)) return undefined;
  return "sqlite:FILE, sqlite:///ABSOLUTE/FILE, mysql://USER:PASSWORD@HOST/DATABASE or postgres://USER:PASSWORD@HOST/DATABASE";
}

/** The value may hold a password: what is answered says nothing of it. */
export function checkRedisUrl(text: string): string | undefined {
  const hosts = REDIS_URLS.map((form) => form.exec(text)?.[1]).find((found) => found !== undefined);
  const ports = (hosts?.split(",") ?? []).map((host) => Number(/:(\d+)$/.exec(host)?.[1] ?? 1));
  const isRight = hosts !== undefined && ports.every((port) => port >= 1 && port <= MAX_PORT) && !/%(?![0-9A-Fa-f]{2})/.test(text);
  if (isRight) return undefined;
  return "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]/NAME[/DATABASE] or redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT], with rediss in place of redis for TLS";
}

export function checkSharingTag(text: string): string | undefined {
  return /^[A-Za-z0-9_.-]{1,64}\/[1-9]\d{0,8}=(?:active|backup)$/.test(text)
    ? undefined
    : 'NAME/CLUSTER=active or NAME/CLUSTER=backup, such as "vip/1=active"';
}

/** The name of a sharing tag, without its cluster. */
export function checkSharingTagName(text: string): string | undefined {
  return SHARING_TAG_NAME.test(text) ? undefined : 'the name of a sharing tag alone, 1 to 64 letters, digits and "_.-", such as "vip"';
}

export function checkBlacklist(text: string): string | undefined {
  return wantedBy(() => parseBlacklist(text));
}

/** The name of a list, as it stands in front of the "=" of a definition. */
export function checkListName(text: string): string | undefined {
  return LIST_NAME.test(text) ? undefined : "the name of a list of load_balancer.lb_define_blacklist";
}

export function checkReplyCodes(text: string): string | undefined {
  return wantedBy(() => compileReplyCodes([text]));
}

/** Another transaction begins with INVITE, none with ACK, and a CANCEL needs something to cancel. */
export function checkProbeMethod(text: string): string | undefined {
  return checkMethod(text) ?? (/^(?:INVITE|ACK|CANCEL)$/.test(text) ? 'a method such as "OPTIONS", not INVITE, ACK or CANCEL' : undefined);
}

export function checkEventName(text: string): string | undefined {
  if (isEventName(text)) return undefined;
  const meant = closestName(text, EVENT_NAMES);
  return meant === undefined ? `one of "${EVENT_NAMES.join('", "')}"` : `did you mean "${meant}"?`;
}

/** Gateways of the distributor are reached over UDP. */
export function checkUdpUri(text: string): string | undefined {
  const uri = tryParseSipUri(text);
  return uri?.scheme === "sip" && (transportOf(uri) ?? "udp") === "udp" ? undefined : "a SIP URI that is reached over UDP";
}

/** Whether there is a listener of its transport, `checkTogether` looks. */
export function checkNextHop(text: string): string | undefined {
  const uri = tryParseSipUri(text);
  const isServed = uri !== undefined && ["udp", "tcp", "tls"].includes(transportOf(uri) ?? "udp");
  return isServed
    ? undefined
    : 'a SIP URI that is reached over UDP, TCP or TLS, such as "sip:192.0.2.5:5060" or "sip:192.0.2.5;transport=tcp"';
}

function transportOf(uri: SipUri): string | undefined {
  return uriParam(uri, "transport")?.toLowerCase();
}

export function checkWebhookUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === "" && url.password === "" && (url.protocol === "http:" || url.protocol === "https:");
  // URL reads "http:x" and blanks around it as well.
  return isPlain && /^https?:\/\/[^\s]+$/i.test(text) ? undefined : "http://… or https://… without a user and password";
}

export function checkWebhookSecret(text: string): string | undefined {
  return text.length < 8 ? "a text of at least 8 characters" : undefined;
}

export function checkHttpRoot(text: string): string | undefined {
  return /^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*$/.test(text) ? undefined : 'a path without a leading slash, such as "mi"';
}

/** The name of a token, as it is to stand in logs. */
export function checkTokenName(text: string): string | undefined {
  return TOKEN_NAME.test(text) ? undefined : "letters, digits and ._@- only, a letter or digit first";
}

/** A token as RFC 6750 §2.1 has them. */
export function checkBearerToken(text: string): string | undefined {
  return BEARER_TOKEN.test(text) ? undefined : "letters, digits and -._~+/ only, with = at the end or not (RFC 6750)";
}

/** An IP address, an IPv6 one in brackets, or a host name; digits and dots alone are no name. */
function isHost(text: string): boolean {
  if (text.startsWith("[") && text.endsWith("]")) return isIPv6(text.slice(1, -1));
  return isIPv4(text) || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}

/** Turns the sentence that a parser throws into what is wanted: all of it behind "want", or behind the quoted value. */
function wantedBy(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    return /: want (.*)$/s.exec(message)?.[1] ?? /": (.*)$/s.exec(message)?.[1] ?? message;
  }
}
