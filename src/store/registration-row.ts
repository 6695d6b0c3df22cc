import { createRegistrationTable } from "../../migrations/index.ts";
import { type Connection, hasTable, registrationTableName } from "./connection.ts";

/** Most registrations that are loaded: as many as there may be at a time. */
const MAX_REGISTRATIONS = 10_000;

/** A registration as it is written down: its id as a destination, and what is known of it, as JSON. */
export interface SavedRegistration {
  readonly id: number;
  readonly binding: string;
}

/** What differs from what is written down. */
export interface RegistrationChanges {
  readonly saved: readonly SavedRegistration[];
  /** Ids. */
  readonly removed: readonly number[];
}

/** Registrations in a database. Both methods reject with a `StoreError` when it cannot be used. */
export interface RegistrationTable {
  /** What others may have written; nothing is checked. */
  read(): Promise<readonly SavedRegistration[]>;
  /** All or nothing; it is durable when it is done. The same may be written twice. */
  write(changes: RegistrationChanges): Promise<void>;
}

/** Reads all registrations. A database without the table has none: it is made when the first one is written. */
export async function readRegistrations(db: Connection, table: string): Promise<SavedRegistration[]> {
  const name = registrationTableName(table);
  if (!(await hasTable(db, name))) return [];
  return db.selectFrom(name).select(["id", "binding"]).orderBy("id").limit(MAX_REGISTRATIONS).execute();
}

/** Writes registrations down and takes others out, all or none. */
export async function writeRegistrations(db: Connection, table: string, { saved, removed }: RegistrationChanges): Promise<void> {
  const name = registrationTableName(table);
  if (!(await hasTable(db, name))) await createRegistrationTable(db, name);
  await db.transaction().execute(async (transaction) => {
    if (removed.length > 0) await transaction.deleteFrom(name).where("id", "in", removed).execute();
    if (saved.length === 0) return;
    await transaction
      .insertInto(name)
      .values(saved)
      .onConflict((conflict) => conflict.column("id").doUpdateSet(({ ref }) => ({ binding: ref("excluded.binding") })))
      .execute();
  });
}
