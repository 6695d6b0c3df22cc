import type { Server, Socket } from "node:net";
import type { Endpoint, Listener, SendOwner } from "../transaction/index.ts";
import type { ConnectionTable } from "./connection-table.ts";
import type { LocalAddresses } from "./local-address.ts";
import { StreamConnection } from "./stream-connection.ts";
import { bindHint, bracketed, type TransportCounters, withPort } from "./udp.ts";

/** How long a peer may take to accept a connection when it can have the message over UDP as well, ms. */
const OFFER_MS = 500;

/** A listener as the network uses it. */
export interface SipListener extends Listener {
  readonly isWildcard: boolean;
  /** Never throws. @param owner told of a transport error, later or never, never during this call */
  send(text: string, to: Endpoint, owner?: SendOwner): void;
  close(): Promise<void>;
}

/** Sockets of one stream transport. */
export interface StreamSockets {
  readonly transport: "tcp" | "tls";
  /** A server that is not listening yet. */
  serve(on: ServeHandlers): Server;
  /** Opens a connection; `onReady` when it can be used. What is written before waits. */
  connect(to: ConnectTarget, onReady: () => void): Socket;
}

export interface ConnectTarget {
  /** IP address. */
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  /** Host name by which the peer was found; undefined when nothing but its address is known. */
  readonly name: string | undefined;
}

export interface ServeHandlers {
  /** A socket was accepted. False: it was not taken, and is destroyed. */
  readonly accepted: (socket: Socket) => boolean;
  /**
   * One that was taken can be used; over TLS by another socket, with the same remote address and port. Trusted: its peer is as sure as that of a
   * connection which we open to this address and port, so requests to there may go on it (RFC 5923 §9).
   */
  readonly ready: (socket: Socket, isTrusted: boolean) => void;
  /** Its handshake failed. */
  readonly failed: (socket: Socket) => void;
}

export interface StreamListenerOptions {
  readonly sockets: StreamSockets;
  /** Address to bind, without brackets; may be a wildcard. */
  readonly address: string;
  readonly port: number;
  /** host[:port] for Via and Record-Route; null: the bound address, or that of the interface which faces the peer. */
  readonly advertised: string | null;
  readonly locals: LocalAddresses;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly nowMs: () => number;
  /** Whether this address may open a connection. Absent: all may. */
  readonly admitConnection?: (address: string) => boolean;
  /** Whether a request of this address is to be looked at. Absent: all are. */
  readonly admitRequest?: (address: string) => boolean;
  readonly receive: (text: string, source: Endpoint) => void;
  /** Something failed that nobody can be told of on the wire. */
  readonly fault: (error: unknown, action: string) => void;
}

/** Takes SIP over connections, and opens them to where requests go (RFC 3261 §18). */
export class StreamListener implements SipListener {
  readonly transport: "tcp" | "tls";
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly #server: Server;
  readonly #options: StreamListenerOptions;
  readonly #fixedSentBy: string | undefined;
  readonly #connections = new Set<StreamConnection>();
  #closed = false;

  /** @throws Error that names the address, when it cannot be bound */
  static async open(options: StreamListenerOptions): Promise<StreamListener> {
    const { address, port, sockets } = options;
    // Nothing is accepted before the listener stands: a socket is told of in a later turn of the event loop.
    let listener: StreamListener | undefined;
    const server = sockets.serve({
      accepted: (socket) => (listener === undefined ? refuse(socket) : listener.#accept(socket)),
      ready(socket, isTrusted) {
        const connection = listener === undefined ? undefined : listener.#pending(socket);
        if (connection === undefined) {
          refuse(socket);
          return;
        }
        connection.carriesRequests = isTrusted;
        connection.ready(socket);
      },
      failed(socket) {
        if (listener !== undefined) listener.#pending(socket)?.end("handshake-failed");
      },
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        reject(new Error(`Cannot listen on ${sockets.transport}:${bracketed(address)}:${port}: ${bindHint(error)}`, { cause: error }));
      });
      server.listen({ host: address, port, ipv6Only: address.includes(":"), exclusive: true }, () => {
        server.removeAllListeners("error");
        resolve();
      });
    });
    listener = new StreamListener(server, options);
    return listener;
  }

  private constructor(server: Server, options: StreamListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.transport = options.sockets.transport;
    const bound = server.address();
    if (bound === null || typeof bound === "string")
      throw new Error(`Cannot listen on ${this.transport}:${options.address}: no address was bound`);
    this.address = bound.address;
    this.port = bound.port;
    this.family = bound.address.includes(":") ? 6 : 4;
    if (options.advertised !== null) this.#fixedSentBy = withPort(options.advertised, this.port);
    else if (!this.isWildcard) this.#fixedSentBy = `${bracketed(this.address)}:${this.port}`;
    server.on("error", (error) => options.fault(error, "accept a connection"));
  }

  get isWildcard(): boolean {
    return this.address === "0.0.0.0" || this.address === "::";
  }

  sentByFor(remoteAddress: string): string {
    return this.#fixedSentBy ?? `${bracketed(this.#options.locals.towards(remoteAddress))}:${this.port}`;
  }

  /** On the connection of the endpoint, else on one that leads there, else on a new one. */
  send(text: string, to: Endpoint, owner?: SendOwner): void {
    if (this.#closed) return;
    const known = to.connection instanceof StreamConnection && to.connection.isOpen ? to.connection : undefined;
    const connection = known ?? this.#find(to) ?? this.#connect(to);
    if (connection !== undefined) {
      connection.send(text, owner);
      return;
    }
    this.#options.counters.send_errors++;
    if (owner !== undefined) setImmediate(() => owner.transportError("there are too many connections"));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.end("stopped");
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The name that a peer must show a certificate for; plain connections show none. */
  #nameOf({ name }: Endpoint): string | undefined {
    return this.transport === "tls" ? name : undefined;
  }

  #find(to: Endpoint): StreamConnection | undefined {
    const found = this.#options.table.find(this.transport, to.address, to.port, this.#nameOf(to));
    if (!(found instanceof StreamConnection) || !found.isOpen) return undefined;
    // What is sent before the handshake of the other side would go out as it is.
    return !found.isInbound || (found.isReady && found.carriesRequests) ? found : undefined;
  }

  #connect(to: Endpoint): StreamConnection | undefined {
    const { table, sockets } = this.#options;
    const { address, port } = to;
    const name = this.#nameOf(to);
    const refusal = table.refusal(address, false);
    if (refusal !== undefined) {
      table.ended(refusal);
      return undefined;
    }
    const localAddress = this.isWildcard ? undefined : this.address;
    const socket = sockets.connect({ host: address, port, localAddress, name }, () => connection.ready(socket));
    const connection = this.#open(socket, { address, port, name, isInbound: false });
    if (to.insteadOf !== undefined) {
      setTimeout(() => {
        if (!connection.isReady) connection.end("connect-timeout");
      }, OFFER_MS).unref();
    }
    return connection;
  }

  #accept(socket: Socket): boolean {
    const { table, admitConnection } = this.#options;
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined || this.#closed) return refuse(socket);
    const refusal = admitConnection?.(address) === false ? "banned" : table.refusal(address, true);
    if (refusal !== undefined) {
      table.ended(refusal);
      return refuse(socket);
    }
    this.#open(socket, { address, port, name: undefined, isInbound: true });
    return true;
  }

  /** The connection of an accepted socket whose handshake is going on. */
  #pending({ remoteAddress = "", remotePort = 0 }: Socket): StreamConnection | undefined {
    const found = this.#options.table.find(this.transport, remoteAddress, remotePort);
    return found instanceof StreamConnection && !found.isReady ? found : undefined;
  }

  #open(socket: Socket, peer: Pick<StreamConnection, "address" | "port" | "name" | "isInbound">): StreamConnection {
    const { table, counters, nowMs } = this.#options;
    const { transport } = this;
    const { address, port } = peer;
    const connection: StreamConnection = new StreamConnection({
      ...{ ...peer, transport, socket, table, counters, nowMs },
      message: (text) => this.#message(text, source),
    });
    const source: Endpoint = { transport, address, port, listener: this, connection };
    this.#connections.add(connection);
    socket.once("close", () => this.#connections.delete(connection));
    return connection;
  }

  #message(text: string, source: Endpoint): void {
    const { admitRequest, counters, fault, receive } = this.#options;
    const isResponse = /^sip\//i.test(text); // what answers nothing of ours ends in the transactions
    if (!isResponse && admitRequest?.(source.address) === false) {
      (source.connection as StreamConnection).end("banned");
      return;
    }
    try {
      receive(text, source);
    } catch (error) {
      // A fault of ours in one message must not cost any other call.
      counters.receive_faults++;
      fault(error, "process received message");
    }
  }
}

function refuse(socket: Socket): false {
  socket.on("error", () => undefined);
  socket.destroy();
  return false;
}
