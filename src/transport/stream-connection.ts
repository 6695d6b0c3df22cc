import type { Socket } from "node:net";
import { StreamFramer } from "../sip/index.ts";
import type { Connection, SendOwner } from "../transaction/index.ts";
import type { ConnectionTable, EndReason, TableConnection } from "./connection-table.ts";
import type { TransportCounters } from "./udp.ts";

/** What may wait to be taken by the peer, in bytes: some hundred messages. A peer that reads has less; memory is not for one that does not. */
export const MAX_UNSENT_BYTES = 1024 * 1024;
/** Requests that are told when their connection breaks: the last so many, at least; the others find out by their timer. */
const MAX_OWNERS = 1_024;
/** 64*T1: who was not answered for so long knows by its timer. */
const OWNERS_MS = 32_000;
/** An idle peer that is gone without a word (a cut cable, a NAT that forgot) is found after some 70 s by the system's own probes. */
const KEEP_ALIVE_MS = 60_000;
/** How long the last answers may take to go out at a stop. */
const FLUSH_MS = 500;
/** RFC 5626 §3.5.1: the answer to a double CRLF. */
const PONG = "\r\n";

export interface StreamConnectionOptions {
  readonly transport: "tcp" | "tls";
  readonly socket: Socket;
  readonly address: string;
  readonly port: number;
  /** What the certificate of the peer must name, of a connection that was opened to it; undefined when nothing is known or wanted. */
  readonly name?: string | undefined;
  readonly isInbound: boolean;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly nowMs: () => number;
  /** A whole message; it does not throw. */
  readonly message: (text: string) => void;
}

/** SIP over one connection: bytes become messages, and nothing waits without a bound. */
export class StreamConnection implements Connection, TableConnection {
  readonly transport: "tcp" | "tls";
  readonly address: string;
  readonly port: number;
  readonly name: string | undefined;
  readonly isInbound: boolean;
  readonly openedAtMs: number;
  isReady = false;
  hasSpoken = false;
  /** Requests to its address and port may go on it: who is there is sure enough. */
  carriesRequests = true;
  activeAtMs: number;
  partialSinceMs: number | undefined;
  stalledSinceMs: number | undefined;
  unansweredSinceMs: number | undefined;
  readonly #options: Pick<StreamConnectionOptions, "table" | "counters" | "nowMs" | "message">;
  readonly #framer = new StreamFramer();
  /** Gone when it has ended: a call that came this way may be remembered for hours. */
  #socket: Socket | undefined;
  /** Who has sent requests here that may be unanswered: since a while ago, and in the while before that. */
  #owners = new Set<SendOwner>();
  #ownersBefore = new Set<SendOwner>();
  #ownersSinceMs: number;

  constructor(options: StreamConnectionOptions) {
    const { table, counters, nowMs, message, socket } = options;
    this.#options = { table, counters, nowMs, message };
    this.transport = options.transport;
    this.address = options.address;
    this.port = options.port;
    this.name = options.name;
    this.isInbound = options.isInbound;
    this.openedAtMs = nowMs();
    this.activeAtMs = this.openedAtMs;
    this.#ownersSinceMs = this.openedAtMs;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const early: EndReason = options.isInbound ? "handshake-failed" : "connect-failed";
    socket.on("error", ({ message }) => this.end(this.isReady ? "broken" : early, message));
    socket.on("close", () => this.end(this.isReady ? "closed-by-peer" : early));
    table.add(this);
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
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
    this.activeAtMs = this.#options.nowMs();
    if (this.unansweredSinceMs !== undefined) this.unansweredSinceMs = this.activeAtMs;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => this.#received(chunk));
    socket.on("end", () => this.end("closed-by-peer")); // who does not write any more is answered on a connection of ours, if at all
    socket.on("drain", () => {
      this.stalledSinceMs = undefined;
    });
  }

  /** Sends, or once it is connected. @param owner is told when the connection ends before long */
  send(text: string, owner: SendOwner | undefined): void {
    const socket = this.#socket;
    const { counters, nowMs } = this.#options;
    if (owner !== undefined) this.#remember(owner, nowMs());
    if (socket === undefined || socket.writableLength + text.length > MAX_UNSENT_BYTES) {
      counters.send_errors++;
      if (socket === undefined) this.#tellOwners("the connection is closed");
      else this.end("not-reading");
      return;
    }
    counters.sent_messages++;
    counters.sent_bytes += text.length;
    this.activeAtMs = nowMs();
    if (owner !== undefined) this.unansweredSinceMs ??= this.activeAtMs;
    if (!socket.write(text, "latin1")) this.stalledSinceMs ??= this.activeAtMs;
  }

  /** @param cause what the system says of it, for who has sent something */
  end(reason: EndReason, cause?: string): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#options.table.remove(this, reason);
    socket.removeAllListeners("data");
    // What was answered before a stop still goes out; a connection that is not to be trusted ends at once.
    if (reason === "stopped" && this.isReady) {
      socket.destroySoon();
      setTimeout(() => socket.destroy(), FLUSH_MS).unref();
    } else socket.destroy();
    this.#tellOwners(`the connection ended: ${reason}${cause === undefined ? "" : `: ${cause}`}`);
  }

  /** Forgets the oldest all at once: nobody says when a request is answered, and looking at each would take longer. */
  #remember(owner: SendOwner, now: number): void {
    if (this.#owners.size >= MAX_OWNERS || now - this.#ownersSinceMs > OWNERS_MS) {
      this.#ownersBefore = this.#owners;
      this.#owners = new Set();
      this.#ownersSinceMs = now;
    }
    this.#owners.add(owner);
  }

  #tellOwners(reason: string): void {
    const owners = new Set([...this.#ownersBefore, ...this.#owners]);
    if (owners.size === 0) return;
    this.#ownersBefore.clear();
    this.#owners.clear();
    // Never during a call of theirs, and behind what waits already.
    setImmediate(() => {
      for (const owner of owners) owner.transportError(reason);
    });
  }

  #received(chunk: string): void {
    const { counters, message, nowMs } = this.#options;
    const now = nowMs();
    this.activeAtMs = now;
    this.unansweredSinceMs = undefined;
    counters.received_bytes += chunk.length;
    this.#framer.push(chunk);
    for (let frame = this.#framer.next(); frame !== undefined; frame = this.#framer.next()) {
      this.partialSinceMs = undefined;
      if (frame.kind === "ping") {
        counters.keepalives++;
        const socket = this.#socket;
        if (socket !== undefined && socket.writableLength === 0) socket.write(PONG);
      } else {
        this.hasSpoken = true;
        counters.received_messages++;
        message(frame.text);
      }
      if (!this.isOpen) return;
    }
    if (this.#framer.fault !== undefined) this.end(this.#framer.fault);
    else if (!this.#framer.isPartial) this.partialSinceMs = undefined;
    else this.partialSinceMs ??= now;
  }
}
