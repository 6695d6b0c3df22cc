export { loopFingerprint, makeBranch } from "./branch-id.ts";
export type { Network, PingSettings, ProxyCore, ProxyTimeouts } from "./core.ts";
export { ProxyCounters } from "./core.ts";
export type { Elsewhere, Found, FoundDialog } from "./elsewhere.ts";
export { LargeRequests } from "./large-requests.ts";
export { endpointAt } from "./next-hop.ts";
export type { Admission, FailureCause, Log, ProxyCall, Router, TargetGuard } from "./ports.ts";
export { SipProxy } from "./proxy.ts";
export { SendFailures } from "./send-failures.ts";
