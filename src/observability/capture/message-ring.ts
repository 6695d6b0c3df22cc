import { setImmediate } from "node:timers/promises";
import { callIdOf } from "./call-id.ts";

/** A message as it was on the wire, and between whom. */
export interface CapturedMessage {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly isReceived: boolean;
  readonly transport: Transport;
  /** Address of this side, and of the other one, as text without brackets. */
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  /** One character a byte. */
  readonly text: string;
}

/** What was found of a call. */
export interface Capture {
  /** The oldest first. */
  readonly messages: readonly CapturedMessage[];
  /** Further messages of the call that are in the ring. */
  readonly omitted: number;
}

/** What is told of a call at most: the first ones. */
export interface CaptureLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** The other side of a message, as the core knows it. */
interface Peer {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
  readonly listener: { readonly port: number };
}

/** What `write(…, "latin1")` ends in; looking for it by the name of the encoding takes a fifth of the time. */
type RawBuffer = Buffer<ArrayBuffer> & { latin1Write(text: string, offset: number, length: number): number };

type Transport = (typeof TRANSPORTS)[number];

const TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"] as const;
/** Records begin at multiples of this, so that their numbers are written as numbers: a `DataView` takes nearly twice as long for it. */
const ALIGNMENT = 8;
const HEADER_BYTES = 32;
/** Places in a record, in words of four bytes. In place of an IPv4 address: the length of one that stands as text before the message. */
const At = { size: 0, textLength: 1, time: 2, local: 4, remote: 5, ports: 6, kind: 7 } as const;
const RECEIVED_BIT = 0x80;
const LOCAL_TEXT_BIT = 0x40;
const REMOTE_TEXT_BIT = 0x20;
const TRANSPORT_BITS = 0x07;
/** In place of a size: the next record is the first one of the ring. */
const TURN = 0;
/** No address in a number: IPv6, a name, and 255.255.255.255, from where nothing comes. */
const AS_TEXT = -1;
const LONGEST_IPV4 = "255.255.255.255".length;
const DIGITS = 10;
const DOT = -2;
const ZERO = 0x30;
/** What is searched in one go: less than a millisecond, so that no call waits for whoever looks for another one. */
const SLICE_BYTES = 64 * 1024;
/** Stands where bytes of a Call-ID are no UTF-8: a client, who has read it in JSON, cannot know them. */
const UNREADABLE = "\ufffd";

/**
 * Remembers the latest messages, of all calls, in memory of a fixed size outside of the heap: who asks is rare and may take his time, while writing is on the
 * path of each message. It copies the bytes by one call, writes some numbers beside them, and leaves nothing for the garbage collector: 0.2 µs a message.
 */
export class MessageRing {
  /** Messages that were ever written. */
  written = 0;
  /** Messages that were larger than the ring. */
  too_large = 0;
  readonly #bytes: RawBuffer;
  /** The same memory. */
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #capacity: number;
  /** Where the next record goes, where the oldest one is, and how many there are. */
  #head = 0;
  #tail = 0;
  #count = 0;

  /** The address of this side that came last, as it stands in a record: there are few of them. */
  #lastLocal = "";
  #lastLocalNumber = AS_TEXT;

  /** @param sizeBytes what all records may take; it is taken at once, so that it does not look like a leak later */
  constructor(sizeBytes: number) {
    this.#capacity = sizeBytes - (sizeBytes % ALIGNMENT);
    const memory = new ArrayBuffer(this.#capacity);
    this.#bytes = Buffer.from(memory).fill(0xff) as RawBuffer;
    this.#words = new Int32Array(memory);
    this.#times = new Float64Array(memory);
  }

  /** Messages that are in the ring. */
  get count(): number {
    return this.#count;
  }

  /** When the oldest message was written, in milliseconds since 1970; undefined while there is none. */
  get oldestMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#times[(this.#tail >> 3) + At.time / 2];
  }

  /** Writes a message over the oldest ones. @param local address of this side */
  write(text: string, peer: Peer, local: string, isReceived: boolean, atMs: number): void {
    const remote = peer.address;
    if (local !== this.#lastLocal) {
      this.#lastLocal = local;
      this.#lastLocalNumber = ipv4NumberOf(local);
    }
    const localNumber = this.#lastLocalNumber;
    const remoteNumber = ipv4NumberOf(remote);
    const length = text.length;
    const texts = (localNumber === AS_TEXT ? local.length : 0) + (remoteNumber === AS_TEXT ? remote.length : 0);
    const size = (HEADER_BYTES + texts + length + ALIGNMENT - 1) & -ALIGNMENT;
    if (size > this.#capacity) {
      this.too_large++;
      return;
    }
    const at = this.#placeFor(size);
    const words = this.#words;
    const word = at >> 2;
    let kind = placeOf(peer.transport) | (isReceived ? RECEIVED_BIT : 0);
    let textAt = at + HEADER_BYTES;
    words[word + At.size] = size;
    words[word + At.textLength] = length;
    this.#times[(at >> 3) + At.time / 2] = atMs;
    words[word + At.local] = localNumber;
    words[word + At.remote] = remoteNumber;
    words[word + At.ports] = (peer.listener.port << 16) | peer.port;
    if (localNumber === AS_TEXT) {
      kind |= LOCAL_TEXT_BIT;
      words[word + At.local] = local.length;
      textAt = this.#writeShort(local, textAt);
    }
    if (remoteNumber === AS_TEXT) {
      kind |= REMOTE_TEXT_BIT;
      words[word + At.remote] = remote.length;
      textAt = this.#writeShort(remote, textAt);
    }
    words[word + At.kind] = kind;
    this.#bytes.latin1Write(text, textAt, length);
    this.#head += size;
    this.#count++;
    this.written++;
  }

  /**
   * The messages of a call; calls go on meanwhile, and may overwrite the oldest of them.
   *
   * @param callId its Call-ID in UTF-8, {@link UNREADABLE} in place of bytes that are none
   */
  async find(callId: string, most: CaptureLimits): Promise<Capture> {
    const search = new Search(callId, most);
    const end = this.written;
    let next = callId === "" ? end : this.written - this.#count;
    let at = this.#tail;
    while (next < end) {
      const looked = this.#look(at, end - next, search);
      next += looked.count;
      at = looked.end;
      await setImmediate();
      const oldest = this.written - this.#count;
      if (next < oldest) [next, at] = [oldest, this.#tail];
    }
    return search.found;
  }

  /** Looks at the records from here on, in one go. @returns how many these were, and where they end */
  #look(at: number, most: number, search: Search): { count: number; end: number } {
    const begin = this.#recordAt(at);
    let end = begin;
    let count = 0;
    while (count < most && end - begin < SLICE_BYTES && (count === 0 || this.#recordAt(end) === end)) {
      end += this.#sizeAt(end);
      count++;
    }
    let record = begin;
    for (let hit = begin; record < end; ) {
      const found = this.#bytes.subarray(hit, end).indexOf(search.needle);
      if (found === -1) break;
      hit += found;
      let next = record + this.#sizeAt(record);
      while (next <= hit) [record, next] = [next, next + this.#sizeAt(next)];
      search.take(this.#read(record));
      record = next;
      hit = next;
    }
    return { count, end };
  }

  /** A text of some bytes: a call of the system library takes longer than writing these. @returns where it ends */
  #writeShort(text: string, at: number): number {
    const bytes = this.#bytes;
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    return at + text.length;
  }

  /** Makes room, without a gap but at the end of the memory. */
  #placeFor(size: number): number {
    if (this.#head + size > this.#capacity) {
      while (this.#count > 0 && this.#tail >= this.#head) this.#dropOldest();
      if (this.#head < this.#capacity) this.#words[this.#head >> 2] = TURN;
      this.#head = 0;
    }
    const end = this.#head + size;
    while (this.#count > 0 && this.#tail >= this.#head && this.#tail < end) this.#dropOldest();
    if (this.#count === 0) this.#tail = this.#head;
    return this.#head;
  }

  #dropOldest(): void {
    this.#count--;
    this.#tail += this.#sizeAt(this.#tail);
    if (this.#count > 0) this.#tail = this.#recordAt(this.#tail);
  }

  /** Where the record is that is said to be here: at the beginning when there is none behind. */
  #recordAt(at: number): number {
    return at === this.#capacity || this.#sizeAt(at) === TURN ? 0 : at;
  }

  /** Of the whole record. */
  #sizeAt(at: number): number {
    return this.#words[at >> 2]!;
  }

  #read(at: number): CapturedMessage {
    const [bytes, words, word] = [this.#bytes, this.#words, at >> 2];
    const kind = words[word + At.kind]!;
    const [local, remote, ports] = [words[word + At.local]!, words[word + At.remote]!, words[word + At.ports]!];
    const [isLocalText, isRemoteText] = [(kind & LOCAL_TEXT_BIT) !== 0, (kind & REMOTE_TEXT_BIT) !== 0];
    const localFrom = at + HEADER_BYTES;
    const remoteFrom = localFrom + (isLocalText ? local : 0);
    const textFrom = remoteFrom + (isRemoteText ? remote : 0);
    return {
      atMs: this.#times[(at >> 3) + At.time / 2]!,
      isReceived: (kind & RECEIVED_BIT) !== 0,
      transport: TRANSPORTS[kind & TRANSPORT_BITS] ?? "udp",
      local: isLocalText ? bytes.toString("latin1", localFrom, remoteFrom) : ipv4Text(local),
      localPort: ports >>> 16,
      remote: isRemoteText ? bytes.toString("latin1", remoteFrom, textFrom) : ipv4Text(remote),
      remotePort: ports & 0xffff,
      text: bytes.toString("latin1", textFrom, textFrom + words[word + At.textLength]!),
    };
  }
}

/** Place in {@link TRANSPORTS}. */
function placeOf(transport: Transport): number {
  return transport === "udp" ? 0 : TRANSPORTS.indexOf(transport);
}

/** An IPv4 address as it is usually written, in a number; else {@link AS_TEXT}. Nothing is remembered of it: it may be a slice of a message. */
function ipv4NumberOf(text: string): number {
  if (text.length > LONGEST_IPV4) return AS_TEXT;
  let number = 0;
  let part = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0 && digit < DIGITS && part !== 0) {
      part = part === -1 ? digit : part * DIGITS + digit;
      if (part > 255) return AS_TEXT;
    } else if (digit === DOT && part !== -1 && dots < 3) {
      number = (number << 8) | part;
      part = -1;
      dots++;
    } else return AS_TEXT;
  }
  return dots === 3 && part !== -1 ? (number << 8) | part : AS_TEXT;
}

function ipv4Text(number: number): string {
  return `${number >>> 24}.${(number >> 16) & 0xff}.${(number >> 8) & 0xff}.${number & 0xff}`;
}

/** Collects the messages of one call. */
class Search {
  /** A part of the Call-ID that its messages have for certain; others may have it, too. */
  readonly needle: Buffer;
  readonly #callId: string;
  readonly #most: CaptureLimits;
  readonly #messages: CapturedMessage[] = [];
  #bytes = 0;
  #omitted = 0;

  constructor(callId: string, most: CaptureLimits) {
    this.#callId = callId;
    this.#most = most;
    const parts = callId.split(UNREADABLE);
    this.needle = Buffer.from(parts.reduce((longest, part) => (part.length > longest.length ? part : longest)));
  }

  /** The same text in a body, or as a part of another Call-ID, is no message of the call. */
  take(message: CapturedMessage): void {
    const { messages, bytes } = this.#most;
    if (readable(callIdOf(message.text) ?? "") !== this.#callId) return;
    this.#bytes += message.text.length;
    if (this.#omitted === 0 && this.#messages.length < messages && this.#bytes <= bytes) this.#messages.push(message);
    else this.#omitted++;
  }

  get found(): Capture {
    return { messages: this.#messages, omitted: this.#omitted };
  }
}

/** One character a byte in, UTF-8 out, as far as it is. */
function readable(wire: string): string {
  return Buffer.from(wire, "latin1").toString("utf8");
}
