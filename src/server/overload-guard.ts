import { randomBytes } from "node:crypto";
import type { Balancer } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import type { ManagementPorts } from "../management/index.ts";
import { OverloadLog } from "../observability/overload-log.ts";
import { Overload, type OverloadSettings, SAMPLE_MS } from "../overload/index.ts";
import type { Log } from "../proxy/index.ts";
import { compileCidr, type IpWords, parseIp } from "../routing/index.ts";
import type { TransactionCounters } from "../transaction/index.ts";
import { type LoopDelays, startDelayMonitor, startLoopMonitor } from "../transport/loop-monitor.ts";
import type { Announcer } from "./announcer.ts";

const SWEEP_MS = 1_000;

export interface OverloadGuardPorts {
  readonly config: Pick<Config, "overload" | "sip">;
  readonly balancer: Pick<Balancer, "isDestination">;
  readonly announcer: Pick<Announcer, "banChanged" | "overloadChanged">;
  /** Is told of each standstill of the event loop, and of its delays over longer intervals; absent: nobody. */
  readonly lag?: { observe(ms: number): void; delays: LoopDelays | undefined };
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly log: Log;
}

/** The limits of the configuration at work: with the event loop to look at, a clock, the log and the events. */
export class OverloadGuard {
  readonly overload: Overload;
  readonly #ports: OverloadGuardPorts;
  #stopMonitor: (() => void) | undefined = undefined;
  #stopDelays: (() => void) | undefined = undefined;
  readonly #sweeping: NodeJS.Timeout;
  /** Tells how many INVITEs callers have to repeat; undefined until there is something that takes them. */
  traffic: Readonly<Pick<TransactionCounters, "received_requests" | "repeated_invites">> | undefined;
  #received = 0;
  #repeated = 0;
  #exempt: readonly ((address: IpWords) => boolean)[];

  constructor(ports: OverloadGuardPorts) {
    const { config, announcer, nowMs, log } = ports;
    this.#ports = ports;
    this.#exempt = this.#exemptBlocks(config.overload);
    const lines = new OverloadLog(log, nowMs);
    this.overload = new Overload(overloadSettings(config.overload), {
      seed: randomBytes(4).readUInt32LE(),
      nowMs,
      isExempt: (address) => this.#isExempt(address),
      onBan: (change) => {
        lines.ban(change);
        announcer.banChanged(change);
      },
      onOverload: (change) => {
        lines.overload(change);
        announcer.overloadChanged(change);
      },
    });
    this.#sweeping = setInterval(() => this.overload.sweep(), SWEEP_MS);
  }

  /** Looks at the event loop from now on: what a start keeps it busy with holds up no call. */
  begin(): void {
    this.#stopMonitor ??= startLoopMonitor(SAMPLE_MS, (sample) => {
      this.#ports.lag?.observe(sample.lagMs);
      this.overload.sample({ ...sample, repeatedShare: this.#repeatedShare() });
    });
    const { lag } = this.#ports;
    if (lag === undefined) return;
    this.#stopDelays ??= startDelayMonitor((delays) => {
      lag.delays = delays;
    });
  }

  /** What management offers of it. */
  get management(): Pick<ManagementPorts, "bans"> {
    const { overload } = this;
    return { bans: { list: () => overload.bans(), lift: (address) => overload.lift(address) } };
  }

  /** Takes the section of a new configuration. `sip.allow` stays as it was at the start. */
  use(section: Config["overload"]): void {
    this.#exempt = this.#exemptBlocks(section);
    this.overload.use(overloadSettings(section));
  }

  close(): void {
    this.#stopMonitor?.();
    this.#stopDelays?.();
    clearInterval(this.#sweeping);
  }

  /** Since it was asked for last. */
  #repeatedShare(): number {
    const { received_requests: received = 0, repeated_invites: repeated = 0 } = this.traffic ?? {};
    const share = received === this.#received ? 0 : (repeated - this.#repeated) / (received - this.#received);
    [this.#received, this.#repeated] = [received, repeated];
    return share;
  }

  #exemptBlocks({ exempt }: Config["overload"]): readonly ((address: IpWords) => boolean)[] {
    return [...this.#ports.config.sip.allow, ...exempt].map((text) => compileCidr(text));
  }

  /** Destinations, and whom the operator has named. */
  #isExempt(address: string): boolean {
    if (this.#ports.balancer.isDestination(address, 0) !== undefined) return true;
    const words = this.#exempt.length === 0 ? undefined : parseIp(address);
    return words !== undefined && this.#exempt.some((contains) => contains(words));
  }
}

function overloadSettings(section: Config["overload"]): OverloadSettings {
  return {
    rate: {
      unitMs: section.sampling_time_unit * 1000,
      density: section.reqs_density_per_unit,
      banMs: section.remove_latency * 1000,
    },
    load: { maxLagMs: section.max_lag * 1000, maxUtilization: section.max_utilization },
    maxBacklog: section.max_backlog,
    newCallsPerSecond: section.new_calls_per_second,
    retryAfterS: section.retry_after,
    scanners: section.scanners,
    scannerAnswer: section.scanner_answer === "403" ? "forbid" : "silence",
  };
}
