import { StoreError } from "./errors.ts";

/** A failure of SQLite as a sentence; what is one already stays. */
export function asStoreError(cause: unknown, file: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const { message } = cause as Error;
  const primary = sqliteCode(cause);
  const reasons: Record<string, string> = {
    SQLITE_NOTADB: "it is not an SQLite database",
    SQLITE_CANTOPEN: "the file cannot be opened",
    SQLITE_READONLY: "this user may not write it",
    SQLITE_BUSY: "another program is writing it",
    SQLITE_FULL: "the disk is full",
  };
  const reason = reasons[primary] ?? (message || String(cause));
  const codeOfStore = primary === "SQLITE_NOTADB" || primary === "SQLITE_CANTOPEN" ? "CANNOT_OPEN" : "FAILED";
  return new StoreError(codeOfStore, `Cannot use database "${file}": ${reason}`, { cause });
}

/** The primary code of a failure of SQLite. Extended ones go into more detail: SQLITE_BUSY_SNAPSHOT, SQLITE_READONLY_DIRECTORY. */
export function sqliteCode(cause: unknown): string {
  const { code = "" } = cause as NodeJS.ErrnoException;
  return code.split("_", 2).join("_");
}
