import type { CellTable } from "./cell-table.ts";
import { type DestinationRow, identityKey } from "./destination.ts";
import { parseDestinationOptions } from "./destination-options.ts";
import { BalancerError } from "./errors.ts";
import { poolKey } from "./pool-key.ts";
import type { SharedLoads } from "./shared-loads.ts";

/**
 * What several threads cannot have from one table to the next.
 *
 * @throws {BalancerError} SHARED_TABLE when a destination is to join, leave or change a pool, as its calls are counted in it by others meanwhile; when it has a limit of
 *   calls a second, which each thread would count for itself; and when there are no numbers left for its cells
 */
export function checkSharedRows(rows: readonly DestinationRow[], cells: CellTable, shared: SharedLoads): void {
  const made = new Set<string>();
  for (const row of rows) {
    const { callsPerSecond = 0, shared: pool } = parseDestinationOptions(row.attrs);
    if (callsPerSecond > 0)
      refuse(row.id, `its attribute cps=${callsPerSecond} limits the calls of a second; want none of that, or sip.workers 1`);
    const key = identityKey(row);
    for (const { name } of row.resources) {
      const cell = cells.find(key, name);
      if (cell === -1) made.add(`${name} ${key}`);
      else if (cells.slotCell(cell) !== (pool === undefined ? cell : cells.find(poolKey(pool), name)))
        refuse(row.id, `it joins or leaves a pool, which needs a restart while sip.workers is above 1`);
      if (pool !== undefined && cells.find(poolKey(pool), name) === -1) made.add(`${name} ${poolKey(pool)}`);
    }
  }
  if (made.size > shared.left)
    throw new BalancerError(
      "SHARED_TABLE",
      `Cannot load ${rows.length} destinations: there is room for ${shared.left} more resources of them since the start; restart, or use sip.workers 1`,
    );
}

function refuse(id: number, reason: string): never {
  throw new BalancerError("SHARED_TABLE", `Cannot load destination ${id}: ${reason}`);
}
