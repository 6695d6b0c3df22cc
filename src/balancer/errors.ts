/** Stable names of what the balancer refuses. */
export type BalancerErrorCode = "BAD_RESOURCES" | "BAD_DESTINATION" | "DUPLICATE_DESTINATION" | "SHARED_TABLE";

/** A failure an operator is expected to read. `code` is stable; `message` may improve. */
export class BalancerError extends Error {
  override readonly name = "BalancerError";
  readonly code: BalancerErrorCode;

  constructor(code: BalancerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
