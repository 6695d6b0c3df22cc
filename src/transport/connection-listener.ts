import type { Server, Socket } from "node:net";
import type { Connection, Endpoint, Listener, SendOwner } from "../transaction/index.ts";
import type { ConnectionTable } from "./connection-table.ts";
import type { LocalAddresses } from "./local-address.ts";
import type { ConnectedTransport, PeerConnection, PeerConnectionOptions } from "./peer-connection.ts";
import { bindHint, bracketed, type TransportCounters, withPort } from "./udp.ts";

/** A listener as the network uses it. */
export interface SipListener extends Listener {
  readonly isWildcard: boolean;
  /** Never throws. @param owner told of a transport error, later or never, never during this call */
  send(text: string, to: Endpoint, owner?: SendOwner): void;
  /** The connection that was opened to us from there. Of listeners that open none themselves: nobody is reached who has not connected. */
  connectionFrom?(address: string, port: number): Connection | undefined;
  close(): Promise<void>;
}

export interface ConnectionListenerOptions {
  /** Address to bind, without brackets; may be a wildcard. */
  readonly address: string;
  readonly port: number;
  /** Another process has the socket until it comes ({@link ConnectionListener.attach}). Absent: it is bound now. */
  readonly isAwaited?: boolean | undefined;
  /** host[:port] for Via and Record-Route; null: the bound address, or that of the interface which faces the peer. */
  readonly advertised: string | null;
  readonly locals: LocalAddresses;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly nowMs: () => number;
  /** Whether this address may open a connection. Absent: all may. */
  readonly admitConnection?: (address: string) => boolean;
  readonly receive: (text: string, source: Endpoint) => void;
  /** Something failed that nobody can be told of on the wire. */
  readonly fault: (error: unknown, action: string) => void;
}

/**
 * Binds a server.
 *
 * @throws Error that names the address, when it cannot be bound
 */
export async function bind(
  server: Server,
  transport: string,
  { address, port, isAwaited = false }: { address: string; port: number; isAwaited?: boolean | undefined },
): Promise<void> {
  if (isAwaited) return;
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new Error(`Cannot listen on ${transport}:${bracketed(address)}:${port}: ${bindHint(error)}`, { cause: error }));
    };
    server.once("error", failed);
    server.listen({ host: address, port, ipv6Only: address.includes(":"), exclusive: true }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

/** What all listeners with connections do: who may connect, and what becomes of a message. */
export abstract class ConnectionListener<C extends PeerConnection> implements SipListener {
  readonly transport: ConnectedTransport;
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  protected isClosed = false;
  protected readonly connections = new Set<C>();
  readonly #server: Server;
  readonly #options: ConnectionListenerOptions;
  readonly #fixedSentBy: string | undefined;

  /** @param server that is bound, unless its socket is awaited */
  protected constructor(server: Server, transport: ConnectedTransport, options: ConnectionListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.transport = transport;
    const bound = options.isAwaited ? options : server.address();
    if (bound === null || typeof bound === "string")
      throw new Error(`Cannot listen on ${transport}:${options.address}: no address was bound`);
    this.address = bound.address;
    this.port = bound.port;
    this.family = bound.address.includes(":") ? 6 : 4;
    if (options.advertised !== null) this.#fixedSentBy = withPort(options.advertised, this.port);
    else if (!this.isWildcard) this.#fixedSentBy = `${bracketed(this.address)}:${this.port}`;
    server.on("error", (error) => options.fault(error, "accept a connection"));
  }

  /** Accepts connections of this socket, which another process has bound and listens on. */
  attach(socket: Server): void {
    if (this.isClosed) socket.close();
    else this.#server.listen(socket);
  }

  /** Binds the socket that it waits for itself. @throws Error that names the address, when it cannot be bound */
  async openAnew(): Promise<void> {
    await bind(this.#server, this.transport, { address: this.address, port: this.port });
  }

  /** What listens, for another process that is to have it. */
  get server(): Server {
    return this.#server;
  }

  /** Those that are open, or about to be. */
  get openConnections(): Iterable<PeerConnection> {
    return this.connections;
  }

  /** Another process accepts connections from now on. Those that are open stay. */
  release(): void {
    this.#server.close();
  }

  get isWildcard(): boolean {
    return this.address === "0.0.0.0" || this.address === "::";
  }

  sentByFor(remoteAddress: string): string {
    return this.#fixedSentBy ?? `${bracketed(this.#options.locals.towards(remoteAddress))}:${this.port}`;
  }

  abstract send(text: string, to: Endpoint, owner?: SendOwner): void;
  protected abstract connectionOf(options: PeerConnectionOptions): C;
  /** Whether a message is to be looked at. When it is not, and its sender is banned, the connection was ended. */
  protected abstract admits(text: string, connection: C): boolean;

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const connection of [...this.connections]) connection.end("stopped");
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Takes an accepted socket; undefined, and it is destroyed, when there is no room for it or its source is banned. */
  protected accept(socket: Socket): C | undefined {
    const { table, admitConnection } = this.#options;
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined || this.isClosed) return refuse(socket);
    const refusal = admitConnection?.(address) === false ? "banned" : table.refusal(address, true);
    if (refusal !== undefined) {
      table.ended(refusal);
      return refuse(socket);
    }
    return this.open(socket, { address, port, isInbound: true });
  }

  protected open(socket: Socket, peer: Pick<PeerConnectionOptions, "address" | "port" | "name" | "isInbound">): C {
    const { table, counters, nowMs } = this.#options;
    const { transport } = this;
    const { address, port } = peer;
    const connection: C = this.connectionOf({
      ...{ ...peer, transport, socket, table, counters, nowMs },
      message: (text) => this.#message(text, connection, source),
    });
    const source: Endpoint = { transport, address, port, listener: this, connection };
    this.connections.add(connection);
    socket.once("close", () => this.connections.delete(connection));
    return connection;
  }

  /** What is sent to a place that no connection leads to. */
  protected unsent(owner: SendOwner | undefined, reason: string): void {
    this.#options.counters.send_errors++;
    if (owner !== undefined) setImmediate(() => owner.transportError(reason));
  }

  #message(text: string, connection: C, source: Endpoint): void {
    if (!this.admits(text, connection)) return;
    const { counters, fault, receive } = this.#options;
    try {
      receive(text, source);
    } catch (error) {
      // A fault of ours in one message must not cost any other call.
      counters.receive_faults++;
      fault(error, "process received message");
    }
  }
}

/** A socket that is not taken. */
export function refuse(socket: Socket): undefined {
  socket.on("error", () => undefined);
  socket.destroy();
}
