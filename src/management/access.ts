import { createHash, timingSafeEqual } from "node:crypto";
import { canonicalIp } from "../balancer/index.ts";

/** Whether only this machine can connect to `host`: `localhost`, 127.0.0.0/8 or ::1, with or without brackets. */
export function isLoopback(host: string): boolean {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare.toLowerCase() === "localhost") return true;
  const address = canonicalIp(bare);
  return address !== undefined && (address.startsWith("127.") || address === "0:0:0:0:0:0:0:1");
}

/** Checks `Authorization: Bearer` headers (RFC 6750 §2.1). Comparing takes the same time whatever is sent, and all tokens are always compared. */
export class BearerTokens {
  readonly #digests: readonly Buffer[];

  constructor(tokens: readonly string[]) {
    this.#digests = tokens.map(digest);
  }

  get required(): boolean {
    return this.#digests.length > 0;
  }

  accepts(authorization: string | undefined): boolean {
    const [, token = ""] = /^bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
    const sent = digest(token);
    let same = false;
    for (const known of this.#digests) same = timingSafeEqual(known, sent) || same;
    return same && token !== "";
  }
}

/**
 * Whether a request comes from a web page of somebody else. A browser that runs on the same machine reaches a
 * loopback listener, and a page can point its own host name at 127.0.0.1 (DNS rebinding); but it always sends Origin.
 */
export function isForeignOrigin(origin: string | undefined): boolean {
  if (origin === undefined) return false;
  const url = URL.parse(origin);
  return url === null || !isLoopback(url.hostname);
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
