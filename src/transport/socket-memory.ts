import type { Place } from "./datagram-socket.ts";
import {
  AF_INET,
  AF_INET6,
  EINVAL,
  IOVEC,
  MMSGHDR,
  type Pointer,
  SO_MEMINFO,
  SO_TYPE,
  SOCK_DGRAM,
  SOL_SOCKET,
  type SystemCalls,
  systemError,
} from "./system-calls.ts";

/** Datagrams that one call reads, at most. */
export const BATCH = 32;
/** No datagram is longer: the length of UDP has 16 bits, its header among them. So none is ever cut. */
export const SLOT_BYTES = 65_536;
/** Longest text that is handed to the system, which refuses what is too long for a datagram itself. */
export const MAX_TEXT_BYTES = SLOT_BYTES;
/** `sizeof(struct sockaddr_in)`, and `sockaddr_in6`. */
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
/** Room for an address of either family. */
const NAME_BYTES = 32;
/** INET6_ADDRSTRLEN 46, and IF_NAMESIZE 16. */
const TEXT_BYTES = 64;
/** IPv6 addresses whose bytes are remembered; then all are forgotten. Those of IPv4 are worked out each time, which is no slower. */
const MAX_KNOWN = 4_096;

const RECEIVED = 0;
const SENT = RECEIVED + BATCH * SLOT_BYTES;
const HEADERS = SENT + MAX_TEXT_BYTES;
const VECTORS = HEADERS + BATCH * MMSGHDR.bytes;
const NAMES = VECTORS + BATCH * IOVEC.bytes;
const TARGET = NAMES + BATCH * NAME_BYTES;
const SCRATCH = TARGET + NAME_BYTES;
const VALUE = SCRATCH + NAME_BYTES;
const TEXT = VALUE + 8;
const TOTAL = TEXT + TEXT_BYTES;

/** The dot between the numbers of an IPv4 address. */
const DOT = 46;

/**
 * The memory that all sockets of one thread hand to the system, one at a time: what is written to it is used by the next call, and what a call has read is used
 * before the next. It is an ArrayBuffer, which V8 frees when nobody has this object any more and never moves; no call keeps an address beyond its end. Every
 * address below is a constant offset within it or an index below {@link BATCH}, and every length that the system may write to is that of the part it writes to.
 */
export class SocketMemory {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly headers: Pointer;
  readonly sent: Pointer;
  readonly target: Pointer;
  readonly #base: Pointer;
  readonly #calls: SystemCalls;
  readonly #ipv6 = new Map<string, Uint8Array>();

  constructor(calls: SystemCalls) {
    const memory = new ArrayBuffer(TOTAL);
    this.#calls = calls;
    this.bytes = Buffer.from(memory);
    this.words = new Uint32Array(memory);
    this.#base = calls.addressOf(memory);
    this.headers = this.#base + HEADERS;
    this.sent = this.#base + SENT;
    this.target = this.#base + TARGET;
    const view = new DataView(memory);
    const write = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
    for (let i = 0; i < BATCH; i++) {
      const header = HEADERS + i * MMSGHDR.bytes;
      const vector = VECTORS + i * IOVEC.bytes;
      write(vector + IOVEC.base, this.#base + RECEIVED + i * SLOT_BYTES);
      write(vector + IOVEC.length, SLOT_BYTES);
      write(header + MMSGHDR.name, this.#base + NAMES + i * NAME_BYTES);
      write(header + MMSGHDR.vectors, this.#base + vector);
      write(header + MMSGHDR.vectorCount, 1);
      this.rearm(i);
    }
  }

  /** Where a datagram of the batch begins in {@link bytes}. */
  startOf(index: number): number {
    return RECEIVED + index * SLOT_BYTES;
  }

  /** How long a datagram of the batch is. */
  lengthOf(index: number): number {
    return Math.min(SLOT_BYTES, this.words[(HEADERS + index * MMSGHDR.bytes + MMSGHDR.length) >>> 2]!);
  }

  /** The word of {@link words} where the sender of a datagram begins. */
  sourceOf(index: number): number {
    return (NAMES + index * NAME_BYTES) >>> 2;
  }

  /** The system has put the length of an address where it found the room for one: the next may be longer. */
  rearm(index: number): void {
    this.words[(HEADERS + index * MMSGHDR.bytes + MMSGHDR.nameLength) >>> 2] = IPV6_BYTES;
  }

  /** The family of the address at a word. */
  familyAt(at: number): number {
    return this.words[at]! & 0xffff;
  }

  /** The address at a word, as text and number. A field, so that it can be handed on as it is. */
  readonly read = (at: number): Place => {
    const offset = at * 4;
    const { bytes } = this;
    const port = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
    if (this.familyAt(at) === AF_INET) {
      const address = `${bytes[offset + 4]}.${bytes[offset + 5]}.${bytes[offset + 6]}.${bytes[offset + 7]}`;
      return { address, port };
    }
    const address = this.#text(this.#calls.inetNtop(AF_INET6, this.#base + offset + 8, this.#base + TEXT, TEXT_BYTES));
    const scope = this.words[at + 6]!;
    // Of link-local addresses alone, as node:dgram writes them.
    if (scope === 0 || bytes[offset + 8] !== 0xfe || (bytes[offset + 9]! & 0xc0) !== 0x80) return { address, port };
    return { address: `${address}%${this.#text(this.#calls.interfaceName(scope, this.#base + TEXT)) || scope}`, port };
  };

  /** Writes an address to {@link target}. @returns its length, 0 when it is no address of the family */
  aim(family: number, address: string, port: number): number {
    if (!(port >= 0 && port <= 65_535)) return 0;
    const { bytes, words } = this;
    if (family === AF_INET) {
      const value = ipv4(address);
      if (value < 0) return 0;
      words[TARGET >>> 2] = AF_INET | (((port >>> 8) | ((port & 0xff) << 8)) << 16);
      words[(TARGET >>> 2) + 1] = value;
      return IPV4_BYTES;
    }
    const known = this.#ipv6.get(address) ?? this.#parse(address);
    if (known === undefined) return 0;
    bytes.set(known, TARGET);
    bytes[TARGET + 2] = port >>> 8;
    bytes[TARGET + 3] = port & 0xff;
    return IPV6_BYTES;
  }

  /** The address of a socket, or of its peer; undefined when it has none. */
  nameOf(fd: number, whose: "getsockname" | "getpeername"): Place | undefined {
    this.words[VALUE >>> 2] = IPV6_BYTES;
    if (this.#calls[whose](fd, this.#base + SCRATCH, this.#base + VALUE) !== 0) return undefined;
    const family = this.familyAt(SCRATCH >>> 2);
    return family === AF_INET || family === AF_INET6 ? this.read(SCRATCH >>> 2) : undefined;
  }

  /** Puts a text at {@link sent}, one byte a character. @param text of {@link MAX_TEXT_BYTES} at most @returns its length */
  write(text: string): number {
    return text.length > MAX_TEXT_BYTES ? 0 : this.bytes.write(text, SENT, "latin1");
  }

  /** Whether a descriptor is a UDP socket, and not one of TCP on the same address. */
  isDatagram(fd: number): boolean {
    this.words[VALUE >>> 2] = 0;
    this.words[(VALUE >>> 2) + 1] = 4;
    const result = this.#calls.getsockopt(fd, SOL_SOCKET, SO_TYPE, this.#base + VALUE, this.#base + VALUE + 4);
    return result === 0 && this.words[VALUE >>> 2] === SOCK_DGRAM;
  }

  /** Share of the room for what waits to be read in a socket that is taken, from 0 to 1 and a little above; 0 where the system does not say. */
  backlogOf(fd: number): number {
    const { words } = this;
    words[VALUE >>> 2] = TEXT_BYTES;
    if (this.#calls.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, this.#base + TEXT, this.#base + VALUE) !== 0) return 0;
    const at = TEXT >>> 2;
    const room = words[at + 1]!;
    return room === 0 ? 0 : words[at]! / room;
  }

  /** Sets an option of a socket that is a number. @throws NodeJS.ErrnoException */
  setOption(fd: number, level: number, name: number, value: number): void {
    this.words[VALUE >>> 2] = value;
    if (this.#calls.setsockopt(fd, level, name, this.#base + VALUE, 4) !== 0) throw systemError(this.#calls.errno(), "setsockopt");
  }

  #parse(address: string): Uint8Array | undefined {
    const percent = address.indexOf("%");
    const bare = percent < 0 ? address : address.slice(0, percent);
    if (bare.includes("\0") || this.#calls.inetPton(AF_INET6, bare, this.#base + SCRATCH + 8) !== 1) return undefined;
    const at = SCRATCH >>> 2;
    this.words[at] = AF_INET6;
    this.words[at + 1] = 0;
    this.words[at + 6] = percent < 0 ? 0 : this.#calls.interfaceIndex(address.slice(percent + 1));
    const known = Uint8Array.prototype.slice.call(this.bytes, SCRATCH, SCRATCH + IPV6_BYTES);
    if (this.#ipv6.size >= MAX_KNOWN) this.#ipv6.clear();
    this.#ipv6.set(address, known);
    return known;
  }

  /** What the system wrote at {@link TEXT}. @param result 0: nothing */
  #text(result: Pointer): string {
    if (result === 0) return "";
    const end = this.bytes.indexOf(0, TEXT);
    return this.bytes.toString("latin1", TEXT, end < 0 ? TOTAL : end);
  }
}

/** The address as it stands in memory, most significant byte first, read as a little-endian number; -1 when it is none. */
export function ipv4(text: string): number {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  const { length } = text;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || dots === 3) return -1;
      value |= part << (8 * dots++);
      part = 0;
      digits = 0;
      continue;
    }
    const digit = code - 48;
    // No leading zero: others take such a number for an octal one.
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + digit;
    if (part > 255) return -1;
    digits++;
  }
  if (dots !== 3 || digits === 0) return -1;
  return (value | (part << 24)) >>> 0;
}

/** An error for what is no address. */
export function noAddress(syscall: string, address: string, port: number): NodeJS.ErrnoException {
  return systemError(EINVAL, syscall, address, port);
}
