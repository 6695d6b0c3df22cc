/** JSON-RPC 2.0 in the dialect of OpenSIPS MI (`mi/mi.c`, `mi/mi.h`). */

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const SERVER_ERROR = -32000;

const MIN_INT32 = -(2 ** 31);
const MAX_INT32 = 2 ** 31 - 1;

export type RequestId = string | number | null;

/** A well-formed request. `id` is undefined for a notification, `params` when there are none or the list is empty. */
export interface RpcCall {
  readonly kind: "call";
  readonly method: string;
  readonly params: readonly unknown[] | Readonly<Record<string, unknown>> | undefined;
  readonly id: RequestId | undefined;
}

/** A JSON value that is no JSON-RPC request; it is answered with the id when that could be read. */
export interface InvalidCall {
  readonly kind: "invalid";
  readonly id: RequestId;
}

/** A failure that the client is told: OpenSIPS modules use HTTP-like codes (404, 500), the protocol itself uses -32xxx. */
export class MiError extends Error {
  override readonly name = "MiError";
  readonly code: number;
  readonly data: string | undefined;
  constructor(code: number, message: string, data?: string) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** Parameters that do not fit the method; `data` says how. */
export function invalidParams(data: string): MiError {
  return new MiError(INVALID_PARAMS, "Invalid params", data);
}

/** A whole number as OpenSIPS reads it from JSON (`cJSON` `valueint`): the fraction is cut off, what does not fit 32 bits becomes the nearest that does. */
export function toInt32(value: number): number {
  return Math.min(MAX_INT32, Math.max(MIN_INT32, Math.trunc(value)));
}

/** Reads one request from a parsed JSON value. */
export function readRequest(value: unknown): RpcCall | InvalidCall {
  if (!isObject(value)) return { kind: "invalid", id: null };
  const id = own(value, "id");
  if (!isId(id)) return { kind: "invalid", id: null };
  const method = own(value, "method");
  const params = own(value, "params");
  const invalid =
    own(value, "jsonrpc") !== "2.0" || typeof method !== "string" || !(params === undefined || Array.isArray(params) || isObject(params));
  if (invalid) return { kind: "invalid", id: echoed(id) ?? null };
  return { kind: "call", method, params: isEmpty(params) ? undefined : params, id: echoed(id) };
}

/** @param id `undefined`: the answer has none */
export function resultText(result: unknown, id: RequestId | undefined): string {
  return JSON.stringify({ jsonrpc: "2.0", result, id });
}

/** @param id `undefined`: the answer has none */
export function errorText(error: MiError, id: RequestId | undefined): string {
  const { code, message, data } = error;
  return JSON.stringify({ jsonrpc: "2.0", error: data === undefined ? { code, message } : { code, message, data }, id });
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member that was really in the JSON text, never one that an object inherits. */
export function own(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function isId(id: unknown): id is RequestId | undefined {
  return id === undefined || id === null || typeof id === "string" || typeof id === "number";
}

function echoed(id: RequestId | undefined): RequestId | undefined {
  return typeof id === "number" ? toInt32(id) : id;
}

/** Empty parameters are none, as in OpenSIPS. */
export function isEmpty(params: readonly unknown[] | Readonly<Record<string, unknown>> | undefined): boolean {
  if (params === undefined) return true;
  return Array.isArray(params) ? params.length === 0 : Object.keys(params).length === 0;
}
