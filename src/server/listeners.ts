import type { Logger } from "pino";
import type { Balancer } from "../balancer/index.ts";
import { type Config, type Listen, parseListen } from "../config/index.ts";
import type { Overload } from "../overload/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { ConnectionListenerOptions, SipListener } from "../transport/connection-listener.ts";
import { type ConnectionLimits, ConnectionTable } from "../transport/connection-table.ts";
import type { LocalAddresses } from "../transport/local-address.ts";
import type { SipNetwork } from "../transport/network.ts";
import { StreamListener, type StreamSockets } from "../transport/stream-listener.ts";
import { TCP_SOCKETS } from "../transport/tcp.ts";
import { TlsSockets } from "../transport/tls.ts";
import { bracketed, TransportCounters, UdpListener } from "../transport/udp.ts";
import { WebSocketListener } from "../transport/websocket.ts";

/** How often connections are looked at whose time may be over, ms. */
const SWEEP_MS = 1_000;
/** A connection is given up this much later than the requests on it, ms. */
const ANSWER_MARGIN_MS = 1_000;

export interface ListenersPorts {
  readonly config: Pick<Config, "sip" | "tm">;
  readonly network: SipNetwork;
  readonly overload: Pick<Overload, "admitDatagram" | "admitConnection" | "admitRequest">;
  readonly locals: LocalAddresses;
  /** Its destinations get a UDP socket each, which tells when nobody listens there. */
  readonly balancer: Pick<Balancer, "isDestination">;
  readonly nowMs: () => number;
  readonly receive: (text: string, source: Endpoint) => void;
  readonly log: Logger;
}

/** The sockets that SIP is taken on, and the connections of those that have some. */
export class Listeners {
  readonly #ports: ListenersPorts;
  readonly #counters = new TransportCounters();
  readonly #table: ConnectionTable;
  #tls: TlsSockets | undefined;
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
    for (const text of config.sip.listen) network.add(await this.#openOne(parseListen(text)));
    this.#sweep = setInterval(() => this.#table.sweep(nowMs()), SWEEP_MS).unref();
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

  #openOne({ transport, address, port }: Listen): Promise<SipListener> {
    switch (transport) {
      case "udp":
        return this.#openUdp(address, port);
      case "tcp":
        return this.#openStream(TCP_SOCKETS, address, port);
      case "tls":
        return this.#openStream(this.#secure(), address, port);
      case "ws":
        return this.#openWebSocket(undefined, address, port);
      case "wss":
        return this.#openWebSocket(this.#secure(), address, port);
    }
  }

  /** One set of certificates for all that is over TLS. */
  #secure(): TlsSockets {
    this.#tls ??= tlsSockets(this.#ports.config.sip.tls);
    return this.#tls;
  }

  #openUdp(address: string, port: number): Promise<SipListener> {
    const { balancer, config, locals, nowMs, overload, receive } = this.#ports;
    return UdpListener.open({
      ...{ address, port, advertised: config.sip.advertised_address, locals, counters: this.#counters, receive },
      peers: { nowMs, isLasting: (peer, peerPort) => balancer.isDestination(peer, peerPort) !== undefined },
      admit: (bytes, source) => overload.admitDatagram(bytes, source),
      fault: (error, action) => this.#fault(error, action),
    });
  }

  #openStream(sockets: StreamSockets, address: string, port: number): Promise<SipListener> {
    const { overload } = this.#ports;
    return StreamListener.open({
      ...{ ...this.#connectionPorts(), sockets, address, port },
      admitRequest: (source) => overload.admitRequest(source),
    });
  }

  #openWebSocket(tls: TlsSockets | undefined, address: string, port: number): Promise<SipListener> {
    const { config, overload } = this.#ports;
    return WebSocketListener.open({
      ...{ ...this.#connectionPorts(), tls, address, port },
      origins: config.sip.websocket.origins.map((origin) => origin.toLowerCase()),
      // Messages stand alone, as datagrams do.
      admitMessage: (bytes, source) => overload.admitDatagram(bytes, source),
    });
  }

  #connectionPorts(): Omit<ConnectionListenerOptions, "address" | "port"> {
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
