import { createHash, timingSafeEqual } from "node:crypto";

/** What a token opens: a viewer reads, an operator also changes. */
export type Role = "viewer" | "operator";

/** A token of the configuration. */
export interface NamedToken {
  /** Stands in the log and in the audit list, where the token itself never does. */
  readonly name: string;
  readonly token: string;
  readonly role: Role;
}

/** Whose token was sent. */
export type Holder = Pick<NamedToken, "name" | "role">;

/** A token as a request brought it. */
export interface SentToken {
  readonly token: string;
  /** A browser sends it along by itself, so that it says nothing about which page asks. */
  readonly isAmbient: boolean;
}

/** Name of the parameter of a URL (RFC 6750 §2.3), for clients that can send no header, as `opensips-cli`. */
const URL_PARAMETER = "access_token=";

/** Finds the holder of a token. Comparing takes the same time whatever is sent, and all tokens are always compared. */
export class TokenBook {
  readonly #entries: readonly (Holder & { readonly digest: Buffer })[];

  constructor(tokens: readonly NamedToken[]) {
    this.#entries = tokens.map(({ name, role, token }) => ({ name, role, digest: digest(token) }));
  }

  /** Whether a token is asked for at all. */
  get isRequired(): boolean {
    return this.#entries.length > 0;
  }

  /** @returns undefined for a token that nobody holds */
  holderOf(token: string): Holder | undefined {
    const sent = digest(token);
    let found: Holder | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, sent)) found ??= { name: entry.name, role: entry.role };
    return token === "" ? undefined : found;
  }
}

/**
 * The token of a request: `Authorization: Bearer TOKEN` (RFC 6750 §2.1), `Authorization: Basic` with the token as password and any user name (RFC 7617), as
 * browsers ask people for it, or `access_token` in the URL. Two at once are one too many (RFC 6750 §2): none of them counts.
 *
 * @param url undefined: one in the URL is not looked at
 */
export function sentToken(authorization: string | undefined, url: string | undefined): SentToken | undefined {
  const inUrl = url === undefined ? undefined : tokenOfUrl(url);
  if (authorization === undefined) return inUrl === undefined ? undefined : { token: inUrl, isAmbient: false };
  if (inUrl !== undefined) return undefined;
  const [, scheme = "", value = ""] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return { token: value, isAmbient: false };
  if (scheme === "") return undefined;
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : { token: text.slice(colon + 1), isAmbient: true };
}

// By hand: URLSearchParams would read the + that a token may have as a space.
function tokenOfUrl(url: string): string | undefined {
  const start = url.indexOf("?");
  if (start === -1) return undefined;
  const found = url
    .slice(start + 1)
    .split("&")
    .filter((pair) => pair.startsWith(URL_PARAMETER));
  if (found.length === 0) return undefined;
  try {
    return found.length === 1 ? decodeURIComponent(found[0]!.slice(URL_PARAMETER.length)) : "";
  } catch {
    return "";
  }
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
