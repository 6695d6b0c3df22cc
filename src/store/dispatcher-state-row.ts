import { createDispatcherStateTable } from "../../migrations/index.ts";
import { type Connection, dispatcherStateTableName, hasTable } from "./connection.ts";

/** Most states that are loaded: as many as there may be destinations. */
const MAX_STATES = 10_000;

/** The state that an operator set for a destination of the dispatcher. */
export interface SavedDispatcherState {
  /** Names the destination; it has the same name after a reload and a restart. */
  readonly destination: string;
  /** Bits of its flags. */
  readonly state: number;
  /** Milliseconds since 1970. */
  readonly changed_at: number;
}

/** What differs from what is written down. */
export interface DispatcherStateChanges {
  readonly saved: readonly SavedDispatcherState[];
  /** Names of destinations whose state nobody has set any more. */
  readonly removed: readonly string[];
}

/** States of the dispatcher in a database. Both methods reject with a `StoreError` when it cannot be used. */
export interface DispatcherStateTable {
  /** The latest change first. What others may have written; nothing is checked. */
  read(): Promise<readonly SavedDispatcherState[]>;
  /** All or nothing; it is durable when it is done. The same may be written twice. */
  write(changes: DispatcherStateChanges): Promise<void>;
}

/** Reads all states. A database without the table has none: it is made when the first one is written. */
export async function readDispatcherStates(db: Connection, table: string): Promise<SavedDispatcherState[]> {
  const name = dispatcherStateTableName(table);
  if (!(await hasTable(db, name))) return [];
  return db.selectFrom(name).select(["destination", "state", "changed_at"]).orderBy("changed_at", "desc").limit(MAX_STATES).execute();
}

/** Writes states down and takes others out, all or none. */
export async function writeDispatcherStates(db: Connection, table: string, { saved, removed }: DispatcherStateChanges): Promise<void> {
  const name = dispatcherStateTableName(table);
  if (!(await hasTable(db, name))) await createDispatcherStateTable(db, name);
  await db.transaction().execute(async (transaction) => {
    if (removed.length > 0) await transaction.deleteFrom(name).where("destination", "in", removed).execute();
    if (saved.length === 0) return;
    await transaction
      .insertInto(name)
      .values(saved)
      .onConflict((conflict) =>
        conflict.column("destination").doUpdateSet(({ ref }) => ({ state: ref("excluded.state"), changed_at: ref("excluded.changed_at") })),
      )
      .execute();
  });
}
