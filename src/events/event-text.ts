import type { BusEvent, EventBus } from "./bus.ts";

/** An event as receivers get it: JSON with its id, name, time (RFC 3339) and what it tells. */
export function eventObject(bus: Pick<EventBus, "idOf">, event: BusEvent): object {
  return { id: bus.idOf(event), event: event.name, at: new Date(event.atMs).toISOString(), params: event.params };
}

/** An event as one message of a stream of server-sent events (WHATWG HTML §9.2). JSON has no line ends in it. */
export function eventMessage(bus: Pick<EventBus, "idOf">, event: BusEvent): string {
  return `id: ${bus.idOf(event)}\nevent: ${event.name}\ndata: ${JSON.stringify(eventObject(bus, event))}\n\n`;
}
