import {
  atOnce,
  type DispatcherOptions,
  NO_REPLY_CODES,
  type ProbingMode,
  parseListSteps,
  parseReplyCodes,
  readSets,
  type Steps,
  type WrittenRecord,
} from "../dispatch/index.ts";
import type { Config } from "./schema.ts";
import { configuredSets, extraAttributes } from "./schema-dispatcher.ts";
import { readTextFile } from "./text-file.ts";

/** Largest list file: more than its 10,000 destinations need. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
/** Bit of `flags`: hashes take the user alone. */
const FLAG_USER_ONLY = 1;

/** Where the table of destinations is. */
export interface DispatcherTable {
  readonly dbUrl: string;
  readonly table: string;
  /** Attributes that are columns of their own: column by attribute. */
  readonly extra: Readonly<Record<string, string>>;
}

/** What a configuration says of the dispatcher, its file read. */
export interface DispatcherSetup {
  /** Destinations of the file, in its order. */
  readonly fromFile: readonly WrittenRecord[];
  /** Destinations of the configuration, in its order. */
  readonly fromSets: readonly WrittenRecord[];
  /** Undefined: there is none. */
  readonly table: DispatcherTable | undefined;
  readonly options: Partial<DispatcherOptions>;
  /** `ds_load_mode` 1: a destination that cannot be used refuses them all. */
  readonly isStrict: boolean;
  /** A sentence for each line that is left out. */
  readonly problems: readonly string[];
}

/**
 * Reads what the configuration says of the dispatcher.
 *
 * @throws {ConfigError} when the list file cannot be read
 */
export function readDispatcherSetup(config: Pick<Config, "dispatcher">): DispatcherSetup {
  return atOnce(dispatcherSetupSteps(config));
}

/** {@link readDispatcherSetup} in steps. */
export function* dispatcherSetupSteps({ dispatcher }: Pick<Config, "dispatcher">): Steps<DispatcherSetup> {
  const { list_file: file, db_url: dbUrl, table_name: table } = dispatcher;
  const list =
    file === null
      ? { records: [], problems: [] }
      : yield* parseListSteps(readTextFile(file, "Kamailio's list of destinations", MAX_LIST_BYTES));
  const sets = readSets(configuredSets(dispatcher));
  return {
    fromFile: list.records,
    fromSets: sets.records,
    table: dbUrl === null ? undefined : { dbUrl, table, extra: extraAttributes(dispatcher.ds_db_extra_attrs) },
    options: dispatcherOptions(dispatcher),
    isStrict: dispatcher.ds_load_mode === 1,
    problems: [...list.problems.map((problem) => `${file}: ${problem}`), ...sets.problems],
  };
}

/** Whether the configuration names any destinations for the dispatcher. */
export function hasDispatcher({ dispatcher }: Pick<Config, "dispatcher">): boolean {
  return dispatcher.list_file !== null || dispatcher.db_url !== null || dispatcher.sets.length > 0;
}

function dispatcherOptions(keys: Config["dispatcher"]): Partial<DispatcherOptions> {
  const replyCodes = parseReplyCodes(keys.ds_ping_reply_codes);
  return {
    useDefault: keys.use_default === 1,
    hashUserOnly: (keys.flags & FLAG_USER_ONLY) !== 0,
    probingMode: keys.ds_probing_mode as ProbingMode,
    probingThreshold: keys.ds_probing_threshold,
    inactiveThreshold: keys.ds_inactive_threshold,
    replyCodes: typeof replyCodes === "string" ? NO_REPLY_CODES : replyCodes,
    latencyAlpha: keys.ds_latency_estimator_alpha,
    loadFactor: keys.load_factor,
  };
}
