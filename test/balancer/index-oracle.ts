import assert from "node:assert/strict";
import { Balancer, type BalancerOptions, CallLoad, type DestinationRow } from "../../src/balancer/index.ts";

/** A generator of whole numbers that a seed repeats (mulberry32). */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** What a history is made of. */
export interface History {
  readonly seed: number;
  readonly rows: number;
  readonly steps: number;
  /** Fewest candidates that get an index. */
  readonly indexFrom: number;
}

const NAMES = ["a", "b", "c"];
const FLAGS = ["", "", "", "s", "r", "rs", "n", "ns", "nr", "nrs"];
const REQUESTS = ["a", "a", "a", "b", "a;b", "b;a", "c;a", "a;b;c"];

/** Two balancers with the same past: one looks at every candidate, the other has indexes. */
class Twins {
  now = 0;
  readonly counts = { picks: 0, full: 0, none: 0, draws: 0 };
  readonly #next: (below: number) => number;
  readonly #history: History;
  readonly #twins: readonly Balancer[];
  readonly #calls: readonly CallLoad[][];
  /** What chance was asked for, by twin. */
  readonly #asked: number[][] = [[], []];
  #draw = 0;
  #rows: DestinationRow[] = [];

  constructor(history: History, next: (below: number) => number) {
    this.#history = history;
    this.#next = next;
    const failOpen = next(3) === 0;
    const maxCallsPerSecond = next(6) === 0 ? 2 : 0;
    const options = (twin: number, indexFrom: number): BalancerOptions => ({
      below: (n) => {
        this.#asked[twin]!.push(n);
        return this.#draw % n;
      },
      onFault: (text) => assert.fail(text),
      nowMs: () => this.now,
      failOpen,
      maxCallsPerSecond,
      indexFrom,
    });
    this.#twins = [new Balancer(options(0, Number.POSITIVE_INFINITY)), new Balancer(options(1, history.indexFrom))];
    const calls = Math.max(20, history.rows * 2);
    this.#calls = this.#twins.map(() => Array.from({ length: calls }, () => new CallLoad()));
    for (const list of this.#calls) for (const call of list) call.opened = true;
    this.#rows = Array.from({ length: history.rows }, (_, i) => rowOf(i + 1, next, history.rows));
    this.#reload(this.#rows);
  }

  step(): void {
    const next = this.#next;
    const which = next(100);
    const id = 1 + next(this.#history.rows + 1);
    const index = next(this.#calls[0]!.length);
    const group = 1 + next(10 < this.#history.rows ? 2 : 1);
    this.#draw = next(1_000_000);
    const factor = [0, 0.1, 0.5, 0.9, 1][next(5)]!;
    if (which < 45) this.#start(index, group);
    else if (which < 55) this.#choose(index, (twin, call) => twin.next(call));
    else if (which < 57) this.#choose(index, (twin, call) => twin.reselect(call));
    else if (which < 75) this.#each((twin, calls) => twin.release(calls[index]!));
    else if (which < 78) this.now += next(4) === 0 ? next(3_000) : next(20);
    else if (which < 81) this.#count(index, id);
    else if (which < 84) this.#size(id);
    else if (which < 96) this.#close(id);
    else if (which < 97) this.#forAll();
    else if (which < 99) this.#each((twin) => twin.setCapacityFactor(id, factor));
    else if (next(20) === 0) this.#change();
  }

  /** What both say of the whole table, and what they find after every call has gone. */
  end(): void {
    for (const resources of REQUESTS)
      this.#same((twin) => (this.#history.rows > 60 ? twin.start(new CallLoad(), 1, resources) : twin.describe(1, resources, "n")));
    this.#each((twin, calls) => {
      for (const call of calls) twin.release(call);
    });
    for (const flags of FLAGS) this.#start(0, 1, flags);
  }

  #start(index: number, group: number, flags = FLAGS[this.#next(FLAGS.length)]!): void {
    const resources = REQUESTS[this.#next(REQUESTS.length)]!;
    const from = this.#next(8) === 0 ? this.#someKeys() : [];
    this.#choose(index, (twin, call) => {
      call.passedOver = from;
      return twin.start(call, group, resources, flags);
    });
  }

  #choose(index: number, act: (twin: Balancer, call: CallLoad) => number): void {
    const [scanned, indexed] = this.#twins.map((twin, which) => {
      const call = this.#calls[which]![index]!;
      return { code: act(twin, call), id: call.destination?.id, asked: this.#asked[which]!.splice(0) };
    });
    assert.deepEqual(indexed, scanned);
    this.counts.draws += indexed!.asked.length;
    if (indexed!.code === 1) this.counts.picks++;
    else if (indexed!.code === -2) this.counts.full++;
    else if (indexed!.code === -3) this.counts.none++;
  }

  #count(index: number, id: number): void {
    const ip = addressOf(id);
    const name = NAMES[this.#next(3)]!;
    const undo = this.#next(2) === 0;
    this.#same((twin, calls) => twin.countCall(calls[index]!, ip, 0, -1, name, undo));
  }

  #size(id: number): void {
    const name = NAMES[this.#next(3)]!;
    const amount = this.#next(12);
    const kind = this.#next(3);
    this.#each((twin) => {
      const cell = twin.destination(id)?.resources.find((resource) => resource.name === name)?.cell;
      if (kind === 0) twin.resize(id, name, amount === 11 ? 3_000_000_000 : amount);
      else if (cell !== undefined && kind === 1) twin.setRemoteLoad(cell, amount === 11 ? 900_000_000 : amount);
      else if (cell !== undefined) twin.feed(cell, amount, this.#draw % 4);
    });
  }

  #close(id: number): void {
    const kind = this.#next(8);
    const on = this.#next(3) === 0;
    const trials = this.#next(3);
    const until = this.now + this.#next(500) - 50;
    this.#same((twin) => {
      if (kind === 0) return twin.setStatus(id, !on, "probe");
      if (kind === 1) return twin.setStatus(id, !on, "mi");
      if (kind === 2) return twin.setDraining(id, on);
      if (kind === 3) return twin.setBreaker(id, on ? "open" : "closed");
      if (kind === 4) return twin.setBreaker(id, { trials });
      if (kind === 5) return twin.restUntil(id, until);
      if (kind === 6) return twin.setLeaving(id, on);
      return twin.setWithdrawn(id, on);
    });
  }

  /** All go down, or come up again. */
  #forAll(): void {
    const enabled = this.#next(3) !== 0;
    const cause = this.#next(2) === 0 ? "probe" : "mi";
    this.#each((twin) => {
      for (const { id } of twin.destinations()) twin.setStatus(id, enabled, cause);
    });
  }

  #change(): void {
    this.#rows = this.#rows.map((row) => (this.#next(10) === 0 ? rowOf(row.id, this.#next, this.#history.rows) : row));
    this.#reload(this.#rows.filter(() => this.#next(20) > 0));
  }

  #reload(rows: readonly DestinationRow[]): void {
    this.#each((twin) => twin.replaceTable(rows));
  }

  #someKeys(): string[] {
    const destinations = this.#twins[0]!.destinations();
    if (destinations.length === 0) return [];
    return Array.from({ length: 1 + this.#next(2) }, () => destinations[this.#next(destinations.length)]!.key);
  }

  #each(act: (twin: Balancer, calls: readonly CallLoad[]) => void): void {
    for (const [which, twin] of this.#twins.entries()) act(twin, this.#calls[which]!);
  }

  #same(act: (twin: Balancer, calls: readonly CallLoad[]) => unknown): void {
    const [scanned, indexed] = this.#twins.map((twin, which) => act(twin, this.#calls[which]!));
    assert.deepEqual(indexed, scanned);
  }
}

function addressOf(id: number): string {
  return `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}`;
}

/** A third of the rows say nothing to the balancer; capacities are small, so that slots are often equal, and now and then none. */
function rowOf(id: number, next: (below: number) => number, rows: number): DestinationRow {
  const names = NAMES.filter((name) => name === "a" || next(3) > 0);
  const resources = names.map((name) => ({ name, capacity: next(12) === 0 ? 0 : 1 + next(next(4) === 0 ? 200 : 6) }));
  const items: string[] = [];
  if (next(3) > 0) {
    if (next(3) === 0) items.push(`shared=p${next(2) === 0 || rows > 60 ? id >> 2 : next(3)}`);
    if (next(3) === 0) items.push(`priority=${[0, 1, 7, 1000][next(4)]}`);
    if (next(3) === 0) items.push(`weight=${[0.01, 0.33, 0.5, 2, 3, 100][next(6)]}`);
    if (next(8) === 0) items.push(`cps=${1 + next(3)}`);
  }
  const uri = `sip:${id}.farm`;
  const addresses = [{ ip: addressOf(id), port: 5060, transport: "udp" as const }];
  return { id, group: next(10) === 0 ? 2 : 1, uri, resources, probeMode: 0, attrs: items.join(";"), description: undefined, addresses };
}

/** Runs a history; throws at the first answer in which index and scan differ, with the seed. Answers how often what came. */
export function runHistory(history: History): Twins["counts"] {
  const twins = new Twins(history, numbersFrom(history.seed));
  let step = 0;
  try {
    for (; step < history.steps; step++) twins.step();
    twins.end();
  } catch (error) {
    throw new Error(`history ${JSON.stringify(history)}, step ${step}: ${String(error)}`, { cause: error });
  }
  return twins.counts;
}
