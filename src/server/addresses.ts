import type { Address } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import {
  type AddressChange,
  FailedAddresses,
  type Found,
  LocationCache,
  locate,
  orderAddresses,
  parseNameServer,
  type SipTarget,
} from "../resolution/index.ts";
import { DnsClient, DnsCounters } from "../transport/dns-client.ts";
import { HostsFile } from "../transport/hosts-file.ts";
import { NameService, systemServers } from "../transport/name-service.ts";
import { servedTransports } from "./served-transports.ts";

/** Changes of addresses are put into use together: a change of the zone often concerns many names at once. */
const GATHER_MS = 100;
/** Look-ups by the system under way at once, for names of the table and for all others. */
const LOOKUPS_OF_TABLE = 2;
const LOOKUPS_OF_OTHERS = 1;

export interface AddressesPorts {
  readonly config: Pick<Config, "sip">;
  /** Uniform whole number from 0 to n-1, that nobody can guess. */
  readonly below: (n: number) => number;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Where names lead, for destinations and for next hops: RFC 3263 with the name servers of the configuration or of the system. */
export class Addresses {
  /** Is told of targets of the table that have other addresses than before. */
  onChange: (changes: readonly AddressChange[]) => void = () => undefined;
  readonly #ports: AddressesPorts;
  /** Those that names of the table are asked for with, and others: who thinks up names of slow zones occupies the sockets of the second only. */
  readonly #clients: readonly [ofTable: DnsClient, ofOthers: DnsClient];
  readonly #cache: LocationCache;
  readonly #failed: FailedAddresses;
  readonly #held = new Map<string, readonly SipTarget[]>();
  #changes: AddressChange[] = [];

  constructor(ports: AddressesPorts) {
    const { below, config, nowMs, after } = ports;
    const configured = config.sip.dns_servers.flatMap((text) => parseNameServer(text) ?? []);
    const isSystem = configured.length === 0;
    this.#ports = ports;
    const servers = isSystem ? systemServers(nowMs) : () => configured;
    this.#clients = [new DnsClient({ servers, below, nowMs }), new DnsClient({ servers, below, nowMs })];
    const hosts = new HostsFile(nowMs);
    const [ofTable, ofOthers] = this.#clients;
    const namesOfTable = new NameService({ client: ofTable, hosts, isSystem, parallelLookups: LOOKUPS_OF_TABLE });
    const namesOfOthers = new NameService({ client: ofOthers, hosts, isSystem, parallelLookups: LOOKUPS_OF_OTHERS });
    const served = servedTransports(config.sip.listen);
    this.#cache = new LocationCache({
      locate: (target, isHeld) => locate(target, isHeld ? namesOfTable : namesOfOthers, served),
      nowMs,
      after,
      onChange: (change) => this.#gather(change),
    });
    this.#failed = new FailedAddresses(nowMs);
  }

  /** What is known of a target, for a load of the table: what could not be found before is asked for again. */
  resolve(target: SipTarget): Found | Promise<Found> {
    return this.#cache.get(target, true);
  }

  /** What is known of a target. */
  find(target: SipTarget): Found | Promise<Found> {
    return this.#cache.get(target);
  }

  /** Addresses of a target in the order in which one request is to try them; empty when there are none. */
  locate(target: SipTarget): readonly Address[] | Promise<readonly Address[]> {
    const found = this.#cache.get(target);
    return found instanceof Promise ? found.then(({ addresses }) => this.order(addresses)) : this.order(found.addresses);
  }

  /** The order in which one request is to try these addresses: drawn by the weights of their SRV records, those last that did not answer lately. */
  order(addresses: readonly Address[]): readonly Address[] {
    return this.#failed.last(orderAddresses(addresses, this.#ports.below));
  }

  /** An address did not answer, though there are others of its name. */
  failed(address: Address): void {
    this.#failed.add(address);
  }

  /** Says which targets somebody has, such as the table: their addresses are kept up to date. */
  hold(targets: Iterable<SipTarget>, holder = "table"): void {
    this.#held.set(holder, [...targets]);
    this.#cache.hold([...this.#held.values()].flat());
  }

  close(): void {
    this.#cache.close();
  }

  /** Plain counters, to be read anew each time. */
  get counters(): Record<string, number> {
    const asked = new DnsCounters();
    for (const { counters } of this.#clients) {
      for (const name of Object.keys(asked) as (keyof DnsCounters)[]) asked[name] += counters[name];
    }
    return { ...asked, ...this.#cache.counters };
  }

  #gather(change: AddressChange): void {
    this.#changes.push(change);
    if (this.#changes.length > 1) return;
    this.#ports.after(GATHER_MS, () => {
      const changes = this.#changes;
      this.#changes = [];
      this.onChange(changes);
    });
  }
}
