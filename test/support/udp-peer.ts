import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { MESSAGE_TIMEOUT_MS, waitFor } from "./net.ts";
import { headerOf, statusOf } from "./sip-messages.ts";

/** One end of SIP over UDP that does nothing by itself: for what sipp cannot be told to do, such as to lose a message. */
export class UdpPeer {
  readonly #socket: Socket;
  /** Everything that came, in order. */
  readonly received: string[] = [];
  #taken = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes) => this.received.push(bytes.toString("latin1")));
  }

  /** @param address IPv4 or IPv6, without brackets */
  static async open(address: string, port = 0): Promise<UdpPeer> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4").unref(); // a test that fails before it closes its peers must not hang
    socket.bind(port, address);
    await once(socket, "listening");
    return new UdpPeer(socket);
  }

  get address(): string {
    return this.#socket.address().address;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** `address:port`, an IPv6 address in brackets. */
  get sentBy(): string {
    return `${this.address.includes(":") ? `[${this.address}]` : this.address}:${this.port}`;
  }

  send(text: string, to: { readonly address: string; readonly port: number }): void {
    this.#socket.send(Buffer.from(text, "latin1"), to.port, to.address);
  }

  /** The next message, in order of arrival, that `wanted` accepts; those before it are passed over. */
  async next(what: string, wanted: (message: string) => boolean, timeoutMs = MESSAGE_TIMEOUT_MS): Promise<string> {
    return waitFor(`${what} (received: ${this.received.map(startLine).join(" | ") || "nothing"})`, timeoutMs, () => {
      while (this.#taken < this.received.length) {
        const message = this.received[this.#taken] as string;
        this.#taken += 1;
        if (wanted(message)) return message;
      }
      return undefined;
    });
  }

  /** The next request of this method. */
  async nextRequest(method: string, timeoutMs?: number): Promise<string> {
    return this.next(method, (message) => message.startsWith(`${method} `), timeoutMs);
  }

  /** The next final response to a request of this method. */
  async nextFinal(method: string, timeoutMs?: number): Promise<string> {
    return this.next(
      `final response to ${method}`,
      (message) => statusOf(message) >= 200 && headerOf(message, "CSeq").endsWith(` ${method}`),
      timeoutMs,
    );
  }

  /** How many messages came whose first line begins so. */
  count(start: string): number {
    return this.received.filter((message) => message.startsWith(start)).length;
  }

  /** Waits `ms` and tells whether nothing came in the meantime. */
  async staysSilent(ms: number): Promise<boolean> {
    const before = this.received.length;
    await sleep(ms);
    return this.received.length === before;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }
}

function startLine(message: string): string {
  return message.slice(0, message.indexOf("\r\n"));
}
