import type { Socket } from "node:net";
import type { Connection, SendOwner } from "../transaction/index.ts";
import type { ConnectionTable, EndReason, TableConnection } from "./connection-table.ts";
import type { TransportCounters } from "./udp.ts";

/** What may wait to be taken by the peer, in bytes: some hundred messages. A peer that reads has less; memory is not for one that does not. */
export const MAX_UNSENT_BYTES = 1024 * 1024;
/** How long the last answers, or the word why a connection ends, may take to go out, ms. */
export const FLUSH_MS = 500;
/** RFC 5626 §3.5.1: the answer to a double CRLF. */
export const PONG = "\r\n";
/** Requests that are told when their connection breaks; the others find out by their timer. */
const MAX_OWNERS = 256;
/** 64*T1: who was not answered for so long knows by its timer. */
const OWNERS_MS = 32_000;

/** Transports that have connections. */
export type ConnectedTransport = "tcp" | "tls" | "ws" | "wss";

export interface PeerConnectionOptions {
  readonly transport: ConnectedTransport;
  /** As it was accepted, or is being connected: it tells when all is over. */
  readonly socket: Socket;
  readonly address: string;
  readonly port: number;
  readonly isInbound: boolean;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly nowMs: () => number;
  /** A whole message; it does not throw. */
  readonly message: (text: string) => void;
}

/** One connection with a peer, whatever cuts its bytes into messages: nothing waits without a bound, and its end is told to who sent requests on it. */
export abstract class PeerConnection implements Connection, TableConnection {
  readonly transport: ConnectedTransport;
  readonly address: string;
  readonly port: number;
  readonly isInbound: boolean;
  readonly openedAtMs: number;
  isReady = false;
  hasSpoken = false;
  activeAtMs: number;
  partialSinceMs: number | undefined;
  stalledSinceMs: number | undefined;
  protected readonly counters: TransportCounters;
  protected readonly nowMs: () => number;
  readonly #table: ConnectionTable;
  readonly #message: (text: string) => void;
  #hasEnded = false;
  /** Who has sent requests here that may be unanswered, the oldest first. */
  readonly #owners = new Set<SendOwner>();

  constructor(options: PeerConnectionOptions) {
    const { table, counters, nowMs, message, socket } = options;
    this.#table = table;
    this.#message = message;
    this.counters = counters;
    this.nowMs = nowMs;
    this.transport = options.transport;
    this.address = options.address;
    this.port = options.port;
    this.isInbound = options.isInbound;
    this.openedAtMs = nowMs();
    this.activeAtMs = this.openedAtMs;
    socket.setNoDelay(true);
    const early: EndReason = options.isInbound ? "handshake-failed" : "connect-failed";
    socket.on("error", () => this.end(this.isReady ? "broken" : early));
    socket.on("close", () => this.end(this.isReady ? "closed-by-peer" : early));
    table.add(this);
  }

  /** Bytes that wait to be taken by the peer. */
  protected abstract get unsentBytes(): number;
  /** Writes a message. @returns false when the peer takes no more for now */
  protected abstract write(text: string): boolean;
  /** Reads no more, and closes. It is called once. */
  protected abstract stop(reason: EndReason): void;

  get isOpen(): boolean {
    return !this.#hasEnded;
  }

  /** Sends, or once it is connected. @param owner is told when the connection ends before long */
  send(text: string, owner: SendOwner | undefined): void {
    const { counters, isOpen } = this;
    if (owner !== undefined) this.#remember(owner);
    if (!isOpen || this.unsentBytes + text.length > MAX_UNSENT_BYTES) {
      counters.send_errors++;
      if (!isOpen) this.#tellOwners("the connection is closed");
      else this.end("not-reading");
      return;
    }
    counters.sent_messages++;
    counters.sent_bytes += text.length;
    this.activeAtMs = this.nowMs();
    if (!this.write(text)) this.stalledSinceMs ??= this.activeAtMs;
  }

  end(reason: EndReason): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#table.remove(this, reason);
    this.stop(reason);
    this.#tellOwners(`the connection ended: ${reason}`);
  }

  /** A whole message came. */
  protected took(text: string): void {
    this.hasSpoken = true;
    this.counters.received_messages++;
    this.#message(text);
  }

  #remember(owner: SendOwner): void {
    if (this.nowMs() - this.activeAtMs > OWNERS_MS) this.#owners.clear();
    this.#owners.add(owner);
    if (this.#owners.size <= MAX_OWNERS) return;
    for (const oldest of this.#owners) {
      this.#owners.delete(oldest);
      return;
    }
  }

  #tellOwners(reason: string): void {
    if (this.#owners.size === 0) return;
    const owners = [...this.#owners];
    this.#owners.clear();
    // Never during a call of theirs, and behind what waits already.
    setImmediate(() => {
      for (const owner of owners) owner.transportError(reason);
    });
  }
}
