import type { Socket } from "node:dgram";
import { REFUSED, type SendOwner } from "../transaction/index.ts";
import { createUdpSocket, enlargeBuffers } from "./udp-socket.ts";

/** Requests of one second that are told of a refusal. The others find out when they are sent again. */
const MAX_OWNERS = 1_000;
/**
 * How long a refusal waits for a sign of life, in milliseconds. ICMP is easily forged, and may be about something that was sent before a restart: a peer that
 * says anything in this time is there.
 */
export const GRACE_MS = 10;
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

export interface PeerSocketOptions {
  /** Address and port of the listener, a wildcard as such: the system chooses the address that leads to the peer. */
  readonly local: { readonly address: string; readonly port: number };
  readonly peer: { readonly address: string; readonly port: number };
  readonly nowMs: () => number;
  /** From whomever: strangers come in as well until the socket is connected. */
  readonly received: (bytes: Buffer, address: string, port: number) => void;
  /** The peer's host says that nobody listens there. */
  readonly refused: () => void;
  /** Something could not be sent here for a reason of our own: it has to go out another way. */
  readonly unsent: (bytes: Buffer, peer: PeerSocket, owner: SendOwner | undefined, error: NodeJS.ErrnoException) => void;
}

/**
 * A UDP socket on the address and port of a listener that is connected to one peer, so that the system tells of ICMP errors of that peer.
 */
export class PeerSocket {
  readonly address: string;
  readonly port: number;
  /** When something last came or went. */
  usedAtMs: number;
  readonly #options: PeerSocketOptions;
  #socket: Socket | undefined;
  /** Who has sent requests here that may be unanswered: in this second, and in the one before. */
  #owners: SendOwner[] = [];
  #olderOwners: SendOwner[] = [];
  /** Datagrams that came. */
  #heard = 0;
  #refusedUntilMs = 0;

  /** @throws Error when there can be no further socket, or there is no way to the peer */
  constructor(options: PeerSocketOptions) {
    const { local, nowMs, peer, received } = options;
    this.#options = options;
    this.address = peer.address;
    this.port = peer.port;
    this.usedAtMs = nowMs();
    const socket = createUdpSocket(local.address, true);
    let failure: Error | undefined;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      failure = error;
      if (error.syscall === "recvmsg") this.#refused(error);
    });
    socket.on("message", (bytes, source) => {
      this.#heard++;
      this.#refusedUntilMs = 0;
      this.usedAtMs = nowMs();
      received(bytes, source.address, source.port);
    });
    try {
      socket.bind({ ...local, exclusive: true });
      if (failure === undefined) socket.connect(peer.port, peer.address);
      socket.remoteAddress(); // throws when it is not connected
      enlargeBuffers(socket);
    } catch (error) {
      socket.close();
      throw failure ?? error;
    }
    this.#socket = socket;
  }

  /** @param owner told when the peer's host says that nobody is there, later or never */
  send(bytes: Buffer, owner: SendOwner | undefined): void {
    const now = this.#options.nowMs();
    this.usedAtMs = now;
    if (owner !== undefined) {
      if (this.#owners.length < MAX_OWNERS) this.#owners.push(owner);
      if (now < this.#refusedUntilMs) this.#tellUnlessHeard([owner], "ECONNREFUSED", SILENCE_MS);
    }
    this.#transmit(bytes, owner, true);
  }

  /** To be called once a second: who sent something before the second that ends is not told any more. */
  age(): void {
    this.#olderOwners = this.#owners;
    this.#owners = [];
  }

  /** What came and was not read yet is lost. */
  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #transmit(bytes: Buffer, owner: SendOwner | undefined, mayRepeat: boolean): void {
    const { unsent } = this.#options;
    if (this.#socket === undefined) return;
    this.#socket.send(bytes, (error) => {
      if (error === null) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ECONNREFUSED") return unsent(bytes, this, owner, error);
      // The error is of something that was sent before, and has kept this datagram from being sent.
      this.#refused(error);
      if (mayRepeat) this.#transmit(bytes, owner, false);
      else unsent(bytes, this, owner, error);
    });
  }

  #refused({ code = "refused" }: NodeJS.ErrnoException): void {
    this.#options.refused();
    this.#refusedUntilMs = this.#options.nowMs() + REFUSED_MS;
    const waiting = [...this.#olderOwners, ...this.#owners];
    this.#olderOwners = [];
    this.#owners = [];
    if (waiting.length > 0) this.#tellUnlessHeard(waiting, code);
  }

  #tellUnlessHeard(owners: readonly SendOwner[], code: string, graceMs = GRACE_MS): void {
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
}
