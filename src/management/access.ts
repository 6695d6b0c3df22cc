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
 * Whether a request names somebody else as its host. A browser that runs on the same machine reaches a loopback listener, and a page can point its own
 * host name at 127.0.0.1 (DNS rebinding): what it then reads counts as its own, so the browser sends no Origin. But Host is that name.
 * Who sends no Host is no browser (RFC 9112 §3.2).
 *
 * @param listenHost the name or address that the configuration listens on
 */
export function isForeignHost(host: string | undefined, listenHost: string): boolean {
  if (host === undefined) return false;
  const url = URL.parse(`http://${host}`);
  if (url === null || url.host === "" || url.username !== "" || url.pathname !== "/") return true;
  return !isLoopback(url.hostname) && url.hostname !== listenHost.toLowerCase();
}

/**
 * Whether a request comes from a web page of somebody else, as far as it says so. Browsers send Origin with each POST, and with a GET to another
 * origin; not with a GET to the page's own, which {@link isForeignHost} is for.
 */
export function isForeignOrigin(origin: string | undefined): boolean {
  if (origin === undefined) return false;
  const url = URL.parse(origin);
  return url === null || !isLoopback(url.hostname);
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
