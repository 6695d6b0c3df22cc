export { ProbeCounters } from "./counters.ts";
export type { ProberOptions, ProbeSettings, ProbeSocket, StreamProbes } from "./ports.ts";
export { Prober } from "./prober.ts";
export { type ProbingKeys, probeSettings, slowStartMs } from "./settings.ts";
export { SlowStart, type SlowStartOptions } from "./slow-start.ts";
