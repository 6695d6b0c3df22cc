import { INVALID_PARAMS, INVALID_REQUEST, invalidParams, METHOD_NOT_FOUND, MiError, own, PARSE_ERROR, SERVER_ERROR } from "./jsonrpc.ts";
import { matchParams, Params } from "./params.ts";

type GivenParams = readonly unknown[] | Readonly<Record<string, unknown>> | undefined;

/** JSON-RPC 2.0 as one program speaks it. */
export interface Dialect {
  /** Finds the recipe that fits. @throws MiError when none does */
  match(recipes: readonly (readonly string[])[], params: GivenParams, namedOnly: boolean): Params;
  /** A failure in the words of the dialect. */
  told(error: MiError): MiError;
  /** HTTP status of an answer that is this failure, as {@link told} has made it. */
  statusOf(error: MiError): number;
  /** Requests without id are answered, too, without id. */
  readonly answersAll: boolean;
}

/** OpenSIPS `mi_http`. */
export const OPENSIPS: Dialect = {
  match: matchParams,
  told: (error) => error,
  statusOf: () => 200,
  answersAll: false,
};

/** Failures of the protocol, as Kamailio's `jsonrpcs` tells them. */
const FAULTS: ReadonlyMap<number, string> = new Map([
  [METHOD_NOT_FOUND, "Method Not Found"],
  [INVALID_PARAMS, "Invalid Parameters"],
  [SERVER_ERROR, "Server Error"],
]);
const FAULT = 500;

/**
 * Kamailio `jsonrpcs` over `xhttp`, as seen on 5.6.3: failures have codes of HTTP, which are also the status of the answer; a request without id is
 * answered without id; parameters that are too many are passed over, and of named ones the order counts.
 *
 * Three things differ. What is no JSON or no request gets an error, where Kamailio closes the connection or answers an empty result. Numbers may be
 * given as texts. And errors have `data`, a sentence.
 */
export const KAMAILIO: Dialect = {
  match: matchFirst,
  told(error) {
    const message = FAULTS.get(error.code);
    return message === undefined ? error : new MiError(FAULT, message, error.data);
  },
  statusOf({ code }) {
    if (code === PARSE_ERROR || code === INVALID_REQUEST) return 400;
    return code >= 400 && code <= 599 ? code : FAULT;
  },
  answersAll: true,
};

function matchFirst(recipes: readonly (readonly string[])[], params: GivenParams, namedOnly: boolean): Params {
  const isNamed = params !== undefined && !Array.isArray(params);
  if (isNamed) {
    const recipe = recipes.find(
      (names) => names.length > 0 && names.every((name) => Object.hasOwn(params, name)) && isSize(params, names.length),
    );
    if (recipe !== undefined)
      return new Params(new Map(recipe.map((name) => [name, own(params as Readonly<Record<string, unknown>>, name)])));
  }
  if (namedOnly && params !== undefined) throw invalidParams("Command only supports named parameters");
  const values: readonly unknown[] = params === undefined ? [] : Object.values(params);
  const recipe = recipes.filter(({ length }) => length <= values.length).reduce<readonly string[] | undefined>(longer, undefined);
  if (recipe === undefined) {
    const wanted = recipes.map((names) => `(${names.join(", ")})`).join(" or ");
    throw invalidParams(`Cannot run it with ${values.length} parameters: want ${wanted}`);
  }
  return new Params(new Map(recipe.map((name, index) => [name, values[index]])));
}

function longer(best: readonly string[] | undefined, recipe: readonly string[]): readonly string[] {
  return best === undefined || recipe.length > best.length ? recipe : best;
}

function isSize(params: object, size: number): boolean {
  return Object.keys(params).length === size;
}
