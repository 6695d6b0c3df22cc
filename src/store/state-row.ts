import { createStateTable } from "../../migrations/index.ts";
import { type DestinationState, isUntouched } from "../health/index.ts";
import { type Connection, hasTable, type StoredState, stateTableName } from "./connection.ts";

/** Most states that are loaded: as many as there may be destinations. */
const MAX_STATES = 100_000;
const MAX_INT32 = 2_147_483_647;
/** How much of a bad value a message quotes. */
const MAX_QUOTED_LENGTH = 60;
/** Most rows that are told of one by one. */
const MAX_PROBLEMS = 20;

/** What was found in the table of states. */
export interface LoadedStates {
  /** The latest change first. Also those of rows that are not in the table of destinations, or cannot be used now: these may come back. */
  readonly states: readonly DestinationState[];
  /** One sentence for each row that is not as it should be, and at the end one for all others when there are many. */
  readonly problems: readonly string[];
}

/** Reads all states. A database without the table has none: it is made when the first one is written. */
export async function readStates(db: Connection, table: string): Promise<LoadedStates> {
  const name = stateTableName(table);
  if (!(await hasTable(db, name))) return { states: [], problems: [] };
  const rows = await db
    .selectFrom(name)
    .selectAll()
    .orderBy("changed_at", "desc")
    .limit(MAX_STATES + 1)
    .execute();
  const states: DestinationState[] = [];
  const problems: string[] = [];
  for (const row of rows.slice(0, MAX_STATES)) {
    const nameless = faultsOf(row, IDENTITY);
    const faults = faultsOf(row, DECISION);
    const state = nameless.length === 0 ? stateOf(row) : undefined;
    if (state !== undefined) states.push(state);
    const outcome = state === undefined ? "belongs to no destination" : `is taken as ${describe(state)}`;
    const all = [...nameless, ...faults];
    if (all.length > 0) problems.push(`State of destination ${show(row.id)} <${show(row.dst_uri)}> ${outcome}: ${all.join("; ")}`);
  }
  const more = problems.length - MAX_PROBLEMS;
  if (more > 0) problems.splice(MAX_PROBLEMS, more, `${more} more states of table "${name}" are not as they should be`);
  if (rows.length > MAX_STATES) problems.push(`States are passed over: table "${name}" has more than ${MAX_STATES} rows`);
  return { states, problems };
}

/** Writes states, all or none. One that says nothing, as nobody has touched the destination any more, is taken out of the table. */
export async function writeStates(db: Connection, table: string, states: readonly DestinationState[]): Promise<void> {
  const name = stateTableName(table);
  if (!(await hasTable(db, name))) await createStateTable(db, name);
  await db.transaction().execute(async (transaction) => {
    const rows = states.filter((state) => !isUntouched(state)).map(rowOf);
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
    for (const { id, group, uri } of states.filter(isUntouched)) {
      await transaction.deleteFrom(name).where("group_id", "=", group).where("dst_uri", "=", uri).where("id", "=", id).execute();
    }
  });
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

/**
 * The state that a row tells of, with the careful reading of what cannot be read. That a row is there at all says that somebody took the destination
 * out of service, and no fault in it may send calls there.
 */
function stateOf(row: StoredState): DestinationState {
  const enabled = row.enabled === 1;
  return {
    id: row.id,
    group: row.group_id,
    uri: row.dst_uri,
    enabled,
    autoReenable: isRight("auto_reenable", row) ? row.auto_reenable === 1 : enabled,
    draining: isRight("draining", row) ? row.draining === 1 : enabled,
    drainDeadlineMs: isRight("drain_deadline", row) ? row.drain_deadline : 0,
    drainBye: row.drain_bye === 1,
    changedAtMs: isRight("changed_at", row) ? row.changed_at : 0,
    cause: row.cause === "drain" ? "drain" : "mi",
  };
}

function describe({ enabled, draining }: DestinationState): string {
  if (draining) return enabled ? "draining" : "disabled and draining";
  return enabled ? "enabled" : "disabled";
}

/** Columns that say whose state it is. Without one of them it can be nobody's. */
const IDENTITY = ["id", "group_id", "dst_uri"] as const;
const DECISION = ["enabled", "auto_reenable", "draining", "drain_deadline", "drain_bye", "changed_at", "cause"] as const;

/** What each column may hold: SQLite keeps any type in any of them, and others may write the table. */
const WANTED: { readonly [Column in keyof StoredState]: { readonly is: (value: unknown) => boolean; readonly wanted: string } } = {
  id: wholeNumber(Number.MAX_SAFE_INTEGER),
  group_id: wholeNumber(MAX_INT32),
  dst_uri: { is: (value) => typeof value === "string" && value !== "", wanted: "a URI" },
  enabled: flag(),
  auto_reenable: flag(),
  draining: flag(),
  drain_deadline: wholeNumber(Number.MAX_SAFE_INTEGER),
  drain_bye: flag(),
  changed_at: wholeNumber(Number.MAX_SAFE_INTEGER),
  cause: { is: (value) => value === "mi" || value === "drain", wanted: '"mi" or "drain"' },
};

function wholeNumber(most: number) {
  return { is: (value: unknown) => isWhole(value, most), wanted: `a whole number from 0 to ${most}` };
}

function flag() {
  return { is: (value: unknown) => isWhole(value, 1), wanted: "0 or 1" };
}

function isRight(column: keyof StoredState, row: StoredState): boolean {
  return WANTED[column].is(row[column]);
}

function faultsOf(row: StoredState, columns: readonly (keyof StoredState)[]): string[] {
  return columns.filter((column) => !isRight(column, row)).map((column) => `${column} ${show(row[column])}: want ${WANTED[column].wanted}`);
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
