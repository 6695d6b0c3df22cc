import { SETTLE_TIMEOUT_MS } from "./limits.ts";
import type { ManagementPorts } from "./ports.ts";

/**
 * Waits until what was just decided for a destination would survive a restart, for {@link SETTLE_TIMEOUT_MS} at most. It is in force at once, so a database
 * that is slow or gone is a line in the log and no failure of the method. Never rejects.
 */
export async function settle({ settled, log }: Pick<ManagementPorts, "settled" | "log">, id: number): Promise<void> {
  if (settled === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), SETTLE_TIMEOUT_MS);
  });
  try {
    if (await Promise.race([settled(), over])) return;
    log.warn({ id }, `the status of destination ${id} is in force, but not written down yet: a restart now would forget it`);
  } catch (error) {
    log.warn({ id, err: error }, `the status of destination ${id} is in force, but cannot be written down: a restart now would forget it`);
  } finally {
    clearTimeout(timer);
  }
}
