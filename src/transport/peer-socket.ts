import { type Endpoint, REFUSED, type SendOwner } from "../transaction/index.ts";
import type { DatagramHandler, DatagramSocket, DatagramSockets, Place } from "./datagram-socket.ts";
import type { SourceTable } from "./source-table.ts";

/** Requests of one second that are told of a refusal. The others find out when they are sent again. */
const MAX_OWNERS = 1_000;
/**
 * How long a refusal waits for a sign of life, in milliseconds. ICMP is easily forged, and may be about something that was sent before a restart: a peer that
 * says anything in this time is there. Twice as long as it usually takes to answer, between these bounds, or the answers of a distant one would always come too
 * late to prove a forgery.
 */
export const GRACE_MS = 10;
export const MAX_GRACE_MS = 100;
/** The quickest answer tells how far a peer is, until it has moved away: with each answer that is slower the time grows by this factor at most. */
const SLOWER = 1.05;
/**
 * How long a peer that nobody has told us anything of since has to say something, in milliseconds, before its silence is taken for a refusal. It may have been
 * started a moment ago, with all the calls of the farm coming at once: much longer than a busy server takes for its first answer.
 */
export const SILENCE_MS = 200;
/**
 * For how long after a refusal the requests to a peer that says nothing are taken for refused, too, in milliseconds. Systems send one ICMP message a second to
 * each address (`icmp_ratelimit` of Linux), however many datagrams they throw away.
 */
export const REFUSED_MS = 1_000;
/**
 * What ICMP errors that keep everything from a peer become (Linux: port and protocol unreachable, host unknown, and those of firewalls that reject). All others
 * are about one datagram or pass: EMSGSIZE is that of a router whose next link takes less, and the same request gets through when it is sent again, in pieces.
 */
const REFUSALS = new Set(["ECONNREFUSED", "ENOPROTOOPT", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENONET", "EACCES"]);

export interface PeerSocketOptions {
  readonly sockets: DatagramSockets;
  readonly sources: SourceTable;
  /** Address and port of the listener, a wildcard as such: the system chooses the address that leads to the peer. */
  readonly local: Place;
  readonly peer: Place;
  readonly nowMs: () => number;
  /** From whomever: strangers come in as well until the socket is connected. See {@link DatagramHandler}. */
  readonly received: DatagramHandler["received"];
  /** The peer's host says that nobody listens there, or one on the way that nothing may go there. */
  readonly refused: () => void;
  /** ICMP tells that something sent before did not arrive, which says nothing of the next. */
  readonly lost: () => void;
  /** Something could not be sent here for a reason of our own: it has to go out another way. */
  readonly unsent: (text: string, peer: PeerSocket, owner: SendOwner | undefined, error: NodeJS.ErrnoException) => void;
}

/**
 * A UDP socket on the address and port of a listener that is connected to one peer, so that the system tells of ICMP errors of that peer.
 */
export class PeerSocket implements DatagramHandler {
  readonly address: string;
  readonly port: number;
  /** When something last came or went. */
  usedAtMs: number;
  readonly #options: PeerSocketOptions;
  #socket: DatagramSocket | undefined;
  /** Who has sent requests here that may be unanswered: in this second, and in the one before. */
  #owners: SendOwner[] = [];
  #olderOwners: SendOwner[] = [];
  /** Datagrams that came. */
  #heard = 0;
  #refusedUntilMs = 0;
  /** When a request went out that nothing has come after yet. */
  #askedAtMs: number | undefined;
  /** How long it takes the peer to say something, usually. */
  #answerMs: number | undefined;

  /** @throws NodeJS.ErrnoException with `syscall` "bind" when there can be no further socket; another Error when there is no way to the peer */
  constructor(options: PeerSocketOptions) {
    const { local, nowMs, peer, sockets, sources } = options;
    this.#options = options;
    this.address = peer.address;
    this.port = peer.port;
    this.usedAtMs = nowMs();
    // Until it is connected a socket on the port of the listener gets its share of what strangers send, and all of that is lost when it is closed. So whether
    // it can be connected is tried on another port first.
    void sockets.connect({ address: local.address, port: 0 }, peer, false).close();
    const socket = sockets.connect(local, peer, true);
    socket.start(this, sources);
    try {
      socket.enlargeBuffers();
    } catch {
      // It serves with the usual ones, too.
    }
    this.#socket = socket;
  }

  /** @param owner told when the peer's host says that nobody is there, later or never */
  send(text: string, owner: SendOwner | undefined): void {
    const now = this.#options.nowMs();
    this.usedAtMs = now;
    if (owner !== undefined) {
      if (this.#owners.length < MAX_OWNERS) this.#owners.push(owner);
      this.#askedAtMs ??= now;
      if (now < this.#refusedUntilMs) this.#tellUnlessHeard([owner], "ECONNREFUSED", SILENCE_MS);
    }
    this.#socket?.sendConnected(text, owner);
  }

  received(bytes: Buffer, start: number, end: number, source: Endpoint): void {
    this.#noteSign();
    this.#options.received(bytes, start, end, source);
  }

  receiveFailed(error: NodeJS.ErrnoException): void {
    if (error.syscall === "recvmsg") this.#told(error);
  }

  /** What ICMP says of something that was sent before keeps the next datagram from being sent, once. It may look like an error of this one. */
  sendFailed(text: string, owner: SendOwner | undefined, error: NodeJS.ErrnoException, again: NodeJS.ErrnoException | null): void {
    if (again === null || isRefusalForSure(error)) this.#told(error);
    if (again === null) return;
    if (isRefusalForSure(again)) this.#told(again);
    this.#options.unsent(text, this, owner, again);
  }

  lost(): void {
    this.#options.lost();
  }

  /**
   * Whether another address of ours leads to the peer by now. Behind a wildcard the system chooses one when it connects, and keeps it when routes change, where
   * what is not connected leaves from the address that leads there at the moment.
   */
  isMisplaced(): boolean {
    try {
      const trial = this.#options.sockets.connect({ address: this.#options.local.address, port: 0 }, this, false);
      const { address } = trial.address();
      void trial.close();
      return this.#socket !== undefined && this.#socket.address().address !== address;
    } catch {
      return false; // there is no way at all, or no further socket
    }
  }

  /** To be called once a second: who sent something before the second that ends is not told any more. */
  age(): void {
    this.#olderOwners = this.#owners;
    this.#owners = [];
  }

  /** What came and was not read yet is lost. */
  close(): void {
    void this.#socket?.close();
    this.#socket = undefined;
  }

  #noteSign(): void {
    const now = this.#options.nowMs();
    this.#heard++;
    this.#refusedUntilMs = 0;
    this.usedAtMs = now;
    if (this.#askedAtMs === undefined) return;
    const tookMs = now - this.#askedAtMs;
    this.#askedAtMs = undefined;
    this.#answerMs = Math.min(tookMs, (this.#answerMs ?? tookMs) * SLOWER);
  }

  /** By ICMP, of something that was sent. */
  #told(error: NodeJS.ErrnoException): void {
    if (isRefusal(error)) this.#refused(error);
    else this.#options.lost();
  }

  #refused({ code = "refused" }: NodeJS.ErrnoException): void {
    this.#options.refused();
    this.#refusedUntilMs = this.#options.nowMs() + REFUSED_MS;
    const waiting = [...this.#olderOwners, ...this.#owners];
    this.#olderOwners = [];
    this.#owners = [];
    if (waiting.length > 0) this.#tellUnlessHeard(waiting, code);
  }

  #tellUnlessHeard(owners: readonly SendOwner[], code: string, graceMs = this.#graceMs): void {
    const heard = this.#heard;
    setTimeout(() => {
      if (this.#heard !== heard) {
        // Their requests may be lost all the same: they wait for the next refusal, or are sent again in time.
        this.#owners.push(...owners.slice(0, MAX_OWNERS - this.#owners.length));
        return;
      }
      for (const owner of owners) owner.transportError(`${REFUSED} (${code}): nobody listens at ${this.address} port ${this.port}`);
    }, graceMs).unref();
  }

  get #graceMs(): number {
    return Math.min(MAX_GRACE_MS, Math.max(GRACE_MS, 2 * (this.#answerMs ?? 0)));
  }
}

/** Whether an error of ICMP keeps everything from a peer. */
export function isRefusal({ code = "" }: NodeJS.ErrnoException): boolean {
  return REFUSALS.has(code);
}

/** The system says so for no other reason than ICMP. */
function isRefusalForSure({ code }: NodeJS.ErrnoException): boolean {
  return code === "ECONNREFUSED";
}
