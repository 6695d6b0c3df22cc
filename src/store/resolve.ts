import { lookup } from "node:dns/promises";

/** Finds the IP addresses of a host name. Rejects when there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** What one host name came to: its addresses, or why there are none. */
export type Resolution = { readonly addresses: readonly string[] } | { readonly reason: string };

/** Addresses kept of one host name: as many as OpenSIPS keeps (`lb_data.h`, 32). */
const MAX_ADDRESSES = 32;
/** Name look-ups under way at once. The system's resolver has four threads, which other work wants as well. */
const PARALLEL_LOOKUPS = 4;

/** How long resolving may take. */
export interface ResolveLimits {
  /** For one host name. */
  readonly hostMs: number;
  /** For all of them: a reload ends in time whatever the name servers do. */
  readonly totalMs: number;
}

/** A resolver that asks three times waits for five seconds in between; what takes longer than that is as good as unreachable. */
export const RESOLVE_LIMITS: ResolveLimits = { hostMs: 5_000, totalMs: 15_000 };

/**
 * Asks the system for the addresses of a host, `/etc/hosts` included.
 *
 * IPv4 addresses come first: the listeners that the configuration starts with are IPv4, and `localhost` has both.
 */
export async function resolveBySystem(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: "ipv4first" });
  return found.map(({ address }) => address);
}

/**
 * Resolves host names, each once, a few at a time, in bounded time. Never rejects.
 *
 * @param hosts repetitions are allowed
 */
export async function resolveAll(
  hosts: Iterable<string>,
  resolve: Resolve,
  limits: ResolveLimits = RESOLVE_LIMITS,
): Promise<ReadonlyMap<string, Resolution>> {
  const waiting = [...new Set(hosts)].values();
  const resolutions = new Map<string, Resolution>();
  const total = deadline(limits.totalMs, `name resolution took more than ${limits.totalMs / 1000} s in all`);
  async function work(): Promise<void> {
    for (const host of waiting) {
      if (total.isOver()) resolutions.set(host, { reason: total.reason });
      else resolutions.set(host, await resolveOne(host, resolve, limits.hostMs, total));
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_LOOKUPS }, work));
  total.cancel();
  return resolutions;
}

async function resolveOne(host: string, resolve: Resolve, hostMs: number, total: Deadline): Promise<Resolution> {
  const own = deadline(hostMs, `no answer within ${hostMs / 1000} s`);
  try {
    // What answers after a deadline is not waited for; the race takes care of its rejection.
    const found = await Promise.race([resolve(host), own.passed, total.passed]);
    if (typeof found === "string") return { reason: found };
    const addresses = [...new Set(found)].slice(0, MAX_ADDRESSES);
    return addresses.length > 0 ? { addresses } : { reason: "it has no address" };
  } catch (cause) {
    return { reason: reasonOf(cause) };
  } finally {
    own.cancel();
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ENOTFOUND") return "there is no such host";
  if (code === "EAI_AGAIN") return "the name servers do not answer";
  return code ?? message ?? String(cause);
}

interface Deadline {
  readonly reason: string;
  /** Answers the reason when the time is over. */
  readonly passed: Promise<string>;
  isOver(): boolean;
  cancel(): void;
}

function deadline(ms: number, reason: string): Deadline {
  const { promise, resolve } = Promise.withResolvers<string>();
  let over = false;
  const timer = setTimeout(() => {
    over = true;
    resolve(reason);
  }, ms);
  return { reason, passed: promise, isOver: () => over, cancel: () => clearTimeout(timer) };
}
