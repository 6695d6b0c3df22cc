import type { KeyOptions } from "./schema-keys.ts";
import { closestName } from "./spelling.ts";
import { type Located, LocatedMap, type LocatedValue, type Report } from "./yaml-tree.ts";

/** How much of a text a message quotes. */
const MAX_QUOTED_LENGTH = 60;

/** A text that no check of a form lets pass: it tells what the form is. */
const NO_FORM = " ";

/** The JSON Schema words that the configuration schema uses, and our own. */
export interface SchemaView extends KeyOptions {
  readonly type?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly SchemaView[];
  readonly items?: SchemaView;
  readonly properties?: Readonly<Record<string, SchemaView>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, SchemaView>>;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A key that stands in the file, with the value that was read from it. */
export interface SetKey {
  readonly path: string;
  readonly schema: SchemaView;
  readonly value: unknown;
  readonly line: number;
  readonly column: number;
}

/** What a reading leaves behind beside the value. */
export interface Reading {
  readonly report: Report;
  /** Every key of the file that was understood, by its path such as `routing.rules[0].group`. */
  readonly set: Map<string, SetKey>;
  /** The paths whose values were refused: what was read there in their place is the default. */
  readonly refused: string[];
  /** Where each key of the schema stands, by its name: `fr_timeout` gives `tm.fr_timeout`. */
  readonly pathsByName: ReadonlyMap<string, string>;
}

/**
 * Reads a value as a schema wants it, with the defaults filled in; what does not fit is reported with its place and read as the default.
 *
 * @param located what stands in the file; undefined when the key is not there
 * @param path such as `sip.listen[0]`; empty for the whole file
 */
export function readValue(schema: SchemaView, located: Located | undefined, path: string, reading: Reading): unknown {
  if (located === undefined) return defaultOf(schema);
  if (located.isReported) {
    reading.refused.push(path);
    return defaultOf(schema);
  }
  const value = readPresent(schema, located, path, reading);
  if (value === undefined) return defaultOf(schema);
  reading.set.set(path, { path, schema, value, line: located.line, column: located.column });
  return value;
}

/** The default of a key, its parts filled in. */
export function defaultOf(schema: SchemaView, given: unknown = schema.default): unknown {
  if (schema.type === "object" && schema.properties) {
    const from = (given ?? {}) as Record<string, unknown>;
    const names = Object.keys(schema.properties).filter((name) => name in from || schema.required?.includes(name));
    return Object.fromEntries(names.map((name) => [name, defaultOf(schema.properties?.[name] ?? {}, from[name])]));
  }
  if (given === undefined) return schema.default;
  if (Array.isArray(given)) return given.map((entry) => defaultOf(schema.items ?? {}, entry));
  return given;
}

/** Where each key stands, by its name; the first of several. Keys within lists have no path of their own. */
export function pathsByName(schema: SchemaView, path = "", paths = new Map<string, string>()): Map<string, string> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const own = pathTo(path, name);
    if (!paths.has(name)) paths.set(name, own);
    pathsByName(valueBranchOf(property), own, paths);
  }
  return paths;
}

/** Of a key that may be null, what it may be otherwise; another key as it is. */
export function valueBranchOf(schema: SchemaView): SchemaView {
  return schema.anyOf?.find((branch) => branch.type !== "null") ?? schema;
}

/** What a key wants, as the second half of a sentence. */
export function wantedOf(schema: SchemaView): string {
  if (schema.enum) return `one of ${schema.enum.map((word) => `"${word}"`).join(", ")}`;
  if (schema.anyOf) return schema.anyOf.map(wantedOf).join(" or ");
  switch (schema.type) {
    case "null":
      return "null";
    case "boolean":
      return "true or false";
    case "integer":
      return `a whole number${schema.unit ? ` of ${schema.unit}` : ""} from ${schema.minimum} to ${schema.maximum}`;
    case "number":
      return `a number${schema.unit ? ` of ${schema.unit}` : ""} from ${schema.minimum} to ${schema.maximum}`;
    case "array":
      return `${schema.single ? `${wantedOf(schema.items ?? {})}; or ` : ""}a list of ${schema.minItems ?? 0} to ${schema.maxItems} ${schema.single ? "of these" : "entries"}`;
    case "object":
      return "a mapping: names with values";
    default: {
      const form = schema.check?.(NO_FORM);
      if (form !== undefined) return form;
      const least = schema.minLength ? `at least ${schema.minLength} and ` : "";
      return schema.maxLength ? `a text of ${least}at most ${schema.maxLength} characters` : "a text";
    }
  }
}

/** The value, or `undefined` when it was reported. */
function readPresent(schema: SchemaView, located: Located, path: string, reading: Reading): unknown {
  const value = fromEnvironmentAs(schema, located);
  if (schema.anyOf) {
    if (value === null) return null;
    const other = valueBranchOf(schema);
    // The branch alone would say "want a text" where null is as good.
    const hasKind = other.type === "object" ? value instanceof LocatedMap : typeof value === "string";
    return hasKind ? readPresent(other, located, path, reading) : refuse(schema, located, path, reading);
  }
  if (schema.enum) return schema.enum.includes(value as string) ? value : refuse(schema, located, path, reading);
  switch (schema.type) {
    case "object":
      if (value !== null && !(value instanceof LocatedMap)) return refuse(schema, located, path, reading);
      if (schema.patternProperties) return readRecord(schema, value ?? new LocatedMap(), path, reading);
      return readMap(schema, value ?? new LocatedMap(), located, path, reading); // null: all that stood under the key is commented out
    case "array":
      return readList(schema, located, path, reading);
    case "integer":
    case "number": {
      const isNumber = schema.type === "integer" ? Number.isInteger(value) : Number.isFinite(value);
      const fits = isNumber && (value as number) >= (schema.minimum ?? -Infinity) && (value as number) <= (schema.maximum ?? Infinity);
      return fits ? value : refuse(schema, located, path, reading);
    }
    case "boolean":
      return typeof value === "boolean" ? value : refuse(schema, located, path, reading);
    default:
      return readText(schema, located, path, reading);
  }
}

function readText(schema: SchemaView, located: Located, path: string, reading: Reading): string | undefined {
  const value = schema.numberIsText && typeof located.value === "number" ? String(located.value) : located.value;
  if (typeof value !== "string") {
    const hint = typeof value === "number" || typeof value === "boolean" ? ", in quotes" : "";
    return refuse(schema, located, path, reading, wantedOf(schema) + hint);
  }
  if (value.length > (schema.maxLength ?? Infinity) || value.length < (schema.minLength ?? 0)) {
    const { check: _, ...lengths } = schema;
    return refuse(schema, located, path, reading, `${wantedOf(lengths)}, not ${value.length}`);
  }
  const wanted = schema.check?.(value);
  return wanted === undefined ? value : refuse(schema, located, path, reading, wanted);
}

function readList(schema: SchemaView, located: Located, path: string, reading: Reading): unknown[] | undefined {
  const items = schema.items ?? {};
  if (schema.single && !Array.isArray(located.value) && located.value !== null) {
    const only = readValue(items, located, path, reading);
    return only === undefined ? undefined : [only];
  }
  const entries = located.value;
  if (!Array.isArray(entries) || entries.length < (schema.minItems ?? 0) || entries.length > (schema.maxItems ?? Infinity)) {
    return refuse(schema, located, path, reading);
  }
  return (entries as readonly Located[]).map((entry, i) => readValue(items, entry, `${path}[${i}]`, reading));
}

function readMap(schema: SchemaView, map: LocatedMap, located: Located, path: string, reading: Reading): Record<string, unknown> {
  const properties = schema.properties ?? {};
  for (const [name, { key }] of map.entries) {
    if (!Object.hasOwn(properties, name)) reading.report(key, unknownKey(name, Object.keys(properties), path, reading));
  }
  const result: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const entry = map.entries.get(name);
    if (!entry && !schema.required?.includes(name)) continue;
    if (!entry && defaultOf(property) === undefined) {
      reading.refused.push(path);
      reading.report(located, `${path}: found no key "${name}", want ${wantedOf(property)}`);
    }
    const value = readValue(property, entry?.value, pathTo(path, name), reading);
    if (value !== undefined) result[name] = value;
  }
  return result;
}

function readRecord(schema: SchemaView, map: LocatedMap, path: string, reading: Reading): Record<string, unknown> {
  const [values = {}] = Object.values(schema.patternProperties ?? {});
  const read: [string, unknown][] = [];
  for (const [name, { key, value }] of map.entries) {
    const wanted = schema.nameCheck?.(name);
    if (wanted !== undefined) reading.report(key, `${path}: found the name ${quote(name)}, want ${wanted}`);
    else read.push([name, readValue(values, value, pathTo(path, name), reading)]);
  }
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

function unknownKey(name: string, known: readonly string[], path: string, { pathsByName }: Reading): string {
  const meant = closestName(name, known) ?? pathsByName.get(name);
  const hint = meant === undefined ? `want one of ${known.join(", ")}` : `did you mean "${meant}"?`;
  return `${path === "" ? "" : `${path}: `}found the unknown key ${quote(name)}, ${hint}`;
}

/** A variable of the environment is text; here it becomes what the key wants, when it looks like that. */
function fromEnvironmentAs(schema: SchemaView, located: Located): LocatedValue {
  const { value, fromEnvironment } = located;
  if (!fromEnvironment || typeof value !== "string") return value;
  if (schema.type === "number" && /^-?\d{1,15}(?:\.\d{1,15})?$/.test(value)) return Number(value);
  if (schema.type === "integer" && /^-?\d{1,15}$/.test(value)) return Number(value);
  if (schema.type === "boolean" && /^(?:true|false)$/.test(value)) return value === "true";
  return value;
}

function refuse(schema: SchemaView, located: Located, path: string, reading: Reading, wanted = wantedOf(schema)): undefined {
  reading.refused.push(path);
  const hidden = schema.secret || located.fromEnvironment;
  const found = hidden ? hiddenKind(located) : shown(located.value);
  // A check may say why before it says what is wanted.
  const clause = wanted.includes(", want ") ? `: ${wanted}` : wanted.startsWith("did you mean ") ? `, ${wanted}` : `, want ${wanted}`;
  reading.report(located, `${path === "" ? "" : `${path}: `}found ${found}${clause}`);
  return undefined;
}

/** What stands there, without saying it. */
function hiddenKind(located: Located): string {
  return located.fromEnvironment ? "a value from the environment" : "a value that is not shown here";
}

function shown(value: LocatedValue): string {
  if (value === null) return "nothing";
  if (typeof value === "string") return quote(value);
  if (value instanceof LocatedMap) return "a mapping";
  return Array.isArray(value) ? `a list of ${value.length}` : String(value);
}

/** A text in quotes, on one line, cut when it is long. */
function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text);
}

function pathTo(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
