import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import type { FeedOptions } from "../balancer/index.ts";
import { type Connection, type StoredRow, tableName } from "./connection.ts";
import type { DatabaseServer } from "./database-url.ts";
import { StoreError } from "./errors.ts";
import { checkRow, DECLARED_LENGTHS, type RawRow } from "./row.ts";
import type { NewRow, RowChanges } from "./store.ts";

/** Most rows that are loaded. A larger table is not meant for this program, or is not a table of destinations. */
const MAX_ROWS = 100_000;
/** Rows that one statement writes or looks for: a server is asked a hundred times for the largest table, not a hundred thousand times. SQLite takes 32,766 values. */
const ROWS_AT_ONCE = 1_000;

/**
 * Reads every row of the table of destinations as it stands, by id.
 *
 * @throws {StoreError} `TOO_MANY_ROWS`
 */
export async function readRows(db: Connection, { file, table }: { readonly file: string; readonly table: string }): Promise<StoredRow[]> {
  const rows = await db
    .selectFrom(tableName(table))
    .select(["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"])
    .orderBy("id")
    .limit(MAX_ROWS + 1)
    .execute();
  if (rows.length > MAX_ROWS) {
    throw new StoreError("TOO_MANY_ROWS", `Cannot load table "${table}" of database "${file}": it has more than ${MAX_ROWS} rows`);
  }
  return rows;
}

/** What a change is made on: the database, and what its rows may be. */
export interface ChangePlace {
  /** Of the database, for messages. */
  readonly file: string;
  readonly table: string;
  readonly kind: "sqlite" | DatabaseServer["kind"];
  readonly feeds?: FeedOptions | undefined;
}

/**
 * Makes all changes or none, and answers the ids of the rows that were added. What is removed goes first, so its ids are free.
 *
 * @throws {StoreError} `BAD_ROW` when a row is wrong, or its id is taken; `CHANGED` when one is not any more as the caller has seen it
 */
export async function changeRows(db: Connection, place: ChangePlace, changes: RowChanges): Promise<readonly number[]> {
  const { table, kind, feeds } = place;
  const { added, changed, removed } = changes;
  for (const [i, row] of added.entries()) refuseBad(row, `Cannot add destination ${i + 1} of ${added.length}`, feeds);
  for (const { after } of changed) refuseBad(after, `Cannot change destination ${after.id}`, feeds);
  const name = tableName(table);
  const transaction = kind === "sqlite" ? db.transaction() : db.transaction().setIsolationLevel("serializable");
  return transaction.execute(async (inside) => {
    if (changed.length + removed.length > 0) await refuseStale(inside, place, changes);
    for (const ids of portions(removed.map(({ id }) => id))) await inside.deleteFrom(name).where("id", "in", ids).execute();
    for (const { after } of changed) {
      const { id: _id, ...values } = valuesOf(after);
      await inside.updateTable(name).set(values).where("id", "=", after.id).execute();
    }
    return insert(inside, place, added);
  });
}

/** Rows that bring their ids go first: none of the ids that the database gives can be one of theirs then. */
async function insert(db: Connection, { table, kind }: ChangePlace, rows: readonly NewRow[]): Promise<readonly number[]> {
  const name = tableName(table);
  const withIds = rows.filter(({ id }) => id !== undefined);
  await refuseTaken(db, name, rows);
  for (const some of portions(withIds)) await db.insertInto(name).values(some.map(valuesOf)).execute();
  if (kind === "postgres" && withIds.length > 0) await passIds(db, table);
  const others = rows.filter(({ id }) => id === undefined);
  const given: number[] = [];
  if (kind === "postgres") for (const some of portions(others)) given.push(...(await insertSome(db, name, some)));
  // Of several rows in one statement MariaDB tells one id only, and in a cluster they are not one after the other.
  else for (const row of others) given.push(Number((await db.insertInto(name).values(valuesOf(row)).executeTakeFirstOrThrow()).insertId));
  const next = given.values();
  return rows.map(({ id }) => id ?? (next.next().value as number));
}

/** A sequence gives ids in the order of the rows, and only grows. */
async function insertSome(db: Connection, name: "load_balancer", rows: readonly NewRow[]): Promise<readonly number[]> {
  const made = await db.insertInto(name).values(rows.map(valuesOf)).returning("id").execute();
  return made.map(({ id }) => id).sort((a, b) => a - b);
}

function portions<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / ROWS_AT_ONCE) }, (_, i) => all.slice(i * ROWS_AT_ONCE, (i + 1) * ROWS_AT_ONCE));
}

function refuseBad(row: NewRow, what: string, feeds: FeedOptions | undefined): void {
  const faults = faultsOf(row, feeds);
  if (faults.length > 0) throw new StoreError("BAD_ROW", `${what}: ${faults.join("; ")}`);
}

/** Somebody agreed to a change of rows as they were shown. */
async function refuseStale(db: Connection, { file, table }: ChangePlace, { changed, removed }: RowChanges): Promise<void> {
  const found = new Map((await readRows(db, { file, table })).map((row) => [row.id, row]));
  for (const row of [...changed.map(({ before }) => before), ...removed]) {
    if (isDeepStrictEqual({ ...found.get(row.id) }, { ...row })) continue;
    throw new StoreError(
      "CHANGED",
      `Cannot change destination ${row.id}: somebody else has changed or removed it meanwhile, nothing was written`,
    );
  }
}

/** Removes a row and answers it; undefined when there was none. */
export async function removeRow(db: Connection, table: string, id: number): Promise<StoredRow | undefined> {
  const name = tableName(table);
  const row = await db.selectFrom(name).selectAll().where("id", "=", id).executeTakeFirst();
  if (row) await db.deleteFrom(name).where("id", "=", id).execute();
  return row;
}

/**
 * What is wrong with a row that is to be written, each with its column; empty when nothing is.
 * Whether its host can be resolved is not looked at: the name may come to exist later.
 */
export function faultsOf(row: NewRow, feeds?: FeedOptions): readonly string[] {
  const checked = checkRow(rawOf(row), DECLARED_LENGTHS, feeds);
  return "faults" in checked ? checked.faults : [];
}

/** PostgreSQL gives the next id from a sequence, which knows nothing of ids that were written as they are. */
async function passIds(db: Connection, table: string): Promise<void> {
  const last = sql`(SELECT max(id) FROM ${sql.table(table)})`;
  const sequence = sql`pg_get_serial_sequence(quote_ident(${table}), 'id')`;
  await sql`SELECT setval(${sequence}, greatest(${last}, nextval(${sequence}))) WHERE ${sequence} IS NOT NULL`.execute(db);
}

async function refuseTaken(db: Connection, table: "load_balancer", rows: readonly NewRow[]): Promise<void> {
  const uris = new Map<number, string>();
  for (const ids of portions(rows.flatMap(({ id }) => id ?? []))) {
    const found = await db.selectFrom(table).select(["id", "dst_uri"]).where("id", "in", ids).execute();
    for (const { id, dst_uri: uri } of found) uris.set(id, uri);
  }
  for (const [i, { id, dst_uri: uri }] of rows.entries()) {
    if (id === undefined) continue;
    const by = uris.get(id);
    if (by !== undefined)
      throw new StoreError(
        "BAD_ROW",
        `Cannot add destination ${i + 1} of ${rows.length}: id ${id} is taken by "${by}", want another or none`,
      );
    uris.set(id, uri);
  }
}

/** A row as the checks look at it: an id that the database will give is none of the caller's. */
function rawOf(row: NewRow): RawRow {
  return { ...valuesOf(row), id: row.id ?? 0 };
}

function valuesOf({ id, group_id = 0, dst_uri, resources, probe_mode = 0, attrs = null, description = null }: NewRow) {
  return { ...(id !== undefined && { id }), group_id, dst_uri, resources, probe_mode, attrs, description };
}
