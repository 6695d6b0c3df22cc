import type { Address } from "../balancer/index.ts";
import { naptrWays } from "./naptr-order.ts";
import type { Dns, DnsAnswer, SrvRecord } from "./ports.ts";
import { sortSrv } from "./srv-order.ts";
import { askedTransport, defaultPort, fallbackTransport, isNumeric, isPlainName, type SipTarget, type Transport } from "./target.ts";

/**
 * Where a target is. "none" is certain, for as long as it holds: there is no such name, or it offers nothing that we can use. "failed": those who
 * know could not be asked. `reason` is half a sentence.
 */
export type Location =
  | {
      readonly outcome: "found";
      /** At least one. In an order that is always the same; `srv` tells how each request is to order them. */
      readonly addresses: readonly Address[];
      readonly ttlS: number;
      /** Not everything could be asked for, so there may be more, or better ones. */
      readonly isPartial: boolean;
    }
  | { readonly outcome: "none"; readonly reason: string; readonly ttlS: number }
  | { readonly outcome: "failed"; readonly reason: string };

/** Addresses kept of one name: as many as OpenSIPS keeps (`lb_data.h`, 32). */
export const MAX_ADDRESSES = 32;
/** SRV records of one name whose hosts are looked for; the least wanted are left out. */
const MAX_SRV = 16;
/** NAPTR records that are followed. */
const MAX_WAYS = 4;

/** Names of SRV records (RFC 3263 §4.1). WebSocket has none. */
const SRV_PREFIXES: Readonly<Partial<Record<Transport, string>>> = { udp: "_sip._udp.", tcp: "_sip._tcp.", tls: "_sips._tcp." };
const SRV_TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls"];

/** Finds where a request for this target goes. */
class Search {
  readonly #target: SipTarget;
  readonly #dns: Dns;
  readonly #served: readonly Transport[];
  /** How long all that was answered holds. */
  #ttlS = Number.POSITIVE_INFINITY;
  /** Why something could not be asked. */
  #failure: string | undefined;

  constructor(target: SipTarget, dns: Dns, served: readonly Transport[]) {
    this.#target = target;
    this.#dns = dns;
    this.#served = served;
  }

  async run(): Promise<Location> {
    const { host, port } = this.#target;
    const asked = askedTransport(this.#target) as Transport | undefined;
    if (port !== undefined || isPlainName(host) || (await this.#dns.isLocal(host))) return this.#byAddress(asked);
    if (asked === undefined) return this.#byNaptr();
    return (await this.#bySrv(srvName(asked, host), asked)) ?? this.#byAddress(asked);
  }

  async #byNaptr(): Promise<Location> {
    const { host } = this.#target;
    const { ways, others } = naptrWays(this.#take(await this.#dns.naptr(host)) ?? [], this.#target, this.#served);
    let location: Location | undefined;
    for (const { transport, name } of ways.slice(0, MAX_WAYS)) {
      location = await this.#bySrv(name, transport);
      if (location?.outcome === "found") return location;
    }
    if (ways.length > 0) return location ?? this.#none("its NAPTR records lead to no SRV record");
    if (others.length > 0) return this.#none(`its NAPTR records offer ${others.join(", ")}, ${onlyServed(this.#served)}`);
    return this.#byServedSrv();
  }

  /** Without NAPTR records: the first of our transports that has SRV records, else, when none has any, addresses. */
  async #byServedSrv(): Promise<Location> {
    const { host, isSecure } = this.#target;
    const fit = SRV_TRANSPORTS.filter((transport) => !isSecure || transport === "tls");
    for (const transport of this.#served.filter((one) => fit.includes(one))) {
      const location = await this.#bySrv(srvName(transport, host), transport);
      if (location !== undefined) return location;
    }
    const others = fit.filter((transport) => !this.#served.includes(transport));
    const answers = await Promise.all(others.map((transport) => this.#dns.srv(srvName(transport, host) ?? "")));
    const offered = others.filter((_, i) => (this.#take(answers[i]!) ?? []).some(isService));
    if (offered.length > 0) return this.#none(`its SRV records offer ${offered.join(", ")}, ${onlyServed(this.#served)}`);
    return this.#byAddress(undefined);
  }

  /** Undefined when there are no such records. */
  async #bySrv(name: string | undefined, transport: Transport): Promise<Location | undefined> {
    const records = name === undefined ? undefined : this.#take(await this.#dns.srv(name));
    if (records === undefined) return undefined;
    const services = sortSrv(records.filter(isService)).slice(0, MAX_SRV);
    if (services.length === 0) return this.#none("its SRV records say that there is no such service");
    const found = await Promise.all(services.map((record, entry) => this.#ofService(record, entry, transport)));
    const addresses = found.flat();
    return addresses.length > 0 ? this.#found(addresses) : this.#none("the hosts of its SRV records have no address");
  }

  async #ofService({ target, port, priority, weight }: SrvRecord, entry: number, transport: Transport): Promise<Address[]> {
    const ips = isNumeric(target) ? [target] : (this.#take(await this.#dns.addresses(target)) ?? []);
    return ips.map((ip) => ({ ip, port, transport, srv: { entry, priority, weight } }));
  }

  async #byAddress(asked: Transport | undefined): Promise<Location> {
    const { host, port } = this.#target;
    const transport = asked ?? fallbackTransport(this.#target);
    if (!this.#served.includes(transport)) return notServed(transport, this.#served);
    const ips = this.#take(await this.#dns.addresses(host));
    if (ips === undefined) return this.#none("it has no address");
    return this.#found(ips.map((ip) => ({ ip, port: port ?? defaultPort(transport), transport })));
  }

  /** Takes note of an answer; its records, or undefined when there are none. */
  #take<R>(answer: DnsAnswer<R>): readonly R[] | undefined {
    if (answer.outcome === "failed") {
      this.#failure ??= answer.reason;
      return undefined;
    }
    this.#ttlS = Math.min(this.#ttlS, answer.ttlS);
    return answer.outcome === "found" && answer.records.length > 0 ? answer.records : undefined;
  }

  #found(addresses: readonly Address[]): Location {
    const isPartial = this.#failure !== undefined;
    return { outcome: "found", addresses: distinct(addresses).slice(0, MAX_ADDRESSES), ttlS: this.#ttlS, isPartial };
  }

  #none(reason: string): Location {
    if (this.#failure !== undefined) return { outcome: "failed", reason: this.#failure };
    return { outcome: "none", reason, ttlS: this.#ttlS };
  }
}

/** A target that needs no question: its host is an address, or it wants a transport that we do not have. Undefined when DNS must tell. */
export function locateAtOnce(target: SipTarget, served: readonly Transport[]): Location | undefined {
  const { host, port, isSecure } = target;
  const asked = askedTransport(target);
  const isServed = asked === undefined ? !isSecure || served.some(isSafe) : served.includes(asked as Transport);
  if (!isServed) return notServed(asked ?? fallbackTransport(target), served);
  if (!isNumeric(host)) return undefined;
  const transport = (asked ?? fallbackTransport(target)) as Transport;
  if (!served.includes(transport)) return notServed(transport, served);
  const address: Address = { ip: host, port: port ?? defaultPort(transport), transport };
  return { outcome: "found", addresses: [address], ttlS: Number.POSITIVE_INFINITY, isPartial: false };
}

/**
 * Finds where a request for this target goes (RFC 3263 §4): by its NAPTR records the transport, by its SRV records hosts and ports, and their
 * addresses. A port in the URI leaves only addresses to be asked for, a transport in it no NAPTR records. Does not reject as long as `dns` does not.
 *
 * @param served transports that we have, the most wanted first
 */
export async function locate(target: SipTarget, dns: Dns, served: readonly Transport[]): Promise<Location> {
  return locateAtOnce(target, served) ?? new Search(target, dns, served).run();
}

function srvName(transport: Transport, host: string): string | undefined {
  const prefix = SRV_PREFIXES[transport];
  return prefix === undefined ? undefined : prefix + host;
}

/** RFC 2782: a target of "." says that there is no such service. */
function isService({ target, port }: SrvRecord): boolean {
  return target !== "" && port > 0;
}

function isSafe(transport: Transport): boolean {
  return transport === "tls" || transport === "wss";
}

function notServed(transport: string, served: readonly Transport[]): Location {
  return { outcome: "none", reason: `it asks for ${transport}, ${onlyServed(served)}`, ttlS: Number.POSITIVE_INFINITY };
}

function onlyServed(served: readonly Transport[]): string {
  return `this version sends over ${served.join(", ").toUpperCase()} only`;
}

function distinct(addresses: readonly Address[]): Address[] {
  const seen = new Set<string>();
  return addresses.filter(({ ip, port, transport }) => {
    const key = `${ip} ${port} ${transport}`;
    return !seen.has(key) && seen.add(key);
  });
}
