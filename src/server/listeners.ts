import type { Logger } from "pino";
import { type Config, type ListenTransport, parseListen } from "../config/index.ts";
import type { Overload } from "../overload/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import { type ConnectionLimits, ConnectionTable } from "../transport/connection-table.ts";
import type { LocalAddresses } from "../transport/local-address.ts";
import type { SipNetwork } from "../transport/network.ts";
import { type SipListener, StreamListener, type StreamSockets } from "../transport/stream-listener.ts";
import { TCP_SOCKETS } from "../transport/tcp.ts";
import { TlsSockets } from "../transport/tls.ts";
import { bracketed, TransportCounters, UdpListener } from "../transport/udp.ts";

/** How often connections are looked at whose time may be over, ms. */
const SWEEP_MS = 1_000;
/** A connection is given up this much later than the requests on it, ms. */
const ANSWER_MARGIN_MS = 1_000;

export interface ListenersPorts {
  readonly config: Pick<Config, "sip" | "tm">;
  readonly network: SipNetwork;
  readonly overload: Pick<Overload, "admitDatagram" | "admitConnection" | "admitRequest">;
  readonly locals: LocalAddresses;
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
   * @throws Error that names the address when one cannot be bound, or when there is none that is served
   */
  async open(): Promise<void> {
    const { config, network, nowMs } = this.#ports;
    for (const text of config.sip.listen) {
      const { transport, address, port } = parseListen(text);
      const sockets = this.#socketsOf(transport);
      // Of a transport that is not served a notice of the configuration has told.
      if (transport === "udp") network.add(await this.#openUdp(address, port));
      else if (sockets !== undefined) network.add(await this.#openStream(sockets, address, port));
    }
    if (network.listeners.length === 0)
      throw new Error(`Cannot start: sip.listen has no address that this version can serve; want one such as "udp:0.0.0.0:5060"`);
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

  #socketsOf(transport: ListenTransport): StreamSockets | undefined {
    if (transport === "tcp") return TCP_SOCKETS;
    if (transport !== "tls") return undefined;
    this.#tls ??= tlsSockets(this.#ports.config.sip.tls);
    return this.#tls;
  }

  #openUdp(address: string, port: number): Promise<SipListener> {
    const { config, locals, overload, receive } = this.#ports;
    return UdpListener.open({
      ...{ address, port, advertised: config.sip.advertised_address, locals, counters: this.#counters, receive },
      admit: (bytes, source) => overload.admitDatagram(bytes, source),
      fault: (error, action) => this.#fault(error, action),
    });
  }

  #openStream(sockets: StreamSockets, address: string, port: number): Promise<SipListener> {
    const { config, locals, nowMs, overload, receive } = this.#ports;
    return StreamListener.open({
      ...{ sockets, address, port, advertised: config.sip.advertised_address, locals, counters: this.#counters, receive, nowMs },
      table: this.#table,
      // One costs no less than a request, a handshake far more: who opens them without end is banned as who sends without end.
      admitConnection: (source) => overload.admitConnection(source) && overload.admitRequest(source),
      admitRequest: (source) => overload.admitRequest(source),
      fault: (error, action) => this.#fault(error, action),
    });
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
