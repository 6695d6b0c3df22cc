import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitFor } from "./net.ts";

export interface Frame {
  readonly opcode?: number;
  readonly isLast?: boolean;
  readonly payload?: string;
  /** What its head says, in place of the truth. */
  readonly length?: number;
  readonly isMasked?: boolean;
}

const TEXT = 1;
const HANDSHAKE = {
  Host: "sip.example.com",
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Protocol": "sip",
};

/** A handshake of RFC 6455 §4.1, with headers changed, or left out when undefined. */
export function handshakeText(over: Readonly<Record<string, string | undefined>> = {}, method = "GET"): string {
  const lines = Object.entries({ ...HANDSHAKE, ...over }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  return `${method} / HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A frame of a client (RFC 6455 §5.2), its mask being zero. */
export function frame({ opcode = TEXT, isLast = true, payload = "", length = payload.length, isMasked = true }: Frame): Buffer {
  const wide = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const head = Buffer.alloc(2 + wide + (isMasked ? 4 : 0));
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (wide === 8 ? 127 : wide === 2 ? 126 : length);
  if (wide === 2) head.writeUInt16BE(length, 2);
  if (wide === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.from(payload, "latin1")]);
}

/** A connection whose every byte the test writes. */
export class RawWebSocket {
  readonly socket: Socket;
  received = "";
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("error", () => undefined);
    socket.on("data", (chunk: string) => (this.received += chunk));
    socket.on("close", () => (this.isClosed = true));
  }

  static async connect(port: number, address = "127.0.0.1", localAddress?: string): Promise<RawWebSocket> {
    const socket = connect({ host: address, port, ...(localAddress !== undefined && { localAddress }) });
    const made = new RawWebSocket(socket);
    await once(socket, "connect");
    return made;
  }

  /** Connects, and shakes hands. */
  static async open(port: number, address?: string): Promise<RawWebSocket> {
    const made = await RawWebSocket.connect(port, address);
    made.shakeHands();
    await waitFor("the handshake", 3_000, () => made.status === 101);
    return made;
  }

  /** Of the answer to the handshake; 0 before. */
  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.received)?.[1] ?? 0);
  }

  /** Code of the close frame that came last; undefined when none is the last that came. */
  get closeCode(): number | undefined {
    const at = this.received.lastIndexOf("\x88");
    return at === -1 ? undefined : this.received.charCodeAt(at + 2) * 256 + this.received.charCodeAt(at + 3);
  }

  shakeHands(): void {
    this.send(handshakeText());
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  async close(): Promise<void> {
    this.socket.destroy();
  }
}
