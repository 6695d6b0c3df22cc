import { MAX_FAILING_SOURCES } from "./limits.ts";

export interface FailureGuardOptions {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Failures within the window that ban a source; 0: nobody is banned. */
  readonly maxFailures: number;
  readonly windowMs: number;
  readonly banMs: number;
}

const MAX_ATTEMPT_CHARS = 256;

interface Failing {
  failures: number;
  sinceMs: number;
  bannedUntilMs: number;
  /** When it was last said that the source fails. */
  toldAtMs: number;
  /** What it sent last, cut to {@link MAX_ATTEMPT_CHARS}. */
  latest: string;
}

/** What is to be said of a failure. */
export interface Failure {
  /** Nothing was said of this source for a window. */
  readonly isNews: boolean;
  readonly beginsBan: boolean;
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

  /**
   * Counts one failure. A copy of the latest, which UDP brings when the answer is late or lost, is none.
   *
   * @param attempt what was sent; "": it is no copy of anything
   */
  failed(address: string, attempt = ""): Failure {
    const { maxFailures, windowMs, banMs, nowMs } = this.#options;
    const now = nowMs();
    const source = sourceOf(address);
    const failing: Failing = this.#failing.get(source) ?? {
      failures: 0,
      sinceMs: now,
      bannedUntilMs: now,
      toldAtMs: -Infinity,
      latest: "",
    };
    const latest = attempt.slice(0, MAX_ATTEMPT_CHARS);
    if (latest !== "" && latest === failing.latest) return { isNews: false, beginsBan: false };
    failing.latest = latest;
    if (now - failing.sinceMs >= windowMs) {
      failing.failures = 0;
      failing.sinceMs = now;
    }
    failing.failures++;
    const isNews = now - failing.toldAtMs >= windowMs;
    if (isNews) failing.toldAtMs = now;
    this.#failing.delete(source);
    this.#failing.set(source, failing);
    if (this.#failing.size > MAX_FAILING_SOURCES) this.#failing.delete(this.#failing.keys().next().value!);
    if (maxFailures === 0 || failing.failures < maxFailures) return { isNews, beginsBan: false };
    const beginsBan = now >= failing.bannedUntilMs;
    failing.failures = 0;
    failing.sinceMs = now;
    failing.bannedUntilMs = now + banMs;
    return { isNews, beginsBan };
  }
}

function sourceOf(address: string): string {
  return address.includes(":") ? address.split(":", 4).join(":") : address;
}
