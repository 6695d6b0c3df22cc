import type { Balancer, StatusChange, TableChange } from "../balancer/index.ts";
import { type Config, tableNotices } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import type { DestinationStore } from "../store/index.ts";

/** A destination went up or down. The words are those of OpenSIPS. What a probe or a drain changes they tell themselves. */
export function logStatus({ destination, enabled, wasEnabled, cause }: StatusChange, log: Log): void {
  if (enabled === wasEnabled || cause === "probe" || cause === "drain") return;
  const { id, group, uri } = destination;
  const origin = cause === "script" ? " from script" : "";
  log.info({ id, group, uri, enabled, cause }, `manually ${enabled ? "enable" : "disable"} destination ${id} <${uri}>${origin}`);
}

/**
 * The table in use is replaced only when all of the new one could be read.
 *
 * @param config what it names and the new table does not have is said in the log
 */
export async function loadTable(
  config: Pick<Config, "routing" | "load_balancer">,
  store: DestinationStore,
  balancer: Balancer,
  tableChanged: (change: TableChange) => void,
  log: Log,
): Promise<void> {
  const { rows, skipped, kept } = await store.loadDestinations();
  const change = balancer.replaceTable(rows);
  tableChanged(change);
  for (const { id, reason } of skipped) log.warn({ id }, reason);
  for (const text of [...kept, ...change.problems, ...tableNotices(config, rows)]) log.warn({}, text);
  log.info(
    {
      destinations: rows.length,
      skipped: skipped.length,
      added: change.added.length,
      removed: change.removed.length,
      changed: change.changed.length,
    },
    "destinations loaded",
  );
  if (rows.length === 0) {
    log.warn(
      {},
      'no destination to send calls to: add one with `headroom destinations add --group 1 --uri sip:192.0.2.10:5060 --resources "pstn=30"` (from a checkout: `npm run --silent headroom -- destinations add …`), then run `headroom mi lb_reload`',
    );
  }
}
