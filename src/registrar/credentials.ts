import { isToken } from "../sip/index.ts";
import { MAX_CREDENTIAL_CHARS, MAX_CREDENTIAL_PARAMS } from "./limits.ts";

/** What a Digest Authorization says (RFC 7616 §3.4). Values are as between the quotes, escapes included, as they are hashed. */
export interface Credentials {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  /** In lower case. */
  readonly response: string;
  /** "MD5" when the client named none (RFC 7616 §3.4). */
  readonly algorithm: string;
  readonly cnonce: string;
  readonly qop: string;
  readonly nc: string;
}

/** One `name=value` with what is in front of it. Sticky: a walk over the header without copies. */
const PARAM = /[ \t\r\n]*([^\s=,";]+)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s,"]+))[ \t\r\n]*(?:,|$)/y;
const SCHEME = /^[ \t]*digest[ \t\r\n]+/i;
const NONCE_COUNT = /^[0-9a-f]{8}$/i;

/**
 * Parses an Authorization header: undefined for another scheme than Digest, "malformed" for what RFC 7616 §3.4 does not allow, for a
 * parameter that stands twice, and for an answer without qop, which cannot be told from its repetition.
 */
export function parseCredentials(value: string): Credentials | "malformed" | undefined {
  const scheme = SCHEME.exec(value);
  if (scheme === null) return undefined;
  const params = readParams(value, scheme[0].length);
  if (params === undefined) return "malformed";
  const [username, realm, nonce, uri, response] = [
    params.get("username"),
    params.get("realm"),
    params.get("nonce"),
    params.get("uri"),
    params.get("response"),
  ];
  const [cnonce, nc] = [params.get("cnonce"), params.get("nc")];
  if (username === undefined || realm === undefined || !nonce || !uri || !response || !cnonce || nc === undefined) return "malformed";
  if (!NONCE_COUNT.test(nc) || params.get("qop")?.toLowerCase() !== "auth") return "malformed";
  const algorithm = params.get("algorithm") ?? "MD5";
  return { username, realm, nonce, uri, response: response.toLowerCase(), algorithm, cnonce, qop: "auth", nc };
}

function readParams(value: string, from: number): Map<string, string> | undefined {
  const params = new Map<string, string>();
  PARAM.lastIndex = from;
  for (let at = from; at < value.length; at = PARAM.lastIndex) {
    const found = PARAM.exec(value);
    if (found === null) return undefined;
    const name = found[1]!.toLowerCase();
    const text = found[2] ?? found[3]!;
    if (!isToken(name) || params.has(name) || params.size === MAX_CREDENTIAL_PARAMS || text.length > MAX_CREDENTIAL_CHARS) return undefined;
    params.set(name, text);
  }
  return params;
}
