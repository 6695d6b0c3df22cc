/** Where a message came from, and so where its answers go (RFC 3261 §18.2.2, RFC 3581). */
export interface Endpoint {
  readonly transport: "udp" | "tcp" | "tls" | "ws" | "wss";
  /** Address of the peer, as text without brackets. */
  readonly address: string;
  readonly port: number;
  /** Host name of the URI that led there; over TLS its peer must show a certificate for it (RFC 5922). Absent when only the address is known. */
  readonly name?: string;
  /** The listener that received the message, and that sends the answers. */
  readonly listener: Listener;
  /** The connection that the message came on. What is sent here goes on it for as long as it is open, else to address and port. */
  readonly connection?: Connection;
  /** The same place over UDP, where a request would have gone but for its size (RFC 3261 §18.1.1): it goes there when nobody takes it here. */
  readonly insteadOf?: Endpoint;
}

/** Is told of the end of a connection. */
export interface ConnectionWatcher {
  connectionEnded(): void;
}

/** A connection of a reliable transport, as the core sees it. */
export interface Connection {
  readonly isOpen: boolean;
  /** Tells when it has ended, not during this call. Absent when its peer can be answered on another connection (RFC 3261 §18.2.2). */
  watch?(watcher: ConnectionWatcher): void;
  unwatch?(watcher: ConnectionWatcher): void;
  /** Asks the peer whether it is there. Without an answer the connection ends before long. */
  ask?(): void;
}

/** One listening socket of ours. */
export interface Listener {
  readonly transport: Endpoint["transport"];
  /** The address that was bound; may be a wildcard. */
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  /** What peers at `remoteAddress` should use to reach this listener: host[:port] for Via and Record-Route, IPv6 in brackets. */
  sentByFor(remoteAddress: string): string;
  /** Another one that requests leave by, and that those inside a call are to come to: peers know this one, and others listen beside it. Absent: this one. */
  readonly outgoing?: Listener | undefined;
}

/** Begins the reason of a transport error when the host of the peer says that nobody listens there (ICMP port unreachable). */
export const REFUSED = "refused";

/**
 * Begins the reason of a transport error when a connection ended that was in use before the request was sent on it: the other side may have closed it a moment
 * earlier, for being idle or to start again, which says nothing of whether it takes requests.
 */
export const LOST = "lost";

/** Is told when what it sent could not be sent. */
export interface SendOwner {
  transportError(reason: string): void;
}

/** The wire, as the core sees it. Sending never throws. */
export interface Wire {
  /** @param owner told of a transport error, later or never, never during this call */
  send(text: string, to: Endpoint, owner?: SendOwner): void;
}

/** Chance, as the core sees it. */
export interface Chance {
  /** Unguessable token of at least 96 bits in characters legal in a SIP token. */
  token(): string;
}
