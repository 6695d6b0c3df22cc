import type { GroupDecisions } from "../balancer/index.ts";
import type { TotalSources, WatchedBalancer, WatchedCluster } from "./ports.ts";
import type { RowFigures } from "./row-figures.ts";

/** A rate over a shorter time than this would jump; the one before is told again. */
const SHORTEST_RATE_MS = 500;
const CODES = ["1", "-1", "-2", "-3", "-4"] as const;
const BYTES_A_MB = 1_048_576;

type ByCode = Record<(typeof CODES)[number], number>;

/** Loads and capacities of a group, added up of the destinations that take calls; what rows share as a pool counts once. */
export class GroupTotals {
  readonly #groups = new Map<number, Map<string, [load: number, max: number]>>();
  readonly #pools = new Set<string>();

  add(row: RowFigures, balancer: Pick<WatchedBalancer, "slotCell">): void {
    const { group, resources, options } = row.destination;
    let sums = this.#groups.get(group);
    if (sums === undefined) {
      sums = new Map();
      this.#groups.set(group, sums);
    }
    for (let i = 0; i < resources.length; i++) {
      const { name, cell } = resources[i]!;
      let sum = sums.get(name);
      if (sum === undefined) {
        sum = [0, 0];
        sums.set(name, sum);
      }
      if (!row.takesCalls || (options.shared !== undefined && !this.#isNew(`${group} ${balancer.slotCell(cell)}`))) continue;
      sum[0] += row.loadOf(i);
      sum[1] += row.maxOf(i);
    }
  }

  toJSON(): object {
    return Object.fromEntries([...this.#groups].map(([group, sums]) => [group, Object.fromEntries(sums)]));
  }

  #isNew(pool: string): boolean {
    const isNew = !this.#pools.has(pool);
    this.#pools.add(pool);
    return isNew;
  }
}

/** What is counted for the whole program, and how fast it grows. */
export class Totals {
  readonly #balancer: Pick<WatchedBalancer, "decisions">;
  readonly #sources: TotalSources;
  #base: { readonly atMs: number; readonly begun: number; readonly decisions: ByCode } | undefined;
  #rates: { readonly cps: number; readonly decisions: ByCode } = { cps: 0, decisions: byCode([]) };

  constructor(balancer: Pick<WatchedBalancer, "decisions">, sources: TotalSources) {
    this.#balancer = balancer;
    this.#sources = sources;
  }

  /** To be called when nobody reads any more: the next rates begin anew. */
  forget(): void {
    this.#base = undefined;
    this.#rates = { cps: 0, decisions: byCode([]) };
  }

  /** Begins to measure: rates are known after a second. */
  begin(nowMs: number): void {
    this.#sources.takeLagMs(); // what was while nobody looked
    this.#measure(nowMs, this.#sources.calls().begun, byCode(this.#balancer.decisions.read()));
  }

  /** JSON. @param at milliseconds since 1970 @param nowMs monotonic milliseconds */
  text(at: number, nowMs: number, groups: GroupTotals): string {
    const sources = this.#sources;
    const { cluster } = sources;
    const calls = sources.calls();
    const decisions = byCode(this.#balancer.decisions.read());
    this.#measure(nowMs, calls.begun, decisions);
    return JSON.stringify({
      at,
      calls: calls.ongoing,
      early: calls.early,
      cps: this.#rates.cps,
      decisions,
      decisionsPerSecond: this.#rates.decisions,
      failovers: sources.failovers(),
      refused: sources.refused(),
      lagMs: tenths(sources.takeLagMs()),
      memoryMb: tenths(sources.memoryBytes() / BYTES_A_MB),
      cluster: cluster === undefined ? null : describeCluster(cluster),
      groups,
    });
  }

  #measure(nowMs: number, begun: number, decisions: ByCode): void {
    const base = this.#base;
    const elapsedMs = base === undefined ? 0 : nowMs - base.atMs;
    if (base !== undefined && elapsedMs < SHORTEST_RATE_MS) return;
    const rate = (now: number, before: number): number => tenths(((now - before) / elapsedMs) * 1000);
    if (base !== undefined) {
      const rates = byCode([]);
      for (const code of CODES) rates[code] = rate(decisions[code], base.decisions[code]);
      this.#rates = { cps: rate(begun, base.begun), decisions: rates };
    }
    this.#base = { atMs: nowMs, begun, decisions };
  }
}

function describeCluster(cluster: WatchedCluster): object {
  const { nodeId, redis, rttMs } = cluster;
  return {
    node: nodeId,
    redis,
    rttMs: rttMs === undefined ? null : tenths(rttMs),
    nodes: cluster.nodes().map(({ nodeId: id, isAlive, isSelf, managementUrl, sip, version, lastSeenMs }) => {
      return { id, alive: isAlive, self: isSelf, url: managementUrl, sip, version, lastSeen: Math.round(lastSeenMs) };
    }),
    tags: cluster.tags().map(({ tag, state, owner }) => ({ tag, state, owner: owner ?? null })),
  };
}

function byCode(counts: readonly GroupDecisions[]): ByCode {
  const sums: ByCode = { "1": 0, "-1": 0, "-2": 0, "-3": 0, "-4": 0 };
  for (const { code, count } of counts) sums[String(code) as keyof ByCode] += count;
  return sums;
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
