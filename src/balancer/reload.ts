import type { CellTable } from "./cell-table.ts";
import { type Destination, type DestinationRow, identityKey, isUnchanged, type TableChange } from "./destination.ts";
import { parseDestinationOptions } from "./destination-options.ts";
import { DestinationTable } from "./destination-table.ts";

/** Makes the table of `rows`, which are checked, and gives their resources cells. Order of `rows` does not matter. */
export function buildTable(
  rows: readonly DestinationRow[],
  old: DestinationTable,
  cells: CellTable,
  indexFrom?: number,
): { table: DestinationTable; change: TableChange } {
  const sorted = [...rows].sort((a, b) => a.id - b.id);
  const change = {
    added: [] as number[],
    removed: [] as number[],
    changed: [] as number[],
    kept: [] as number[],
    problems: [] as string[],
  };
  const destinations = sorted.map((row) => {
    const before = old.destinations[old.rowOfKey(identityKey(row))];
    if (before !== undefined && isUnchanged(before, capacitiesOf(before, cells), row)) {
      change.kept.push(row.id);
      return before;
    }
    (before === undefined ? change.added : change.changed).push(row.id);
    return makeDestination(row, cells);
  });
  cells.beginRows();
  for (const [i, row] of sorted.entries()) {
    for (const [k, { capacity, feed }] of row.resources.entries()) {
      cells.nameFromRow(destinations[i]!.resources[k]!.cell, capacity, feed?.key ?? "");
    }
  }
  cells.endRows(new Map(destinations.map(({ key, options }) => [key, options.shared])));
  const table = new DestinationTable(destinations, cells, indexFrom);
  for (const { id, key } of old.destinations) if (table.rowOfKey(key) === -1) change.removed.push(id);
  change.problems.push(...optionProblems(destinations), ...poolProblems(destinations, cells));
  return { table, change };
}

function capacitiesOf({ resources }: Destination, cells: CellTable): number[] {
  return resources.map(({ cell }) => cells.rowCapacity(cell));
}

function makeDestination(row: DestinationRow, cells: CellTable): Destination {
  const { id, group, uri, probeMode, attrs, description, addresses } = row;
  const key = identityKey(row);
  const options = parseDestinationOptions(attrs);
  const resources = row.resources.map(({ name, feed }) => ({
    name,
    cell: cells.intern(key, id, name, options.shared),
    ...(feed !== undefined && { feed }),
  }));
  const isFed = resources.some(({ feed }) => feed !== undefined);
  return { id, group, uri, key, resources, isFed, probeMode, attrs, options, description, addresses: [...addresses] };
}

function optionProblems(destinations: readonly Destination[]): string[] {
  return destinations.flatMap(({ id, options }) =>
    options.problems.map((problem) => `Cannot use an option in the attributes of destination ${id}: ${problem}`),
  );
}

/** One sentence for each resource of a pool whose rows give different capacities. */
function poolProblems(destinations: readonly Destination[], cells: CellTable): string[] {
  const pools = new Map<number, { smallest: number; text: string; rows: string[]; differ: boolean }>();
  for (const { id, options, resources } of destinations) {
    if (options.shared === undefined) continue;
    for (const { name, cell, feed } of resources) {
      if (feed !== undefined) continue;
      const capacity = cells.rowCapacity(cell);
      const pool = pools.get(cells.slotCell(cell)) ?? {
        smallest: capacity,
        text: `"${name}" of pool "${options.shared}"`,
        rows: [],
        differ: false,
      };
      pool.differ ||= capacity !== pool.smallest;
      pool.smallest = Math.min(pool.smallest, capacity);
      pool.rows.push(`${capacity} in destination ${id}`);
      pools.set(cells.slotCell(cell), pool);
    }
  }
  return [...pools.values()]
    .filter(({ differ }) => differ)
    .map(
      ({ smallest, text, rows }) =>
        `Capacities of ${text} differ (${rows.slice(0, MAX_ROWS_NAMED).join(", ")}): the smallest, ${smallest}, is used`,
    );
}

/** A sentence names so many rows of a pool. */
const MAX_ROWS_NAMED = 5;
