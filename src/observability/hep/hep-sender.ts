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

  send(packet: HepPacket): void {
    const bytes = encodeHep(packet, this.#ports.agent);
    if (bytes === undefined) this.counters.hep_too_long++;
    else if (this.#isClosed || this.waitingBytes + bytes.length > MAX_WAITING_BYTES) this.counters.hep_dropped++;
    else if (this.#udp !== undefined) this.#sendDatagram(this.#udp, bytes);
    else if (this.#tcp?.readyState === "open") this.#write(this.#tcp, bytes);
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
    socket.on("error", (error) => {
      this.counters.hep_errors++;
      if (this.#udp !== socket) return;
      this.#udp = undefined;
      socket.close();
      this.#failed(error);
    });
    socket.unref();
    socket.connect(port, address, () => {
      if (this.#isClosed) {
        socket.close();
        return;
      }
      this.#udp = socket;
      this.#opened((bytes) => this.#sendDatagram(socket, bytes));
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
      this.#opened((bytes) => this.#write(socket, bytes));
    });
    socket.on("close", () => {
      if (this.#isClosed) return;
      this.counters.hep_errors++;
      this.#failed(reason ?? new Error("the server has closed the connection"));
    });
    socket.resume(); // nothing that it says matters
    socket.unref();
  }

  #opened(send: (bytes: Buffer) => void): void {
    const { log, server } = this.#ports;
    this.#retryMs = FIRST_RETRY_MS;
    if (this.#hasFailed) log.info({ hep: textOf(server) }, "The capture server is reached again");
    this.#hasFailed = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const bytes of waiting) send(bytes);
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
