import type { Balancer, StatusChange } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import { type BreakerChange, CallOutcomes, outcomeSettings } from "../health/index.ts";
import type { ManagementPorts } from "../management/index.ts";
import { logBreaker, logRest } from "../observability/outcome-log.ts";
import type { ProbeStatisticsSource } from "../observability/probe-statistics.ts";
import {
  DispatchProber,
  type DispatchProberOptions,
  type DispatchProbeSettings,
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
  /** The dispatcher's destinations, and how they are probed at this moment; without settings they are not. */
  readonly dispatch: Pick<DispatchProberOptions, "dispatcher" | "locate" | "leaveFrom" | "mayProbe"> & {
    settings(): DispatchProbeSettings | undefined;
  };
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
  /** On which SIP is taken over UDP, while probes may be sent. */
  #addresses: readonly string[] | undefined;

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
    const { config, balancer, mayProbe } = this.#ports;
    this.#addresses = addresses;
    if (config.load_balancer.probing_interval > 0) {
      this.#prober = new Prober({ ...this.#shared(), settings: probeSettings(config), balancer, wallMs: Date.now, mayProbe });
      await this.#prober.start();
    }
    await this.#probeSets();
  }

  async stop(): Promise<void> {
    this.#addresses = undefined;
    this.outcomes?.stop();
    this.#slowStart.stop();
    this.#dispatchProber?.stop();
    await this.#prober?.stop();
    await this.#line?.close();
  }

  /** To be told of each change of the dispatcher's sets, and of how they are probed. */
  setsChanged(): void {
    this.#probeSets().catch((error: unknown) => this.#ports.log.error({ err: error }, "cannot probe the dispatcher's destinations"));
  }

  statusChanged(change: StatusChange): void {
    this.#slowStart.statusChanged(change);
    this.#prober?.statusChanged(change);
  }

  async #probeSets(): Promise<void> {
    if (this.#addresses === undefined) return; // it has not begun, or is over
    const { dispatch } = this.#ports;
    const settings = dispatch.settings();
    if (settings === undefined) {
      this.#dispatchProber?.stop();
    } else if (this.#dispatchProber === undefined) {
      this.#dispatchProber = new DispatchProber({ ...this.#shared(), ...dispatch, settings });
      await this.#dispatchProber.start();
    } else {
      this.#dispatchProber.use(settings);
      this.#dispatchProber.setsChanged();
    }
  }

  /** What all probers have in common. */
  #shared(): Pick<DispatchProberOptions, "line" | "wheel" | "nowMs" | "log" | "random"> {
    const { config, chance, locals, log, nowMs, streams, wheel } = this.#ports;
    const counters = new TransportCounters();
    const fault = (error: unknown, action: string): void => log.error({ err: error }, `cannot ${action}`);
    this.#line ??= new ProbeLine({
      addresses: this.#addresses ?? [],
      towards: (address) => locals.towards(address),
      openSocket: (address, receive) => UdpListener.open({ address, port: 0, advertised: null, locals, counters, receive, fault }),
      ...{ streams, wheel, chance, nowMs, userAgent: config.sip.server_header },
    });
    return { line: this.#line, wheel, nowMs, log, random: Math.random };
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
