import { Inbox } from "./inbox.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "./net.ts";

/** How its Via and Contact say where it is: nowhere, as scripts in browsers do not know their address (RFC 7118 §5). */
export const NOWHERE = "df7jal23ls0d.invalid";

/** A SIP client of a browser: the WebSocket that Node.js has from undici, which the server's library knows nothing of. */
export class WsPeer extends Inbox {
  readonly socket: WebSocket;
  /** Kinds of the messages that came. */
  readonly kinds: ("text" | "binary")[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor(url: string, protocols: string | readonly string[] = "sip") {
    super();
    this.socket = new WebSocket(url, protocols as string | string[]);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer }) => {
      this.kinds.push(typeof data === "string" ? "text" : "binary");
      this.received.push(Buffer.from(data as string).toString("latin1"));
    });
    this.socket.addEventListener("error", () => undefined);
    this.socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
    });
  }

  static async connect(url: string): Promise<WsPeer> {
    const peer = new WsPeer(url);
    await waitFor("the WebSocket", MESSAGE_TIMEOUT_MS, () => {
      if (peer.closed !== undefined) throw new Error(`Cannot connect to ${url}: closed with ${peer.closed.code}`);
      return peer.socket.readyState === WebSocket.OPEN;
    });
    return peer;
  }

  get isClosed(): boolean {
    return this.closed !== undefined;
  }

  /** Sends as text; as binary when it is bytes. */
  send(message: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(message);
  }

  async close(): Promise<void> {
    this.socket.close();
    await waitFor("the close", 3_000, () => this.isClosed).catch(() => undefined);
  }
}

/** A message as such a client sends it. */
export function overWs(message: string, kind: "WS" | "WSS" = "WS"): string {
  return message.replace("Via: SIP/2.0/UDP", `Via: SIP/2.0/${kind}`).replace(/^Content-Length: 0\r\n/m, "");
}
