import { canonicalIp, type Destination } from "../balancer/index.ts";

/** `lb_define_blacklist`: the addresses of the destinations of these groups, under a name. */
export interface BlacklistSpec {
  readonly name: string;
  readonly groups: readonly number[];
}

/** Where a message would be sent: an address or a host name without brackets, the port filled in, the transport in lower case. */
export interface BlacklistTarget {
  readonly host: string;
  readonly port: number;
  readonly transport: string;
}

/** The balancer, as far as blacklists look at it: a reload answers another array. */
export interface DestinationSource {
  destinations(): readonly Destination[];
}

/** A definition, or the name of a list, that cannot be used. The message is written for the operator. */
export class BlacklistError extends Error {
  override readonly name = "BlacklistError";
}

const DEFINITION = /^\s*([A-Za-z0-9_-]{1,64})\s*=\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*$/;
/** A colon, or a number at the end: an address, or what the system may take for one (`inet_aton` reads "3405803777" and "0xcb.113.1"). */
const LIKE_AN_ADDRESS = /:|(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i;
/** Addresses that stand for "this machine" when a packet is sent to them. */
const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "0:0:0:0:0:0:0:0"]);

/**
 * Parses one value of `lb_define_blacklist`, such as `list= 1,4,3`.
 *
 * @throws {BlacklistError} for anything else
 */
export function parseBlacklist(text: string): BlacklistSpec {
  const [, name, groups] = DEFINITION.exec(text) ?? [];
  if (name === undefined || groups === undefined) {
    throw new BlacklistError(`Cannot use lb_define_blacklist "${text}": want a name and group numbers, such as "list= 1,4,3"`);
  }
  return { name, groups: groups.split(",").map(Number) };
}

/**
 * The lists of `lb_define_blacklist`: each holds the addresses, with port and transport, of the destinations of its groups.
 *
 * They always show the table in use: the first look after a reload makes them anew. A destination's status does not matter.
 * Source: OpenSIPS `lb_bl.c`.
 */
export class Blacklists {
  readonly #lists = new Map<string, Blacklist>();

  /**
   * @param definitions values of `lb_define_blacklist`
   * @param hostOf the host of a SIP URI, lower case, without brackets; "" when it has none
   * @throws {BlacklistError} for a definition that cannot be used, and for a name that stands twice, as in OpenSIPS
   */
  constructor(definitions: readonly string[], source: DestinationSource, hostOf: (uri: string) => string) {
    for (const definition of definitions) {
      const { name, groups } = parseBlacklist(definition);
      if (this.#lists.has(name)) {
        throw new BlacklistError(`Cannot use lb_define_blacklist "${definition}": list "${name}" is defined already, want each name once`);
      }
      this.#lists.set(name, new Blacklist(new Set(groups), source, hostOf));
    }
  }

  /** Names of the lists, in the order of their definitions. */
  get names(): string[] {
    return [...this.#lists.keys()];
  }

  has(name: string): boolean {
    return this.#lists.has(name);
  }

  /**
   * Whether a list holds this target. A host name is held when the URI of a destination has it; to find others, ask for the address that the
   * name has. What reads like an address but is none is held by every list, and so is 0.0.0.0: the system would make an address of them that
   * nobody has compared. False for a list that there is not.
   */
  holds(name: string, target: BlacklistTarget): boolean {
    return this.#lists.get(name)?.holds(target) ?? false;
  }
}

class Blacklist {
  readonly #groups: ReadonlySet<number>;
  readonly #source: DestinationSource;
  readonly #hostOf: (uri: string) => string;
  #targets = new Set<string>();
  #madeOf: readonly Destination[] | undefined;

  constructor(groups: ReadonlySet<number>, source: DestinationSource, hostOf: (uri: string) => string) {
    this.#groups = groups;
    this.#source = source;
    this.#hostOf = hostOf;
  }

  holds({ host, port, transport }: BlacklistTarget): boolean {
    if (host === "") return false;
    const ip = canonicalIp(host);
    if (ip === undefined && LIKE_AN_ADDRESS.test(host)) return true;
    if (ip !== undefined && UNSPECIFIED.has(ip)) return true;
    this.#refresh();
    const key = ip ?? plainName(host);
    return this.#targets.has(keyOf(key, port, transport)) || this.#targets.has(keyOf(key, 0, transport));
  }

  #refresh(): void {
    const destinations = this.#source.destinations();
    if (destinations === this.#madeOf) return;
    this.#madeOf = destinations;
    this.#targets = new Set();
    for (const { group, uri, addresses } of destinations) {
      if (!this.#groups.has(group)) continue;
      const name = plainName(this.#hostOf(uri));
      for (const { ip, port, transport } of addresses) {
        this.#targets.add(keyOf(canonicalIp(ip) ?? ip, port, transport));
        if (name !== "" && canonicalIp(name) === undefined) this.#targets.add(keyOf(name, port, transport));
      }
    }
  }
}

function keyOf(host: string, port: number, transport: string): string {
  return `${transport} ${host} ${port}`;
}

/** A host name as names compare: lower case, without the dot of the root. */
function plainName(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
