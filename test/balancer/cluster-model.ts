import type { HeldLease, LbCode } from "../../src/balancer/index.ts";
import type { RowSketch } from "./support.ts";

/** A row with all that the model looks at. */
export interface ModelRow {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  readonly pool: string | undefined;
  readonly capacities: Readonly<Record<string, number>>;
}

interface Call {
  units: { key: string; resource: string; picked: boolean }[];
  session: { group: number; names: readonly string[]; negative: boolean; tried: string[] } | undefined;
  /** Identity of the current pick. */
  destination: string | undefined;
}

export function keyOf({ id, group, uri }: Pick<ModelRow, "id" | "group" | "uri">): string {
  return `${id} ${group} ${uri.toLowerCase()}`;
}

export function sketchOf({ id, group, uri, pool, capacities }: ModelRow): RowSketch {
  const resources = Object.entries(capacities).map(([name, capacity]) => `${name}=${capacity}`);
  return { id, group, uri, resources: resources.join(";"), attrs: pool === undefined ? "x" : `shared=${pool}` };
}

/** Loads of several nodes at one balancer, counted from nothing each time somebody asks. Statuses, tiers and limits are another model's. */
export class ClusterModel {
  rows: readonly ModelRow[] = [];
  readonly calls: Call[];
  readonly remote = new Map<string, number>();
  readonly foreign = new Map<string, number>();
  readonly watched: string;
  /** Leases that ended, and that were counted without choosing, where `watched` is. */
  ended = 0;
  forced = 0;
  /** Pools of the cells that there are. */
  #cells = new Map<string, string | undefined>();

  /** @param watched the resource whose cells are watched on every row */
  constructor(calls: number, watched: string) {
    this.calls = Array.from({ length: calls }, () => ({ units: [], session: undefined, destination: undefined }));
    this.watched = watched;
  }

  slot({ pool, ...row }: ModelRow, resource: string): string {
    return pool === undefined ? `${keyOf(row)} ${resource}` : `pool ${pool} ${resource}`;
  }

  capacity(row: ModelRow, resource: string): number {
    const sharing = row.pool === undefined ? [row] : this.rows.filter(({ pool }) => pool === row.pool);
    return Math.min(...sharing.flatMap(({ capacities }) => capacities[resource] ?? []));
  }

  /** Calls that leases stand for. */
  load(row: ModelRow, resource: string): number {
    return this.calls
      .flatMap(({ units }) => units)
      .filter((unit) => {
        if (unit.resource !== resource) return false;
        return row.pool === undefined ? unit.key === keyOf(row) : this.#cells.get(`${unit.key} ${resource}`) === row.pool;
      }).length;
  }

  free(row: ModelRow, resource: string): number {
    const slot = this.slot(row, resource);
    return this.capacity(row, resource) - this.load(row, resource) - (this.remote.get(slot) ?? 0) - (this.foreign.get(slot) ?? 0);
  }

  reload(rows: readonly ModelRow[]): void {
    const before = this.#slots();
    this.rows = [...rows].sort((a, b) => a.id - b.id);
    const now = this.#slots();
    for (const slot of this.remote.keys()) if (!before.has(slot) || !now.has(slot)) this.remote.delete(slot);
    for (const slot of this.foreign.keys()) if (before.get(slot) !== now.get(slot)) this.foreign.delete(slot);
    const cells = new Map<string, string | undefined>();
    for (const { key, resource } of this.calls.flatMap(({ units }) => units)) {
      cells.set(`${key} ${resource}`, this.#cells.get(`${key} ${resource}`));
    }
    for (const [cell] of cells) {
      const row = this.rows.find((candidate) => cell.startsWith(`${keyOf(candidate)} `));
      if (row !== undefined) cells.set(cell, row.pool);
    }
    for (const row of this.rows) for (const name of Object.keys(row.capacities)) cells.set(`${keyOf(row)} ${name}`, row.pool);
    this.#cells = cells;
  }

  start(index: number, group: number, names: readonly string[], flags: string): LbCode {
    if (names.some((name) => !this.rows.some(({ capacities }) => name in capacities))) return -4;
    const call = this.calls[index]!;
    this.#endPick(call);
    call.session = { group, names, negative: flags.includes("n"), tried: [] };
    return this.#choose(call, call.session);
  }

  next(index: number): LbCode {
    const call = this.calls[index]!;
    if (call.session === undefined) return -1;
    this.#endPick(call);
    return this.#choose(call, call.session);
  }

  reselect(index: number): LbCode {
    const call = this.calls[index]!;
    if (call.session === undefined || call.destination === undefined) return -1;
    if (call.session.tried.at(-1) === call.destination) call.session.tried.pop();
    this.#endPick(call);
    return this.#choose(call, call.session);
  }

  /** Counts on a row without choosing. */
  count(index: number, row: ModelRow, resource: string): void {
    this.#add(index, row, { key: keyOf(row), resource, picked: false });
  }

  adopt(index: number, held: readonly HeldLease[]): void {
    for (const { key, resource, picked } of held) {
      const place = key.slice(key.indexOf(" ") + 1);
      const others = this.rows.filter((row) => keyOf(row).endsWith(` ${place}`));
      const row =
        this.rows.find((candidate) => keyOf(candidate) === key) ?? others.find(({ capacities }) => resource in capacities) ?? others[0];
      this.#add(index, row, { key: row === undefined ? key : keyOf(row), resource, picked });
      if (picked && row !== undefined) this.calls[index]!.destination = keyOf(row);
    }
  }

  release(index: number): void {
    const call = this.calls[index]!;
    for (const unit of call.units) this.#end(unit);
    call.units = [];
  }

  #choose(call: Call, session: NonNullable<Call["session"]>): LbCode {
    call.destination = undefined;
    const { group, names, negative, tried } = session;
    const able = this.rows.filter((row) => row.group === group && names.every((name) => name in row.capacities));
    if (able.length === 0) return -3;
    const open = able.filter((row) => !tried.includes(keyOf(row)));
    const slots = open.map((row) => Math.min(...names.map((name) => this.free(row, name))));
    const best = Math.max(...slots);
    if (open.length === 0) return -3;
    if (best <= 0 && !negative) return -2;
    const chosen = open[slots.indexOf(best)]!;
    for (const resource of names) call.units.push({ key: keyOf(chosen), resource, picked: true });
    tried.push(keyOf(chosen));
    call.destination = keyOf(chosen);
    return 1;
  }

  #add(index: number, row: ModelRow | undefined, unit: Call["units"][number]): void {
    const cell = `${unit.key} ${unit.resource}`;
    if (!this.#cells.has(cell)) this.#cells.set(cell, row?.pool);
    this.calls[index]!.units.push(unit);
    if (this.#isWatched(unit)) this.forced++;
  }

  #endPick(call: Call): void {
    for (const unit of call.units) if (unit.picked) this.#end(unit);
    call.units = call.units.filter(({ picked }) => !picked);
  }

  #end(unit: { key: string; resource: string }): void {
    if (this.#isWatched(unit)) this.ended++;
  }

  #isWatched({ key, resource }: { key: string; resource: string }): boolean {
    return resource === this.watched && this.rows.some((row) => keyOf(row) === key && resource in row.capacities);
  }

  /** Each slot with its capacity. */
  #slots(): Map<string, number> {
    return new Map(
      this.rows.flatMap((row) => Object.keys(row.capacities).map((name) => [this.slot(row, name), this.capacity(row, name)] as const)),
    );
  }
}
