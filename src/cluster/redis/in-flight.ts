import { LinkError } from "../ports.ts";
import type { RedisLinkCounters } from "./redis-link.ts";

/** Commands that wait for their answers: 20 ms of a million a second, two seconds of ten thousand a second. */
export const MAX_IN_FLIGHT = 20_000;
/** Characters of their names, keys and arguments. */
export const MAX_IN_FLIGHT_CHARS = 64 * 1024 * 1024;

interface Waiting {
  readonly sentAtMs: number;
  readonly what: string;
  readonly reject: (error: LinkError) => void;
}

/** Commands of one connection that were sent and are not answered, bounded in number, size and time. */
export class InFlight {
  readonly #counters: RedisLinkCounters;
  readonly #timeoutMs: number;
  readonly #waiting = new Set<Waiting>();
  /** With those that nobody waits for any more, but that Redis still has to answer: they take memory. */
  #unanswered = 0;
  #chars = 0;

  constructor(counters: RedisLinkCounters, timeoutMs: number) {
    this.#counters = counters;
    this.#timeoutMs = timeoutMs;
  }

  /** Sends something, unless too much is under way. @param chars its length @param send rejects with what the answer rejects with */
  add(what: string, chars: number, nowMs: number, send: () => Promise<unknown>): Promise<unknown> {
    if (this.#unanswered >= MAX_IN_FLIGHT || this.#chars + chars > MAX_IN_FLIGHT_CHARS) {
      this.#counters.refused_full++;
      return Promise.reject(new LinkError(`Cannot send "${what}" to Redis: ${this.#unanswered} commands wait for their answers`));
    }
    this.#unanswered++;
    this.#chars += chars;
    this.#counters.commands++;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { sentAtMs: nowMs, what, reject };
      this.#waiting.add(waiting);
      const answered = (): void => {
        this.#unanswered--;
        this.#chars -= chars;
        this.#waiting.delete(waiting);
      };
      send().then(
        (answer) => {
          answered();
          resolve(answer);
        },
        (error) => {
          answered();
          reject(error);
        },
      );
    });
  }

  /** Gives up what was sent too long ago. */
  expire(nowMs: number): void {
    for (const waiting of this.#waiting) {
      if (nowMs - waiting.sentAtMs < this.#timeoutMs) return; // in the order in which they were sent
      this.#waiting.delete(waiting);
      this.#counters.timed_out++;
      waiting.reject(new LinkError(`No answer of Redis to "${waiting.what}" in ${this.#timeoutMs} ms`));
    }
  }

  /** The connection is gone: nothing will be answered. */
  abandon(reason: string): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { what, reject } of waiting) reject(new LinkError(`No answer of Redis to "${what}": ${reason}`));
  }
}
