import type { SendOwner } from "../transaction/index.ts";
import type { Place } from "./datagram-socket.ts";
import { PeerSocket, type PeerSocketOptions } from "./peer-socket.ts";

/**
 * Sockets of peers on one listener. The system looks through them for each datagram of a stranger: 512 cost 4 µs, 1,024 cost 9, 2,048 cost 80. Peers beyond have
 * none, which costs them no more than the fast failure.
 */
export const MAX_PEER_SOCKETS = 512;
/** 64*T1: what was sent to a peer may be answered for so long (RFC 3261 §17). A socket is never closed earlier. */
export const ANSWER_MS = 32_000;
/** After how long without use a socket is closed in any case. */
export const IDLE_MS = 120_000;
/** How long none is tried when the system gave none, and none for a peer that there was no way to. */
export const PAUSE_MS = 10_000;
/** Sockets behind a wildcard that are looked at once a second: whether they still have the address that leads to their peer. Each costs some 30 µs. */
export const LOOKS = 32;
/** Errors that say that the address of ours that a socket was connected from does not lead to its peer any more. */
const NO_WAY = new Set(["EINVAL", "EADDRNOTAVAIL", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"]);

const WILDCARDS = new Set(["0.0.0.0", "::"]);

/** What the sockets of peers need of the rest of the program. */
export interface PeerSocketPorts {
  /** Whether requests will go there again and again. Only such a peer gets a socket: others may be made up by anybody. */
  readonly isLasting: (address: string, port: number) => boolean;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

export interface PeerSocketsOptions extends PeerSocketPorts, Pick<PeerSocketOptions, "local" | "received" | "sockets" | "sources"> {
  readonly counters: { icmp_refused: number; peer_sockets: number; send_errors: number };
  /** Sends from the listener itself. */
  readonly sendUnconnected: (text: string, to: Place, owner: SendOwner | undefined) => void;
  readonly fault: (error: unknown, action: string) => void;
  readonly max?: number;
}

/**
 * The sockets of one listener that are connected to peers, for as long as they are in use. None is closed within {@link ANSWER_MS} of its use, nor while
 * something waits in it, so that nothing that arrives is lost.
 */
export class PeerSockets {
  readonly #options: PeerSocketsOptions;
  readonly #byAddress = new Map<string, Map<number, PeerSocket>>();
  readonly #all = new Set<PeerSocket>();
  readonly #max: number;
  /** Peers that had no room since the last look. */
  #wanting = 0;
  #pausedUntilMs = 0;
  /** Peers that no socket could be connected to, and until when none is tried: as many as the table has, at most. */
  readonly #noWayUntilMs = new Map<string, number>();
  #closed = false;

  constructor(options: PeerSocketsOptions) {
    this.#options = options;
    this.#max = options.max ?? MAX_PEER_SOCKETS;
  }

  get size(): number {
    return this.#all.size;
  }

  /** The socket of a peer; undefined when there is none. @param wanted open one if there can be one */
  find(address: string, port: number, wanted: boolean): PeerSocket | undefined {
    const known = this.#byAddress.get(address)?.get(port);
    if (known !== undefined || !wanted || this.#closed) return known;
    const { isLasting, nowMs } = this.#options;
    if (nowMs() < this.#pausedUntilMs || this.#isPaused(address, port) || !isLasting(address, port)) return undefined;
    if (this.#all.size < this.#max) return this.#open(address, port);
    this.#wanting++;
    return undefined;
  }

  /** Looks at some sockets each time, at those first that were not looked at for longest. */
  #moveMisplaced(): void {
    if (!WILDCARDS.has(this.#options.local.address)) return;
    let left = Math.min(LOOKS, this.#all.size); // those looked at come last, and would come again
    for (const peer of this.#all) {
      if (left-- === 0) break;
      this.#all.delete(peer);
      this.#all.add(peer);
      if (peer.isMisplaced()) this.#replace(peer);
    }
  }

  /** Closes what is not in use any more. To be called once a second. */
  sweep(): void {
    const { isLasting, nowMs } = this.#options;
    const now = nowMs();
    const idle: PeerSocket[] = [];
    for (const peer of this.#all) {
      peer.age();
      const idleMs = now - peer.usedAtMs;
      if (idleMs <= ANSWER_MS) continue;
      if (idleMs > IDLE_MS || !isLasting(peer.address, peer.port)) this.#retire(peer);
      else idle.push(peer);
    }
    if (this.#wanting > 0) {
      idle.sort((a, b) => a.usedAtMs - b.usedAtMs);
      for (const peer of idle.slice(0, this.#wanting)) this.#retire(peer);
    }
    this.#wanting = 0;
    this.#moveMisplaced();
    for (const [place, untilMs] of this.#noWayUntilMs) if (untilMs <= now) this.#noWayUntilMs.delete(place);
  }

  /** Closes all at once. What waits in them is lost, as is what waits in the listener that is closed with them. */
  close(): void {
    this.#closed = true;
    for (const peer of this.#all) {
      this.#forget(peer);
      peer.close();
    }
  }

  #isPaused(address: string, port: number): boolean {
    return this.#noWayUntilMs.size > 0 && (this.#noWayUntilMs.get(`${address} ${port}`) ?? 0) > this.#options.nowMs();
  }

  #open(address: string, port: number): PeerSocket | undefined {
    const { counters, fault, local, nowMs, received, sendUnconnected, sockets, sources } = this.#options;
    try {
      const opened = new PeerSocket({
        ...{ local, nowMs, received, sockets, sources, peer: { address, port } },
        refused: () => {
          counters.icmp_refused++;
        },
        lost: () => {
          counters.send_errors++;
        },
        unsent: (text, peer, owner, { code = "" }) => {
          if (NO_WAY.has(code)) this.#replace(peer);
          sendUnconnected(text, peer, owner);
        },
      });
      this.#add(opened);
      return opened;
    } catch (error) {
      const untilMs = nowMs() + PAUSE_MS;
      if ((error as NodeJS.ErrnoException).syscall === "bind") {
        this.#pausedUntilMs = untilMs;
        fault(error, `open a socket for peer ${address} port ${port}, its messages go out from the listener`);
      } else this.#noWayUntilMs.set(`${address} ${port}`, untilMs); // who sends there is told when it sends
      return undefined;
    }
  }

  #add(peer: PeerSocket): void {
    this.#all.add(peer);
    const ofAddress = this.#byAddress.get(peer.address);
    if (ofAddress === undefined) this.#byAddress.set(peer.address, new Map([[peer.port, peer]]));
    else ofAddress.set(peer.port, peer);
    this.#options.counters.peer_sockets++;
  }

  /** Closes it behind the next reading of all sockets, unless something has come or gone by then. */
  #retire(peer: PeerSocket): void {
    const { usedAtMs } = peer;
    setImmediate(() => {
      if (peer.usedAtMs !== usedAtMs) return;
      this.#forget(peer);
      peer.close();
    });
  }

  /** Uses it no more. What has come to it is read, which may take until the reading after the one that is under way. */
  #replace(peer: PeerSocket): void {
    this.#forget(peer);
    setImmediate(() => setImmediate(() => peer.close()));
  }

  #forget(peer: PeerSocket): void {
    if (!this.#all.delete(peer)) return;
    const ofAddress = this.#byAddress.get(peer.address);
    ofAddress?.delete(peer.port);
    if (ofAddress?.size === 0) this.#byAddress.delete(peer.address);
    this.#options.counters.peer_sockets--;
  }
}
