import { canonicalIp } from "../balancer/index.ts";
import { parseListen } from "../config/index.ts";
import type { Listener } from "../transaction/index.ts";

/** Finds listeners by what attributes of the dispatcher call them: `udp:192.0.2.1:5060`; without a transport it is UDP. */
export class SocketNames {
  readonly #listeners: () => readonly Listener[];
  readonly #found = new Map<string, Listener>();

  constructor(listeners: () => readonly Listener[]) {
    this.#listeners = listeners;
  }

  /** The listener of that name; undefined for "", and when there is none. */
  find(name: string): Listener | undefined {
    if (name === "") return undefined;
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const place = placeOf(name);
    const found =
      place &&
      this.#listeners().find(
        ({ transport, address, port }) =>
          transport === place.transport && port === place.port && canonical(address) === canonical(place.address),
      );
    if (found !== undefined) this.#found.set(name, found);
    return found;
  }
}

function placeOf(name: string): ReturnType<typeof parseListen> | undefined {
  try {
    return parseListen(/^[a-z]+:/i.test(name) ? name : `udp:${name}`);
  } catch {
    return undefined;
  }
}

function canonical(address: string): string {
  return canonicalIp(address) ?? address;
}
