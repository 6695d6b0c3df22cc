import type { Log } from "./ports.ts";

/** A target is told of at most once in so many milliseconds: a dead destination may cost a line for each call. */
export const LINE_EVERY_MS = 1_000;
/** Targets told of within that time; callers may write any they like. */
export const MAX_LINES = 100;

interface Told {
  readonly atMs: number;
  /** Failures since, of which nothing was said. */
  unsaid: number;
}

/** Tells in the log of requests that could not be sent or were refused by the host of their target, a bounded number of times. */
export class SendFailures {
  readonly #log: Pick<Log, "warn">;
  readonly #nowMs: () => number;
  /** In the order in which they were told of. */
  readonly #told = new Map<string, Told>();
  /** Failures of targets that there was no line for. */
  #unsaid = 0;

  /** @param nowMs monotonic milliseconds */
  constructor(log: Pick<Log, "warn">, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /**
   * @param target address and port
   * @param reason of the transport, half a sentence
   */
  note(target: string, reason: string, message: string): void {
    const now = this.#nowMs();
    const before = this.#told.get(target);
    if (before !== undefined && now - before.atMs < LINE_EVERY_MS) {
      before.unsaid++;
      return;
    }
    this.#told.delete(target);
    this.#makeRoom(now);
    if (this.#told.size >= MAX_LINES) {
      this.#unsaid += 1 + (before?.unsaid ?? 0);
      return;
    }
    this.#told.set(target, { atMs: now, unsaid: 0 });
    const more = before?.unsaid ?? 0;
    const others = this.#unsaid;
    this.#unsaid = 0;
    this.#log.warn({ target, reason, ...(more > 0 && { more }), ...(others > 0 && { others }) }, message + alsoFailed(more, others));
  }

  /** Those whose time is over make room, and what was not said of them goes with what was not said of others. */
  #makeRoom(now: number): void {
    for (const [target, { atMs, unsaid }] of this.#told) {
      if (this.#told.size < MAX_LINES || now - atMs < LINE_EVERY_MS) return;
      this.#told.delete(target);
      this.#unsaid += unsaid;
    }
  }
}

function alsoFailed(more: number, others: number): string {
  const parts = [more > 0 ? `${more} more to it` : "", others > 0 ? `${others} to other targets` : ""].filter((part) => part !== "");
  return parts.length === 0 ? "" : `; ${parts.join(" and ")} failed since the last such line`;
}
