import { createStateTable } from "../../migrations/index.ts";
import type { DestinationState } from "../health/index.ts";
import { type Connection, type StoredState, stateTableName } from "./connection.ts";

/** Most states that are loaded: as many as there may be destinations. */
const MAX_STATES = 100_000;
const MAX_INT32 = 2_147_483_647;
/** How much of a bad value a message quotes. */
const MAX_QUOTED_LENGTH = 60;

/** What was found in the table of states. */
export interface LoadedStates {
  /** The latest change first. Also those of rows that are not in the table of destinations, or cannot be used now: these may come back. */
  readonly states: readonly DestinationState[];
  /** One sentence for each row that cannot be used: its destination starts as if nobody had touched it. */
  readonly skipped: readonly string[];
}

/** Reads all states. A database without the table has none: it is made when the first one is written. */
export async function readStates(db: Connection, table: string): Promise<LoadedStates> {
  const name = stateTableName(table);
  if (!(await hasTable(db, name))) return { states: [], skipped: [] };
  const rows = await db
    .selectFrom(name)
    .selectAll()
    .orderBy("changed_at", "desc")
    .limit(MAX_STATES + 1)
    .execute();
  const states: DestinationState[] = [];
  const skipped: string[] = [];
  for (const row of rows.slice(0, MAX_STATES)) {
    const faults = faultsOf(row);
    if (faults.length === 0) states.push(stateOf(row));
    else skipped.push(`State of destination ${show(row.id)} <${show(row.dst_uri)}> is skipped: ${faults.join("; ")}`);
  }
  if (rows.length > MAX_STATES) skipped.push(`States are skipped: table "${name}" has more than ${MAX_STATES} rows`);
  return { states, skipped };
}

/** Writes states, all or none. One that says nothing, as nobody has touched the destination any more, is taken out of the table. */
export async function writeStates(db: Connection, table: string, states: readonly DestinationState[]): Promise<void> {
  const name = stateTableName(table);
  if (!(await hasTable(db, name))) await createStateTable(db, name);
  await db.transaction().execute(async (transaction) => {
    const rows = states.filter((state) => !saysNothing(state)).map(rowOf);
    if (rows.length > 0) {
      await transaction
        .insertInto(name)
        .values(rows)
        .onConflict((conflict) =>
          conflict.columns(["group_id", "dst_uri", "id"]).doUpdateSet(({ ref }) => ({
            enabled: ref("excluded.enabled"),
            auto_reenable: ref("excluded.auto_reenable"),
            draining: ref("excluded.draining"),
            drain_deadline: ref("excluded.drain_deadline"),
            drain_bye: ref("excluded.drain_bye"),
            changed_at: ref("excluded.changed_at"),
            cause: ref("excluded.cause"),
          })),
        )
        .execute();
    }
    for (const { id, group, uri } of states.filter(saysNothing)) {
      await transaction.deleteFrom(name).where("group_id", "=", group).where("dst_uri", "=", uri).where("id", "=", id).execute();
    }
  });
}

/** Whether a state is that of a destination that nobody has touched. */
function saysNothing({ enabled, autoReenable, draining }: DestinationState): boolean {
  return enabled && autoReenable && !draining;
}

async function hasTable(db: Connection, name: string): Promise<boolean> {
  return (await db.introspection.getTables()).some((table) => table.name === name);
}

function rowOf(state: DestinationState): StoredState {
  return {
    id: state.id,
    group_id: state.group,
    dst_uri: state.uri,
    enabled: Number(state.enabled),
    auto_reenable: Number(state.autoReenable),
    draining: Number(state.draining),
    drain_deadline: Math.trunc(state.drainDeadlineMs),
    drain_bye: Number(state.drainBye),
    changed_at: Math.trunc(state.changedAtMs),
    cause: state.cause,
  };
}

function stateOf(row: StoredState): DestinationState {
  return {
    id: row.id,
    group: row.group_id,
    uri: row.dst_uri,
    enabled: row.enabled === 1,
    autoReenable: row.auto_reenable === 1,
    draining: row.draining === 1,
    drainDeadlineMs: row.drain_deadline,
    drainBye: row.drain_bye === 1,
    changedAtMs: row.changed_at,
    cause: row.cause as DestinationState["cause"],
  };
}

/** What is wrong with a row: SQLite keeps any type in any column, and others may write the table. */
function faultsOf(row: StoredState): string[] {
  const faults: string[] = [];
  const want = (column: keyof StoredState, isRight: boolean, wanted: string): void => {
    if (!isRight) faults.push(`${column} ${show(row[column])}: want ${wanted}`);
  };
  const number = (column: keyof StoredState, most: number): void =>
    want(column, isWhole(row[column], most), `a whole number from 0 to ${most}`);
  number("id", Number.MAX_SAFE_INTEGER);
  number("group_id", MAX_INT32);
  want("dst_uri", typeof row.dst_uri === "string" && row.dst_uri !== "", "a URI");
  for (const column of ["enabled", "auto_reenable", "draining", "drain_bye"] as const) want(column, isWhole(row[column], 1), "0 or 1");
  for (const column of ["drain_deadline", "changed_at"] as const) number(column, Number.MAX_SAFE_INTEGER);
  want("cause", row.cause === "mi" || row.cause === "drain", '"mi" or "drain"');
  return faults;
}

function isWhole(value: unknown, most: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

/** A value as a message quotes it, on one line and cut when it is long. */
function show(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (value instanceof Uint8Array) return `of ${value.length} bytes`;
  const text = String(value).replace(/[^\x20-\x7e]/g, "?");
  return text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text;
}
