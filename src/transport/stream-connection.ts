import type { Socket } from "node:net";
import { StreamFramer } from "../sip/index.ts";
import type { EndReason } from "./connection-table.ts";
import { FLUSH_MS, PeerConnection, type PeerConnectionOptions, PONG } from "./peer-connection.ts";

/** SIP over one stream: bytes become messages by Content-Length. */
export class StreamConnection extends PeerConnection {
  /** Requests to its address and port may go on it: who is there is sure enough. */
  carriesRequests = true;
  readonly #framer = new StreamFramer();
  /** Gone when it has ended: a call that came this way may be remembered for hours. */
  #socket: Socket | undefined;

  constructor(options: PeerConnectionOptions) {
    super(options);
    this.#socket = options.socket;
  }

  /**
   * It can be used: connected, and the handshake done.
   *
   * @param socket what messages go through; over TLS another one than the bare socket that was accepted
   */
  ready(socket: Socket): void {
    if (this.#socket === undefined) {
      socket.destroy();
      return;
    }
    if (socket !== this.#socket) socket.on("error", ({ message }) => this.end("broken", message));
    this.#socket = socket;
    this.isReady = true;
    this.activeAtMs = this.nowMs();
    if (this.unansweredSinceMs !== undefined) this.unansweredSinceMs = this.activeAtMs;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => this.#received(chunk));
    socket.on("end", () => this.end("closed-by-peer")); // who does not write any more is answered on a connection of ours, if at all
    socket.on("drain", () => {
      this.stalledSinceMs = undefined;
    });
  }

  protected override get unsentBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  protected override write(text: string): boolean {
    return this.#socket?.write(text, "latin1") ?? false;
  }

  protected override stop(reason: EndReason): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.removeAllListeners("data");
    // What was answered before a stop still goes out; a connection that is not to be trusted ends at once.
    if (reason === "stopped" && this.isReady) {
      socket.destroySoon();
      setTimeout(() => socket.destroy(), FLUSH_MS).unref();
    } else socket.destroy();
  }

  #received(chunk: string): void {
    const { counters } = this;
    const now = this.nowMs();
    this.activeAtMs = now;
    this.unansweredSinceMs = undefined;
    counters.received_bytes += chunk.length;
    this.#framer.push(chunk);
    let isAsked = false;
    for (let frame = this.#framer.next(); frame !== undefined; frame = this.#framer.next()) {
      this.partialSinceMs = undefined;
      if (frame.kind === "ping") {
        counters.keepalives++;
        isAsked = true;
      } else this.took(frame.text);
      if (!this.isOpen) return;
    }
    // One answer for all pings of what was read, and none while the other side does not read: a packet can hold ten thousand.
    if (isAsked && this.#socket?.writableLength === 0) this.#socket.write(PONG);
    if (this.#framer.fault !== undefined) this.end(this.#framer.fault);
    else if (!this.#framer.isPartial) this.partialSinceMs = undefined;
    else this.partialSinceMs ??= now;
  }
}
