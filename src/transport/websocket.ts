import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Server, Socket } from "node:net";
import { WebSocketServer } from "ws";
import { MAX_MESSAGE_BYTES } from "../sip/index.ts";
import type { Connection, Endpoint, SendOwner } from "../transaction/index.ts";
import { bind, ConnectionListener, type ConnectionListenerOptions, refuse } from "./connection-listener.ts";
import { FLUSH_MS, type PeerConnectionOptions } from "./peer-connection.ts";
import type { TlsSockets } from "./tls.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

/** The WebSocket subprotocol of SIP (RFC 7118 §4.1). */
const SUBPROTOCOL = "sip";
const WEBSOCKET_VERSION = "13";
/** Largest head of a handshake: room for the cookies of a site. */
const MAX_HANDSHAKE_BYTES = 16 * 1024;
/** Fragments of one message. Browsers send one; a relay may cut at its buffers, a few kilobytes each. */
const MAX_FRAGMENTS = 64;
/** Pieces that one frame may come in: more than there are packets in the largest message, were each as small as the smallest link makes them. */
const MAX_CHUNKS = 1024;

/** In a variable, as the types of the library do not know all of them yet. */
const WEBSOCKET_OPTIONS = {
  noServer: true,
  clientTracking: false,
  autoPong: false,
  perMessageDeflate: false,
  closeTimeout: FLUSH_MS,
  maxPayload: MAX_MESSAGE_BYTES,
  maxFragments: MAX_FRAGMENTS,
  maxBufferedChunks: MAX_CHUNKS,
  handleProtocols: () => SUBPROTOCOL,
};

export interface WebSocketListenerOptions extends ConnectionListenerOptions {
  /** What `wss` is served with; undefined: this is `ws`. */
  readonly tls: TlsSockets | undefined;
  /** Pages that may connect, such as `https://phone.example.com`, in lower case; empty: all. Who sends no Origin is no browser, and may. */
  readonly origins: readonly string[];
  /** Says of each message whether it is SIP and is to be looked at; it must be quick. Absent: all are. */
  readonly admitMessage?: (bytes: Uint8Array, address: string) => boolean;
}

/** An answer to a handshake that is refused. */
interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const NOT_A_WEBSOCKET: Refusal = {
  status: 426,
  text: `Cannot answer HTTP here: want a WebSocket with the subprotocol "${SUBPROTOCOL}"`,
  headers: { Upgrade: "websocket" },
};

/**
 * Takes SIP over WebSocket (RFC 7118). It opens no connections: clients in browsers cannot be connected to, so each is reached on the connection that it has
 * opened, or not at all. Who the client of a relay is, is not known: what a header says of it (`X-Forwarded-For`) anybody could write.
 */
export class WebSocketListener extends ConnectionListener<WebSocketConnection> {
  readonly #options: WebSocketListenerOptions;
  readonly #webSockets = new WebSocketServer(WEBSOCKET_OPTIONS);
  /** Those whose handshake is going on, by both ends of their socket: over TLS it is another object when it has been shaken hands on. */
  readonly #pending = new Map<string, WebSocketConnection>();

  /** @throws Error that names the address, when it cannot be bound */
  static async open(options: WebSocketListenerOptions): Promise<WebSocketListener> {
    const { tls } = options;
    const http: ServerOptions = { maxHeaderSize: MAX_HANDSHAKE_BYTES };
    const server = tls === undefined ? createServer(http) : tls.secured((secure) => createSecureServer({ ...secure, ...http }));
    let listener: WebSocketListener | undefined;
    server.prependListener("connection", (socket: Socket) => {
      if (listener === undefined) refuse(socket);
      else listener.#accepted(socket);
    });
    server.on("tlsClientError", (_error: Error, socket: Socket) => {
      if (listener !== undefined) listener.#pending.get(keyOf(socket))?.end("handshake-failed");
    });
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => refuseRequest(response));
    server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (listener === undefined) refuse(socket);
      else listener.#upgrade(request, socket, head);
    });
    await bind(server, tls === undefined ? "ws" : "wss", options);
    listener = new WebSocketListener(server, options);
    return listener;
  }

  private constructor(server: Server, options: WebSocketListenerOptions) {
    super(server, options.tls === undefined ? "ws" : "wss", options);
    this.#options = options;
  }

  /** On the connection of the endpoint, while it is open. */
  override send(text: string, { connection }: Endpoint, owner?: SendOwner): void {
    if (this.isClosed) return;
    if (connection instanceof WebSocketConnection && connection.isReady) connection.send(text, owner);
    else this.unsent(owner, "there is no connection to this WebSocket client");
  }

  connectionFrom(address: string, port: number): Connection | undefined {
    const found = this.#options.table.find(this.transport, address, port);
    return found instanceof WebSocketConnection && this.connections.has(found) && found.isReady && found.isOpen ? found : undefined;
  }

  protected override connectionOf(options: PeerConnectionOptions): WebSocketConnection {
    const { admitMessage, admitConnection } = this.#options;
    const { address } = options;
    const connection: WebSocketConnection = new WebSocketConnection({
      ...options,
      admits(bytes) {
        if (admitMessage === undefined || admitMessage(bytes, address)) return true;
        // What is no SIP does no harm: the next message begins at its own frame. A source that was banned for what it sends is another thing.
        if (admitConnection?.(address) === false) connection.end("banned");
        return false;
      },
    });
    return connection;
  }

  protected override admits(): boolean {
    return true; // it was asked for the bytes
  }

  #accepted(socket: Socket): void {
    const connection = this.accept(socket);
    if (connection === undefined) return;
    const key = keyOf(socket);
    this.#pending.set(key, connection);
    socket.once("close", () => this.#forget(key, connection));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on("error", () => undefined); // the end of the bare socket tells
    const key = keyOf(socket);
    const connection = this.#pending.get(key);
    if (connection === undefined) {
      refuse(socket);
      return;
    }
    const refusal = refusalOf(request, this.#options.origins);
    if (refusal !== undefined) {
      socket.once("finish", () => socket.destroy());
      socket.end(responseText(refusal));
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#forget(key, connection);
      connection.ready(webSocket, socket);
    });
  }

  #forget(key: string, connection: WebSocketConnection): void {
    if (this.#pending.get(key) === connection) this.#pending.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/** Why a handshake is not taken, before the library looks at the rest of it; undefined: it is. */
function refusalOf({ headers }: IncomingMessage, origins: readonly string[]): Refusal | undefined {
  if (headers.upgrade?.toLowerCase() !== "websocket") return NOT_A_WEBSOCKET;
  if (headers["sec-websocket-version"] !== WEBSOCKET_VERSION) {
    const text = `Cannot use this version of WebSocket: want ${WEBSOCKET_VERSION}`;
    return { status: 426, text, headers: { Upgrade: "websocket", "Sec-WebSocket-Version": WEBSOCKET_VERSION } };
  }
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) return { status: 400, text: `Cannot use this WebSocket: want the subprotocol "${SUBPROTOCOL}"` };
  const { origin } = headers;
  if (origins.length > 0 && origin !== undefined && !origins.includes(origin.toLowerCase()))
    return { status: 403, text: "Cannot connect from this page: want an allowed Origin" };
  return undefined;
}

function responseText({ status, text, headers = {} }: Refusal): string {
  const lines = Object.entries(headersOf(text, headers)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${text}\n`;
}

function refuseRequest(response: ServerResponse): void {
  const { status, text, headers = {} } = NOT_A_WEBSOCKET;
  response.writeHead(status, headersOf(text, headers)).end(`${text}\n`);
}

function headersOf(text: string, headers: Readonly<Record<string, string>>): Record<string, string> {
  const isUpgrade = headers["Upgrade"] !== undefined;
  return {
    ...headers,
    Connection: isUpgrade ? "Upgrade, close" : "close",
    "Content-Type": "text/plain",
    "Content-Length": String(text.length + 1),
  };
}
