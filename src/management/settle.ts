import type { ManagementPorts } from "./ports.ts";

/**
 * Waits until what was just decided for a destination, its status or a capacity, would survive a restart, for as long as `settled` waits at most. It is in force at once, so a
 * database that is slow or gone is a line in the log and no failure of the method. Never rejects.
 */
export async function settle({ settled, log }: Pick<ManagementPorts, "settled" | "log">, id: number): Promise<void> {
  if (settled === undefined || (await settled())) return;
  log.warn({ id }, `what was decided for destination ${id} is in force, but not written down yet: a restart now would forget it`);
}
