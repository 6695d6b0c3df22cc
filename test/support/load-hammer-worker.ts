import { parentPort, workerData } from "node:worker_threads";
import { Balancer, CallLoad, type CellName, type DestinationRow, SharedLoads } from "../../src/balancer/index.ts";

/** What one thread does: it picks and releases as fast as it can, and looks at each pick whether there is more than fits. */
export interface HammerWork {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly self: number;
  readonly names: readonly CellName[];
  readonly rows: readonly DestinationRow[];
  readonly resources: string;
  readonly flags: string;
  readonly rounds: number;
  /** Calls that it holds at a time, at most. */
  readonly held: number;
  /** Fewest candidates that get an index over slots. */
  readonly indexFrom: number;
  /** It ends in the middle of it, with all that it holds. */
  readonly dies: boolean;
}

export interface HammerReport {
  readonly picks: number;
  readonly refusals: number;
  /** Times that a load was seen above its capacity. */
  readonly over: number;
  readonly faults: readonly string[];
}

function hammer(work: HammerWork): HammerReport {
  const { buffer, threads, self, rows, flags, resources } = work;
  const shared = new SharedLoads(buffer, threads, self);
  shared.learn(work.names);
  const faults: string[] = [];
  let seed = self + 1;
  const below = (n: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * n);
  };
  const balancer = new Balancer({ below, shared, indexFrom: work.indexFrom, onFault: (text) => faults.push(text) });
  balancer.replaceTable(rows);
  const calls: CallLoad[] = [];
  let [picks, refusals, over] = [0, 0, 0];
  for (let round = 0; round < work.rounds; round++) {
    if (calls.length === work.held || (calls.length > 0 && below(4) === 0)) {
      const [call] = calls.splice(below(calls.length), 1);
      if (below(4) === 0) balancer.next(call!);
      balancer.release(call!);
      continue;
    }
    const call = new CallLoad();
    if (balancer.start(call, 1, resources, flags) === 1) {
      picks++;
      calls.push(call);
    } else refusals++;
    for (const [, , cell] of work.names) if (shared.load[cell]! > shared.maxLoad[cell]!) over++;
  }
  if (!work.dies) for (const call of calls) balancer.release(call);
  return { picks, refusals, over, faults };
}

parentPort!.postMessage(hammer(workerData as HammerWork));
