import { type Address, canonicalIp } from "../balancer/index.ts";
import type { Network } from "../proxy/core.ts";
import type { SipTarget } from "../resolution/index.ts";
import { type Endpoint, facingListener, type Listener, type SendOwner, type Wire } from "../transaction/index.ts";
import type { SipListener } from "./connection-listener.ts";
import { LentConnection } from "./lent-connection.ts";
import type { LocalAddresses } from "./local-address.ts";
import type { MessageTally } from "./message-tally.ts";

export interface NetworkOptions {
  readonly locals: LocalAddresses;
  /** host[:port] under which peers know us, besides the bound addresses. */
  readonly advertised: string | null;
  readonly locate: Network["locate"];
  readonly order?: (addresses: readonly Address[]) => readonly Address[];
  readonly failed?: (address: Address) => void;
  readonly isAllowed: (source: Endpoint) => boolean;
  /** Counts what is sent; absent when nobody reads it. */
  readonly tally?: MessageTally;
  /** Is told of each message that is about to be sent. Absent: nobody wants to know. */
  readonly sent?: ((text: string, to: Endpoint) => void) | undefined;
}

const DEFAULT_PORT = 5060;
/** Addresses of other nodes that are known at a time: some for each node of the largest cluster. */
export const MAX_PEERS = 10_000;
const WILDCARDS = new Set(["0.0.0.0", "0:0:0:0:0:0:0:0"]);
const PEER = /^(?:(?:udp|tcp|tls|ws|wss):)?(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/i;

/** All listeners together, as the core sees them. */
export class SipNetwork implements Network, Wire {
  readonly #options: NetworkOptions;
  readonly #listeners: SipListener[] = [];
  readonly #ofTransport = new Map<string, SipListener[]>();
  /** Is asked for WebSocket clients whose connection another process of this program has. */
  lent: ((transport: "ws" | "wss", address: string, port: number) => Endpoint | undefined) | undefined = undefined;
  readonly #tally: MessageTally | undefined;
  readonly #sent: NetworkOptions["sent"];
  readonly #own = new Set<string>();
  readonly #wildcardPorts = new Set<number>();
  #peers: ReadonlySet<string> = new Set();

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#tally = options.tally;
    this.#sent = options.sent;
  }

  /** @param isBeside requests leave by it only where another listener says so (`Listener.outgoing`) */
  add(listener: SipListener, isBeside = false): void {
    this.#listeners.push(listener);
    const ofTransport = this.#ofTransport.get(listener.transport);
    if (ofTransport === undefined) this.#ofTransport.set(listener.transport, isBeside ? [] : [listener]);
    else if (!isBeside) ofTransport.push(listener);
    if (listener.isWildcard) this.#wildcardPorts.add(listener.port);
    else this.#own.add(`${spelled(listener.address)} ${listener.port}`);
    if (listener.address === "127.0.0.1" || listener.address === "::1" || listener.isWildcard) this.#own.add(`localhost ${listener.port}`);
    const advertised = this.#options.advertised;
    if (advertised !== null) this.#own.add(ownKey(advertised, listener.port));
  }

  get listeners(): readonly SipListener[] {
    return this.#listeners;
  }

  isOwn(host: string, port: number): boolean {
    if (this.#own.has(`${spelled(host)} ${port}`)) return true;
    return this.#wildcardPorts.has(port) && this.#options.locals.has(host);
  }

  isPeer(host: string, port: number): boolean {
    return this.#peers.size > 0 && this.#peers.has(`${spelled(host)} ${port}`);
  }

  /**
   * Says where the other nodes of the cluster take SIP, in place of what was said before, in order of importance.
   *
   * @param addresses such as `udp:192.0.2.1:5060` or `[2001:db8::1]:5060`; others, and wildcards, are passed over, as are those beyond {@link MAX_PEERS}
   */
  setPeers(addresses: Iterable<string>): void {
    const peers = new Set<string>();
    for (const address of addresses) {
      const [, ipv6, name, port] = PEER.exec(address) ?? [];
      const host = ipv6 ?? name;
      if (host === undefined || WILDCARDS.has(spelled(host)) || peers.size >= MAX_PEERS) continue;
      peers.add(`${spelled(host)} ${Number(port)}`);
    }
    this.#peers = peers;
  }

  endpoint(address: string, port: number, transport: string, preferred?: Listener): Endpoint | undefined {
    if (port < 1 || port > 65_535) return undefined;
    if (transport === "ws" || transport === "wss") return this.#client(address, port, transport);
    const ofTransport = this.#ofTransport.get(transport);
    if (ofTransport === undefined) return undefined;
    const facing = facingListener(address, ofTransport, preferred?.transport === transport ? (preferred as SipListener) : undefined);
    const listener = facing?.outgoing ?? facing;
    return listener === undefined ? undefined : { transport: listener.transport, address, port, listener };
  }

  /** A WebSocket client, while it is connected. `ws` stands in URIs for both kinds of connection (RFC 7118 §5.2.2). */
  #client(address: string, port: number, transport: "ws" | "wss"): Endpoint | undefined {
    for (const kind of transport === "ws" ? (["ws", "wss"] as const) : (["wss"] as const)) {
      for (const listener of this.#ofTransport.get(kind) ?? []) {
        const connection = listener.connectionFrom?.(address, port);
        if (connection !== undefined) return { transport: kind, address, port, listener, connection };
      }
      const lent = this.lent?.(kind, address, port);
      if (lent !== undefined) return lent;
    }
    return undefined;
  }

  locate(target: SipTarget): readonly Address[] | Promise<readonly Address[]> {
    return this.#options.locate(target);
  }

  order(addresses: readonly Address[]): readonly Address[] {
    return this.#options.order?.(addresses) ?? addresses;
  }

  failed({ address, port, transport }: Endpoint): void {
    this.#options.failed?.({ ip: address, port, transport });
  }

  isAllowed(source: Endpoint): boolean {
    return this.#options.isAllowed(source);
  }

  send(text: string, to: Endpoint, owner?: SendOwner): void {
    this.#tally?.count(text, to.transport);
    this.#sent?.(text, to);
    if (to.connection instanceof LentConnection && to.connection.isOpen) to.connection.send(text, owner);
    else (to.listener as SipListener).send(text, to, owner);
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}

/** One spelling for each IPv6 address; names and IPv4 addresses have one already. */
function spelled(host: string): string {
  return host.includes(":") ? (canonicalIp(host) ?? host.toLowerCase()) : host.toLowerCase();
}

function ownKey(advertised: string, listenerPort: number): string {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(advertised.toLowerCase());
  const host = match?.[1] ?? match?.[2] ?? advertised.toLowerCase();
  return `${spelled(host)} ${match?.[3] ?? (listenerPort || DEFAULT_PORT)}`;
}
