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
/** Requests that are told when their connection breaks: the last so many, at least; the others find out by their timer. */
const MAX_OWNERS = 1_024;
/** 64*T1: who was not answered for so long knows by its timer. */
const OWNERS_MS = 32_000;
/** An idle peer that is gone without a word (a cut cable, a NAT that forgot) is found after some 70 s by the system's own probes. */
const KEEP_ALIVE_MS = 60_000;

/** Transports that have connections. */
export type ConnectedTransport = "tcp" | "tls" | "ws" | "wss";

export interface PeerConnectionOptions {
  readonly transport: ConnectedTransport;
  /** As it was accepted, or is being connected: it tells when all is over. */
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

/** One connection with a peer, whatever cuts its bytes into messages: nothing waits without a bound, and its end is told to who sent requests on it. */
export abstract class PeerConnection implements Connection, TableConnection {
  readonly transport: ConnectedTransport;
  readonly address: string;
  readonly port: number;
  readonly name: string | undefined;
  readonly isInbound: boolean;
  readonly openedAtMs: number;
  isReady = false;
  hasSpoken = false;
  activeAtMs: number;
  partialSinceMs: number | undefined;
  stalledSinceMs: number | undefined;
  unansweredSinceMs: number | undefined;
  protected readonly counters: TransportCounters;
  protected readonly nowMs: () => number;
  readonly #table: ConnectionTable;
  readonly #message: (text: string) => void;
  #hasEnded = false;
  /** Who has sent requests here that may be unanswered: since a while ago, and in the while before that. */
  #owners = new Set<SendOwner>();
  #ownersBefore = new Set<SendOwner>();
  #ownersSinceMs: number;

  constructor(options: PeerConnectionOptions) {
    const { table, counters, nowMs, message, socket } = options;
    this.#table = table;
    this.#message = message;
    this.counters = counters;
    this.nowMs = nowMs;
    this.transport = options.transport;
    this.address = options.address;
    this.port = options.port;
    this.name = options.name;
    this.isInbound = options.isInbound;
    this.openedAtMs = nowMs();
    this.activeAtMs = this.openedAtMs;
    this.#ownersSinceMs = this.openedAtMs;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const early: EndReason = options.isInbound ? "handshake-failed" : "connect-failed";
    socket.on("error", ({ message }) => this.end(this.isReady ? "broken" : early, message));
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
    if (owner !== undefined) this.#remember(owner, this.nowMs());
    if (!isOpen || this.unsentBytes + text.length > MAX_UNSENT_BYTES) {
      counters.send_errors++;
      if (!isOpen) this.#tellOwners("the connection is closed");
      else this.end("not-reading");
      return;
    }
    counters.sent_messages++;
    counters.sent_bytes += text.length;
    this.activeAtMs = this.nowMs();
    if (owner !== undefined) this.unansweredSinceMs ??= this.activeAtMs;
    if (!this.write(text)) this.stalledSinceMs ??= this.activeAtMs;
  }

  /** @param cause what the system says of it, for who has sent something */
  end(reason: EndReason, cause?: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#table.remove(this, reason);
    this.stop(reason);
    this.#tellOwners(`the connection ended: ${reason}${cause === undefined ? "" : `: ${cause}`}`);
  }

  /** A whole message came. */
  protected took(text: string): void {
    this.hasSpoken = true;
    this.counters.received_messages++;
    this.#message(text);
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
}
