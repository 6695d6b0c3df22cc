/** Names of the events, as the configuration and clients may ask for them: those of OpenSIPS, two of Kamailio, and ours about destinations, pings, Redis, bans, overload and management. */
export const EVENT_NAMES = [
  "E_LOAD_BALANCER_STATUS",
  "E_DLG_STATE_CHANGED",
  "E_DLG_PING_OUTAGE",
  "E_LOAD_BALANCER_BREAKER",
  "E_LOAD_BALANCER_REST",
  "E_LOAD_BALANCER_DRAIN",
  "E_LOAD_BALANCER_GROUP",
  "E_LOAD_BALANCER_HEADROOM",
  "E_LOAD_BALANCER_AUDIT",
  "E_DISPATCHER_STATUS",
  "dispatcher:dst-down",
  "dispatcher:dst-up",
  "E_CLUSTERER_NODE_STATE_CHANGED",
  "E_CLUSTERER_SHARING_TAG_CHANGED",
  "E_CLUSTERER_REDIS",
  "E_PIKE_BLOCKED",
  "E_PIKE_UNBLOCKED",
  "E_OVERLOAD",
  "E_MANAGEMENT_CHANGE",
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

/** Whether there is an event of this name. */
export function isEventName(text: string): text is EventName {
  return (EVENT_NAMES as readonly string[]).includes(text);
}
