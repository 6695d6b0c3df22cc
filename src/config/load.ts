import { closeSync, openSync, readSync } from "node:fs";
import { checkTogether } from "./cross-checks.ts";
import { ConfigError, type ConfigProblem } from "./errors.ts";
import { noticesOf } from "./notices.ts";
import { defaultOf, pathsByName, type Reading, readValue, type SchemaView } from "./read-values.ts";
import { type Config, ConfigSchema, type ConfigValues, type RoutingRule } from "./schema.ts";
import { MAX_CONFIG_BYTES, readYamlTree } from "./yaml-tree.ts";

/** The file that is read when none is named, when it is there. */
export const DEFAULT_CONFIG_FILE = "headroom.yaml";

/** The schema as plain JSON Schema words: what reading needs of it. */
const VIEW = ConfigSchema as unknown as SchemaView;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads a configuration file, checks all of it and fills in the defaults.
 *
 * @param file undefined: `headroom.yaml` in the working directory when there is one, else the defaults alone
 * @param environment what `${NAME}` is replaced from, such as `process.env`
 * @throws {ConfigError} with everything that is wrong, not only the first
 */
export function loadConfig(file: string | undefined, environment: Environment): Config {
  const text = readText(file ?? DEFAULT_CONFIG_FILE, file === undefined);
  if (text === undefined) return { ...(defaultOf(VIEW) as ConfigValues), file: undefined, notices: [] };
  return parseConfig(text, file ?? DEFAULT_CONFIG_FILE, environment);
}

/**
 * Reads the text of a configuration file, as `loadConfig` does with a file.
 *
 * @param file its name, for the messages
 * @throws {ConfigError} with everything that is wrong, not only the first
 */
export function parseConfig(text: string, file: string, environment: Environment): Config {
  const problems: ConfigProblem[] = [];
  const reading: Reading = {
    set: new Map(),
    refused: [],
    pathsByName: pathsByName(VIEW),
    report({ line, column }, message) {
      problems.push({ file, line, column, message });
    },
  };
  const tree = readYamlTree(text, environment, reading.report);
  const values = readValue(VIEW, tree, "", reading) as ConfigValues;
  checkTogether(values, reading);
  if (problems.length > 0) throw new ConfigError(problems.sort(byPlace));
  const notices = noticesOf(values, reading.set, file);
  const rules = values.routing.rules.map((rule, i) => asMeant(values, rule, (key) => reading.set.has(`routing.rules[${i}].${key}`)));
  return { ...values, routing: { ...values.routing, rules }, file, notices };
}

/**
 * A rule with the defaults that are its own: where no group is named, resources bound nothing unless they are given; and where nobody probes the dispatcher's
 * destinations, a failed call takes none of them out for good unless that was asked for.
 */
function asMeant({ dispatcher }: ConfigValues, rule: RoutingRule, isGiven: (key: string) => boolean): RoutingRule {
  if (rule.dispatch === undefined && rule.distribute === undefined && rule.answer === undefined) return rule;
  return {
    ...rule,
    ...(!isGiven("resources") && { resources: "" }),
    ...(rule.dispatch !== undefined && dispatcher.ds_ping_interval === 0 && !isGiven("disable_on") && { disable_on: [] }),
  };
}

/** The text of a file; undefined when it is not there and need not be. */
function readText(file: string, mayBeMissing: boolean): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    return new TextDecoder("utf-8", { fatal: true }).decode(readBounded(descriptor, file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && mayBeMissing) return undefined;
    if (code === "ENOENT") throw problemWith(file, "there is no such file, want a configuration file in YAML", cause);
    if (code === "EISDIR") throw problemWith(file, "this is a directory, want a configuration file in YAML", cause);
    if (code === "EACCES") throw problemWith(file, "the file may not be read by this user, want it readable", cause);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw problemWith(file, "the file is not UTF-8 text, want YAML in UTF-8", cause);
    throw problemWith(file, `the file cannot be read: ${message}`, cause);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Reads no more than a bound, also from what has no size of its own, such as a pipe. */
function readBounded(descriptor: number, file: string): Uint8Array {
  const buffer = Buffer.alloc(MAX_CONFIG_BYTES + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += count;
    if (length > MAX_CONFIG_BYTES) throw problemWith(file, `the file has more than ${MAX_CONFIG_BYTES} bytes, want at most that many`);
    if (count === 0) return buffer.subarray(0, length);
  }
}

function problemWith(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ file, line: undefined, column: undefined, message }], { cause });
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
