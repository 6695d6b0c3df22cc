import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, type Socket as TcpSocket } from "node:net";
import { encodeHep, type HepAgent, type HepPacket } from "./encode-hep.ts";

/** What may wait to be taken by the capture server, in bytes: some thousand messages. Calls matter more than their copies. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** After a failure the server is tried again after this long at first, and twice as long each time up to the other, ms. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
/** How long the last packets may take to go out at the end, ms. */
const FLUSH_MS = 500;
/** Packets that have waited and go out in one go: each datagram is a call of the system, and calls want their turn. */
const PACKETS_A_TURN = 50;

export interface HepServer {
  readonly transport: "udp" | "tcp";
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface HepSenderPorts {
  readonly server: HepServer;
  readonly agent: HepAgent;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** What became of the packets. */
export class HepCounters {
  hep_sent = 0;
  /** There was no room to wait in. */
  hep_dropped = 0;
  /** Too long for a packet. */
  hep_too_long = 0;
  /** Sent, and the system or the server said that it cannot be. */
  hep_errors = 0;
}

/** Sends packets to a capture server, and never waits for it: what finds no room is counted and forgotten. */
export class HepSender {
  readonly counters = new HepCounters();
  readonly #ports: HepSenderPorts;
  #udp: UdpSocket | undefined;
  #tcp: TcpSocket | undefined;
  /** Packets that came before there was a connection. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isCorked = false;
  #isClosed = false;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #hasFailed = false;

  constructor(ports: HepSenderPorts) {
    this.#ports = ports;
    this.#open();
  }

  /** Bytes that wait for the server. */
  get waitingBytes(): number {
    return this.#waitingBytes + (this.#tcp?.writableLength ?? 0);
  }

  get #isConnected(): boolean {
    return this.#udp !== undefined || this.#tcp?.readyState === "open";
  }

  send(packet: HepPacket): void {
    const bytes = encodeHep(packet, this.#ports.agent);
    if (bytes === undefined) this.counters.hep_too_long++;
    else if (this.#isClosed || this.waitingBytes + bytes.length > MAX_WAITING_BYTES) this.counters.hep_dropped++;
    else if (this.#isConnected && this.#waiting.length === 0) this.#put(bytes);
    else {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
    }
  }

  /** Lets what waits go out for a moment. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.counters.hep_dropped += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const [udp, tcp] = [this.#udp, this.#tcp];
    if (udp !== undefined) await new Promise<void>((resolve) => udp.close(() => resolve()));
    if (tcp === undefined || tcp.destroyed) return;
    const late = setTimeout(() => tcp.destroy(), FLUSH_MS);
    await new Promise<void>((resolve) => {
      tcp.once("close", () => resolve());
      tcp.destroySoon();
    });
    clearTimeout(late);
  }

  #open(): void {
    const { server } = this.#ports;
    if (server.transport === "tcp") this.#openTcp(server);
    else void this.#openUdp(server).catch((error: unknown) => this.#failed(error));
  }

  async #openUdp({ host, port }: HepServer): Promise<void> {
    const { address, family } = await lookup(host);
    if (this.#isClosed) return;
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    const openedAtMs = performance.now();
    let isLost = false;
    const lose = (error: Error): void => {
      if (isLost) return;
      isLost = true;
      this.counters.hep_errors++;
      if (this.#udp === socket) this.#udp = undefined;
      socket.close();
      // A datagram is never confirmed: that nobody has refused one for long is all that is known of a server that is there.
      if (performance.now() - openedAtMs > LAST_RETRY_MS) this.#isReached();
      this.#failed(error);
    };
    socket.on("error", lose);
    socket.unref();
    // The types do not tell, but an address without a route comes here, too.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined) lose(error);
      else if (this.#isClosed) socket.close();
      else {
        this.#udp = socket;
        this.#flush();
      }
    });
  }

  #openTcp({ host, port }: HepServer): void {
    const socket = connect({ host, port });
    this.#tcp = socket;
    let reason: Error | undefined;
    socket.on("error", (error) => {
      reason = error;
    });
    socket.on("connect", () => {
      socket.setKeepAlive(true);
      if (this.#hasFailed) this.#ports.log.info({ hep: textOf(this.#ports.server) }, "The capture server is reached again");
      this.#isReached();
      this.#flush();
    });
    socket.on("close", () => {
      if (this.#isClosed) return;
      this.counters.hep_errors++;
      this.#failed(reason ?? new Error("the server has closed the connection"));
    });
    socket.resume(); // nothing that it says matters
    socket.unref();
  }

  #isReached(): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#hasFailed = false;
  }

  /** What has waited goes out, some at a time; what comes meanwhile waits behind it. */
  #flush(): void {
    if (!this.#isConnected) return;
    for (const bytes of this.#waiting.splice(0, PACKETS_A_TURN)) {
      this.#waitingBytes -= bytes.length;
      this.#put(bytes);
    }
    if (this.#waiting.length > 0) setImmediate(() => this.#flush());
  }

  #put(bytes: Buffer): void {
    if (this.#udp !== undefined) this.#sendDatagram(this.#udp, bytes);
    else if (this.#tcp !== undefined) this.#write(this.#tcp, bytes);
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    const { log, server } = this.#ports;
    if (!this.#hasFailed)
      log.warn(
        { err: error, hep: textOf(server) },
        "Cannot reach the capture server, trying again: messages are not copied to it meanwhile",
      );
    this.#hasFailed = true;
    this.#retry = setTimeout(() => this.#open(), this.#retryMs).unref();
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #sendDatagram(socket: UdpSocket, bytes: Buffer): void {
    this.#waitingBytes += bytes.length;
    socket.send(bytes, (error) => {
      this.#waitingBytes -= bytes.length;
      if (error) this.counters.hep_errors++;
      else this.counters.hep_sent++;
    });
  }

  /** One call of the system for all packets of a turn. */
  #write(socket: TcpSocket, bytes: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      setImmediate(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    socket.write(bytes);
    this.counters.hep_sent++;
  }
}

function textOf({ transport, host, port }: HepServer): string {
  return `${transport}:${host.includes(":") ? `[${host}]` : host}:${port}`;
}
