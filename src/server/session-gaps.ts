import type { FreeswitchFigures } from "../management/index.ts";
import type { SessionGap } from "./load-audit.ts";

/** Heartbeats in a row that have to show too few sessions: what is on its way between us and the server has arrived long before. */
export const HEARTBEATS_FOR_A_GAP = 5;

/** Calls, as a share of ours, that may be on their way to the server or from it at any moment. */
const ON_THE_WAY = 0.02;

interface Watched {
  /** Heartbeats that were there when it was looked at last. */
  heartbeats: number;
  inARow: number;
  isRaised: boolean;
}

/**
 * Compares what FreeSWITCHes say with what we count there. Each of our calls is at least one session, so fewer sessions than calls are a contradiction
 * once they last; more are none, since others may have calls there. Nothing is healed by it: which calls are gone it does not tell.
 */
export class SessionGaps {
  readonly #tell: (gap: SessionGap) => void;
  readonly #watched = new Map<string, Watched>();

  constructor(tell: (gap: SessionGap) => void) {
    this.#tell = tell;
  }

  /** Looks at one FreeSWITCH; nothing happens unless a heartbeat has come since the last look. */
  heard({ url, destinations, sessions, ownCalls: calls, heartbeats }: FreeswitchFigures): void {
    const watched = this.#watched.get(url) ?? { heartbeats: 0, inARow: 0, isRaised: false };
    this.#watched.set(url, watched);
    if (sessions === undefined || heartbeats === watched.heartbeats) return;
    watched.heartbeats = heartbeats;
    const isShort = calls - sessions > Math.floor(calls * ON_THE_WAY);
    watched.inARow = isShort ? watched.inARow + 1 : 0;
    const isRaised = watched.inARow >= HEARTBEATS_FOR_A_GAP;
    if (isRaised === watched.isRaised) return;
    watched.isRaised = isRaised;
    this.#tell({ state: isRaised ? "raised" : "ended", url, destinations, calls, sessions });
  }

  /** Forgets those that no row names any more. */
  keepOnly(urls: ReadonlySet<string>): void {
    for (const url of this.#watched.keys()) if (!urls.has(url)) this.#watched.delete(url);
  }

  /** Whether a FreeSWITCH lacks sessions, as was told last. */
  isRaised(url: string): boolean {
    return this.#watched.get(url)?.isRaised === true;
  }
}
