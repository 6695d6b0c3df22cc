import { type Balancer, canonicalIp, type Destination } from "../balancer/index.ts";

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
export type DestinationSource = Pick<Balancer, "destinations" | "destinationsAt">;

/** A definition, or the name of a list, that cannot be used. The message is written for the operator. */
export class BlacklistError extends Error {
  override readonly name = "BlacklistError";
}

const DEFINITION = /^\s*([A-Za-z0-9_-]{1,64})\s*=\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*$/;
/** A colon, or a number at the end: an address, or what the system may take for one (`inet_aton` reads "3405803777" and "0xcb.113.1"). */
const LIKE_AN_ADDRESS = /:|(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i;
/** A SIP URI whose host is digits and dots, which is no name: most rows are like that, and are not taken apart. */
const WITHOUT_NAME = /^sips?:(?:[^@]*@)?[\d.]+(?:[:;?][^@]*)?$/i;
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
 * They always show the table in use. An address is looked up in the balancer's own index; names are gathered when the first one is looked up
 * after a reload. A destination's status does not matter. Source: OpenSIPS `lb_bl.c`.
 */
export class Blacklists {
  /** Groups of each list. */
  readonly #lists = new Map<string, ReadonlySet<number>>();
  readonly #source: DestinationSource;
  readonly #hostOf: (uri: string) => string;
  /** Destinations of any list whose host is a name, by that. */
  #named: ReadonlyMap<string, readonly Destination[]> = new Map();
  #madeOf: readonly Destination[] | undefined;

  /**
   * @param definitions values of `lb_define_blacklist`
   * @param hostOf the host of a SIP URI, lower case, without brackets; "" when it has none
   * @throws {BlacklistError} for a definition that cannot be used, and for a name that stands twice, as in OpenSIPS
   */
  constructor(definitions: readonly string[], source: DestinationSource, hostOf: (uri: string) => string) {
    this.#source = source;
    this.#hostOf = hostOf;
    for (const definition of definitions) {
      const { name, groups } = parseBlacklist(definition);
      if (this.#lists.has(name)) {
        throw new BlacklistError(`Cannot use lb_define_blacklist "${definition}": list "${name}" is defined already, want each name once`);
      }
      this.#lists.set(name, new Set(groups));
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
  holds(name: string, { host, port, transport }: BlacklistTarget): boolean {
    const groups = this.#lists.get(name);
    if (groups === undefined || host === "") return false;
    const ip = canonicalIp(host);
    if (ip === undefined && LIKE_AN_ADDRESS.test(host)) return true;
    if (ip !== undefined && UNSPECIFIED.has(ip)) return true;
    const destinations = ip === undefined ? (this.#byName().get(plainName(host)) ?? []) : this.#source.destinationsAt([{ ip, port }]);
    return destinations.some(
      ({ group, addresses }) =>
        groups.has(group) &&
        addresses.some(
          (address) =>
            address.transport === transport &&
            (address.port === port || address.port === 0) &&
            (ip === undefined || (canonicalIp(address.ip) ?? address.ip) === ip),
        ),
    );
  }

  #byName(): ReadonlyMap<string, readonly Destination[]> {
    const destinations = this.#source.destinations();
    if (destinations === this.#madeOf) return this.#named;
    const groups = new Set([...this.#lists.values()].flatMap((list) => [...list]));
    const named = new Map<string, Destination[]>();
    for (const destination of destinations) {
      if (!groups.has(destination.group) || WITHOUT_NAME.test(destination.uri)) continue;
      const name = plainName(this.#hostOf(destination.uri));
      if (name === "" || canonicalIp(name) !== undefined) continue;
      const sameName = named.get(name);
      if (sameName === undefined) named.set(name, [destination]);
      else sameName.push(destination);
    }
    this.#named = named;
    this.#madeOf = destinations;
    return named;
  }
}

/** A host name as names compare: lower case, without the dot of the root. */
function plainName(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
