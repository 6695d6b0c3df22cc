import type { Balancer, Destination } from "../balancer/index.ts";
import type { Distributor } from "../distributor/index.ts";
import { uriPort } from "../proxy/core.ts";
import { isAddress, transportOf } from "../proxy/next-hop.ts";
import { tryParseSipUri } from "../sip/index.ts";

/** The distributor and what its nodes lead to. The distributor is to be made with `isUsable: (node) => nodes.isUsable(node)`. */
export interface Distribution {
  readonly distributor: Distributor;
  readonly nodes: NodeTargets;
}

/** What a node of a distributor list leads to: a destination of the balancer's table, or a gateway of which only the URI is known. */
export type NodeTarget = { readonly destination: Destination } | { readonly destination?: undefined; readonly uri: string };

/** What is read of the balancer. */
export type NodeTable = Pick<Balancer, "destination" | "destinations" | "isDestination" | "isAvailable">;

/**
 * Finds what the nodes of distributor lists stand for: a key of `distributor.nodes`, or else the node's own name, is the id of a destination or
 * a SIP URI; and a URI that a destination has, or whose address, port and transport one has, means the destination (the first in id order).
 * A gateway that is not reached over UDP is none.
 *
 * The table may be replaced at any time: what was found is forgotten then.
 */
export class NodeTargets {
  readonly #table: NodeTable;
  #nodes: ReadonlyMap<string, string>;
  readonly #found = new Map<string, NodeTarget | undefined>();
  #seen: readonly Destination[] | undefined;
  /** Destinations by their URIs in lower case, of a table that was asked for one. */
  #byUri: ReadonlyMap<string, Destination> | undefined;

  /** @param nodes `distributor.nodes`: names with ids of destinations or SIP URIs */
  constructor(table: NodeTable, nodes: Readonly<Record<string, string>>) {
    this.#table = table;
    this.#nodes = new Map(Object.entries(nodes));
  }

  /** Gives the names another meaning from now on. */
  rename(nodes: Readonly<Record<string, string>>): void {
    this.#nodes = new Map(Object.entries(nodes));
    this.#found.clear();
  }

  /** `undefined` when the name leads nowhere, or to a destination that the table does not hold. */
  find(name: string): NodeTarget | undefined {
    const destinations = this.#table.destinations();
    if (destinations !== this.#seen) {
      this.#seen = destinations;
      this.#byUri = undefined;
      this.#found.clear();
    }
    if (this.#found.has(name)) return this.#found.get(name);
    if (this.#found.size >= MAX_FOUND) this.#found.clear();
    const target = this.#resolve(this.#nodes.get(name) ?? name);
    this.#found.set(name, target);
    return target;
  }

  /** Whether calls may go there: a destination by its status, drain, breaker and rest, however full it is. Nobody probes a gateway that is no destination. */
  isUsable(name: string): boolean {
    const target = this.find(name);
    if (target === undefined) return false;
    return target.destination === undefined || this.#table.isAvailable(target.destination);
  }

  #resolve(text: string): NodeTarget | undefined {
    if (/^\d{1,10}$/.test(text)) return asTarget(this.#table.destination(Number(text)));
    const uri = tryParseSipUri(text);
    if (uri === undefined) return undefined;
    this.#byUri ??= byUri(this.#table.destinations());
    const same = this.#byUri.get(text.toLowerCase());
    if (same !== undefined) return { destination: same };
    const there = isAddress(uri.host) ? this.#table.isDestination(uri.host, uriPort(uri)) : undefined;
    const isSame = there?.addresses.some(({ transport }) => transport === transportOf(uri)) === true;
    if (isSame) return asTarget(there);
    return uri.scheme === "sip" && transportOf(uri) === "udp" ? { uri: text } : undefined; // there are no listeners of others
  }
}

/** Names that are remembered: those of lists, and what management was asked about. */
const MAX_FOUND = 10_000;

/** The first of several with the same URI counts. */
function byUri(destinations: readonly Destination[]): Map<string, Destination> {
  return new Map(destinations.map((destination): [string, Destination] => [destination.uri.toLowerCase(), destination]).reverse());
}

function asTarget(destination: Destination | undefined): NodeTarget | undefined {
  return destination && { destination };
}
