import type { DestinationRow, LbCode } from "../../src/balancer/index.ts";

/** One unit of load. `pick` marks the units of the current pick. */
interface Unit {
  key: string;
  id: number;
  resource: string;
  pick: boolean;
}

/** A destination as a call remembers it: also when its row is gone. */
export interface ModelDestination {
  key: string;
  id: number;
  pool: string | undefined;
  /** It was enabled, or came to the table, after the call chose it: the call cannot disable it any more. */
  vouched: boolean;
}

export interface ModelCall {
  units: Unit[];
  session: { group: number; names: string[]; flags: string; tried: string[] } | undefined;
  destination: ModelDestination | undefined;
}

/** What the test wrote into the row's `attrs`, told to the model in plain. */
export interface ModelOptions {
  pool: string | undefined;
  tier: number;
  /** In hundredths. */
  weight: bigint;
  cps: number | undefined;
}

/** A capacity, and the row's own when it was last set. */
interface Capacity {
  max: number;
  fromRow: number;
}

export interface ModelRow {
  row: DestinationRow;
  options: ModelOptions;
  key: string;
  disabled: boolean;
  noAutoReenable: boolean;
  draining: boolean;
  /** Calls that the breaker still lets through; `undefined` when it is closed. */
  trials: number | undefined;
  restUntil: number;
  factor: number;
  capacities: Map<string, Capacity>;
}

/** What selection finds: a code, or all that share the best score. */
export interface Found {
  code: LbCode;
  failedOpen: boolean;
  best: ModelRow[];
}

/**
 * The balancer written for reading: it stores no load at all, but counts the units of every call each time it wants to know.
 * `draw` stands for chance: the choice among n equals is `draw % n`.
 */
export class Model {
  rows: ModelRow[] = [];
  readonly calls: ModelCall[];
  draw = 0;
  now = 0;
  /** Capacities of pools, by pool and resource. */
  #pools = new Map<string, Capacity>();
  /** Pools of resources that the table holds no more but calls do, by identity and resource. */
  #gone = new Map<string, string | undefined>();
  /** When calls went out, by who is limited. */
  #sent = new Map<string, number[]>();
  readonly #failOpen: boolean;
  readonly #maxCallsPerSecond: number;

  constructor(calls: number, failOpen = false, maxCallsPerSecond = 0) {
    this.calls = Array.from({ length: calls }, () => ({ units: [], session: undefined, destination: undefined }));
    this.#failOpen = failOpen;
    this.#maxCallsPerSecond = maxCallsPerSecond;
  }

  ownLoad(key: string, resource: string): number {
    return this.#units().filter((unit) => unit.key === key && unit.resource === resource).length;
  }

  /** Of all resources, also of those that the row lacks. */
  ownLoads(key: string): number {
    return this.#units().filter((unit) => unit.key === key).length;
  }

  /** Of a row, or of the pool it shares. */
  load({ key, options: { pool } }: ModelRow, resource: string): number {
    if (pool === undefined) return this.ownLoad(key, resource);
    return this.#units().filter((unit) => unit.resource === resource && this.#poolOf(unit.key, resource) === pool).length;
  }

  /** In a pool as far as the row that is furthest. */
  maxLoad(found: ModelRow, resource: string): number {
    const { pool } = found.options;
    const sharing =
      pool === undefined ? [found] : this.rows.filter((other) => other.options.pool === pool && other.capacities.has(resource));
    return share(this.capacity(found, resource).max, Math.max(...sharing.map((other) => other.factor)));
  }

  ownMaxLoad(found: ModelRow, resource: string): number {
    return share(this.capacity(found, resource).max, found.factor);
  }

  capacity({ options: { pool }, capacities }: ModelRow, resource: string): Capacity {
    return pool === undefined ? capacities.get(resource)! : this.#pools.get(`${pool} ${resource}`)!;
  }

  profileSize(id: number, resource: string): number {
    return this.#units().filter((unit) => unit.id === id && unit.resource === resource).length;
  }

  reload(rows: readonly DestinationRow[], optionsOf: ReadonlyMap<DestinationRow, ModelOptions>): void {
    const before = this.rows;
    this.rows = [...rows]
      .sort((a, b) => a.id - b.id)
      .map((row) => {
        const key = [row.id, row.group, row.uri.toLowerCase()].join("|");
        const old = before.find((candidate) => candidate.key === key);
        const capacities = new Map(
          row.resources.map(({ name, capacity }) => {
            const known = old?.capacities.get(name);
            return [name, known?.fromRow === capacity ? known : { max: capacity, fromRow: capacity }] as const;
          }),
        );
        const fresh = { disabled: false, noAutoReenable: false, draining: false, trials: undefined, restUntil: 0, factor: 1 };
        return { ...fresh, ...old, row, options: optionsOf.get(row)!, key, capacities };
      });
    for (const { key } of this.rows) if (!before.some((old) => old.key === key)) this.#vouch(key);
    const poolsBefore = this.#pools;
    this.#pools = new Map();
    for (const { options, row } of this.rows) {
      for (const { name } of options.pool === undefined ? [] : row.resources) {
        const sharing = this.rows.filter((other) => other.options.pool === options.pool);
        const smallest = Math.min(...sharing.flatMap((other) => other.row.resources.filter((r) => r.name === name).map((r) => r.capacity)));
        const known = poolsBefore.get(`${options.pool} ${name}`);
        this.#pools.set(`${options.pool} ${name}`, known?.fromRow === smallest ? known : { max: smallest, fromRow: smallest });
      }
    }
    const gone = new Map<string, string | undefined>();
    for (const { key, resource } of this.#units()) {
      if (this.rows.some((row) => row.key === key)) continue;
      const old = before.find((row) => row.key === key);
      gone.set(`${key} ${resource}`, old ? old.options.pool : this.#gone.get(`${key} ${resource}`));
    }
    this.#gone = gone;
    const limited = new Set(this.rows.filter((row) => this.#limitOf(row) > 0).map(limitKey));
    for (const key of this.#sent.keys()) if (!limited.has(key)) this.#sent.delete(key);
  }

  start(index: number, group: number, names: string[], flags: string): LbCode {
    const refused = this.#refusal(names);
    if (refused !== undefined) return refused;
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
    if (!this.calls[index]!.destination!.vouched) found.disabled = true;
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
    if (!found || this.#refusal(names) !== undefined) return -1;
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

  moveTo(index: number, destination: ModelDestination, names: readonly string[]): void {
    const call = this.calls[index]!;
    endPick(call);
    call.destination = { ...destination, vouched: false };
    const { key, id, pool } = destination;
    for (const resource of names) {
      if (!this.#gone.has(`${key} ${resource}`)) this.#gone.set(`${key} ${resource}`, pool);
      call.units.push({ key, id, resource, pick: true });
    }
  }

  release(index: number): void {
    this.calls[index]!.units = [];
  }

  resize(id: number, resource: string, capacity: number): string {
    const found = this.rows.find(({ row }) => row.id === id);
    if (found === undefined) return "no-destination";
    if (!found.capacities.has(resource)) return "no-resource";
    if (capacity < 0) return "bad-capacity";
    this.capacity(found, resource).max = Math.min(capacity, 2 ** 31 - 1);
    return "ok";
  }

  setStatus(id: number, enabled: boolean, cause: "mi" | "script" | "probe" | "drain"): boolean {
    const found = this.rows.find(({ row }) => row.id === id);
    if (found === undefined) return false;
    if (!enabled) {
      found.disabled = true;
      if (cause === "mi" || cause === "drain") found.noAutoReenable = true;
    } else if (cause !== "probe" || !found.noAutoReenable) {
      if (cause !== "probe" || found.disabled) this.#vouch(found.key);
      found.disabled = false;
      found.noAutoReenable = false;
    }
    return true;
  }

  #vouch(key: string): void {
    for (const { destination } of this.calls) if (destination?.key === key) destination.vouched = true;
  }

  pass(ms: number): void {
    this.now += ms;
  }

  /** Drain, breaker, rest and slow start are what they are set to. */
  set(id: number, state: Partial<Pick<ModelRow, "draining" | "trials" | "restUntil" | "factor">>): boolean {
    const found = this.rows.find(({ row }) => row.id === id);
    if (found !== undefined) Object.assign(found, state);
    return found !== undefined;
  }

  isUp({ disabled, draining, trials, restUntil }: ModelRow): boolean {
    return !disabled && !draining && trials !== 0 && restUntil <= this.now;
  }

  /** What a start finds without doing it. */
  peek(group: number, names: string[], flags: string): Found {
    const refused = this.#refusal(names);
    if (refused !== undefined) return { code: refused, failedOpen: false, best: [] };
    return this.#find({ group, names, flags, tried: [] });
  }

  #choose(call: ModelCall): LbCode {
    const session = call.session!;
    const { code, best } = this.#find(session);
    call.destination = undefined;
    if (code !== 1) return code;
    const chosen = best[session.flags.includes("s") ? this.draw % best.length : 0]!;
    const { key, row, options } = chosen;
    for (const resource of session.names) call.units.push({ key, id: row.id, resource, pick: true });
    session.tried.push(key);
    call.destination = { key, id: row.id, pool: options.pool, vouched: false };
    if (chosen.trials !== undefined && chosen.trials > 0) chosen.trials--;
    if (this.#limitOf(chosen) > 0) this.#sent.set(limitKey(chosen), [...(this.#sent.get(limitKey(chosen)) ?? []), this.now]);
    return 1;
  }

  #find({ group, names, flags, tried }: NonNullable<ModelCall["session"]>): Found {
    const able = this.rows.filter(({ row, capacities }) => row.group === group && names.every((name) => capacities.has(name)));
    const failedOpen = this.#failOpen && !able.some((row) => this.isUp(row));
    const available = able
      .filter((row) => (failedOpen ? !row.noAutoReenable && !row.draining && row.restUntil <= this.now : this.isUp(row)))
      .filter(({ key }) => !tried.includes(key));
    if (available.length === 0) return { code: -3, failedOpen, best: [] };
    const scored = available
      .filter((row) => this.#limitOf(row) === 0 || this.#sentWithinASecond(row) < this.#limitOf(row))
      .map((row) => ({ row, ...this.#score(row, names, flags) }))
      .filter(({ free }) => free || flags.includes("n"))
      .sort((a, b) => Number(b.free) - Number(a.free) || a.row.options.tier - b.row.options.tier || compare(b.score, a.score));
    const first = scored[0];
    if (first === undefined) return { code: -2, failedOpen, best: [] };
    const best = scored.filter(
      ({ row, free, score }) => free === first.free && row.options.tier === first.row.options.tier && compare(score, first.score) === 0,
    );
    return { code: 1, failedOpen, best: best.map(({ row }) => row) };
  }

  #score(row: ModelRow, names: string[], flags: string): { free: boolean; score: [bigint, bigint] } {
    const slot = BigInt(Math.min(...names.map((name) => this.#slot(row, name, flags))));
    const { weight } = row.options;
    return { free: slot > 0n, score: slot > 0n ? [slot * weight, 100n] : [slot * 100n, weight] };
  }

  #slot(found: ModelRow, resource: string, flags: string): number {
    const ofPool = slot(this.maxLoad(found, resource), this.load(found, resource), flags);
    return Math.min(ofPool, slot(this.ownMaxLoad(found, resource), this.ownLoad(found.key, resource), flags));
  }

  #sentWithinASecond(row: ModelRow): number {
    return (this.#sent.get(limitKey(row)) ?? []).filter((at) => at > this.now - 1000).length;
  }

  #limitOf(found: ModelRow): number {
    const { pool } = found.options;
    const sharing = pool === undefined ? [found] : this.rows.filter(({ options }) => options.pool === pool);
    const limits = sharing.map(({ options }) => options.cps ?? this.#maxCallsPerSecond).filter((limit) => limit > 0);
    return limits.length === 0 ? 0 : Math.min(...limits);
  }

  #poolOf(key: string, resource: string): string | undefined {
    const row = this.rows.find((candidate) => candidate.key === key);
    return row === undefined ? this.#gone.get(`${key} ${resource}`) : row.options.pool;
  }

  #refusal(names: string[]): -1 | -4 | undefined {
    const known = new Set(this.rows.flatMap(({ row }) => row.resources.map(({ name }) => name)));
    if (names.length === 0) return -1;
    return new Set(names).size < names.length || names.some((name) => !known.has(name)) ? -4 : undefined;
  }

  #units(): Unit[] {
    return this.calls.flatMap((call) => call.units);
  }
}

function limitKey({ key, options }: ModelRow): string {
  return options.pool === undefined ? key : `pool ${options.pool}`;
}

function share(capacity: number, factor: number): number {
  return capacity === 0 ? 0 : Math.max(1, Math.floor(capacity * factor));
}

function slot(max: number, load: number, flags: string): number {
  if (!flags.includes("r")) return max - load;
  return max === 0 ? 0 : Number(100n - (100n * BigInt(load)) / BigInt(max));
}

/** Compares two fractions whose denominators are above 0. */
function compare([a, b]: [bigint, bigint], [c, d]: [bigint, bigint]): number {
  return Number(a * d - c * b);
}

function endPick(call: ModelCall): void {
  call.units = call.units.filter((unit) => !unit.pick);
}
