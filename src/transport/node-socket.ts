import { createSocket, type Socket } from "node:dgram";
import type { LookupOptions } from "node:dns";
import type { SendOwner } from "../transaction/index.ts";
import type { DatagramHandler, DatagramSocket, DatagramSockets, Place } from "./datagram-socket.ts";
import type { SourceTable } from "./source-table.ts";

/** Asked of the kernel for bursts; it may give less. */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

/** Addresses only: names are looked up before anything is sent. */
function noLookup(
  hostname: string,
  _options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, hostname, hostname.includes(":") ? 6 : 4);
}

/**
 * A socket that is not bound yet, for the family of an address. Binding and connecting it ends within the call, as nothing is looked up.
 *
 * @param isShared see {@link DatagramSockets.bind}
 */
export function createUdpSocket(address: string, isShared: boolean): Socket {
  const isIpv6 = address.includes(":");
  return createSocket({ type: isIpv6 ? "udp6" : "udp4", ipv6Only: isIpv6, lookup: noLookup, reusePort: isShared });
}

/** A socket of Node.js on a descriptor that is bound, and that it closes from now on. */
export function wrapDescriptor(fd: number, isIpv6: boolean): Socket {
  const socket = createUdpSocket(isIpv6 ? "::" : "0.0.0.0", false);
  socket.bind({ fd, exclusive: true });
  return socket;
}

/** A UDP socket of node:dgram. */
export class NodeSocket implements DatagramSocket {
  readonly socket: Socket;
  #handler: DatagramHandler | undefined;
  #isClosed = false;

  /** @param socket bound */
  constructor(socket: Socket) {
    this.socket = socket;
  }

  address(): Place {
    return this.socket.address();
  }

  start(handler: DatagramHandler, sources: SourceTable): void {
    this.#handler = handler;
    this.socket.on("error", (error: NodeJS.ErrnoException) => handler.receiveFailed(error));
    this.socket.on("message", (bytes, { address, port }) => handler.received(bytes, 0, bytes.length, sources.of(address, port)));
  }

  enlargeBuffers(): void {
    this.socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    this.socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  }

  send(text: string, address: string, port: number, owner: SendOwner | undefined): void {
    if (this.#isClosed) return;
    this.socket.send(Buffer.from(text, "latin1"), port, address, (error) => {
      if (error !== null) this.#handler?.sendFailed(text, owner, error);
    });
  }

  sendConnected(text: string, owner: SendOwner | undefined): void {
    if (this.#isClosed) return;
    const bytes = Buffer.from(text, "latin1");
    this.socket.send(bytes, (error) => {
      if (error === null) return;
      if (this.#isClosed) return;
      this.socket.send(bytes, (again) => this.#handler?.sendFailed(text, owner, error, again));
    });
  }

  handle(): Socket {
    return this.socket;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await new Promise<void>((resolve) => this.socket.close(() => resolve()));
  }
}

/** UDP sockets of node:dgram. */
export class NodeSockets implements DatagramSockets {
  bind(address: string, port: number, isShared: boolean): Promise<NodeSocket> {
    const socket = createUdpSocket(address, isShared);
    return new Promise((resolve, reject) => {
      socket.once("error", (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeAllListeners("error");
        resolve(new NodeSocket(socket));
      });
    });
  }

  connect(local: Place, peer: Place, isShared: boolean): NodeSocket {
    const socket = createUdpSocket(local.address, isShared);
    let failure: Error | undefined;
    socket.on("error", (error) => {
      failure ??= error; // that of connect() comes later
    });
    try {
      socket.bind({ ...local, exclusive: true });
      if (failure === undefined) socket.connect(peer.port, peer.address);
      socket.remoteAddress(); // throws when it is not connected
      return new NodeSocket(socket);
    } catch (error) {
      socket.close();
      throw failure ?? error;
    }
  }

  adopt(socket: Socket): NodeSocket {
    return new NodeSocket(socket);
  }
}
