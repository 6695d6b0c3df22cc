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

type Transport = (typeof TRANSPORTS)[number];

const TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"] as const;
/** Length of all, time, transport and direction, two ports, two lengths of addresses. */
const HEADER_BYTES = 4 + 8 + 1 + 2 + 2 + 1 + 1;
/** Places in a record. */
const At = { size: 0, time: 4, kind: 12, localPort: 13, remotePort: 15, localLength: 17, remoteLength: 18 } as const;
const RECEIVED_BIT = 0x80;
/** In place of a length: the next record is the first one of the ring. */
const TURN = 0;
/** What is searched in one go: less than a millisecond, so that no call waits for whoever looks for another one. */
const SLICE_BYTES = 64 * 1024;
/** Stands where bytes of a Call-ID are no UTF-8: a client, who has read it in JSON, cannot know them. */
const UNREADABLE = "\ufffd";

/**
 * Remembers the latest messages, of all calls, in memory of a fixed size outside of the heap: who asks is rare and may take his time, while writing is on the
 * path of each message. It copies the bytes, and leaves nothing for the garbage collector.
 */
export class MessageRing {
  /** Messages that were ever written. */
  written = 0;
  /** Messages that were larger than the ring. */
  too_large = 0;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  /** Where the next record goes, where the oldest one is, and how many there are. */
  #head = 0;
  #tail = 0;
  #count = 0;

  /** @param sizeBytes what all records may take; it is taken at once, so that it does not look like a leak later */
  constructor(sizeBytes: number) {
    this.#bytes = Buffer.alloc(sizeBytes, 0xff);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, sizeBytes);
  }

  /** Messages that are in the ring. */
  get count(): number {
    return this.#count;
  }

  /** When the oldest message was written, in milliseconds since 1970; undefined while there is none. */
  get oldestMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#view.getFloat64(this.#tail + At.time);
  }

  /** Writes a message over the oldest ones. @param local address of this side */
  write(text: string, peer: Peer, local: string, isReceived: boolean, atMs: number): void {
    const { address: remote } = peer;
    const size = HEADER_BYTES + local.length + remote.length + text.length;
    if (size > this.#bytes.length) {
      this.too_large++;
      return;
    }
    const at = this.#placeFor(size);
    const view = this.#view;
    view.setUint32(at + At.size, size);
    view.setFloat64(at + At.time, atMs);
    view.setUint8(at + At.kind, TRANSPORTS.indexOf(peer.transport) | (isReceived ? RECEIVED_BIT : 0));
    view.setUint16(at + At.localPort, peer.listener.port);
    view.setUint16(at + At.remotePort, peer.port);
    view.setUint8(at + At.localLength, local.length);
    view.setUint8(at + At.remoteLength, remote.length);
    const textAt = this.#writeShort(remote, this.#writeShort(local, at + HEADER_BYTES));
    this.#bytes.write(text, textAt, "latin1");
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
      end += this.#view.getUint32(end);
      count++;
    }
    let record = begin;
    for (let hit = begin; record < end; ) {
      const found = this.#bytes.subarray(hit, end).indexOf(search.needle);
      if (found === -1) break;
      hit += found;
      let next = record + this.#view.getUint32(record);
      while (next <= hit) [record, next] = [next, next + this.#view.getUint32(next)];
      search.take(this.#read(record, next));
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
    const capacity = this.#bytes.length;
    if (this.#head + size > capacity) {
      while (this.#count > 0 && this.#tail >= this.#head) this.#dropOldest();
      if (capacity - this.#head >= 4) this.#view.setUint32(this.#head, TURN);
      this.#head = 0;
    }
    const end = this.#head + size;
    while (this.#count > 0 && this.#tail >= this.#head && this.#tail < end) this.#dropOldest();
    if (this.#count === 0) this.#tail = this.#head;
    return this.#head;
  }

  #dropOldest(): void {
    this.#count--;
    this.#tail += this.#view.getUint32(this.#tail);
    if (this.#count > 0) this.#tail = this.#recordAt(this.#tail);
  }

  /** Where the record is that is said to be here: at the beginning when there is none behind. */
  #recordAt(at: number): number {
    return this.#bytes.length - at < 4 || this.#view.getUint32(at) === TURN ? 0 : at;
  }

  #read(at: number, end: number): CapturedMessage {
    const [bytes, view] = [this.#bytes, this.#view];
    const kind = view.getUint8(at + At.kind);
    const localFrom = at + HEADER_BYTES;
    const remoteFrom = localFrom + view.getUint8(at + At.localLength);
    const textFrom = remoteFrom + view.getUint8(at + At.remoteLength);
    return {
      atMs: view.getFloat64(at + At.time),
      isReceived: (kind & RECEIVED_BIT) !== 0,
      transport: TRANSPORTS[kind & ~RECEIVED_BIT] ?? "udp",
      local: bytes.toString("latin1", localFrom, remoteFrom),
      localPort: view.getUint16(at + At.localPort),
      remote: bytes.toString("latin1", remoteFrom, textFrom),
      remotePort: view.getUint16(at + At.remotePort),
      text: bytes.toString("latin1", textFrom, end),
    };
  }
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
