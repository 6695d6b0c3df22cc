import { MAX_FAILING_SOURCES } from "./limits.ts";

export interface FailureGuardOptions {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Failures within the window that ban a source; 0: nobody is banned. */
  readonly maxFailures: number;
  readonly windowMs: number;
  readonly banMs: number;
}

interface Failing {
  failures: number;
  sinceMs: number;
  bannedUntilMs: number;
}

/** Counts wrong passwords by source address and bans those that try too many. An IPv6 source is its /64: a host has as many addresses as it likes. */
export class FailureGuard {
  readonly #options: FailureGuardOptions;
  /** The one that failed last at the end. */
  readonly #failing = new Map<string, Failing>();

  constructor(options: FailureGuardOptions) {
    this.#options = options;
  }

  /** How many sources are remembered. */
  get size(): number {
    return this.#failing.size;
  }

  /** @param address as `canonicalIp` spells it */
  isBanned(address: string): boolean {
    const failing = this.#failing.get(sourceOf(address));
    return failing !== undefined && this.#options.nowMs() < failing.bannedUntilMs;
  }

  /** Counts one failure. Answers whether it begins a ban. */
  failed(address: string): boolean {
    const { maxFailures, windowMs, banMs, nowMs } = this.#options;
    if (maxFailures === 0) return false;
    const now = nowMs();
    const source = sourceOf(address);
    let failing = this.#failing.get(source);
    if (failing === undefined || now - failing.sinceMs >= windowMs) {
      failing = { failures: 0, sinceMs: now, bannedUntilMs: failing?.bannedUntilMs ?? now };
    }
    failing.failures++;
    this.#failing.delete(source);
    this.#failing.set(source, failing);
    if (this.#failing.size > MAX_FAILING_SOURCES) this.#failing.delete(this.#failing.keys().next().value!);
    if (failing.failures < maxFailures) return false;
    const begins = now >= failing.bannedUntilMs;
    failing.failures = 0;
    failing.sinceMs = now;
    failing.bannedUntilMs = now + banMs;
    return begins;
  }
}

function sourceOf(address: string): string {
  return address.includes(":") ? address.split(":", 4).join(":") : address;
}
