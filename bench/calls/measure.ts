import { setTimeout as sleep } from "node:timers/promises";
import type { Batch, Generator } from "./generator.ts";
import { droppedAt, machineUs, processorUs } from "./processes.ts";
import type { RunningProxy } from "./proxies.ts";

/** A load to offer. */
export interface Load {
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
  /** How long a call is up. */
  readonly holdMs: number;
  /** How long after the last call the processor time is read: what a call leaves behind is part of its price. */
  readonly settleS: number;
}

/** What a load took. */
export interface Measured extends Omit<Batch, "batch" | "up" | "strangers"> {
  /** Of the bench. */
  readonly part?: string;
  readonly proxy: string;
  readonly rate: number;
  /** Processor time a complete call, user and system, of all processes of the proxy. */
  readonly cpuUs: number;
  /** What it used besides, a call, from then until its next turn; absent until that comes. */
  laterUs?: number;
  /** Share of one processor that the proxy used while calls were going on. */
  readonly busyPercent: number;
  /** Calls that failed, or in which something had to be sent again. */
  readonly badPercent: number;
  /** Datagrams that came to the proxy while its buffer was full. */
  readonly dropped: number;
  /** Share of one processor that programs besides proxy and generator used meanwhile. */
  readonly othersPercent: number;
  /** Processor time of the generator a call. */
  readonly generatorUs: number;
}

/** Offers a load to a proxy, and reads what it costs. */
export async function measure(proxy: RunningProxy, generator: Generator, load: Load): Promise<Measured> {
  const { rate, seconds, holdMs, settleS } = load;
  const [machine, dropped, before] = [machineUs(), droppedAt(proxy.address), processorUs(proxy.pid)];
  const { batch, up, strangers, series, ...result } = await generator.run(proxy, holdMs, [{ rate, calls: Math.round(rate * seconds) }]);
  const during = processorUs(proxy.pid) - before;
  const foreign = machineUs() - machine - during - result.processorS * 1e6;
  await sleep(settleS * 1000);
  const used = processorUs(proxy.pid) - before;
  const elapsedUs = result.elapsedS * 1e6;
  return {
    proxy: proxy.name,
    rate,
    ...result,
    cpuUs: used / Math.max(1, result.completed),
    busyPercent: (100 * during) / elapsedUs,
    badPercent: (100 * badOf(result)) / result.calls,
    dropped: droppedAt(proxy.address) - dropped,
    othersPercent: Math.max(0, (100 * foreign) / elapsedUs),
    generatorUs: (result.processorS * 1e6) / Math.max(1, result.completed),
  };
}

/** Calls that failed or had to repeat something; one that did both may count twice. */
function badOf({ calls, completed, repeatedCalls }: Pick<Batch, "calls" | "completed" | "repeatedCalls">): number {
  return Math.min(calls, calls - completed + repeatedCalls);
}
