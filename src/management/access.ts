import { canonicalIp } from "../balancer/index.ts";

/** Whether only this machine can connect to `host`: `localhost`, 127.0.0.0/8 or ::1, with or without brackets. */
export function isLoopback(host: string): boolean {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare.toLowerCase() === "localhost") return true;
  const address = canonicalIp(bare);
  return address !== undefined && (address.startsWith("127.") || address === "0:0:0:0:0:0:0:1");
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

/** What browsers say of the page that asks. */
export interface PageHeaders {
  /** GET or HEAD: it changes nothing. */
  readonly isRead: boolean;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site and Sec-Fetch-Mode (W3C Fetch Metadata), which no script can set. Browsers send them over TLS and to their own machine. */
  readonly site: string | undefined;
  readonly mode: string | undefined;
}

/**
 * Whether a request comes from a page of another origin; another port of the same host is one. A link to a page of ours may stand anywhere. Programs send
 * none of these headers. Browsers send Origin with each POST, and with a GET to another origin; not with a GET to the page's own, which
 * {@link isForeignHost} is for.
 */
export function isForeignPage({ isRead, host, origin, site, mode }: PageHeaders): boolean {
  if (site !== undefined) return site !== "same-origin" && site !== "none" && !(isRead && mode === "navigate");
  if (origin === undefined) return false;
  const page = URL.parse(origin);
  // With the scheme of the page, so that its default port counts: who ends TLS in front of us passes Host on without one.
  return page === null || page.host === "" || URL.parse(`${page.protocol}//${host ?? ""}`)?.host !== page.host;
}
