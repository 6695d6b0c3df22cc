import { sourceOf } from "../overload/index.ts";
import { FRAMING_FAULTS } from "../sip/index.ts";

/** Why a connection came to its end, or was not taken at all. Each is counted. */
export const END_REASONS = [
  /** The other side closed it in order. */
  "closed-by-peer",
  /** It broke: a reset, a network that is gone. */
  "broken",
  "connect-failed",
  "connect-timeout",
  "handshake-failed",
  /** There were as many as there may be, in all or of its source. */
  "too-many",
  "too-many-of-source",
  /** Its source is banned. */
  "banned",
  "idle",
  /** It was opened to us, and no message came. */
  "silent",
  /** A message was not whole in time. */
  "slow-sender",
  /** What we sent was not taken, for too long or too much of it. */
  "not-reading",
  /** We opened it and sent a request, and nothing at all came back: its host is gone without a word, or has forgotten it. */
  "unresponsive",
  /** A ping of ours was not answered. */
  "no-pong",
  /** A WebSocket frame that is not as RFC 6455 wants it. */
  "bad-frame",
  "stopped",
  ...FRAMING_FAULTS,
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** One in so many connections is kept for those that we open. */
const OWN_SHARE = 10;

/** Bounds of connections; times in milliseconds. */
export interface ConnectionLimits {
  /** In all. Those that are opened to us leave one in {@link OWN_SHARE}, so that whoever opens many does not keep us from our destinations. */
  readonly max: number;
  /** Connections that one source may have opened to us: an IPv4 address, or an IPv6 block of 64 bits, which one host may have. */
  readonly maxOfSource: number;
  /** How long one may stay without a message or keep-alive in either direction. */
  readonly idleMs: number;
  /** How long one that was opened to us may stay without its first message. */
  readonly firstMessageMs: number;
  /** How long a message may take from its first byte to its last, and how long what we sent may wait to be taken. */
  readonly messageMs: number;
  /** How long one that we opened may bring nothing at all after a request of ours. To be more than `fr_timeout`. */
  readonly answerMs: number;
  /** How long the other side may take to accept a connection of ours, or to finish a handshake. */
  readonly connectMs: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  max: 10_000,
  maxOfSource: 256, // an office of telephones behind one address
  idleMs: 600_000, // longer than the keep-alives of RFC 5626 (95 to 120 s over streams) and most registrations
  firstMessageMs: 30_000,
  messageMs: 10_000,
  answerMs: 10_000,
  connectMs: 4_000, // less than the usual fr_timeout, so that a request goes on to the next destination for the right reason
};

/** A connection, as the table sees it. */
export interface TableConnection {
  readonly transport: string;
  /** Address of the peer. */
  readonly address: string;
  readonly port: number;
  /** The name that the peer has shown a certificate for; undefined when none was asked for. */
  readonly name?: string | undefined;
  /** The peer opened it. */
  readonly isInbound: boolean;
  /** Bytes can be sent: it is connected, and the handshake is done. */
  readonly isReady: boolean;
  /** At least one message came. */
  readonly hasSpoken: boolean;
  readonly openedAtMs: number;
  /** When something last came or went. */
  readonly activeAtMs: number;
  /** Since when a message is not whole, or what was sent is not taken. */
  readonly partialSinceMs: number | undefined;
  readonly stalledSinceMs: number | undefined;
  /** Since when a request of ours waits without anything having come. */
  readonly unansweredSinceMs: number | undefined;
  /** Of a transport that can ask whether the other side is there: when it was asked and has not answered, when anything last came, and the asking. */
  readonly pingedAtMs?: number | undefined;
  readonly heardAtMs?: number;
  ping?(nowMs: number): void;
  /** Ends it at once; harmless when it has ended. It takes itself out of the table. */
  end(reason: EndReason): void;
}

/** Plain counters, since the start; but for `open_connections`, which is now. */
export type ConnectionCounts = Record<string, number>;

/** All connections of all stream transports: how many there may be, which one leads to a peer, and which have had their time. */
export class ConnectionTable {
  readonly limits: ConnectionLimits;
  readonly counts: ConnectionCounts = { open_connections: 0, connections_accepted: 0, connections_opened: 0 };
  readonly #all = new Set<TableConnection>();
  readonly #byPeer = new Map<string, TableConnection>();
  /** By {@link sourceOf}. */
  readonly #ofSource = new Map<string, number>();
  #inbound = 0;

  constructor(limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS) {
    this.limits = limits;
    for (const reason of END_REASONS) this.counts[countOf(reason)] = 0;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Why there is no room for another connection; undefined when there is. Whoever is turned away for it counts that with {@link ended}. */
  refusal(address: string, isInbound: boolean): EndReason | undefined {
    const { max, maxOfSource } = this.limits;
    if (this.#all.size >= max) return "too-many";
    if (!isInbound) return undefined;
    if (this.#inbound >= max - Math.floor(max / OWN_SHARE)) return "too-many";
    if ((this.#ofSource.get(sourceOf(address)) ?? 0) >= maxOfSource) return "too-many-of-source";
    return undefined;
  }

  add(connection: TableConnection): void {
    this.#all.add(connection);
    for (const key of peerKeys(connection)) this.#byPeer.set(key, connection);
    this.counts["open_connections"] = this.#all.size;
    const { isInbound, address } = connection;
    this.counts[isInbound ? "connections_accepted" : "connections_opened"]! += 1;
    if (!isInbound) return;
    this.#inbound++;
    const source = sourceOf(address);
    this.#ofSource.set(source, (this.#ofSource.get(source) ?? 0) + 1);
  }

  /** Takes it out, and counts why. Harmless when it is not there. */
  remove(connection: TableConnection, reason: EndReason): void {
    if (!this.#all.delete(connection)) return;
    this.counts["open_connections"] = this.#all.size;
    for (const key of peerKeys(connection)) if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
    this.ended(reason);
    const { isInbound, address } = connection;
    if (!isInbound) return;
    this.#inbound--;
    const source = sourceOf(address);
    const left = (this.#ofSource.get(source) ?? 1) - 1;
    if (left > 0) this.#ofSource.set(source, left);
    else this.#ofSource.delete(source);
  }

  ended(reason: EndReason): void {
    this.counts[countOf(reason)]! += 1;
  }

  /**
   * The connection to this address and port, whoever opened it. One that a peer opened leads to the port that it was opened from, never to one that the
   * peer merely names: else anybody could have the calls of another (RFC 5923 §9).
   *
   * @param name only one whose peer has shown a certificate for it; undefined: any
   */
  find(transport: string, address: string, port: number, name?: string): TableConnection | undefined {
    return this.#byPeer.get(peerKey(transport, address, port, name));
  }

  /** Ends those whose time is over, and asks the silent ones whether they are there, where they can be asked. To be called about once a second. */
  sweep(nowMs: number): void {
    for (const connection of this.#all) {
      const { isReady, hasSpoken, heardAtMs = nowMs } = connection;
      const { idleMs, firstMessageMs } = this.limits;
      const reason = this.#overdue(connection, nowMs);
      if (reason !== undefined) connection.end(reason);
      else if (isReady && nowMs - heardAtMs > (hasSpoken ? idleMs / 2 : Math.min(idleMs / 2, firstMessageMs))) connection.ping?.(nowMs);
    }
  }

  #overdue(connection: TableConnection, nowMs: number): EndReason | undefined {
    const { answerMs, connectMs, firstMessageMs, idleMs, messageMs } = this.limits;
    const { openedAtMs, partialSinceMs, stalledSinceMs, pingedAtMs, unansweredSinceMs } = connection;
    if (!connection.isReady) return nowMs - openedAtMs > connectMs ? "connect-timeout" : undefined;
    if (partialSinceMs !== undefined && nowMs - partialSinceMs > messageMs) return "slow-sender";
    if (stalledSinceMs !== undefined && nowMs - stalledSinceMs > messageMs) return "not-reading";
    if (pingedAtMs !== undefined && nowMs - pingedAtMs > messageMs) return "no-pong";
    if (!connection.isInbound && unansweredSinceMs !== undefined && nowMs - unansweredSinceMs > answerMs) return "unresponsive";
    // Who can be asked need not speak: a telephone in a browser connects long before its first call.
    if (connection.isInbound && !connection.hasSpoken && connection.ping === undefined && nowMs - openedAtMs > firstMessageMs)
      return "silent";
    return nowMs - connection.activeAtMs > idleMs ? "idle" : undefined;
  }
}

/** One that leads to a name also leads to its address. */
function peerKeys({ transport, address, port, name }: TableConnection): string[] {
  const key = peerKey(transport, address, port);
  return name === undefined ? [key] : [key, peerKey(transport, address, port, name)];
}

function peerKey(transport: string, address: string, port: number, name?: string): string {
  return name === undefined ? `${transport} ${address} ${port}` : `${transport} ${address} ${port} ${name}`;
}

function countOf(reason: EndReason): string {
  return `connections_ended_${reason.replaceAll("-", "_")}`;
}
