export { type BusEvent, EventBus, type EventParams, type ParamsSource } from "./bus.ts";
export { EventStream, HEARTBEAT_MS, MAX_CLIENTS, type StreamCounters } from "./event-stream.ts";
export { eventObject } from "./event-text.ts";
export { Webhook, type WebhookCounters } from "./webhook.ts";
