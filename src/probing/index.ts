export { ProbeCounters } from "./counters.ts";
export { DispatchProber, type DispatchProberOptions, type DispatchProbeSettings } from "./dispatch-prober.ts";
export type { LineOptions, ProberOptions, ProbeSettings, ProbeSocket, StreamProbes } from "./ports.ts";
export { ProbeLine } from "./probe-line.ts";
export { Prober } from "./prober.ts";
export { type DispatchProbingKeys, dispatchProbeSettings, type ProbingKeys, probeSettings, slowStartMs } from "./settings.ts";
export { SlowStart, type SlowStartOptions } from "./slow-start.ts";
