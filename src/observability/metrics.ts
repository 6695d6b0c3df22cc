import type { ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import { type Destination, OTHER_GROUPS } from "../balancer/index.ts";
import type { DestinationSet } from "../dispatch/index.ts";
import type { WeightedList } from "../distributor/index.ts";
import type { BreakerFigures, ProbeFigures } from "../health/index.ts";
import type { CallMeasures, DelayTally } from "../proxy/index.ts";
import {
  breakerMetrics,
  destinationMetrics,
  drainMetrics,
  type MeasuredBalancer,
  type MeasuredDrain,
  probeMetrics,
} from "./destination-metrics.ts";
import { dispatcherMetrics, distributorMetrics } from "./list-metrics.ts";
import { counter, gauge, histogram, METRICS_TYPE, type MetricFamily, printFamilies, type Sample } from "./metric-family.ts";
import { type StatisticValues, statisticsMetrics } from "./statistics-metrics.ts";

/** A page is given out again for so long, ms: whoever asks without end does not keep the calls waiting. */
export const MIN_SCRAPE_INTERVAL_MS = 500;
/** FreeSWITCHes with values of their own. */
export const MAX_METRIC_FREESWITCHES = 500;
const MS_A_SECOND = 1_000;
const MICROSECONDS_A_SECOND = 1_000_000;
const PERCENT = 100;

const CODE_NAMES: Readonly<Record<number, string>> = {
  1: "selected",
  [-1]: "error",
  [-2]: "no_capacity",
  [-3]: "no_destination",
  [-4]: "bad_resource",
};

/** Messages of one kind. */
interface CountedMessages {
  readonly transport: string;
  readonly method: string;
  /** Of responses. */
  readonly code?: number | string;
  readonly count: number;
}

/** One FreeSWITCH that tells capacities. */
interface MeasuredFreeswitch {
  /** Without its password. */
  readonly url: string;
  readonly isConnected: boolean;
  readonly withdrawal: string | undefined;
  readonly heartbeatAgeMs: number | undefined;
  readonly idleCpuPercent: number | undefined;
  readonly sessions: number | undefined;
  readonly maxSessions: number | undefined;
}

/** What metrics are read of, at the moment when somebody asks. */
export interface MetricsSources {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly balancer: MeasuredBalancer;
  readonly calls: CallMeasures;
  /** Longest standstills of the event loop, one for each look at it. */
  readonly lag: DelayTally;
  /** Of the last whole interval, ms; undefined until there was one. */
  loopDelays(): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } | undefined;
  received(): readonly CountedMessages[];
  sent(): readonly CountedMessages[];
  statistics(): StatisticValues;
  isGauge(group: string, name: string): boolean;
  probes(): readonly ProbeFigures[];
  freeswitches(): readonly MeasuredFreeswitch[];
  /** Of the destinations that had a call; none while breakers are off. */
  breakers(): readonly BreakerFigures[];
  /** Undefined: the destination is not drained. */
  drainOf(destination: Destination): MeasuredDrain | undefined;
  /** Sets of the dispatcher. */
  sets(): readonly DestinationSet[];
  /** Lists of the distributor. */
  lists(): readonly WeightedList[];
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Is told of what kept metrics from being read. */
  fault(error: unknown): void;
}

/** All metrics of the program. The number of values is bounded, whatever calls and tables look like. */
export class Metrics {
  readonly #sources: MetricsSources;
  #page: Promise<Buffer> | undefined;
  #pageAtMs = 0;
  #isPrinting = false;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
  }

  /** In the text format of Prometheus, read at most {@link MIN_SCRAPE_INTERVAL_MS} before; of all who ask at once, one for all. */
  page(): Promise<Buffer> {
    const nowMs = this.#sources.nowMs();
    if (this.#page === undefined || (!this.#isPrinting && nowMs - this.#pageAtMs >= MIN_SCRAPE_INTERVAL_MS)) {
      this.#pageAtMs = nowMs;
      this.#page = this.#print();
    }
    return this.#page;
  }

  /** Answers a GET. */
  answer(response: ServerResponse): void {
    const answered = async (): Promise<void> => {
      const page = await this.page();
      response.writeHead(200, { "content-type": METRICS_TYPE, "content-length": page.length, "cache-control": "no-store" }).end(page);
    };
    answered().catch((error: unknown) => {
      this.#page = undefined;
      this.#sources.fault(error);
      response.writeHead(500, { "content-type": "text/plain" }).end("Cannot read the metrics: the log says why\n");
    });
  }

  async #print(): Promise<Buffer> {
    this.#isPrinting = true;
    try {
      return await printFamilies(this.families());
    } finally {
      this.#isPrinting = false;
    }
  }

  families(): MetricFamily[] {
    const { balancer, breakers, calls, drainOf, freeswitches, isGauge, lag, lists, probes, received, sent, sets, statistics } =
      this.#sources;
    return [
      ...this.#process(),
      histogram("headroom_event_loop_lag_seconds", "Longest standstill of the event loop in each look at it, four a second.", lag),
      gauge(
        "headroom_event_loop_delay_seconds",
        "How much later than wanted the event loop came to what was due, over the last whole 15 seconds.",
        loopDelaySamples(this.#sources.loopDelays()),
      ),
      ...destinationMetrics(balancer),
      ...drainMetrics(balancer, drainOf),
      ...breakerMetrics(breakers()),
      counter("headroom_decisions_total", "Answers of start and next, by group and code.", decisions(balancer)),
      histogram(
        "headroom_post_dial_delay_seconds",
        "Time from an INVITE to the first response that tells of progress or success (RFC 6076), failovers included.",
        calls.postDial,
      ),
      histogram("headroom_call_setup_seconds", "Time from an INVITE to its first 2xx.", calls.setup),
      counter(
        "headroom_failovers_total",
        "Times that a request went to another destination, by what the one before failed of.",
        Object.entries(calls.failovers).map(([cause, value]) => ({ labels: { cause: cause.replaceAll("-", "_") }, value })),
      ),
      ...messages(received(), sent()),
      ...probeMetrics(probes()),
      ...freeswitchMetrics(freeswitches()),
      ...dispatcherMetrics(sets()),
      ...distributorMetrics(lists()),
      ...statisticsMetrics(statistics(), isGauge),
    ];
  }

  #process(): MetricFamily[] {
    const { version, startedAtMs } = this.#sources;
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const { utilization } = performance.eventLoopUtilization();
    return [
      gauge("headroom_build_info", "1; the labels tell what is running.", [{ labels: { version, node: process.version }, value: 1 }]),
      gauge("process_start_time_seconds", "When the program was started, in seconds since 1970.", startedAtMs / MS_A_SECOND),
      counter("process_cpu_seconds_total", "Processor time.", (user + system) / MICROSECONDS_A_SECOND),
      gauge("process_resident_memory_bytes", "Memory of the process.", rss),
      gauge("nodejs_heap_size_used_bytes", "Memory of what the program holds.", heapUsed),
      gauge("headroom_event_loop_utilization_ratio", "Share of the time since the start that the event loop was busy.", utilization),
    ];
  }
}

function loopDelaySamples(delays: ReturnType<MetricsSources["loopDelays"]>): Sample[] {
  if (delays === undefined) return [];
  const { p50Ms, p99Ms, maxMs } = delays;
  return Object.entries({ p50: p50Ms, p99: p99Ms, max: maxMs }).map(([stat, ms]) => ({ labels: { stat }, value: ms / MS_A_SECOND }));
}

function decisions(balancer: MeasuredBalancer): Sample[] {
  return balancer.decisions.read().map(({ group, code, count }) => ({
    labels: { group: group === OTHER_GROUPS ? "other" : group, code: CODE_NAMES[code] ?? code },
    value: count,
  }));
}

function messages(received: readonly CountedMessages[], sent: readonly CountedMessages[]): MetricFamily[] {
  const requests: Sample[] = [];
  const responses: Sample[] = [];
  for (const [direction, counts] of [["received", received] as const, ["sent", sent] as const]) {
    for (const { transport, method, code, count: value } of counts) {
      if (code === undefined) requests.push({ labels: { direction, transport, method }, value });
      else responses.push({ labels: { direction, transport, method, code }, value });
    }
  }
  return [
    counter("headroom_requests_total", "Requests by direction, transport and method, retransmissions included.", requests),
    counter("headroom_responses_total", "Responses by direction, transport, method and code, retransmissions included.", responses),
  ];
}

function freeswitchMetrics(all: readonly MeasuredFreeswitch[]): MetricFamily[] {
  const told = all.slice(0, MAX_METRIC_FREESWITCHES);
  function of(read: (freeswitch: MeasuredFreeswitch) => number | undefined): Sample[] {
    return told.flatMap((freeswitch) => {
      const value = read(freeswitch);
      return value === undefined ? [] : [{ labels: { server: freeswitch.url }, value }];
    });
  }
  return [
    gauge(
      "headroom_freeswitch_up",
      "1 while the event socket of a FreeSWITCH is connected.",
      of(({ isConnected }) => Number(isConnected)),
    ),
    gauge(
      "headroom_freeswitch_withdrawn",
      "1 while a FreeSWITCH gets no new calls because of what it says, or does not say, of itself.",
      of(({ withdrawal }) => Number(withdrawal !== undefined)),
    ),
    gauge(
      "headroom_freeswitch_heartbeat_age_seconds",
      "Time since the last heartbeat.",
      of(({ heartbeatAgeMs: age }) => (age === undefined ? undefined : age / MS_A_SECOND)),
    ),
    gauge(
      "headroom_freeswitch_idle_cpu_ratio",
      "Share of its processor time that a FreeSWITCH does not use.",
      of(({ idleCpuPercent: idle }) => (idle === undefined ? undefined : idle / PERCENT)),
    ),
    gauge(
      "headroom_freeswitch_sessions",
      "Sessions of a FreeSWITCH.",
      of(({ sessions }) => sessions),
    ),
    gauge(
      "headroom_freeswitch_max_sessions",
      "Sessions that a FreeSWITCH may have.",
      of(({ maxSessions }) => maxSessions),
    ),
  ];
}
