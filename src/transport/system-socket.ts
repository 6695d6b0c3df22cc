import type { Socket } from "node:dgram";
import { readdirSync } from "node:fs";
import type { SendOwner } from "../transaction/index.ts";
import type { DatagramHandler, DatagramSocket, DatagramSockets, Place } from "./datagram-socket.ts";
import { NodeSocket, SOCKET_BUFFER_BYTES, wrapDescriptor } from "./node-socket.ts";
import { BATCH, MAX_TEXT_BYTES, noAddress, type SocketMemory } from "./socket-memory.ts";
import type { SourceTable } from "./source-table.ts";
import * as os from "./system-calls.ts";

/** Attempts to read at a time. One batch, as Node.js has it, then others and the rest of the program have their turn: what is left wakes it again. Errors come before. */
const MAX_ATTEMPTS = 4;
/**
 * Datagrams that wait in one socket for room in its send buffer. A burst can fill that for some milliseconds where a network card is slower than this program: to
 * lose them would cost a repetition half a second later, and an ACK for a refusal is repeated by nobody. A second's worth of a link that is too slow is lost.
 */
export const MAX_WAITING = 1_024;
const READABLE: os.PollEvents = { readable: true, writable: false };
const READABLE_OR_WRITABLE: os.PollEvents = { readable: true, writable: true };

interface Waiting {
  readonly text: string;
  /** Undefined: the peer that the socket is connected to. */
  readonly to: Place | undefined;
  readonly owner: SendOwner | undefined;
}

/** A UDP socket on direct system calls. It owns its descriptor, which is closed once; the memory is that of all sockets of the thread. */
export class SystemSocket implements DatagramSocket {
  readonly #calls: os.SystemCalls;
  readonly #memory: SocketMemory;
  readonly #family: number;
  readonly #fd: number;
  #isClosed = false;
  #handler: DatagramHandler | undefined;
  #sources: SourceTable | undefined;
  /** Has to be held for as long as it is open: nothing else does, and it ends when nobody has it. */
  #poll: os.Poll | undefined;
  /** In order, from {@link #sentUpTo} on. */
  #waiting: Waiting[] = [];
  #sentUpTo = 0;
  #handle: NodeSocket | undefined;
  /** When it was read last, more was left. */
  #hasBacklog = false;

  /** @param fd a UDP socket of the family that does not block; it belongs to this object from now on */
  constructor(calls: os.SystemCalls, memory: SocketMemory, family: number, fd: number) {
    this.#calls = calls;
    this.#memory = memory;
    this.#family = family;
    this.#fd = fd;
  }

  address(): Place {
    const place = this.#isClosed ? undefined : this.#memory.nameOf(this.#fd, "getsockname");
    if (place === undefined) throw os.systemError(os.EINVAL, "getsockname");
    return place;
  }

  start(handler: DatagramHandler, sources: SourceTable): void {
    if (this.#isClosed || this.#poll !== undefined) return;
    this.#handler = handler;
    this.#sources = sources;
    this.#poll = this.#calls.poll(this.#fd, READABLE, this.#woken);
  }

  enlargeBuffers(): void {
    this.#memory.setOption(this.#fd, os.SOL_SOCKET, os.SO_RCVBUF, SOCKET_BUFFER_BYTES);
    this.#memory.setOption(this.#fd, os.SOL_SOCKET, os.SO_SNDBUF, SOCKET_BUFFER_BYTES);
  }

  send(text: string, address: string, port: number, owner: SendOwner | undefined): void {
    if (this.#isClosed) return;
    if (this.#waiting.length > 0) {
      this.#wait({ text, to: { address, port }, owner });
      return;
    }
    const errno = this.#transmit(text, address, port);
    if (errno === 0) return;
    if (errno === os.EAGAIN) this.#wait({ text, to: { address, port }, owner });
    else this.#handler?.sendFailed(text, owner, os.systemError(errno, "send", address, port));
  }

  sendConnected(text: string, owner: SendOwner | undefined): void {
    if (this.#isClosed) return;
    if (this.#waiting.length > 0 || !this.#sendConnectedNow(text, owner)) this.#wait({ text, to: undefined, owner });
  }

  handle(): Socket {
    if (this.#handle !== undefined) return this.#handle.socket;
    const copy = this.#calls.duplicate(this.#fd);
    if (copy < 0) throw os.systemError(this.#calls.errno(), "fcntl");
    const socket = wrapDescriptor(copy, this.#family === os.AF_INET6);
    this.#handle = new NodeSocket(socket);
    // Node.js reads whatever it has, and lets in others that set SO_REUSEADDR.
    if (this.#handler !== undefined && this.#sources !== undefined) this.#handle.start(this.#handler, this.#sources);
    this.forbidReuse();
    return socket;
  }

  /** Takes back SO_REUSEADDR, which Node.js sets on each socket that it is given: with it any program of any user might bind the port. */
  forbidReuse(): void {
    this.#memory.setOption(this.#fd, os.SOL_SOCKET, os.SO_REUSEADDR, 0);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // In this order: libuv still tells the kernel to forget the descriptor.
    this.#poll?.close();
    this.#poll = undefined;
    this.#handler = undefined;
    this.#waiting = [];
    this.#calls.close(this.#fd);
    await this.#handle?.close();
  }

  /** Writes the text, and sends it. @param address undefined: to the peer that it is connected to @returns 0, or the number of the error */
  #transmit(text: string, address: string | undefined, port: number): number {
    const memory = this.#memory;
    // The text has one byte a character, and the memory room for so many.
    if (text.length > MAX_TEXT_BYTES) return os.EMSGSIZE;
    let addressLength = 0;
    if (address !== undefined) {
      addressLength = memory.aim(this.#family, address, port);
      if (addressLength === 0) return os.EINVAL;
    }
    const length = memory.write(text);
    const calls = this.#calls;
    const target = addressLength === 0 ? 0 : memory.target;
    return calls.sendto(this.#fd, memory.sent, length, os.MSG_NOSIGNAL, target, addressLength) < 0 ? calls.errno() || os.EINVAL : 0;
  }

  /** Sends, and once more after an error. @returns false when there is no room */
  #sendConnectedNow(text: string, owner: SendOwner | undefined): boolean {
    const errno = this.#transmit(text, undefined, 0);
    if (errno === 0) return true;
    if (errno === os.EAGAIN) return false;
    const again = this.#transmit(text, undefined, 0);
    const isFull = again === os.EAGAIN;
    const second = again === 0 || isFull ? null : os.systemError(again, "send");
    this.#handler?.sendFailed(text, owner, os.systemError(errno, "send"), second);
    return !isFull;
  }

  #wait(waiting: Waiting): void {
    if (this.#poll === undefined || this.#waiting.length - this.#sentUpTo >= MAX_WAITING) {
      this.#handler?.lost();
      return;
    }
    if (this.#sentUpTo >= MAX_WAITING) this.#sentUpTo -= this.#waiting.splice(0, this.#sentUpTo).length;
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) this.#poll.start(READABLE_OR_WRITABLE, this.#woken);
  }

  #sendWaiting(): void {
    while (this.#sentUpTo < this.#waiting.length) {
      const { text, to, owner } = this.#waiting[this.#sentUpTo]!;
      if (to === undefined) {
        if (!this.#sendConnectedNow(text, owner)) return;
      } else {
        const errno = this.#transmit(text, to.address, to.port);
        if (errno === os.EAGAIN) return;
        if (errno !== 0) this.#handler?.sendFailed(text, owner, os.systemError(errno, "send", to.address, to.port));
      }
      if (this.#isClosed) return;
      this.#sentUpTo++;
    }
    this.#waiting = [];
    this.#sentUpTo = 0;
    this.#poll?.start(READABLE, this.#woken);
  }

  /** Called by native code, which must get no exception. */
  readonly #woken = (status: number): void => {
    try {
      this.#tellBacklog(this.#read());
      if (this.#waiting.length > 0) this.#sendWaiting();
    } catch (error) {
      setImmediate(rethrow, error);
    } finally {
      // An error that waited, which reading has taken away: libuv has ended the polling.
      if (status < 0) this.#poll?.start(this.#waiting.length > 0 ? READABLE_OR_WRITABLE : READABLE, this.#woken);
    }
    // What messages left to promises and to the next tick is done behind a callback of Node.js, which this is none of.
    setImmediate(nothing);
  };

  /** @returns whether there may be more */
  #read(): boolean {
    const calls = this.#calls;
    const memory = this.#memory;
    for (let attempt = 0; attempt < MAX_ATTEMPTS && this.#poll !== undefined; attempt++) {
      const count = calls.recvmmsg(this.#fd, memory.headers, BATCH, os.MSG_DONTWAIT, 0);
      if (count < 0) {
        const errno = calls.errno();
        if (errno === os.EAGAIN || errno === os.EINTR) return false;
        this.#handler?.receiveFailed(os.systemError(errno, "recvmsg"));
        continue;
      }
      for (let i = 0; i < count; i++) {
        const at = memory.sourceOf(i);
        const start = memory.startOf(i);
        const handler = this.#handler;
        if (handler === undefined) break; // closed by what came before
        if (memory.familyAt(at) === this.#family)
          handler.received(memory.bytes, start, start + memory.lengthOf(i), this.#sources!.find(memory.words, at, memory.read));
      }
      for (let i = 0; i < count; i++) memory.rearm(i);
      return count === BATCH;
    }
    return true;
  }

  #tellBacklog(isMoreLeft: boolean): void {
    if (!isMoreLeft && !this.#hasBacklog) return;
    this.#hasBacklog = isMoreLeft;
    if (this.#poll !== undefined) this.#handler?.backlog?.(isMoreLeft ? this.#memory.backlogOf(this.#fd) : 0);
  }
}

/**
 * UDP sockets on direct system calls: half of the time that those of node:dgram take. One for each thread, which closes its sockets before it ends: koffi 3.3
 * ends the whole process when `Worker.terminate()` comes while a socket calls back.
 */
export class SystemSockets implements DatagramSockets {
  readonly #calls: os.SystemCalls;
  readonly #memory: SocketMemory;

  constructor(calls: os.SystemCalls, memory: SocketMemory) {
    this.#calls = calls;
    this.#memory = memory;
  }

  async bind(address: string, port: number, isShared: boolean): Promise<SystemSocket> {
    const { family, fd } = this.#open(address, port, isShared);
    return new SystemSocket(this.#calls, this.#memory, family, fd);
  }

  connect(local: Place, peer: Place, isShared: boolean): SystemSocket {
    const socket = this.#open(local.address, local.port, isShared);
    try {
      const length = this.#memory.aim(socket.family, peer.address, peer.port);
      if (length === 0) throw noAddress("connect", peer.address, peer.port);
      if (this.#calls.connect(socket.fd, this.#memory.target, length) !== 0)
        throw os.systemError(this.#calls.errno(), "connect", peer.address, peer.port);
    } catch (error) {
      this.#calls.close(socket.fd);
      throw error;
    }
    return new SystemSocket(this.#calls, this.#memory, socket.family, socket.fd);
  }

  /** @throws Error when its descriptor cannot be found */
  adopt(socket: Socket): SystemSocket {
    const { address, family, port } = socket.address();
    const calls = this.#calls;
    const copy = calls.duplicate(this.#descriptorOf(address, port));
    if (copy < 0) throw os.systemError(calls.errno(), "fcntl");
    const adopted = new SystemSocket(calls, this.#memory, family === "IPv6" ? os.AF_INET6 : os.AF_INET, copy);
    adopted.forbidReuse();
    socket.close();
    return adopted;
  }

  /** A socket of this process that is bound to a place and connected to none. Node.js does not tell the descriptors of its own. */
  #descriptorOf(address: string, port: number): number {
    for (const name of readdirSync("/proc/self/fd")) {
      const fd = Number(name);
      const place = this.#memory.nameOf(fd, "getsockname");
      if (place?.port !== port || place.address !== address) continue;
      if (this.#memory.nameOf(fd, "getpeername") === undefined && this.#memory.isDatagram(fd)) return fd;
    }
    throw new Error(`no descriptor is bound to ${address} port ${port}`);
  }

  /** A bound descriptor. @throws NodeJS.ErrnoException with `syscall` "bind", whatever it was that failed */
  #open(address: string, port: number, isShared: boolean): { readonly family: number; readonly fd: number } {
    const calls = this.#calls;
    const memory = this.#memory;
    const family = address.includes(":") ? os.AF_INET6 : os.AF_INET;
    const fd = calls.socket(family, os.DATAGRAM, 0);
    if (fd < 0) throw os.systemError(calls.errno(), "bind", address, port);
    try {
      if (family === os.AF_INET6) memory.setOption(fd, os.IPPROTO_IPV6, os.IPV6_V6ONLY, 1);
      if (isShared) memory.setOption(fd, os.SOL_SOCKET, os.SO_REUSEPORT, 1);
      const length = memory.aim(family, address, port);
      if (length === 0) throw noAddress("bind", address, port);
      if (calls.bind(fd, memory.target, length) !== 0) throw os.systemError(calls.errno(), "bind", address, port);
    } catch (error) {
      calls.close(fd);
      throw error;
    }
    return { family, fd };
  }
}

function rethrow(error: unknown): never {
  throw error;
}

function nothing(): void {}
