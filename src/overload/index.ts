export type { PeerCall } from "./call-peers.ts";
export { DatagramKind, datagramKind } from "./datagram.ts";
export { type LoadSample, SAMPLE_MS } from "./load-watch.ts";
export { Overload, type OverloadCause, type OverloadChange, type OverloadGate, type OverloadSettings, type Screening } from "./overload.ts";
export { sourceOf } from "./source-key.ts";
export type { BanChange, BanView } from "./source-rates.ts";
