import { Resolver } from "node:dns";
import { lookup } from "node:dns/promises";
import {
  type Dns,
  type DnsAnswer,
  isPlainName,
  type NameServer,
  type NaptrRecord,
  parseNameServer,
  type SrvRecord,
} from "../resolution/index.ts";
import type { DnsClient } from "./dns-client.ts";
import type { HostsFile } from "./hosts-file.ts";
import { Turns } from "./turns.ts";

/** How long an address is used that the system found, in seconds: it tells no time to live. */
export const SYSTEM_TTL_S = 30;
const MAX_WAITING = 1_000;
/** How long the system may take for one name, in milliseconds. */
const LOOKUP_MS = 5_000;
/** How long the list of the system's name servers is used before it is read again. */
const SERVERS_MS = 30_000;

export interface NameServiceOptions {
  readonly client: Pick<DnsClient, "query">;
  readonly hosts: Pick<HostsFile, "addresses">;
  /**
   * Whether the client asks the name servers of the system. Then the system is asked for what these do not know, too: it may know it by its search domains
   * or by other services than DNS.
   */
  readonly isSystem: boolean;
  /** Look-ups by the system under way at once. It has four threads for them, which other work wants as well. */
  readonly parallelLookups: number;
  readonly lookup?: (host: string) => Promise<readonly string[]>;
}

/** Names as this machine finds them: by its hosts file, by the system for names of one label, else by name servers. */
export class NameService implements Dns {
  readonly #options: NameServiceOptions;
  readonly #turns: Turns;

  constructor(options: NameServiceOptions) {
    this.#options = options;
    this.#turns = new Turns(options.parallelLookups, MAX_WAITING);
  }

  naptr(name: string): Promise<DnsAnswer<NaptrRecord>> {
    return this.#options.client.query(name, "NAPTR");
  }

  srv(name: string): Promise<DnsAnswer<SrvRecord>> {
    return this.#options.client.query(name, "SRV");
  }

  async isLocal(host: string): Promise<boolean> {
    return (await this.#options.hosts.addresses(host)) !== undefined;
  }

  async addresses(host: string): Promise<DnsAnswer<string>> {
    const { client, hosts, isSystem } = this.#options;
    const local = await hosts.addresses(host);
    if (local !== undefined) return { outcome: "found", records: local, ttlS: SYSTEM_TTL_S };
    if (isPlainName(host)) return this.#bySystem(host);
    const [v4, v6] = await Promise.all([client.query(host, "A"), client.query(host, "AAAA")]);
    const both = together(v4, v6);
    if (both.outcome === "found" || !isSystem) return both;
    const found = await this.#bySystem(host);
    return found.outcome === "found" ? found : both;
  }

  async #bySystem(host: string): Promise<DnsAnswer<string>> {
    const { lookup: find = lookUp } = this.#options;
    try {
      let isOver = false;
      // A look-up that is given up keeps its turn until the system ends it: it occupies a thread all the same.
      const records = await inTime(
        this.#turns.run(async () => (isOver ? [] : find(host))),
        () => {
          isOver = true;
        },
      );
      if (records === undefined) return { outcome: "failed", reason: "too many names are being looked up" };
      return records.length > 0 ? { outcome: "found", records, ttlS: SYSTEM_TTL_S } : { outcome: "none", ttlS: SYSTEM_TTL_S };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === "ENOTFOUND" || code === "ENODATA") return { outcome: "none", ttlS: SYSTEM_TTL_S };
      return { outcome: "failed", reason: code === "EAI_AGAIN" ? "the name servers do not answer" : (code ?? message) };
    }
  }
}

/** The name servers of the system, read again once in a while. */
export function systemServers(nowMs: () => number): () => readonly NameServer[] {
  let servers: readonly NameServer[] = [];
  let untilMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (nowMs() < untilMs) return servers;
    untilMs = nowMs() + SERVERS_MS;
    servers = new Resolver().getServers().flatMap((text) => parseNameServer(text) ?? []); // a new one reads the system's list
    return servers;
  };
}

/** IPv4 addresses first: the listeners that the configuration starts with are IPv4. A failure counts when nothing was found. */
function together(v4: DnsAnswer<string>, v6: DnsAnswer<string>): DnsAnswer<string> {
  const found = [v4, v6].filter((answer) => answer.outcome === "found");
  if (found.length > 0) {
    return { outcome: "found", records: found.flatMap(({ records }) => records), ttlS: Math.min(...found.map(({ ttlS }) => ttlS)) };
  }
  if (v4.outcome !== "none") return v4;
  return v6.outcome === "none" ? { outcome: "none", ttlS: Math.min(v4.ttlS, v6.ttlS) } : v6;
}

async function lookUp(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: "ipv4first" });
  return found.map(({ address }) => address);
}

async function inTime<T>(work: Promise<T>, onOver: () => void): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    onOver();
    reject(Object.assign(new Error("no answer in time"), { code: "EAI_AGAIN" }));
  }, LOOKUP_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
