/** How far a version may be ahead of Redis's time, ms: clocks are not that wrong, and one that is must not win for as long as it is. */
export const MAX_AHEAD_MS = 60_000;
/** Characters of a version. */
export const VERSION_CHARS = 31;
const MS_DIGITS = 13;
const COUNTER_DIGITS = 6;
const NODE_DIGITS = 10;
const MAX_MS = 10 ** MS_DIGITS - 1;
const MAX_COUNTER = 10 ** COUNTER_DIGITS - 1;
const VERSION = /^\d{13}-\d{6}-\d{10}$/;

/**
 * When something was decided, by a hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): milliseconds since 1970 by Redis's clock, a
 * counter for what the same millisecond brought, and the node. Fixed width, so that texts compare as versions do.
 */
export type Version = string;

/** @param ms since 1970 @param counter 0 to 999999 @param nodeId of who decided */
export function versionOf(ms: number, counter: number, nodeId: number): Version {
  const whole = Math.min(Math.max(0, Math.trunc(ms)), MAX_MS);
  return `${digits(whole, MS_DIGITS)}-${digits(counter, COUNTER_DIGITS)}-${digits(nodeId, NODE_DIGITS)}`;
}

export function isVersion(text: unknown): text is Version {
  return typeof text === "string" && VERSION.test(text);
}

/** Milliseconds since 1970 of a version. */
export function msOf(version: Version): number {
  return Number(version.slice(0, MS_DIGITS));
}

/** Who decided. */
export function nodeOf(version: Version): number {
  return Number(version.slice(-NODE_DIGITS));
}

/** The first version of a node that is newer than another. */
export function versionAfter(version: Version, nodeId: number): Version {
  const ms = msOf(version);
  const counter = counterOf(version) + 1;
  return counter > MAX_COUNTER ? versionOf(ms + 1, 0, nodeId) : versionOf(ms, counter, nodeId);
}

/** Makes the versions of one node: each is newer than all that it made or saw before. */
export class HybridClock {
  readonly #nowMs: () => number;
  readonly #nodeId: number;
  #latest: Version;

  /** @param nowMs Redis's time as well as it is known, ms since 1970 */
  constructor(nowMs: () => number, nodeId: number) {
    this.#nowMs = nowMs;
    this.#nodeId = nodeId;
    this.#latest = versionOf(0, 0, nodeId);
  }

  next(): Version {
    const nowMs = this.#nowMs();
    // A clock that was an hour ahead and is corrected now must not go on from there: nobody would take what is decided in that hour.
    const isAhead = this.isAhead(this.#latest);
    this.#latest =
      isAhead || msOf(this.#latest) < Math.trunc(nowMs) ? versionOf(nowMs, 0, this.#nodeId) : versionAfter(this.#latest, this.#nodeId);
    return this.#latest;
  }

  /** Takes note of what another node made, unless it is too far ahead. */
  observe(version: Version): void {
    if (version > this.#latest && !this.isAhead(version)) this.#latest = version;
  }

  /** Whether a version is further ahead of now than any clock may be. */
  isAhead(version: Version): boolean {
    return msOf(version) > this.#nowMs() + MAX_AHEAD_MS;
  }
}

function counterOf(version: Version): number {
  return Number(version.slice(MS_DIGITS + 1, MS_DIGITS + 1 + COUNTER_DIGITS));
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
