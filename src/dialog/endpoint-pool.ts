import type { Endpoint } from "../transaction/index.ts";
import type { Dialog } from "./dialog.ts";

/** Places that are remembered: destinations, and callers that make many calls, such as trunks. */
const MAX_PLACES = 4_096;

/** Endpoints that calls share, as most calls come from few places and go to few: one of its own costs a call 90 bytes at either end. */
export class EndpointPool {
  readonly #known = new Map<string, Endpoint>();
  /** By address, the one that was wanted last: found without making a key of address, port and transport, twice a call. */
  readonly #latest = new Map<string, Endpoint>();

  /** Lets a call have the endpoints of those before it, where they say the same. */
  share(dialog: Dialog): void {
    const { calleeEndpoint } = dialog;
    dialog.callerEndpoint = this.#find(dialog.callerEndpoint);
    if (calleeEndpoint !== undefined) dialog.calleeEndpoint = this.#find(calleeEndpoint);
  }

  #find(endpoint: Endpoint): Endpoint {
    const { transport, address, port, listener, connection, name, insteadOf } = endpoint;
    if (connection !== undefined || name !== undefined || insteadOf !== undefined) return endpoint;
    const latest = this.#latest.get(address);
    if (latest !== undefined && latest.port === port && latest.transport === transport && latest.listener === listener) return latest;
    const found = this.#findByAll(endpoint);
    if (latest === undefined && this.#latest.size >= MAX_PLACES) this.#latest.clear();
    this.#latest.set(found.address, found);
    return found;
  }

  #findByAll(endpoint: Endpoint): Endpoint {
    const { transport, address, port, listener } = endpoint;
    const key = `${transport} ${address} ${port}`;
    const known = this.#known.get(key);
    if (known?.listener === listener) return known;
    if (known === undefined && this.#known.size >= MAX_PLACES) this.#known.clear(); // those of today are soon known again
    this.#known.set(key, endpoint);
    return endpoint;
  }
}
