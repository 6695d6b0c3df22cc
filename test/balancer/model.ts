import type { DestinationRow, LbCode } from "../../src/balancer/index.ts";

/** One unit of load. `pick` marks the units of the current pick. */
interface Unit {
  key: string;
  id: number;
  resource: string;
  pick: boolean;
}

export interface ModelCall {
  units: Unit[];
  session: { group: number; names: string[]; flags: string; tried: string[] } | undefined;
  destination: { key: string; id: number } | undefined;
}

interface ModelRow {
  row: DestinationRow;
  key: string;
  disabled: boolean;
  noAutoReenable: boolean;
  /** `max_load` by resource, and the row's own capacity when it was last set. */
  maxLoad: Map<string, { max: number; fromRow: number }>;
}

/**
 * The balancer written for reading: it stores no load at all, but counts the units of every call each time it wants to know.
 * `draw` stands for chance: the choice among n equals is `draw % n`.
 */
export class Model {
  rows: ModelRow[] = [];
  readonly calls: ModelCall[];
  draw = 0;

  constructor(calls: number) {
    this.calls = Array.from({ length: calls }, () => ({ units: [], session: undefined, destination: undefined }));
  }

  load(key: string, resource: string): number {
    return this.calls.flatMap((call) => call.units).filter((unit) => unit.key === key && unit.resource === resource).length;
  }

  profileSize(id: number, resource: string): number {
    return this.calls.flatMap((call) => call.units).filter((unit) => unit.id === id && unit.resource === resource).length;
  }

  reload(rows: readonly DestinationRow[]): void {
    const before = this.rows;
    this.rows = [...rows]
      .sort((a, b) => a.id - b.id)
      .map((row) => {
        const key = [row.id, row.group, row.uri.toLowerCase()].join("|");
        const old = before.find((candidate) => candidate.key === key);
        const maxLoad = new Map(
          row.resources.map(({ name, capacity }) => {
            const known = old?.maxLoad.get(name);
            return [name, known?.fromRow === capacity ? known : { max: capacity, fromRow: capacity }] as const;
          }),
        );
        return { row, key, disabled: old?.disabled ?? false, noAutoReenable: old?.noAutoReenable ?? false, maxLoad };
      });
  }

  start(index: number, group: number, names: string[], flags: string): LbCode {
    const known = new Set(this.rows.flatMap(({ row }) => row.resources.map(({ name }) => name)));
    if (names.length === 0) return -1;
    if (new Set(names).size < names.length || names.some((name) => !known.has(name))) return -4;
    const call = this.calls[index]!;
    endPick(call);
    call.session = { group, names, flags, tried: [] };
    return this.#choose(call);
  }

  next(index: number): LbCode {
    const call = this.calls[index]!;
    if (call.session === undefined) return -1;
    endPick(call);
    return this.#choose(call);
  }

  startOrNext(index: number, group: number, names: string[], flags: string): LbCode {
    return this.calls[index]!.session ? this.next(index) : this.start(index, group, names, flags);
  }

  reset(index: number): LbCode {
    const call = this.calls[index]!;
    endPick(call);
    call.session = undefined;
    call.destination = undefined;
    return 1;
  }

  disable(index: number): LbCode {
    const found = this.rows.find(({ key }) => key === this.calls[index]!.destination?.key);
    if (found === undefined) return -1;
    found.disabled = true;
    return 1;
  }

  find(ip: string, port: number, group: number, activeOnly: boolean): ModelRow | undefined {
    return this.rows.find(
      ({ row, disabled }) =>
        (group === -1 || row.group === group) &&
        !(activeOnly && disabled) &&
        row.addresses.some((address) => address.ip === ip && (port === 0 || port === address.port)),
    );
  }

  count(index: number, ip: string, port: number, group: number, names: string[], undo: boolean): LbCode {
    const found = this.find(ip, port, group, false);
    const known = new Set(this.rows.flatMap(({ row }) => row.resources.map(({ name }) => name)));
    if (!found || names.length === 0 || new Set(names).size < names.length || names.some((name) => !known.has(name))) return -1;
    const call = this.calls[index]!;
    for (const resource of names) {
      if (undo) {
        const mine = call.units.filter((unit) => unit.key === found.key && unit.resource === resource);
        const victim = mine.find((unit) => !unit.pick) ?? mine[0];
        call.units = call.units.filter((unit) => unit !== victim);
      } else {
        call.units.push({ key: found.key, id: found.row.id, resource, pick: false });
      }
    }
    return 1;
  }

  /** What `moveTo` needs later: the resources that the pick still holds. */
  pickedNames(index: number): string[] {
    return this.calls[index]!.units.filter((unit) => unit.pick).map((unit) => unit.resource);
  }

  moveTo(index: number, destination: { key: string; id: number }, names: readonly string[]): void {
    const call = this.calls[index]!;
    endPick(call);
    call.destination = destination;
    for (const resource of names) call.units.push({ ...destination, resource, pick: true });
  }

  release(index: number): void {
    this.calls[index]!.units = [];
  }

  resize(id: number, resource: string, capacity: number): string {
    const found = this.rows.find(({ row }) => row.id === id);
    if (found === undefined) return "no-destination";
    const cell = found.maxLoad.get(resource);
    if (cell === undefined) return "no-resource";
    if (capacity < 0) return "bad-capacity";
    cell.max = Math.min(capacity, 2 ** 31 - 1);
    return "ok";
  }

  setStatus(id: number, enabled: boolean, cause: "mi" | "script" | "probe"): boolean {
    const found = this.rows.find(({ row }) => row.id === id);
    if (found === undefined) return false;
    if (!enabled) {
      found.disabled = true;
      if (cause === "mi") found.noAutoReenable = true;
    } else if (cause !== "probe" || !found.noAutoReenable) {
      found.disabled = false;
      found.noAutoReenable = false;
    }
    return true;
  }

  #choose(call: ModelCall): LbCode {
    const { group, names, flags, tried } = call.session!;
    call.destination = undefined;
    const available = this.rows.filter(
      ({ row, key, disabled, maxLoad }) =>
        row.group === group && !disabled && !tried.includes(key) && names.every((name) => maxLoad.has(name)),
    );
    if (available.length === 0) return -3;
    const scored = available
      .map((candidate) => ({ candidate, score: Math.min(...names.map((name) => this.#slot(candidate, name, flags))) }))
      .filter(({ score }) => score > 0 || flags.includes("n"));
    if (scored.length === 0) return -2;
    const bestScore = Math.max(...scored.map(({ score }) => score));
    const best = scored.filter(({ score }) => score === bestScore);
    const { key, row } = best[flags.includes("s") ? this.draw % best.length : 0]!.candidate;
    for (const resource of names) call.units.push({ key, id: row.id, resource, pick: true });
    tried.push(key);
    call.destination = { key, id: row.id };
    return 1;
  }

  #slot({ key, maxLoad }: ModelRow, resource: string, flags: string): number {
    const { max } = maxLoad.get(resource)!;
    const load = this.load(key, resource);
    if (!flags.includes("r")) return max - load;
    return max === 0 ? 0 : Number(100n - (100n * BigInt(load)) / BigInt(max));
  }
}

function endPick(call: ModelCall): void {
  call.units = call.units.filter((unit) => !unit.pick);
}
