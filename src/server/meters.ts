import type { IncomingMessage, ServerResponse } from "node:http";
import { isCurrentValue, ManagementCounters } from "../management/index.ts";
import { Metrics, type MetricsSources } from "../observability/metrics.ts";
import type { Statistics } from "../observability/statistics.ts";
import { CallMeasures, DelayTally } from "../proxy/index.ts";
import type { LoopDelays } from "../transport/loop-monitor.ts";
import { MessageTally } from "../transport/message-tally.ts";
import { VERSION } from "../version.ts";

/** Upper bounds of standstills of the event loop, ms: calls suffer from some 100 ms on. */
const LAG_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];

/** Standstills of the event loop. */
class LagTally extends DelayTally {
  /** Of the last whole interval; undefined until there was one. */
  delays: LoopDelays | undefined = undefined;
  #worstMs = 0;

  override observe(ms: number): void {
    super.observe(ms);
    if (ms > this.#worstMs) this.#worstMs = ms;
  }

  /** The longest one since it was asked for last, ms. For one asker. */
  takeWorstMs(): number {
    const worstMs = this.#worstMs;
    this.#worstMs = 0;
    return worstMs;
  }
}

/** What the path of a message counts for metrics, from the first one on; they are read only when somebody asks. */
export class Meters {
  readonly received = new MessageTally();
  readonly sent = new MessageTally();
  readonly calls = new CallMeasures();
  readonly management = new ManagementCounters();
  readonly lag = new LagTally(LAG_BOUNDS_MS);

  /** Answers GET `/metrics`. */
  streams(
    sources: Omit<MetricsSources, "version" | "calls" | "lag" | "loopDelays" | "received" | "sent" | "statistics" | "isGauge"> & {
      readonly recorded: Statistics;
    },
  ): Record<string, (request: IncomingMessage, response: ServerResponse) => void> {
    const metrics = new Metrics({
      ...sources,
      ...{ version: VERSION, calls: this.calls, lag: this.lag, isGauge: isCurrentValue },
      loopDelays: () => this.lag.delays,
      received: () => this.received.read(),
      sent: () => this.sent.read(),
      statistics: () => sources.recorded.readWhole(),
    });
    return { "/metrics": (_request, response) => metrics.answer(response) };
  }
}
