import type { Address } from "../balancer/index.ts";

/** Most hosts whose addresses are kept: a server that registers under one name after the other does not fill the memory. */
const MAX_KNOWN_HOSTS = 100_000;

/** Addresses that targets had when they could be resolved, by their keys, for as long as rows name them. */
export class KnownHosts {
  readonly #addresses = new Map<string, readonly Address[]>();

  get(host: string): readonly Address[] | undefined {
    return this.#addresses.get(host);
  }

  /** The names that are known now. */
  names(): readonly string[] {
    return [...this.#addresses.keys()];
  }

  /** Takes up what was found; the names that were learned longest ago go when there are too many. */
  learn(found: ReadonlyMap<string, readonly Address[]>): void {
    for (const [host, addresses] of found) {
      this.#addresses.delete(host);
      this.#addresses.set(host, addresses);
    }
    for (const host of this.#addresses.keys()) {
      if (this.#addresses.size <= MAX_KNOWN_HOSTS) break;
      this.#addresses.delete(host);
    }
  }

  forget(hosts: Iterable<string>): void {
    for (const host of hosts) this.#addresses.delete(host);
  }
}
