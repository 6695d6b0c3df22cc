import type { BanChange, OverloadChange } from "../overload/index.ts";
import type { Log } from "../proxy/index.ts";

/** Lines about bans within {@link WINDOW_MS}: who floods from many addresses must not fill the disk. */
export const MAX_BAN_LINES = 20;
export const WINDOW_MS = 60_000;

/** Tells of bans and overload in the log, of bans no more than a bounded number of times. */
export class OverloadLog {
  readonly #log: Log;
  readonly #nowMs: () => number;
  #sinceMs = -Infinity;
  #lines = 0;
  #left = 0;

  /** @param nowMs monotonic milliseconds */
  constructor(log: Log, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  ban({ kind, source, refused, leftMs, ageMs, reason }: BanChange): void {
    if (!this.#mayTell()) return;
    if (kind === "began") this.#log.warn({ source }, `source ${source} sends too many requests: banned for ${seconds(leftMs)} s at least`);
    else
      this.#log.info(
        { source, refused, reason },
        `ban of source ${source} has ended after ${seconds(ageMs)} s: ${ENDINGS[reason ?? "time"]}`,
      );
  }

  overload({ kind, cause, lagMs, utilization, refused }: OverloadChange): void {
    const fields = { cause, lagMs: Math.round(lagMs), utilizationPercent: Math.round(utilization * 100) };
    if (kind === "began") this.#log.warn(fields, `overload: ${CAUSES[cause]}; new calls are refused`);
    else this.#log.info({ ...fields, refused }, `overload is over: ${refused} requests were refused`);
  }

  #mayTell(): boolean {
    const now = this.#nowMs();
    if (now - this.#sinceMs >= WINDOW_MS) {
      if (this.#left > 0) this.#log.warn({ left: this.#left }, `${this.#left} more bans began or ended, of which the log says nothing`);
      this.#sinceMs = now;
      this.#lines = 0;
      this.#left = 0;
    }
    this.#lines++;
    if (this.#lines <= MAX_BAN_LINES) return true;
    this.#left++;
    return false;
  }
}

const ENDINGS = {
  time: "its time is over",
  lifted: "it was lifted",
  exempt: "the source is one that is never banned",
} as const;

const CAUSES = {
  lag: "the event loop stands still too long (overload.max_lag)",
  utilization: "the event loop has no idle moment and callers wait (overload.max_utilization)",
  backlog: "too much waits to be read in the queue of a socket (overload.max_backlog)",
  calls: "too many new calls a second (overload.new_calls_per_second)",
} as const;

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
