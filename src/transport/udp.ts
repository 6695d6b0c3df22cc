import type { Socket } from "node:dgram";
import type { Endpoint, Listener, SendOwner } from "../transaction/index.ts";
import type { DatagramHandler, DatagramSocket, DatagramSockets, Place } from "./datagram-socket.ts";
import type { LocalAddresses } from "./local-address.ts";
import { NodeSockets } from "./node-socket.ts";
import { type PeerSocketPorts, PeerSockets } from "./peer-sockets.ts";
import { SourceTable } from "./source-table.ts";
import { openListeningSocket } from "./udp-socket.ts";

/** How often sockets of peers are looked at whose time may be over, ms. */
const SWEEP_MS = 1_000;
/** Shorter datagrams are keep-alives (RFC 5626 §3.5.1: CRLF; others send NUL). */
const SHORTEST_MESSAGE_BYTES = 8;

/** What a listener tells about its traffic. */
export class TransportCounters {
  received_messages = 0;
  sent_messages = 0;
  received_bytes = 0;
  sent_bytes = 0;
  keepalives = 0;
  send_errors = 0;
  receive_faults = 0;
  /** Times that the host of a destination said that nobody listens there, or one on the way that nothing may go there (ICMP). */
  icmp_refused = 0;
  /** UDP sockets of destinations, now. */
  peer_sockets = 0;
}

export interface UdpListenerOptions {
  /** Address to bind, without brackets; may be a wildcard. */
  readonly address: string;
  readonly port: number;
  /** host[:port] for Via and Record-Route; null: the bound address, or that of the interface which faces the peer. */
  readonly advertised: string | null;
  readonly locals: LocalAddresses;
  readonly counters: TransportCounters;
  /** What its sockets are made by. Absent: node:dgram. */
  readonly sockets?: DatagramSockets;
  /** Says of each datagram, which stands from `start` to before `end`, whether it is worth a look; it must be quick. Absent: all are. */
  readonly admit?: (bytes: Uint8Array, address: string, start: number, end: number) => boolean;
  /** Is told how full the queue of its socket is, see {@link DatagramHandler.backlog}. Absent: nobody is. */
  readonly backlog?: (share: number) => void;
  /** Which peers get a socket of their own, which tells when nobody listens there. Absent: none. */
  readonly peers?: PeerSocketPorts;
  readonly receive: (text: string, source: Endpoint) => void;
  /** Something failed that nobody can be told of on the wire. */
  readonly fault: (error: unknown, action: string) => void;
}

/** Sends what a listener has no socket for any more. */
export type Detour = (text: string, to: Endpoint, owner: SendOwner | undefined) => void;

/** A UDP socket that receives and sends SIP (RFC 3261 §18). */
export class UdpListener implements Listener, DatagramHandler {
  readonly transport = "udp";
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  /** Further sockets of this program may be bound to its address and port. */
  readonly isShared: boolean;
  outgoing: Listener | undefined = undefined;
  /** Undefined while another process has it. */
  #socket: DatagramSocket | undefined;
  /** Sends in place of the socket, which another process has got. */
  #detour: Detour | undefined;
  readonly #options: UdpListenerOptions;
  readonly #sockets: DatagramSockets;
  readonly #sources: SourceTable;
  readonly #wildcard: boolean;
  readonly #fixedSentBy: string | undefined;
  readonly #peers: PeerSockets | undefined;
  readonly #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  /** @throws Error that names the address, when it cannot be bound */
  static async open(options: UdpListenerOptions): Promise<UdpListener> {
    const { address, peers, port } = options;
    try {
      const sockets = options.sockets ?? new NodeSockets();
      const { socket, isShared } = await openListeningSocket(sockets, address, port, peers !== undefined);
      const listener = new UdpListener(socket.address(), isShared, { ...options, sockets });
      listener.#use(socket);
      return listener;
    } catch (error) {
      const hint = bindHint(error as NodeJS.ErrnoException);
      throw new Error(`Cannot listen on udp:${bracketed(address)}:${port}: ${hint}`, { cause: error });
    }
  }

  /** One whose socket another process still has: until {@link attach} nothing is received, and what is sent is lost. @param bound address and port of the socket */
  static awaiting(bound: Place, isShared: boolean, options: UdpListenerOptions): UdpListener {
    return new UdpListener(bound, isShared, options);
  }

  private constructor(bound: Place, isShared: boolean, options: UdpListenerOptions) {
    this.#options = options;
    this.#sockets = options.sockets ?? new NodeSockets();
    this.family = options.address.includes(":") ? 6 : 4;
    // As the system spells it: an IPv6 address may have been written in many ways.
    this.address = bound.address;
    this.port = bound.port;
    this.#wildcard = bound.address === "0.0.0.0" || bound.address === "::";
    if (options.advertised !== null) this.#fixedSentBy = withPort(options.advertised, this.port);
    else if (!this.#wildcard) this.#fixedSentBy = `${bracketed(this.address)}:${this.port}`;
    this.isShared = isShared;
    this.#sources = new SourceTable(this);
    if (options.peers === undefined || !isShared) return;
    const peers = new PeerSockets({
      ...options.peers,
      local: { address: this.address, port: this.port },
      counters: options.counters,
      ...{ sockets: this.#sockets, sources: this.#sources },
      received: (bytes, start, end, source) => this.received(bytes, start, end, source),
      sendUnconnected: (text, to, owner) => this.#send(text, to, owner),
      fault: options.fault,
    });
    this.#peers = peers;
    this.#sweep = setInterval(() => peers.sweep(), SWEEP_MS).unref();
  }

  /** Receives and sends by this socket, which is bound to its address and came from another process. */
  attach(socket: Socket): void {
    if (this.#closed) {
      socket.close();
      return;
    }
    let adopted: DatagramSocket;
    try {
      adopted = this.#sockets.adopt(socket);
    } catch (error) {
      this.#options.fault(error, "use the socket of the process before by system calls: it is used as Node.js has it");
      adopted = new NodeSockets().adopt(socket);
    }
    this.#use(adopted);
  }

  /** Binds the socket that it waits for itself. @throws Error that names the address, when it cannot be bound */
  async openAnew(): Promise<void> {
    try {
      this.#use(await this.#sockets.bind(this.address, this.port, this.isShared));
    } catch (error) {
      const hint = bindHint(error as NodeJS.ErrnoException);
      throw new Error(`Cannot listen on udp:${bracketed(this.address)}:${this.port}: ${hint}`, { cause: error });
    }
  }

  /** The socket, for another process that is to have it. Undefined when it is closed. @throws NodeJS.ErrnoException when there can be none */
  handle(): Socket | undefined {
    return this.#socket?.handle();
  }

  /** What goes out takes this way from now on, but for what goes to peers that have a socket. */
  divert(detour: Detour): void {
    this.#detour = detour;
  }

  /** Another process has the socket too: reads no more. What waits in it, and comes to it, is left to that process. */
  release(): void {
    void this.#socket?.close();
    this.#socket = undefined;
  }

  get isWildcard(): boolean {
    return this.#wildcard;
  }

  sentByFor(remoteAddress: string): string {
    return this.#fixedSentBy ?? `${bracketed(this.#options.locals.towards(remoteAddress))}:${this.port}`;
  }

  send(text: string, to: Endpoint, owner?: SendOwner): void {
    if (this.#closed) return;
    const { counters } = this.#options;
    const peer = this.#peers?.find(to.address, to.port, owner !== undefined && this.#detour === undefined);
    if (peer === undefined && this.#detour !== undefined) {
      this.#detour(text, to, owner);
      return;
    }
    counters.sent_messages++;
    counters.sent_bytes += text.length;
    if (peer === undefined) this.#send(text, to, owner);
    else peer.send(text, owner);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#peers?.close();
    await this.#socket?.close();
  }

  received(bytes: Buffer, start: number, end: number, source: Endpoint): void {
    const { counters, admit, receive, fault } = this.#options;
    counters.received_messages++;
    counters.received_bytes += end - start;
    if (end - start < SHORTEST_MESSAGE_BYTES) {
      counters.keepalives++;
      return;
    }
    try {
      if (admit !== undefined && !admit(bytes, source.address, start, end)) return;
      receive(bytes.toString("latin1", start, end), source);
    } catch (error) {
      // A fault of ours in one message must not cost any other call.
      counters.receive_faults++;
      fault(error, "process received message");
    }
  }

  backlog(share: number): void {
    this.#options.backlog?.(share);
  }

  receiveFailed(error: NodeJS.ErrnoException): void {
    this.#options.fault(error, "receive on socket");
  }

  sendFailed(_text: string, owner: SendOwner | undefined, error: NodeJS.ErrnoException): void {
    this.#options.counters.send_errors++;
    // Behind what waits already: a call that fails again and again must let the others have their turn.
    if (owner !== undefined) setImmediate(() => owner.transportError(error.message));
  }

  lost(): void {
    this.#options.counters.send_errors++;
  }

  #use(socket: DatagramSocket): void {
    const { fault } = this.#options;
    if (this.#closed) {
      void socket.close();
      return;
    }
    this.#socket = socket;
    socket.start(this, this.#sources);
    try {
      socket.enlargeBuffers();
    } catch (error) {
      fault(error, "set socket buffer sizes");
    }
  }

  #send(text: string, { address, port }: Place, owner: SendOwner | undefined): void {
    if (!this.#closed) this.#socket?.send(text, address, port, owner);
  }
}

export function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

export function withPort(host: string, port: number): string {
  const hasPort = host.startsWith("[") ? host.includes("]:") : host.includes(":");
  return hasPort ? host : `${host}:${port}`;
}

export function bindHint(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") return "another program uses this address and port; stop it, or change sip.listen";
  if (error.code === "EADDRNOTAVAIL") return "this machine has no such address; change sip.listen";
  if (error.code === "EACCES") return "not permitted; ports below 1024 need more rights";
  return error.message;
}
