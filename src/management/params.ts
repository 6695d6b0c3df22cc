import { invalidParams, isObject, own, toInt32 } from "./jsonrpc.ts";

/** Parameters of one call, already matched to one of the method's recipes. Types are checked when read, with the words of OpenSIPS (`mi/item.c`). */
export class Params {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** A whole number. Clients such as opensips-cli send every parameter as a string; a fraction is cut off. */
  int(name: string): number {
    const value = this.#values.get(name);
    if (typeof value === "number" && !Number.isNaN(value)) return clampSafe(Math.trunc(value));
    if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) return clampSafe(Number(value));
    throw badType(name);
  }

  /** As {@link int}, but a fraction is refused: for methods that OpenSIPS does not have, so that no client relies on its cutting. */
  whole(name: string): number {
    const value = this.#values.get(name);
    if (typeof value === "number" && !Number.isInteger(value)) {
      throw invalidParams(`Bad value for parameter '${name}': want a whole number, current value is ${value}`);
    }
    return this.int(name);
  }

  /** A text; a number is taken as its decimal digits. */
  text(name: string): string {
    return asText(this.#values.get(name), name);
  }

  /** A list or an object of parameters for another method; {@link matchParams} looks at them there. */
  structured(name: string): readonly unknown[] | Readonly<Record<string, unknown>> {
    const value = this.#values.get(name);
    if (Array.isArray(value) || isObject(value)) return value;
    // A command line has texts only, so one stands for a list of one.
    if (typeof value === "string" || typeof value === "number") return [value];
    throw badType(name);
  }

  /** A list of texts. One text alone is taken as a list of one. */
  texts(name: string): readonly string[] {
    const value = this.#values.get(name);
    if (!Array.isArray(value)) return [asText(value, name)];
    if (value.length === 0) throw invalidParams(`Empty array for parameter '${name}'`);
    return value.map((item) => asText(item, name));
  }
}

/**
 * Finds the recipe that fits: an array by its length, an object by its exact names.
 *
 * @param recipes each a list of parameter names; the empty list is the call without parameters
 * @throws MiError -32602 with the detail text of OpenSIPS (`mi/mi.h`)
 */
export function matchParams(
  recipes: readonly (readonly string[])[],
  params: readonly unknown[] | Readonly<Record<string, unknown>> | undefined,
  namedOnly: boolean,
): Params {
  if (params === undefined) {
    if (!recipes.some((recipe) => recipe.length === 0)) throw invalidParams("Too few or too many parameters");
    return new Params(new Map());
  }
  return isList(params) ? matchPositional(recipes, params, namedOnly) : matchNamed(recipes, params);
}

function matchPositional(recipes: readonly (readonly string[])[], params: readonly unknown[], namedOnly: boolean): Params {
  if (namedOnly) throw invalidParams("Command only supports named parameters");
  const matches = recipes.filter((recipe) => recipe.length === params.length);
  const [recipe] = matches;
  if (recipe === undefined) throw invalidParams("Too few or too many parameters");
  if (matches.length > 1) throw invalidParams("Ambiguous call, use named parameters instead");
  return new Params(new Map(recipe.map((name, index) => [name, params[index]])));
}

function matchNamed(recipes: readonly (readonly string[])[], params: Readonly<Record<string, unknown>>): Params {
  const count = Object.keys(params).length;
  const sameCount = recipes.filter((recipe) => recipe.length === count);
  const recipe = sameCount.find((names) => names.every((name) => Object.hasOwn(params, name)));
  if (recipe !== undefined) return new Params(new Map(recipe.map((name) => [name, own(params, name)])));
  throw invalidParams(sameCount.length > 0 ? "Named parameters do not match" : "Too few or too many parameters");
}

function asText(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(toInt32(value));
  throw badType(name);
}

function badType(name: string): Error {
  return invalidParams(`Bad type for parameter '${name}'`);
}

// Ids are INT UNSIGNED in the table, so 32 signed bits would not do; beyond 2**53 two different numbers could be taken for one.
function clampSafe(value: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, value));
}

function isList(params: readonly unknown[] | Readonly<Record<string, unknown>>): params is readonly unknown[] {
  return Array.isArray(params);
}
