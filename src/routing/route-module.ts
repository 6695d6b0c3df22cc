import type { Call } from "./call.ts";
import { RoutingError } from "./errors.ts";
import { checkMethod } from "./rules.ts";

/** One handler of a route module. It may be asynchronous; what it returns is not used. */
export type RouteHandler = (call: Call) => unknown;

/** A route module: what `routing.script` names. It exports these names, or a default object that has them. */
export interface RouteModule {
  /** Decides about an initial request: relay it, answer it or drop it. */
  readonly request: RouteHandler;
  /** Decides after a branch has failed: relay again, answer, or do nothing, which sends the best response to the caller. */
  readonly failure?: RouteHandler;
  /** Sees every response on its way to the caller. */
  readonly reply?: RouteHandler;
  /** Methods of initial requests that come to request() besides INVITE; others are answered 405. */
  readonly methods?: readonly string[];
}

const HANDLERS = ["request", "failure", "reply"] as const;

/**
 * Checks what a module exports and picks the route module out of it.
 *
 * @param exports the module's namespace, as `import()` gives it
 * @param name the module's file, for the message
 * @throws {RoutingError} that says what is missing or of the wrong type, everything at once
 */
export function asRouteModule(exports: unknown, name = "route module"): RouteModule {
  const candidate = pickExports(exports);
  const faults: string[] = [];
  if (candidate["request"] === undefined) faults.push('it does not export "request", want a function request(call)');
  for (const handler of HANDLERS) {
    const value = candidate[handler];
    if (value !== undefined && typeof value !== "function")
      faults.push(`"${handler}" is ${describe(value)}, want a function ${handler}(call)`);
  }
  const methods = checkMethods(candidate["methods"], faults);
  if (faults.length > 0) throw new RoutingError(`Cannot use ${name}: ${faults.join("; ")}`);
  const { request, failure, reply } = candidate as { request: RouteHandler; failure?: RouteHandler; reply?: RouteHandler };
  return { request, ...(failure && { failure }), ...(reply && { reply }), ...(methods && { methods }) };
}

/** A default export fills in what is not exported by name: of a CommonJS module Node.js finds some names only. */
function pickExports(exports: unknown): Record<string, unknown> {
  const named = toRecord(exports);
  return { ...toRecord(named["default"]), ...named };
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function checkMethods(value: unknown, faults: string[]): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((method) => typeof method === "string")) {
    faults.push(`"methods" is ${describe(value)}, want a list of SIP methods, such as ["INVITE", "MESSAGE"]`);
    return undefined;
  }
  for (const method of value) {
    try {
      checkMethod("method", method);
    } catch (error) {
      if (!(error instanceof RoutingError)) throw error;
      faults.push(error.message);
    }
  }
  return value;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list with something else in it" : `a value of type ${typeof value}`;
}
