import type { Balancer, StatusChange } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import { type BreakerChange, CallOutcomes, outcomeSettings } from "../health/index.ts";
import type { ManagementPorts } from "../management/index.ts";
import { logBreaker, logRest } from "../observability/outcome-log.ts";
import type { ProbeStatisticsSource } from "../observability/probe-statistics.ts";
import {
  DispatchProber,
  type DispatchProberOptions,
  ProbeLine,
  Prober,
  probeSettings,
  SlowStart,
  type StreamProbes,
  slowStartMs,
} from "../probing/index.ts";
import type { Log } from "../proxy/index.ts";
import type { TimerWheel } from "../transaction/index.ts";
import type { RandomTokens } from "../transport/chance.ts";
import type { LocalAddresses } from "../transport/local-address.ts";
import { TransportCounters, UdpListener } from "../transport/udp.ts";
import type { Announcer } from "./announcer.ts";

export interface WatchPorts {
  readonly config: Config;
  readonly balancer: Balancer;
  readonly announcer: Pick<Announcer, "restBegan">;
  /** Is told of each change of a breaker. */
  readonly breakerChanged: (change: BreakerChange) => void;
  /** Whether it is this node that probes; absent: always. */
  readonly mayProbe?: (() => boolean) | undefined;
  /** The dispatcher's destinations, and how they are probed. Absent: nobody probes them. */
  readonly dispatch?: Pick<DispatchProberOptions, "settings" | "dispatcher" | "locate" | "socketAddress"> | undefined;
  /** The way of probes over connections. */
  readonly streams: StreamProbes;
  readonly locals: LocalAddresses;
  readonly chance: RandomTokens;
  readonly wheel: TimerWheel;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

/** What watches destinations: their calls (breakers, rests), probes, and the slow start of those that come back. */
export class Watch {
  /** Absent when neither breakers nor rests are in use. */
  readonly outcomes: CallOutcomes | undefined;
  readonly #ports: WatchPorts;
  readonly #slowStart: SlowStart;
  #prober: Prober | undefined;
  #dispatchProber: DispatchProber | undefined;
  #line: ProbeLine | undefined;

  constructor(ports: WatchPorts) {
    const { config, balancer, wheel, nowMs } = ports;
    this.#ports = ports;
    this.outcomes = createOutcomes(ports);
    this.#slowStart = new SlowStart({
      durationMs: slowStartMs(config),
      setShare: (id, share) => balancer.setCapacityFactor(id, share),
      wheel,
      nowMs,
    });
  }

  /** Absent unless destinations are probed. */
  get prober(): Prober | undefined {
    return this.#prober;
  }

  /** Absent unless the dispatcher's destinations are probed. */
  get dispatchProber(): DispatchProber | undefined {
    return this.#dispatchProber;
  }

  /** Counters of all probes, and what those of the balancer have shown. Absent when nobody is probed. */
  get probing(): ProbeStatisticsSource | undefined {
    if (this.#line === undefined) return undefined;
    return { counters: this.#line.counters, figures: () => this.#prober?.figures() ?? [] };
  }

  /**
   * Begins to probe; over UDP from sockets of its own, so that probes wait behind no call and no call behind them.
   *
   * @param addresses on which SIP is taken over UDP: there is a socket on each
   * @throws Error when none of them can be bound
   */
  async start(addresses: readonly string[]): Promise<void> {
    const { config, balancer, chance, dispatch, locals, log, mayProbe, nowMs, streams, wheel } = this.#ports;
    const isBalancerProbed = config.load_balancer.probing_interval > 0;
    if (!isBalancerProbed && dispatch === undefined) return;
    const counters = new TransportCounters();
    const fault = (error: unknown, action: string): void => log.error({ err: error }, `cannot ${action}`);
    const line = new ProbeLine({
      addresses,
      towards: (address) => locals.towards(address),
      openSocket: (address, receive) => UdpListener.open({ address, port: 0, advertised: null, locals, counters, receive, fault }),
      ...{ streams, wheel, chance, nowMs, userAgent: config.sip.server_header },
    });
    this.#line = line;
    const shared = { line, wheel, nowMs, log, random: Math.random };
    if (isBalancerProbed) {
      this.#prober = new Prober({ ...shared, settings: probeSettings(config), balancer, wallMs: Date.now, mayProbe });
      await this.#prober.start();
    }
    if (dispatch === undefined) return;
    this.#dispatchProber = new DispatchProber({ ...shared, ...dispatch });
    await this.#dispatchProber.start();
  }

  async stop(): Promise<void> {
    this.outcomes?.stop();
    this.#slowStart.stop();
    await Promise.all([this.#prober?.stop(), this.#dispatchProber?.stop()]);
  }

  /** To be told of each change of the dispatcher's sets. */
  setsChanged(): void {
    this.#dispatchProber?.setsChanged();
  }

  statusChanged(change: StatusChange): void {
    this.#slowStart.statusChanged(change);
    this.#prober?.statusChanged(change);
  }

  /** What management offers of it. */
  get management(): Pick<ManagementPorts, "breakers" | "forgive"> {
    const { outcomes } = this;
    if (outcomes === undefined) return {};
    const hasBreakers = this.#ports.config.health.breaker.window > 0;
    return { forgive: (destination) => outcomes.forgive(destination), ...(hasBreakers && { breakers: () => outcomes.figures() }) };
  }

  /** To be told of every new table. */
  tableChanged(): void {
    this.outcomes?.tableChanged();
    this.#slowStart.tableChanged(this.#ports.balancer.destinations());
    this.#prober?.tableChanged();
  }
}

function createOutcomes({ announcer, balancer, breakerChanged, config, nowMs, after, log }: WatchPorts): CallOutcomes | undefined {
  const settings = outcomeSettings(config.health);
  if (settings === undefined) return undefined;
  return new CallOutcomes({
    balancer,
    settings,
    nowMs,
    after,
    onBreaker: (change) => {
      logBreaker(change, log);
      breakerChanged(change);
    },
    onRest: (destination, ms) => {
      logRest(destination, ms, log);
      announcer.restBegan(destination, ms);
    },
  });
}
