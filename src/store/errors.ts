/** Stable names of what the store refuses. */
export type StoreErrorCode =
  | "BAD_URL"
  | "BAD_TABLE"
  | "NO_TABLE"
  | "NO_DATABASE"
  | "CANNOT_OPEN"
  | "DAMAGED"
  | "IN_USE"
  | "WRONG_VERSION"
  | "BAD_ROW"
  | "CHANGED"
  | "DENIED"
  | "TOO_MANY_ROWS"
  | "FAILED";

/** A failure of the database that an operator is expected to read. `code` is stable; `message` may improve. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
