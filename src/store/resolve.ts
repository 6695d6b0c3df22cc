import { lookup } from "node:dns/promises";
import { defaultPort, type Found, MAX_ADDRESSES, type SipTarget } from "../resolution/index.ts";

/** Finds the IP addresses of a host name. Rejects when there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Finds the addresses of a target whose host is a name. A promise that rejects says why there are none. */
export type Locate = (target: SipTarget) => Found | Promise<Found>;

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

/** Addresses of the host, and the port of the URI or the usual one: neither NAPTR nor SRV records are asked for. */
export function locateByHost(resolve: Resolve): Locate {
  return async (target) => {
    const ips = [...new Set(await resolve(target.host))].slice(0, MAX_ADDRESSES);
    const port = target.port ?? defaultPort("udp");
    return { addresses: ips.map((ip) => ({ ip, port, transport: "udp" })), reason: ips.length > 0 ? undefined : "it has no address" };
  };
}

/**
 * Finds the addresses of targets, each once, a few at a time, in bounded time. Never rejects.
 *
 * @param targets by their keys
 * @returns by the same keys, what was found
 */
export async function resolveAll(
  targets: ReadonlyMap<string, SipTarget>,
  locate: Locate,
  limits: ResolveLimits = RESOLVE_LIMITS,
): Promise<ReadonlyMap<string, Found>> {
  const waiting = targets.entries();
  const resolutions = new Map<string, Found>();
  const total = deadline(limits.totalMs, `name resolution took more than ${limits.totalMs / 1000} s in all`);
  async function work(): Promise<void> {
    for (const [key, target] of waiting) {
      if (total.isOver()) resolutions.set(key, { addresses: [], reason: total.reason });
      else resolutions.set(key, await resolveOne(target, locate, limits.hostMs, total));
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_LOOKUPS }, work));
  total.cancel();
  return resolutions;
}

async function resolveOne(target: SipTarget, locate: Locate, hostMs: number, total: Deadline): Promise<Found> {
  const own = deadline(hostMs, `no answer within ${hostMs / 1000} s`);
  try {
    // What answers after a deadline is not waited for; the race takes care of its rejection.
    const found = await Promise.race([locate(target), own.passed, total.passed]);
    return typeof found === "string" ? { addresses: [], reason: found } : found;
  } catch (cause) {
    return { addresses: [], reason: reasonOf(cause) };
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
