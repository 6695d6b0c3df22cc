import { Socket } from "node:dgram";
import { Server } from "node:net";
import type { Logger } from "pino";
import type { Balancer } from "../balancer/index.ts";
import { type Config, type Listen, parseListen } from "../config/index.ts";
import type { Overload } from "../overload/index.ts";
import type { Endpoint, Listener } from "../transaction/index.ts";
import { ConnectionListener, type ConnectionListenerOptions, type SipListener } from "../transport/connection-listener.ts";
import { type ConnectionLimits, ConnectionTable } from "../transport/connection-table.ts";
import type { DatagramSockets } from "../transport/datagram-socket.ts";
import { chooseSockets } from "../transport/datagram-sockets.ts";
import type { LocalAddresses } from "../transport/local-address.ts";
import type { SipNetwork } from "../transport/network.ts";
import type { PeerConnection } from "../transport/peer-connection.ts";
import { StreamListener, type StreamSockets } from "../transport/stream-listener.ts";
import { TCP_SOCKETS } from "../transport/tcp.ts";
import { TlsSockets } from "../transport/tls.ts";
import { bracketed, type Detour, TransportCounters, UdpListener, type UdpListenerOptions } from "../transport/udp.ts";

/** How often connections are looked at whose time may be over, ms. */
const SWEEP_MS = 1_000;
/** A connection is given up this much later than the requests on it, ms. */
const ANSWER_MARGIN_MS = 1_000;

export interface ListenersPorts {
  readonly config: Pick<Config, "sip" | "tm">;
  readonly network: SipNetwork;
  readonly overload: Pick<Overload, "admitDatagram" | "admitConnection" | "admitRequest" | "watchQueue">;
  readonly locals: LocalAddresses;
  /** Its destinations get a UDP socket each, which tells when nobody listens there. */
  readonly balancer: Pick<Balancer, "isDestination">;
  readonly nowMs: () => number;
  readonly receive: (text: string, source: Endpoint) => void;
  readonly log: Logger;
  /** What the process before this one listens on, when its sockets are to be taken over. Absent: there is none. */
  readonly awaited?: readonly ListenerPlace[] | undefined;
}

type AwaitedPlace = Pick<ConnectionListenerOptions, "address" | "port" | "isAwaited">;

/** Where a process listens. */
export interface ListenerPlace {
  readonly transport: Listen["transport"];
  /** As it was bound, and as it stands in the configuration. */
  readonly address: string;
  readonly port: number;
  readonly configured: string;
  /** Only of UDP: other sockets may be bound beside it. */
  readonly isShared: boolean;
}

/** The sockets that SIP is taken on, and the connections of those that have some. */
export class Listeners {
  readonly #ports: ListenersPorts;
  readonly #counters = new TransportCounters();
  readonly #table: ConnectionTable;
  /** By what stands in the configuration. */
  readonly #opened = new Map<string, SipListener>();
  #tls: TlsSockets | undefined;
  #udp: DatagramSockets | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(ports: ListenersPorts) {
    this.#ports = ports;
    this.#table = new ConnectionTable(connectionLimits(ports.config));
  }

  /** Plain counters, to be read anew each time. */
  get counters(): Record<string, number> {
    return { ...this.#counters, ...this.#table.counts };
  }

  /**
   * Opens what `sip.listen` names, in its order, and adds it to the network.
   *
   * @throws Error that names the address when one cannot be bound
   */
  async open(): Promise<void> {
    const { config, network, nowMs } = this.#ports;
    for (const text of config.sip.listen) {
      const awaited = this.#ports.awaited?.find(({ configured }) => configured === text);
      const listener = await this.#openOne(parseListen(text), awaited);
      this.#opened.set(text, listener);
      network.add(listener);
    }
    this.#sweep = setInterval(() => this.#table.sweep(nowMs()), SWEEP_MS).unref();
  }

  /** Where this process listens, for one that is to take over. */
  places(): ListenerPlace[] {
    return [...this.#opened].map(([configured, listener]) => ({
      ...{ transport: listener.transport, address: listener.address, port: listener.port, configured },
      isShared: listener instanceof UdpListener && listener.isShared,
    }));
  }

  /** The socket of a listener that another process is to have; undefined when there is none. */
  handleOf(configured: string): Socket | Server | undefined {
    const listener = this.#opened.get(configured);
    if (listener instanceof UdpListener) return listener.handle();
    return listener instanceof ConnectionListener ? listener.server : undefined;
  }

  /** The socket of a listener has come from the process before this one. */
  attach(configured: string, handle: unknown): void {
    const listener = this.#opened.get(configured);
    if (listener instanceof UdpListener && handle instanceof Socket) listener.attach(handle);
    else if (listener instanceof ConnectionListener && handle instanceof Server) listener.attach(handle);
    else if (handle instanceof Socket || handle instanceof Server) handle.close();
  }

  /**
   * Binds what a listener waits for itself, as the process that had it has ended.
   *
   * @throws Error that names the address when somebody else has it
   */
  async openAnew(configured: string): Promise<void> {
    const listener = this.#opened.get(configured);
    if (listener instanceof UdpListener || listener instanceof ConnectionListener) await listener.openAnew();
  }

  /** Another process sends over UDP from now on what no peer has a socket for. */
  divert(detour: (configured: string, ...message: Parameters<Detour>) => void): void {
    for (const [configured, listener] of this.#opened) {
      if (listener instanceof UdpListener) listener.divert((...message) => detour(configured, ...message));
    }
  }

  /** Another process has the socket of a listener by now. */
  release(configured: string): void {
    const listener = this.#opened.get(configured);
    if (listener instanceof UdpListener || listener instanceof ConnectionListener) listener.release();
  }

  /** What a listener is called to the other process: as it stands in the configuration. */
  nameOf(listener: Listener): string {
    for (const [configured, opened] of this.#opened) if (opened === listener) return configured;
    return "";
  }

  /** Connections that are open. */
  *connections(): IterableIterator<readonly [configured: string, connection: PeerConnection]> {
    for (const [configured, listener] of this.#opened) {
      if (listener instanceof ConnectionListener) for (const connection of listener.openConnections) yield [configured, connection];
    }
  }

  /** The listener of another process that is bound as this one was. */
  find(configured: string): SipListener | undefined {
    return this.#opened.get(configured);
  }

  /** Reads the certificates again. What cannot be used is logged, and changes nothing. */
  reload(): void {
    try {
      this.#tls?.reload();
    } catch (error) {
      this.#fault(error, "read the certificates again: the ones before stay in use");
    }
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  #openOne({ transport, address, port }: Listen, awaited: ListenerPlace | undefined): Promise<SipListener> {
    const place = awaited ? { address: awaited.address, port: awaited.port, isAwaited: true } : { address, port };
    switch (transport) {
      case "udp":
        return this.#openUdp(address, port, awaited);
      case "tcp":
        return this.#openStream(TCP_SOCKETS, place);
      case "tls":
        return this.#openStream(this.#secure(), place);
      case "ws":
        return this.#openWebSocket(undefined, place);
      case "wss":
        return this.#openWebSocket(this.#secure(), place);
    }
  }

  /** One set of certificates for all that is over TLS. */
  #secure(): TlsSockets {
    this.#tls ??= tlsSockets(this.#ports.config.sip.tls);
    return this.#tls;
  }

  /** One way for all: they share the memory that they read into. */
  async #datagrams(): Promise<DatagramSockets> {
    if (this.#udp !== undefined) return this.#udp;
    const { config, log } = this.#ports;
    const mode = config.sip.udp_system_calls;
    const { reason, sockets } = await chooseSockets(mode);
    if (reason !== undefined) {
      const isMeant = mode === "off" || process.platform !== "linux";
      log[isMeant ? "info" : "warn"](
        { reason },
        `UDP is read and written by Node.js, not by direct system calls, which take half of the time: ${reason}`,
      );
    }
    this.#udp = sockets;
    return sockets;
  }

  async #openUdp(address: string, port: number, awaited: ListenerPlace | undefined): Promise<SipListener> {
    const { balancer, config, locals, nowMs, overload, receive } = this.#ports;
    const sockets = await this.#datagrams();
    const queue = overload.watchQueue();
    const options: UdpListenerOptions = {
      ...{ address, port, sockets, advertised: config.sip.advertised_address, locals, counters: this.#counters, receive },
      peers: { nowMs, isLasting: (peer, peerPort) => balancer.isDestination(peer, peerPort) !== undefined },
      admit: (bytes, source, start, end) => overload.admitDatagram(bytes, source, start, end),
      backlog: (share) => queue.look(share),
      fault: (error, action) => this.#fault(error, action),
    };
    return awaited === undefined ? await UdpListener.open(options) : UdpListener.awaiting(awaited, awaited.isShared, options);
  }

  #openStream(sockets: StreamSockets, place: AwaitedPlace): Promise<SipListener> {
    const { overload } = this.#ports;
    return StreamListener.open({
      ...{ ...this.#connectionPorts(), sockets, ...place },
      admitRequest: (source) => overload.admitRequest(source),
    });
  }

  async #openWebSocket(tls: TlsSockets | undefined, place: AwaitedPlace): Promise<SipListener> {
    const { config, overload } = this.#ports;
    const { WebSocketListener } = await import("../transport/websocket.ts"); // 5 MB that a node without it does not need
    return WebSocketListener.open({
      ...{ ...this.#connectionPorts(), tls, ...place },
      origins: config.sip.websocket.origins.map((origin) => origin.toLowerCase()),
      // Messages stand alone, as datagrams do.
      admitMessage: (bytes, source) => overload.admitDatagram(bytes, source),
    });
  }

  #connectionPorts(): Omit<ConnectionListenerOptions, keyof AwaitedPlace> {
    const { config, locals, nowMs, overload, receive } = this.#ports;
    return {
      ...{ advertised: config.sip.advertised_address, locals, counters: this.#counters, receive, nowMs, table: this.#table },
      // One costs no less than a request, a handshake far more: who opens them without end is banned as who sends without end.
      admitConnection: (source) => overload.admitConnection(source) && overload.admitRequest(source),
      fault: (error, action) => this.#fault(error, action),
    };
  }

  #fault(error: unknown, action: string): void {
    this.#ports.log.error({ err: error }, `cannot ${action}`);
  }
}

/** A listener as it is written in `sip.listen`. */
export function listenText({ transport, address, port }: SipListener): string {
  return `${transport}:${bracketed(address)}:${port}`;
}

function tlsSockets({ certificate, private_key, sni, ca, verify_client, verify_server }: Config["sip"]["tls"]): TlsSockets {
  if (certificate === null || private_key === null)
    throw new Error("Cannot listen on tls: want sip.tls.certificate and sip.tls.private_key");
  const named = sni.map((entry) => ({
    serverNames: entry.server_name.map((name) => name.toLowerCase()),
    certificate: entry.certificate,
    privateKey: entry.private_key,
  }));
  return new TlsSockets({ certificate, privateKey: private_key, named, ca, verifyClient: verify_client, verifyServer: verify_server });
}

function connectionLimits({ sip: { connections: keys }, tm }: ListenersPorts["config"]): ConnectionLimits {
  const messageMs = keys.message_timeout * 1000;
  return {
    max: keys.max,
    maxOfSource: keys.max_per_source,
    idleMs: keys.idle_timeout * 1000,
    firstMessageMs: keys.first_message_timeout * 1000,
    messageMs,
    answerMs: Math.max(messageMs, tm.fr_timeout * 1000 + ANSWER_MARGIN_MS),
    connectMs: keys.connect_timeout * 1000,
  };
}
