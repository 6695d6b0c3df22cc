import type { Socket } from "node:dgram";
import type { Endpoint, SendOwner } from "../transaction/index.ts";
import type { SourceTable } from "./source-table.ts";

/** An address, as text without brackets, and a port. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** Who is told of what comes to a UDP socket, and of what cannot be sent by it. */
export interface DatagramHandler {
  /** A datagram: the bytes from `start` to before `end`. They are others after this call. It must not throw. */
  received(bytes: Buffer, start: number, end: number, source: Endpoint): void;
  /**
   * How full the queue of the socket is, which the system keeps: from 0 to 1 and a little above. Told where more than a handful was read at once and more was left, and
   * with 0 when all is read again. Absent, or never told where the system does not say: nobody wants to know.
   */
  backlog?(share: number): void;
  /** Reading told of an error: on a connected socket that of an ICMP message. */
  receiveFailed(error: NodeJS.ErrnoException): void;
  /**
   * Something could not be sent; it may be told during the call that sends.
   *
   * @param again of a connected socket, which tries twice, as what ICMP says of an earlier datagram keeps the next from being sent, once: what the second attempt came to, null when it was sent
   */
  sendFailed(text: string, owner: SendOwner | undefined, error: NodeJS.ErrnoException, again?: NodeJS.ErrnoException | null): void;
  /** Something was thrown away, as too much waits to be sent: as if the network had lost it. */
  lost(): void;
}

/** A bound UDP socket, that nobody blocks on. Text goes out with one byte a character (latin1). */
export interface DatagramSocket {
  /** Where it is bound. @throws Error when it is closed */
  address(): Place;
  /** Reads from now on. @param sources who may have sent it */
  start(handler: DatagramHandler, sources: SourceTable): void;
  /** Makes room for bursts. @throws Error when the system refuses */
  enlargeBuffers(): void;
  send(text: string, address: string, port: number, owner: SendOwner | undefined): void;
  /** Sends to the peer that it is connected to. */
  sendConnected(text: string, owner: SendOwner | undefined): void;
  /** For another process that is to have the same socket. It is closed with this one. */
  handle(): Socket;
  /** Nobody is told anything afterwards. What waits in it is lost. May be called again. */
  close(): Promise<void>;
}

/** One way to have UDP sockets. */
export interface DatagramSockets {
  /**
   * Binds a socket, whoever else has its address and port when it is to be shared.
   *
   * @param isShared others of this user that say so, too, may have its address and port (SO_REUSEPORT). SO_REUSEADDR would let in every program of every user.
   * @throws NodeJS.ErrnoException of the system
   */
  bind(address: string, port: number, isShared: boolean): Promise<DatagramSocket>;
  /**
   * A bound socket that is connected to a peer.
   *
   * @throws NodeJS.ErrnoException with `syscall` "bind" when there can be no such socket; another Error when there is no way from `local` to the peer
   */
  connect(local: Place, peer: Place, isShared: boolean): DatagramSocket;
  /** One that came from another process. */
  adopt(socket: Socket): DatagramSocket;
}
