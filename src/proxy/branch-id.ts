import { H, type SipRequest } from "../sip/index.ts";
import { MAGIC_COOKIE } from "../transaction/index.ts";
import { DEFAULT_PORT, type Network } from "./core.ts";

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function fnv1a(hash: number, text: string): number {
  let h = hash;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), FNV_PRIME);
  return h;
}

/**
 * Fingerprint of all that decides where a request goes (RFC 3261 §16.6 step 8): a request that comes back with the same one
 * is in a loop, one that comes back changed is a spiral. Eight hexadecimal digits.
 */
export function loopFingerprint(request: SipRequest): string {
  let hash = fnv1a(FNV_OFFSET, request.uri);
  hash = fnv1a(hash, request.callId);
  hash = fnv1a(hash, request.fromTag);
  hash = fnv1a(hash, request.toTag);
  hash = fnv1a(hash, String(request.cseqNumber));
  if (request.indexOf(H.Route) !== -1) for (const route of request.list(H.Route)) hash = fnv1a(hash, route);
  if (request.indexOf(H.ProxyRequire) !== -1) hash = fnv1a(hash, request.value(H.ProxyRequire) ?? "");
  if (request.indexOf(H.ProxyAuthorization) !== -1) hash = fnv1a(hash, request.value(H.ProxyAuthorization) ?? "");
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Branch of our Via: the loop fingerprint, and a token that nobody can guess. */
export function makeBranch(fingerprint: string, token: string): string {
  return `${MAGIC_COOKIE}${fingerprint}.${token}`;
}

/** RFC 3261 §16.3 step 4: a Via of ours below the top one whose branch has the fingerprint that this request has now. */
export function isLoop(request: SipRequest, fingerprint: string, network: Network): boolean {
  const first = request.indexOf(H.Via);
  const onlyOne = request.indexOf(H.Via, first + 1) === -1 && !request.headerValueAt(first).includes(",");
  if (onlyOne && !request.topVia.branch.startsWith(MAGIC_COOKIE + fingerprint)) return false;
  const mark = `branch=${MAGIC_COOKIE}${fingerprint}.`;
  for (const value of request.list(H.Via)) {
    if (!value.includes(mark)) continue;
    const sentBy = sentByOf(value);
    if (sentBy !== undefined && network.isOwn(sentBy.host, sentBy.port)) return true;
  }
  return false;
}

/** Host and port of a Via value, without decoding its parameters. */
function sentByOf(value: string): { host: string; port: number } | undefined {
  const end = value.indexOf(";");
  const head = (end === -1 ? value : value.slice(0, end)).trim();
  const space = head.lastIndexOf(" ");
  if (space === -1) return undefined;
  const text = head.slice(space + 1).toLowerCase();
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const port = text.slice(close + 2);
    return { host: text.slice(1, close), port: port === "" ? DEFAULT_PORT : Number(port) };
  }
  const colon = text.indexOf(":");
  return colon === -1 ? { host: text, port: DEFAULT_PORT } : { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
