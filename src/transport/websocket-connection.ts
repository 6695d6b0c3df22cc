import { isUtf8 } from "node:buffer";
import type { Socket } from "node:net";
import type { RawData, WebSocket } from "ws";
import type { ConnectionWatcher } from "../transaction/index.ts";
import type { EndReason } from "./connection-table.ts";
import { FrameWatch } from "./frame-watch.ts";
import { FLUSH_MS, PeerConnection, type PeerConnectionOptions, PONG } from "./peer-connection.ts";

/** Close codes (RFC 6455 §7.4.1) of ends that the other side is told of; the others end without a word. */
const CLOSE_CODES: Partial<Record<EndReason, number>> = {
  stopped: 1001,
  idle: 1001,
  "bad-frame": 1002,
  banned: 1008,
  silent: 1008,
  "slow-sender": 1008,
  "message-too-large": 1009,
};
/** Errors of the library that are one of ours; every other one is a frame that RFC 6455 does not allow. */
const TOO_LARGE = new Set([
  "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
  "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH",
  "WS_ERR_TOO_MANY_BUFFERED_PARTS",
]);
const OPEN = 1;
const CR = 13;
const LF = 10;
/** RFC 5626 §3.5.1: two line ends want an answer, one is the answer. */
const PING_BYTES = 4;

export interface WebSocketConnectionOptions extends PeerConnectionOptions {
  /** Whether this is SIP and is to be looked at. When its sender is banned, the connection was ended. */
  readonly admits: (bytes: Uint8Array) => boolean;
}

/** SIP over one WebSocket: one message is one SIP message, as text or binary (RFC 7118 §5). */
export class WebSocketConnection extends PeerConnection {
  /** When anything last came. */
  heardAtMs: number;
  pingedAtMs: number | undefined;
  readonly #admits: (bytes: Uint8Array) => boolean;
  readonly #watch = new FrameWatch();
  readonly #watchers = new Set<ConnectionWatcher>();
  /** A ping of the bytes that are being read. */
  #ping: Buffer | undefined;
  /** A double CRLF is among them. */
  #isAsked = false;
  /** Both are gone when it has ended: a call that came this way may be remembered for hours. */
  #socket: Socket | undefined;
  #webSocket: WebSocket | undefined;

  constructor(options: WebSocketConnectionOptions) {
    super(options);
    this.#admits = options.admits;
    this.#socket = options.socket;
    this.heardAtMs = this.openedAtMs;
  }

  /** One that the other side has begun to close takes nothing any more. */
  override get isOpen(): boolean {
    return super.isOpen && (this.#webSocket === undefined || this.#webSocket.readyState === OPEN);
  }

  /**
   * The handshake is done.
   *
   * @param socket what the frames go through; over TLS another one than the bare socket that was accepted
   */
  ready(webSocket: WebSocket, socket: Socket): void {
    webSocket.on("error", (error: NodeJS.ErrnoException) => this.end(faultOf(error)));
    if (this.#socket === undefined) {
      webSocket.terminate();
      return;
    }
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.isReady = true;
    this.activeAtMs = this.nowMs();
    this.heardAtMs = this.activeAtMs;
    socket.on("data", (bytes: Uint8Array) => this.#heard(bytes));
    socket.on("drain", () => {
      this.stalledSinceMs = undefined;
    });
    webSocket.on("message", (data: RawData) => this.#received(data as Buffer)); // one buffer, as binaryType says
    webSocket.on("ping", (data: Buffer) => {
      this.counters.keepalives++;
      this.#ping = data;
    });
    webSocket.on("close", () => this.end("closed-by-peer"));
  }

  /** Asks the other side whether it is there (RFC 6455 §5.5.2). Anything that comes is an answer. */
  ping(nowMs: number): void {
    if (!this.isOpen || this.pingedAtMs !== undefined) return;
    this.pingedAtMs = nowMs;
    this.#webSocket?.ping();
  }

  ask(): void {
    this.ping(this.nowMs());
  }

  watch(watcher: ConnectionWatcher): void {
    this.#watchers.add(watcher);
    if (!super.isOpen) this.#tellWatchers();
  }

  unwatch(watcher: ConnectionWatcher): void {
    this.#watchers.delete(watcher);
  }

  protected override get unsentBytes(): number {
    return this.#webSocket?.bufferedAmount ?? 0;
  }

  /** Text when it is UTF-8, as clients in browsers like it, else binary (RFC 7118 §4.2). */
  protected override write(text: string): boolean {
    const bytes = Buffer.from(text, "latin1");
    this.#webSocket?.send(bytes, { binary: !isUtf8(bytes) });
    return this.#socket?.writableNeedDrain === false;
  }

  protected override stop(reason: EndReason): void {
    if (reason === "stopped")
      this.#watchers.clear(); // the calls go down with us
    else if (this.#watchers.size > 0) this.#tellWatchers();
    const [socket, webSocket] = [this.#socket, this.#webSocket];
    this.#socket = undefined;
    this.#webSocket = undefined;
    if (webSocket === undefined) {
      socket?.destroy();
      return;
    }
    for (const event of ["message", "ping", "close"] as const) webSocket.removeAllListeners(event);
    const code = CLOSE_CODES[reason];
    if (code === undefined) webSocket.terminate();
    else {
      webSocket.close(code, reason);
      setTimeout(() => webSocket.terminate(), FLUSH_MS).unref();
    }
  }

  #heard(bytes: Uint8Array): void {
    const now = this.nowMs();
    this.activeAtMs = now;
    this.heardAtMs = now;
    this.pingedAtMs = undefined;
    this.counters.received_bytes += bytes.length;
    const hasEnded = this.#watch.push(bytes);
    if (!this.#watch.isPartial) this.partialSinceMs = undefined;
    else if (hasEnded) this.partialSinceMs = now;
    else this.partialSinceMs ??= now;
    this.#answerPings();
  }

  /**
   * The last ping of what was read, by now through the frames of the library, stands for all before it (RFC 6455 §5.5.3): a packet can hold ten thousand. While
   * the other side does not read it gets no more.
   */
  #answerPings(): void {
    const [ping, isAsked, socket, webSocket] = [this.#ping, this.#isAsked, this.#socket, this.#webSocket];
    this.#ping = undefined;
    this.#isAsked = false;
    if (!this.isOpen || socket === undefined || webSocket === undefined || socket.writableLength > 0) return;
    if (ping !== undefined) webSocket.pong(ping);
    if (isAsked) webSocket.send(PONG);
  }

  #tellWatchers(): void {
    // Never during a call of theirs.
    setImmediate(() => {
      const watchers = [...this.#watchers];
      this.#watchers.clear();
      for (const watcher of watchers) watcher.connectionEnded();
    });
  }

  #received(bytes: Buffer): void {
    if (isLineEnds(bytes)) {
      this.counters.keepalives++;
      if (bytes.length >= PING_BYTES) this.#isAsked = true;
    } else if (this.#admits(bytes)) this.took(bytes.toString("latin1"));
  }
}

function faultOf({ code }: NodeJS.ErrnoException): EndReason {
  if (code === undefined || !code.startsWith("WS_ERR_")) return "broken";
  return TOO_LARGE.has(code) ? "message-too-large" : "bad-frame";
}

function isLineEnds(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== CR && byte !== LF) return false;
  return true;
}
