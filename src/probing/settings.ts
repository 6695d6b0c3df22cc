import { compileReplyCodes } from "../health/index.ts";
import type { DispatchProbeSettings } from "./dispatch-prober.ts";
import type { ProbeSettings } from "./ports.ts";

interface HealthKeys {
  readonly rise: number;
  readonly fall: number;
  readonly jitter: number;
  readonly fast_interval: number;
  readonly slow_start: number;
}

const AS_OPENSIPS: HealthKeys = { rise: 1, fall: 1, jitter: 0, fast_interval: 0, slow_start: 0 };

/** The keys of the configuration that probing goes by; times in seconds. */
export interface ProbingKeys {
  readonly load_balancer: {
    readonly probing_interval: number;
    readonly probing_method: string;
    readonly probing_from: string;
    readonly probing_reply_codes: readonly (string | number)[];
    readonly probing_verbose: boolean;
  };
  /** Absent: as OpenSIPS does it. */
  readonly health?: HealthKeys;
  readonly tm: { readonly fr_timeout: number };
}

/** The keys that probing of the dispatcher's destinations goes by; times in seconds. */
export interface DispatchProbingKeys extends Pick<ProbingKeys, "health" | "tm"> {
  readonly dispatcher: {
    readonly ds_ping_interval: number;
    readonly ds_ping_method: string;
    readonly ds_ping_from: string;
    readonly ds_ping_latency_stats: number;
    readonly outbound_proxy: string | null;
  };
}

/** Methods with transactions of another kind: an INVITE would begin a call, an ACK has no answer, a CANCEL nothing to cancel. */
const NO_PROBE: ReadonlySet<string> = new Set(["INVITE", "ACK", "CANCEL"]);

/** What the configuration says of probing. @throws {RangeError} for a method or a reply code that cannot be used */
export function probeSettings({ load_balancer, health = AS_OPENSIPS, tm }: ProbingKeys): ProbeSettings {
  const method = load_balancer.probing_method;
  checkMethod(method);
  return {
    intervalMs: load_balancer.probing_interval * 1000,
    fastIntervalMs: health.fast_interval * 1000,
    jitter: health.jitter,
    method,
    from: load_balancer.probing_from,
    accepted: compileReplyCodes(load_balancer.probing_reply_codes),
    verbose: load_balancer.probing_verbose,
    rise: health.rise,
    fall: health.fall,
    timeoutMs: tm.fr_timeout * 1000,
  };
}

/** Over how many milliseconds capacity grows back; 0: at once. */
export function slowStartMs({ health = AS_OPENSIPS }: ProbingKeys): number {
  return health.slow_start * 1000;
}

/** What the configuration says of probing the dispatcher's destinations; `undefined`: nobody does. @throws {RangeError} as {@link probeSettings} */
export function dispatchProbeSettings({ dispatcher, health = AS_OPENSIPS, tm }: DispatchProbingKeys): DispatchProbeSettings | undefined {
  if (dispatcher.ds_ping_interval === 0) return undefined;
  checkMethod(dispatcher.ds_ping_method);
  return {
    intervalMs: dispatcher.ds_ping_interval * 1000,
    jitter: health.jitter,
    method: dispatcher.ds_ping_method,
    from: dispatcher.ds_ping_from,
    timeoutMs: tm.fr_timeout * 1000,
    isMeasured: dispatcher.ds_ping_latency_stats !== 0,
    outboundProxy: dispatcher.outbound_proxy ?? undefined,
  };
}

function checkMethod(method: string): void {
  if (!NO_PROBE.has(method)) return;
  throw new RangeError(`Cannot probe with method "${method}": want one such as "OPTIONS", not INVITE, ACK or CANCEL`);
}
