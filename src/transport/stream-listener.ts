import type { Server, Socket } from "node:net";
import type { Endpoint, SendOwner } from "../transaction/index.ts";
import { bind, ConnectionListener, type ConnectionListenerOptions, refuse } from "./connection-listener.ts";
import type { PeerConnectionOptions } from "./peer-connection.ts";
import { StreamConnection } from "./stream-connection.ts";

/** How long a peer may take to accept a connection when it can have the message over UDP as well, ms. */
const OFFER_MS = 500;

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

export interface StreamListenerOptions extends ConnectionListenerOptions {
  readonly sockets: StreamSockets;
  /** Whether a request of this address is to be looked at. Absent: all are. */
  readonly admitRequest?: (address: string) => boolean;
}

/** Takes SIP over streams, and opens connections to where requests go (RFC 3261 §18). */
export class StreamListener extends ConnectionListener<StreamConnection> {
  readonly #options: StreamListenerOptions;

  /** @throws Error that names the address, when it cannot be bound */
  static async open(options: StreamListenerOptions): Promise<StreamListener> {
    const { sockets } = options;
    // Nothing is accepted before the listener stands: a socket is told of in a later turn of the event loop.
    let listener: StreamListener | undefined;
    const server = sockets.serve({
      accepted: (socket) => (listener === undefined ? refuse(socket) : listener.accept(socket)) !== undefined,
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
    await bind(server, sockets.transport, options);
    listener = new StreamListener(server, options);
    return listener;
  }

  private constructor(server: Server, options: StreamListenerOptions) {
    super(server, options.sockets.transport, options);
    this.#options = options;
  }

  /** On the connection of the endpoint, else on one that leads there, else on a new one. */
  override send(text: string, to: Endpoint, owner?: SendOwner): void {
    if (this.isClosed) return;
    const known = to.connection instanceof StreamConnection && to.connection.isOpen ? to.connection : undefined;
    const connection = known ?? this.#find(to) ?? this.#connect(to);
    if (connection !== undefined) connection.send(text, owner);
    else this.unsent(owner, "there are too many connections");
  }

  protected override connectionOf(options: PeerConnectionOptions): StreamConnection {
    return new StreamConnection(options);
  }

  protected override admits(text: string, connection: StreamConnection): boolean {
    const isResponse = /^sip\//i.test(text); // what answers nothing of ours ends in the transactions
    if (isResponse || this.#options.admitRequest?.(connection.address) !== false) return true;
    connection.end("banned");
    return false;
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
    const connection = this.open(socket, { address, port, name, isInbound: false });
    if (to.insteadOf !== undefined) {
      setTimeout(() => {
        if (!connection.isReady) connection.end("connect-timeout");
      }, OFFER_MS).unref();
    }
    return connection;
  }

  /** The connection of an accepted socket whose handshake is going on. */
  #pending({ remoteAddress = "", remotePort = 0 }: Socket): StreamConnection | undefined {
    const found = this.#options.table.find(this.transport, remoteAddress, remotePort);
    return found instanceof StreamConnection && !found.isReady ? found : undefined;
  }
}
