import { readFileSync, statSync } from "node:fs";
import { type Address, Balancer, type FeedOptions, parseDestinationOptions, parseResources } from "../balancer/index.ts";
import { type Config, loadConfig } from "../config/index.ts";
import { type DestinationStore, faultsOf, type NewRow, openStore, type RowChanges, type StoredRow, StoreError } from "../store/index.ts";
import { ImportError, parseDestinations } from "./destination-file.ts";
import { countsOf, describe, type ImportMode, isEmpty, linesOf, type Plan, planImport, planUpdate, shown } from "./destinations-plan.ts";
import { type ReloadOptions, reload } from "./destinations-reload.ts";
import { feedsOf } from "./feeds.ts";
import { printableJson, type Terminal, visible } from "./terminal.ts";

/** Largest file to import: 100,000 rows of the widest kind take less. */
const MAX_IMPORT_BYTES = 67_108_864;
/** Most rows that are shown before somebody is asked; of the others there is the number. */
const MAX_PREVIEW = 50;
/** Where the destinations are makes no difference to what is looked at here. */
const ANY_ADDRESS: Address = { ip: "192.0.2.1", port: 5060, transport: "udp" };
const REMINDER = "A running balancer goes on with what it has loaded, until: headroom mi lb_reload";

/** What every command has that changes the table. */
export interface ChangeOptions extends ReloadOptions {
  readonly config?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** The columns of a row, as options say them. */
export interface RowOptions {
  readonly group?: number;
  readonly uri?: string;
  readonly resources?: string;
  readonly probeMode?: number;
  readonly attrs?: string;
  readonly description?: string;
}

/** A change, and how it is told when it was made. */
interface Change {
  readonly plan: Plan;
  /** The lines that say what was done; `ids` are those of the rows that were added. */
  readonly told: (ids: readonly number[]) => readonly string[];
}

/** `headroom destinations add`. */
export async function add(options: ChangeOptions & RowOptions, terminal: Terminal): Promise<void> {
  const { group = 0, uri = "", resources = "", probeMode = 0, attrs = null, description = null } = options;
  const row: NewRow = { group_id: group, dst_uri: uri, resources, probe_mode: probeMode, attrs, description };
  // Before the database is opened: a slip should not make a file.
  const faults = faultsOf(row, feedsOf(loadConfig(options.config, terminal.environment)));
  if (faults.length > 0) throw new StoreError("BAD_ROW", `Cannot add the destination: ${faults.join("; ")}`);
  await carryOut(options, terminal, "migrate", () => ({
    plan: { added: [row], changed: [], removed: [], unchanged: 0 },
    told: ([id]) => [`Added destination ${id}: ${describe(row)}`],
  }));
}

/** `headroom destinations update`. */
export async function update(id: number, options: ChangeOptions & RowOptions, terminal: Terminal): Promise<void> {
  const { group, uri, resources, probeMode, attrs, description } = options;
  const given = {
    ...(group !== undefined && { group_id: group }),
    ...(uri !== undefined && { dst_uri: uri }),
    ...(resources !== undefined && { resources }),
    ...(probeMode !== undefined && { probe_mode: probeMode }),
    ...(attrs !== undefined && { attrs: attrs === "" ? null : attrs }),
    ...(description !== undefined && { description: description === "" ? null : description }),
  };
  if (Object.keys(given).length === 0)
    throw new ImportError([
      `Cannot update destination ${id}: want at least one of --group, --uri, --resources, --probe-mode, --attrs, --description`,
    ]);
  await carryOut(options, terminal, "inspect", (rows) => {
    const plan = planUpdate(rowOf(id, rows, "update"), given);
    return { plan, told: () => toldOf(plan) };
  });
}

/** `headroom destinations remove`. */
export async function remove(id: number, options: ChangeOptions, terminal: Terminal): Promise<void> {
  await carryOut(options, terminal, "inspect", (rows) => {
    const row = rowOf(id, rows, "remove");
    return {
      plan: { added: [], changed: [], removed: [row], unchanged: 0 },
      told: () => [`Removed destination ${id}: ${describe(row)}`],
    };
  });
}

/** `headroom destinations import`. */
export async function importFile(file: string, options: ChangeOptions & { readonly mode: ImportMode }, terminal: Terminal): Promise<void> {
  const entries = parseDestinations(readText(file), file);
  const config = loadConfig(options.config, terminal.environment);
  const { mode } = options;
  // A password that is not shown may be one that the table has.
  const feeds = feedsOf(config);
  const problems = entries.flatMap(({ row, place }) =>
    faultsOf(mode === "add" ? row : revealed(row), feeds).map((fault) => `${place}: ${fault}`),
  );
  if (problems.length > 0) throw new ImportError([...problems, `Nothing was imported from ${file}`]);
  if (entries.length === 0 && mode !== "replace") {
    terminal.print(visible(`Imported nothing: ${file} has no destinations`));
    return;
  }
  await carryOut(options, terminal, "migrate", (rows) => {
    const plan = planImport(entries, rows, mode);
    if (entries.length === 0) refuseEmptying(file, rows.length, options, terminal);
    const count = plan.added.length;
    return {
      plan,
      told: (ids) => [
        ...toldOf({ ...plan, added: [] }),
        ...plan.added.map((row, i) => `Added destination ${ids[i]}: ${describe(row)}`),
        mode === "add"
          ? `Imported ${count} ${count === 1 ? "destination" : "destinations"} from ${file}`
          : `Imported ${file}: ${countsOf(plan)}`,
      ],
    };
  });
}

/** A file that somebody forgot to fill would take every call from every destination. @throws {ImportError} unless somebody wants that, or is asked */
function refuseEmptying(file: string, count: number, { yes, dryRun, json: isJson }: ChangeOptions, terminal: Terminal): void {
  const isAsked = isJson !== true && terminal.confirm !== undefined;
  if (count === 0 || yes === true || dryRun === true || isAsked) return;
  const all = count === 1 ? "the only destination" : `all ${count} destinations`;
  throw new ImportError([`Cannot import ${file}: it has no destinations, --replace would remove ${all}: want --yes for that`]);
}

/** What was changed and removed. */
function toldOf(changes: RowChanges): string[] {
  return linesOf(changes).map((line) => line.replace(/^~ /, "Changed ").replace(/^- /, "Removed "));
}

/** Finds out what is to change, shows it, asks, writes it, has it loaded, and says all that. */
async function carryOut(
  options: ChangeOptions,
  terminal: Terminal,
  mode: "inspect" | "migrate",
  changeOf: (rows: readonly StoredRow[]) => Change,
): Promise<void> {
  const config = loadConfig(options.config, terminal.environment);
  const say = options.json ? () => {} : (line: string) => terminal.print(visible(line));
  const dryRun = options.dryRun === true;
  await withStore(config, dryRun ? "inspect" : mode, async (store) => {
    const rows = store === undefined ? [] : await store.list();
    const change = changeOf(rows);
    refuseFaults(change.plan, config);
    const notices = noticesOf(rows, change.plan, config);
    const isWanted = await agree(change.plan, notices, options, terminal, say);
    const mayWrite = isWanted && !dryRun && store !== undefined && !isEmpty(change.plan);
    const ids = mayWrite ? await store.change(change.plan) : [];
    if (mayWrite) for (const line of change.told(ids)) say(line);
    const written = writtenRows(change.plan, ids);
    const reloaded = mayWrite && options.reload ? await reload(config, options, terminal, written) : undefined;
    if (reloaded !== undefined && !reloaded.isDone) terminal.exitCode(1);
    if (options.json) terminal.print(json(change.plan, ids, { written: mayWrite, notices, reload: reloaded?.sentence ?? null }));
    if (reloaded !== undefined) (reloaded.isDone ? say : terminal.complain)(visible(reloaded.sentence));
    else if (mayWrite) say(REMINDER);
  });
}

/** Nobody is to be asked about what could not be loaded. @throws {StoreError} */
function refuseFaults({ added, changed }: Plan, config: Config): void {
  const feeds = feedsOf(config);
  const what = (row: NewRow) => (changed.some(({ after }) => after === row) ? `change destination ${row.id}` : `add "${row.dst_uri}"`);
  const bad = [...changed.map(({ after }) => after), ...added].flatMap((row) => {
    const faults = faultsOf(row, feeds);
    return faults.length === 0 ? [] : [`Cannot ${what(row)}: ${faults.join("; ")}`];
  });
  if (bad.length > 0) throw new StoreError("BAD_ROW", bad.join("\n"));
}

/** Shows what is to change. Whether it may be written: nobody is asked about what changes nothing that is there. */
async function agree(
  plan: Plan,
  notices: readonly string[],
  { yes, dryRun, json: isJson }: ChangeOptions,
  terminal: Terminal,
  say: (line: string) => void,
): Promise<boolean> {
  if (isEmpty(plan)) {
    say("Nothing to change: all of it stands in the database already");
    return true;
  }
  const asks = plan.changed.length + plan.removed.length > 0 && yes !== true && isJson !== true && terminal.confirm !== undefined;
  const lines = linesOf(plan);
  if (dryRun || asks) {
    const shownLines = dryRun ? lines : lines.slice(0, MAX_PREVIEW);
    for (const line of shownLines) say(line);
    if (lines.length > shownLines.length) say(`… and ${lines.length - shownLines.length} more (--dry-run shows all)`);
  }
  for (const notice of notices) say(`notice: ${notice}`);
  if (dryRun) say(`Would be ${countsOf(plan)}; nothing was written (--dry-run)`);
  if (dryRun || !asks || (await terminal.confirm?.(`Write this to the database (${countsOf(plan)})?`))) return true;
  terminal.complain("Nothing was written");
  terminal.exitCode(1);
  return false;
}

/** What the new table has that somebody should know, and the old one did not have. */
function noticesOf(rows: readonly StoredRow[], plan: Plan, config: Config): string[] {
  const feeds = feedsOf(config);
  const gone = new Set([...plan.removed, ...plan.changed.map(({ before }) => before)].map(({ id }) => id));
  const kept = rows.filter(({ id }) => !gone.has(id));
  let free = rows.reduce((most, { id }) => Math.max(most, id), 0);
  const further = plan.added.map((row) => ({ group_id: 0, probe_mode: 0, attrs: null, description: null, ...row, id: row.id ?? ++free }));
  const before = new Set(problemsOf(rows, feeds));
  const moved = plan.changed.filter(({ before: { dst_uri, group_id }, after }) => dst_uri !== after.dst_uri || group_id !== after.group_id);
  return [
    ...problemsOf([...kept, ...plan.changed.map(({ after }) => after), ...further], feeds).filter((text) => !before.has(text)),
    ...moved.map(
      ({ after: { id } }) =>
        `With another URI or group destination ${id} is another one: its load is counted from 0, without the calls that it has`,
    ),
    ...(plan.removed.length > 0 && plan.removed.length === rows.length && further.length === 0
      ? ["No destination is left in the table"]
      : []),
    ...(config.load_balancer.probing_interval === 0 && further.some(({ probe_mode }) => probe_mode !== 0)
      ? ["Nothing is probed, whatever probe_mode says: load_balancer.probing_interval is 0"]
      : []),
  ];
}

/** What a balancer would say of the rows of this table that it can use, and which of them are one destination twice. */
function problemsOf(rows: readonly StoredRow[], feeds: FeedOptions | undefined): string[] {
  const usable = [...new Map(rows.map((row) => [row.id, row])).values()].filter((row) => faultsOf(row, feeds).length === 0);
  const { problems } = new Balancer({ below: () => 0 }).replaceTable(
    usable.map(({ id, group_id: group, dst_uri: uri, resources, attrs }) => ({
      ...{ id, group, uri, addresses: [ANY_ADDRESS], probeMode: 0, description: undefined },
      resources: parseResources(resources, feeds),
      attrs: attrs ?? undefined,
    })),
  );
  // Rows that count their calls together are meant to be one destination.
  const isPool = ([{ attrs }, ...others]: readonly [StoredRow, ...StoredRow[]]) => {
    const { shared } = parseDestinationOptions(attrs ?? undefined);
    return shared !== undefined && others.every((other) => parseDestinationOptions(other.attrs ?? undefined).shared === shared);
  };
  const twice = [...Map.groupBy(usable, ({ group_id, dst_uri }) => `Group ${group_id} has "${dst_uri}"`)].filter(
    ([, same]) => same.length > 1 && !isPool(same as [StoredRow, ...StoredRow[]]),
  );
  return [...problems, ...twice.map(([what, same]) => `${what} more than once: destinations ${same.map(({ id }) => id).join(", ")}`)];
}

function writtenRows({ added, changed }: RowChanges, ids: readonly number[]): { id: number; uri: string }[] {
  return [
    ...changed.map(({ after: { id, dst_uri: uri } }) => ({ id, uri })),
    ...added.flatMap(({ dst_uri: uri }, i) => (ids[i] === undefined ? [] : [{ id: ids[i], uri }])),
  ];
}

function json({ added, changed, removed, unchanged }: Plan, ids: readonly number[], rest: object): string {
  const bare = <Row extends NewRow>(row: Row) => ({ ...row, resources: shown(row.resources) });
  const result = {
    added: added.map((row, i) => ({ ...bare(row), id: ids[i] ?? row.id ?? null })),
    changed: changed.map(({ before, after }) => ({ id: before.id, before: bare(before), after: bare(after) })),
    removed: removed.map(bare),
    unchanged,
    ...rest,
  };
  return printableJson(result, 2);
}

function rowOf(id: number, rows: readonly StoredRow[], verb: string): StoredRow {
  const row = rows.find((candidate) => candidate.id === id);
  if (row !== undefined) return row;
  throw new StoreError("BAD_ROW", `Cannot ${verb} destination ${id}: there is none with this id, headroom destinations list shows all`);
}

/** Where `***` stands for a password the table may have it, so that alone is no fault yet. */
function revealed(row: NewRow): NewRow {
  return typeof row.resources === "string" ? { ...row, resources: row.resources.replaceAll(":***@", ":x@") } : row;
}

/** @param use gets no store when there is nothing yet, and nothing may be made */
async function withStore(
  config: Config,
  mode: "inspect" | "migrate",
  use: (store: DestinationStore | undefined) => Promise<void>,
): Promise<void> {
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  let store: DestinationStore | undefined;
  try {
    store = await openStore(dbUrl, { table, mode, feeds: feedsOf(config) });
  } catch (cause) {
    if (!(cause instanceof StoreError && (cause.code === "NO_DATABASE" || cause.code === "NO_TABLE"))) throw cause;
  }
  try {
    await use(store);
  } finally {
    await store?.close();
  }
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_IMPORT_BYTES) throw new ImportError([`Cannot import ${file}: it has ${size} bytes, want at most ${MAX_IMPORT_BYTES}`]);
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ImportError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "there is no such file",
      EISDIR: "it is a directory",
      EACCES: "this user may not read it",
      ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text",
    };
    throw new ImportError([`Cannot import ${file}: ${reasons[code ?? ""] ?? message}`], { cause });
  }
}
