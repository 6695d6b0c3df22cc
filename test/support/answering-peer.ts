import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { responseTo, unique } from "./sip-messages.ts";

/** A final response to every INVITE. */
export interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: readonly string[];
}

/** A SIP server over UDP that answers by itself: every INVITE as it is told, everything else but ACK with 200. */
export class AnsweringPeer {
  answer: Answer = { status: 200 };
  /** Different calls that came. */
  readonly calls = new Set<string>();
  readonly #socket: Socket;
  readonly #forgotten = new Set<string>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes, { address, port }) => {
      const message = bytes.toString("latin1");
      if (message.startsWith("SIP/2.0") || message.startsWith("ACK ")) return;
      socket.send(Buffer.from(this.#answer(message), "latin1"), port, address);
    });
  }

  static async open(address: string): Promise<AnsweringPeer> {
    const socket = createSocket("udp4").unref();
    socket.bind(0, address);
    await once(socket, "listening");
    return new AnsweringPeer(socket);
  }

  /** For the table of destinations. */
  get uri(): string {
    return `sip:${this.#sentBy}`;
  }

  /** The call is gone here, and nobody is told: requests inside it are answered 481. */
  forget(callId: string): void {
    this.#forgotten.add(callId);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }

  get #sentBy(): string {
    const { address, port } = this.#socket.address();
    return `${address}:${port}`;
  }

  #answer(message: string): string {
    const callId = /^Call-ID:\s*(\S+)/im.exec(message)?.[1] ?? "";
    if (this.#forgotten.has(callId)) return responseTo(message, 481);
    if (!message.startsWith("INVITE ")) return responseTo(message, 200);
    this.calls.add(callId);
    const { status, reason, headers = [] } = this.answer;
    const contact = `Contact: <sip:answering@${this.#sentBy}>`;
    return responseTo(message, status, { toTag: unique("a"), headers: [contact, ...headers], ...(reason !== undefined && { reason }) });
  }
}
