import { createDestinationCopyTable } from "../../migrations/index.ts";
import { type Connection, hasTable, type StoredRow } from "./connection.ts";

const TABLE = "headroom_destination_copy";

/** The rows of a table on a server, as they were read. */
export interface DestinationCopy {
  /** Names the server, the database and the table, without a password. */
  readonly source: string;
  /** When they were read, milliseconds since 1970. */
  readonly savedAtMs: number;
  readonly rows: readonly StoredRow[];
}

/** Copies of tables in a file of this node. Both methods reject with a `StoreError` when it cannot be used. */
export interface DestinationCopies {
  /** Undefined: there is none. */
  read(source: string): Promise<DestinationCopy | undefined>;
  /** In place of the one before. @param where "here": no call waits yet; "aside": a slow disk holds up no call */
  write(copy: DestinationCopy, where: "here" | "aside"): Promise<void>;
}

/** Reads a copy; one that is damaged is none. Its rows are checked as those of a database are. */
export async function readCopy(db: Connection, source: string): Promise<DestinationCopy | undefined> {
  if (!(await hasTable(db, TABLE))) return undefined;
  const saved = await db.selectFrom(TABLE).select(["saved_at", "destinations"]).where("source", "=", source).executeTakeFirst();
  if (saved === undefined) return undefined;
  try {
    const rows: unknown = JSON.parse(saved.destinations);
    return Array.isArray(rows) ? { source, savedAtMs: Number(saved.saved_at), rows } : undefined;
  } catch {
    return undefined;
  }
}

export async function writeCopy(db: Connection, { source, savedAtMs, rows }: DestinationCopy): Promise<void> {
  if (!(await hasTable(db, TABLE))) await createDestinationCopyTable(db, TABLE);
  const saved = { source, saved_at: savedAtMs, destinations: JSON.stringify(rows) };
  await db
    .insertInto(TABLE)
    .values(saved)
    .onConflict((conflict) =>
      conflict
        .column("source")
        .doUpdateSet(({ ref }) => ({ saved_at: ref("excluded.saved_at"), destinations: ref("excluded.destinations") })),
    )
    .execute();
}
