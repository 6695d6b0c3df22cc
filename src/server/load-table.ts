import type { Balancer, DestinationRow, StatusChange, TableChange } from "../balancer/index.ts";
import { type Config, hasDispatcher, tableNotices } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import type { DynamicRow } from "../registrar/index.ts";
import { type AddressChange, type SipTarget, targetKey } from "../resolution/index.ts";
import type { DestinationStore, RawRow, UnresolvedRow } from "../store/index.ts";
import type { Addresses } from "./addresses.ts";
import { addressesText, targetKeyOf, targetsOf } from "./row-targets.ts";

/** Causes of which others tell in the log: probes, drains, registrations, and the cluster. */
const TOLD_ELSEWHERE: ReadonlySet<StatusChange["cause"]> = new Set(["probe", "drain", "registration", "cluster"]);

/** A destination went up or down. The words are those of OpenSIPS. */
export function logStatus({ destination, enabled, wasEnabled, cause }: StatusChange, log: Log): void {
  if (enabled === wasEnabled || TOLD_ELSEWHERE.has(cause)) return;
  const { id, group, uri } = destination;
  const origin = cause === "script" ? " from script" : "";
  log.info({ id, group, uri, enabled, cause }, `manually ${enabled ? "enable" : "disable"} destination ${id} <${uri}>${origin}`);
}

export interface TableLoaderPorts {
  readonly store: Pick<DestinationStore, "loadDestinations" | "check">;
  readonly balancer: Pick<Balancer, "replaceTable" | "setLeaving">;
  /** Are told of each new table in the step in which it is put into use. */
  readonly listeners: readonly ((change: TableChange) => void)[];
  readonly log: Log;
  /** Keeps the addresses of names up to date; absent: they stay as they were at the load. */
  readonly addresses?: Pick<Addresses, "find" | "hold"> | undefined;
  /** The servers that have registered, as they are now. Absent: none may. */
  readonly registered?: (() => readonly DynamicRow[]) | undefined;
}

/** A registered row that was looked at. */
interface Checked {
  /** What was looked at: a row that says something else is another. */
  readonly text: string;
  /** Undefined when it cannot be used; while its host is being resolved it is the one from before. */
  readonly row: DestinationRow | undefined;
  readonly isPending: boolean;
}

/** What a look at registered rows found, each sentence with the row that it is about. */
interface Looked {
  readonly usable: ReadonlyMap<number, DestinationRow>;
  /** Those that are used with addresses from before. */
  readonly kept: readonly string[];
  /** Why the others cannot be used. */
  readonly reasons: readonly string[];
}

/** Makes the table of destinations of two sources: the rows of the database, and the servers that have registered. */
export class TableLoader {
  readonly #ports: TableLoaderPorts;
  #stored: readonly DestinationRow[] = [];
  #storedIds: ReadonlySet<number> = new Set();
  /** Rows of the database whose hosts nobody could resolve yet. */
  #unresolved: readonly UnresolvedRow[] = [];
  /** Where the rows of the database are, as far as they are known by names. */
  #storedTargets: readonly SipTarget[] = [];
  /** Registered rows by their keys. */
  readonly #checked = new Map<string, Checked>();
  /** How many registered rows the table in use has. */
  #registered = 0;
  /** Sentences about the table in use: they are told again after a reload, not whenever a server registers. */
  #problems: ReadonlySet<string> = new Set();
  #isStale = false;
  #failedLoads = 0;

  constructor(ports: TableLoaderPorts) {
    this.#ports = ports;
  }

  /** Whether the table in use is of an earlier load, as the database cannot be reached. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** For statistics: 1 while the table in use is of an earlier run of the program, and loads that have failed since this one began. */
  get counters(): { readonly stale_table: 0 | 1; readonly failed_loads: number } {
    return { stale_table: this.#isStale ? 1 : 0, failed_loads: this.#failedLoads };
  }

  /** Whether a row of the database has this id. */
  isStored(id: number): boolean {
    return this.#storedIds.has(id);
  }

  /**
   * Reads the database again, and resolves all hosts again. The table in use is replaced only when all of the new one could be read.
   *
   * @param config what it names and the new table does not have is said in the log
   * @param from "copy": a start, which may go on without a database server that is away
   */
  async load(
    config: Pick<Config, "routing" | "load_balancer" | "registrar" | "dispatcher">,
    from: "database" | "copy" = "database",
  ): Promise<void> {
    const { log, registered, store } = this.#ports;
    const [{ rows, skipped, unresolved, kept, copy }] = await Promise.all([
      store.loadDestinations(from).catch((error: unknown) => {
        this.#failedLoads++;
        throw error;
      }),
      this.#check(registered?.() ?? [], "all"),
    ]);
    this.#isStale = copy !== undefined;
    if (copy)
      log.error({ savedAt: new Date(copy.savedAtMs).toISOString() }, `${copy.reason}: going on with the destinations of the latest load`);
    this.#stored = rows;
    this.#unresolved = unresolved;
    this.#storedIds = new Set(rows.map(({ id }) => id));
    this.#storedTargets = targetsOf([...rows, ...unresolved]);
    this.#problems = new Set();
    const change = this.apply();
    for (const { id, reason } of skipped) log.warn({ id }, reason);
    for (const text of [...kept, ...tableNotices(config, rows)]) log.warn({}, text);
    log.info(
      {
        destinations: rows.length,
        ...(registered && { registered: this.#registered }),
        skipped: skipped.length,
        added: change.added.length,
        removed: change.removed.length,
        changed: change.changed.length,
      },
      "destinations loaded",
    );
    this.#catchUp([...rows, ...unresolved]);
    if (rows.length === 0 && registered === undefined && !isDistributed(config)) {
      log.warn(
        {},
        'no destination to send calls to: add one with `headroom destinations add --group 1 --uri sip:192.0.2.10:5060 --resources "pstn=30"` (from a checkout: `npm run --silent headroom -- destinations add …`), then run `headroom mi lb_reload`',
      );
    }
  }

  /** Puts other addresses of names into use, without reading the database. Destinations stay what they are, with their status and their load. */
  async readdress(changes: readonly AddressChange[]): Promise<void> {
    const { log, registered } = this.#ports;
    const byKey = new Map(changes.filter(({ addresses }) => addresses.length > 0).map((change) => [targetKey(change.target), change]));
    const changeOf = (row: { readonly uri: string }): AddressChange | undefined => byKey.get(targetKeyOf(row) ?? "");
    for (const { target, before, addresses } of byKey.values()) {
      const [was, now] = [addressesText(before), addressesText(addresses)];
      log.info({ host: target.host, before: was, now }, `Addresses of "${target.host}" have changed from ${was} to ${now}`);
    }
    await this.#check((registered?.() ?? []).filter(changeOf), "some");
    const resolved: DestinationRow[] = [];
    this.#stored = this.#stored.map((row) => ({ ...row, addresses: changeOf(row)?.addresses ?? row.addresses }));
    this.#unresolved = this.#unresolved.filter((row) => {
      const change = changeOf(row);
      if (change !== undefined) resolved.push({ ...row, addresses: change.addresses });
      return change === undefined;
    });
    for (const { id, uri } of resolved) log.info({ id, uri }, `Row ${id} takes calls: its host can be resolved now`);
    this.#stored = [...this.#stored, ...resolved];
    this.#storedIds = new Set(this.#stored.map(({ id }) => id));
    this.apply();
  }

  /** Looks at a registered row unless that was done before. True when the table is to be put together again. Never rejects. */
  async prepare(row: DynamicRow): Promise<boolean> {
    const known = this.#checked.get(row.key);
    if (known?.text === textOf(row) && (known.isPending || known.row !== undefined)) return false;
    await this.#check([row], "some");
    return true;
  }

  /** Puts the table together again of what was read and looked at. */
  apply(): TableChange {
    const { balancer, listeners, log, registered } = this.#ports;
    const live = registered?.() ?? [];
    const { usable, problems } = this.#usable(live);
    this.#registered = usable.length;
    const change = balancer.replaceTable([...this.#stored, ...usable]);
    this.#ports.addresses?.hold([...this.#storedTargets, ...targetsOf(live)]);
    for (const { id, state } of live) if (!this.#storedIds.has(id)) balancer.setLeaving(id, state === "leaving");
    for (const tell of listeners) tell(change);
    problems.push(...change.problems);
    for (const problem of problems) if (!this.#problems.has(problem)) log.warn({}, problem);
    this.#problems = new Set(problems);
    return change;
  }

  /** What was found out while the load was under way: its rows may say what held before, and of a search that it did not wait for nobody would tell. */
  #catchUp(rows: readonly (UnresolvedRow & { readonly addresses?: DestinationRow["addresses"] })[]): void {
    const { addresses, log } = this.#ports;
    if (addresses === undefined) return;
    const changes = new Map<string, AddressChange>();
    for (const row of rows) {
      const [target] = targetsOf([row]);
      const found = target && addresses.find(target);
      if (target === undefined || found === undefined || found instanceof Promise || found.addresses.length === 0) continue;
      if (found.addresses !== row.addresses) changes.set(targetKey(target), { target, before: row.addresses ?? [], ...found });
    }
    if (changes.size > 0)
      this.readdress([...changes.values()]).catch((error: unknown) => log.error({ err: error }, "cannot use other addresses"));
  }

  /** Those that can be used; the others are forgotten unless they have registered. */
  #usable(live: readonly DynamicRow[]): { usable: DestinationRow[]; problems: string[] } {
    const usable: DestinationRow[] = [];
    const problems: string[] = [];
    const keys = new Set<string>();
    for (const row of live) {
      keys.add(row.key);
      const checked = this.#checked.get(row.key);
      if (checked?.row === undefined || checked.text !== textOf(row)) continue;
      if (this.#storedIds.has(row.id)) problems.push(`Registered <${row.uri}> is skipped: row ${row.id} of the database has its id`);
      else usable.push(checked.row);
    }
    for (const key of this.#checked.keys()) if (!keys.has(key)) this.#checked.delete(key);
    return { usable, problems };
  }

  async #check(rows: readonly DynamicRow[], extent: "all" | "some"): Promise<void> {
    for (const row of rows) {
      const known = this.#checked.get(row.key);
      // What is in use stays so while the host is resolved again.
      this.#checked.set(row.key, { text: textOf(row), row: known?.row, isPending: true });
    }
    const { usable, kept, reasons } = await this.#look(rows, extent);
    for (const row of rows) {
      const found = usable.get(row.id);
      if (this.#checked.get(row.key)?.text !== textOf(row)) continue; // it says something else by now, or is gone
      this.#checked.set(row.key, { text: textOf(row), row: found, isPending: false });
    }
    for (const text of kept) this.#ports.log.warn({}, `A server that has registered cannot be resolved: ${text}`);
    for (const reason of reasons) this.#ports.log.warn({}, `A server has registered and gets no calls: ${reason}`);
  }

  async #look(rows: readonly DynamicRow[], extent: "all" | "some"): Promise<Looked> {
    try {
      const { rows: found, skipped, kept } = await this.#ports.store.check(rows.map(rawOf), extent);
      return { usable: new Map(found.map((row) => [row.id, row])), kept, reasons: skipped.map(({ reason }) => reason) };
    } catch (error) {
      return { usable: new Map(), kept: [], reasons: [error instanceof Error ? error.message : String(error)] };
    }
  }
}

/** Whether calls may go to others than those of the table: the dispatcher has sets, or every rule takes its destinations from a list of the distributor. */
function isDistributed({ routing: { rules, script }, dispatcher }: Pick<Config, "routing" | "dispatcher">): boolean {
  return (
    hasDispatcher({ dispatcher }) ||
    (script === null && rules.length > 0 && rules.every(({ dispatch, distribute }) => (dispatch ?? distribute) !== undefined))
  );
}

function rawOf({ id, group, uri, resources, probeMode, attrs, description }: DynamicRow): RawRow {
  return { id, group_id: group, dst_uri: uri, resources, probe_mode: probeMode, attrs: attrs ?? null, description };
}

function textOf(row: DynamicRow): string {
  return JSON.stringify(rawOf(row));
}
