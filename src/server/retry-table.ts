import type { Log } from "../proxy/index.ts";

/** How long until the database is tried again, the first time and at most, ms: it doubles in between. */
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;

export interface RetryTablePorts {
  readonly loader: { readonly isStale: boolean };
  readonly reloads: { reload(): Promise<void> };
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Pick<Log, "info" | "warn">;
}

/**
 * Reads the destinations again while the table in use is of an earlier load, as the database could not be reached at the start. Ends when somebody's reload has
 * succeeded, this one or another.
 *
 * @returns what ends it: a process that is relieved by another one must not load any more
 */
export function retryTable({ loader, reloads, after, log }: RetryTablePorts): { close(): Promise<void> } {
  let cancel = (): void => {};
  let isOver = false;
  wait(FIRST_RETRY_MS);
  return {
    async close() {
      isOver = true;
      cancel();
    },
  };

  function wait(ms: number): void {
    if (loader.isStale && !isOver) cancel = after(ms, () => void retry(ms));
  }

  async function retry(ms: number): Promise<void> {
    if (!loader.isStale) return;
    const next = Math.min(ms * 2, LONGEST_RETRY_MS);
    try {
      await reloads.reload();
      if (!isOver) log.info({}, "The database can be reached again: its destinations are in use");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!isOver) log.warn({ nextTryMs: next }, `Still going on with the destinations of an earlier load: ${reason}`);
    }
    wait(next);
  }
}
