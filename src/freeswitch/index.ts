export { type Capacity, CapacityModel, type Freshness, type Situation, type Withdrawal } from "./capacity-model.ts";
export { type CapacitySettings, type ForeignLoad, OPENSIPS_CAPACITY, type StaleAction } from "./capacity-settings.ts";
export { systemClock } from "./clock.ts";
export { EslCounters, type EslEnd } from "./counters.ts";
export { Freeswitch } from "./freeswitch.ts";
export { FreeswitchPool } from "./freeswitch-pool.ts";
export { FsUrl, isFsUrl, parseFsUrl } from "./fs-url.ts";
export type { Heartbeat } from "./heartbeat.ts";
export type { Clock, EslSettings, FreeswitchPorts, FreeswitchSettings } from "./ports.ts";
