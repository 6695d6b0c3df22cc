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

type Transport = (typeof TRANSPORTS)[number];

const TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"] as const;
/** Length of all, time, transport and direction, two ports, two lengths of addresses. */
const HEADER_BYTES = 4 + 8 + 1 + 2 + 2 + 1 + 1;
const RECEIVED_BIT = 0x80;
/** In place of a length: the next record is the first one of the ring. */
const TURN = 0;

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
  /** Where the next record goes, where the oldest one is, and how many there are. */
  #head = 0;
  #tail = 0;
  #count = 0;

  /** @param sizeBytes what all records may take; it is taken at once, so that it does not look like a leak later */
  constructor(sizeBytes: number) {
    this.#bytes = Buffer.alloc(sizeBytes, 0xff);
  }

  /** Messages that are in the ring. */
  get count(): number {
    return this.#count;
  }

  /** When the oldest message was written, in milliseconds since 1970; undefined while there is none. */
  get oldestMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#bytes.readDoubleLE(this.#tail + 4);
  }

  /** Writes a message over the oldest ones. */
  write(message: CapturedMessage): void {
    const { local, remote, text } = message;
    const size = HEADER_BYTES + local.length + remote.length + text.length;
    if (size > this.#bytes.length) {
      this.too_large++;
      return;
    }
    const bytes = this.#bytes;
    let at = this.#placeFor(size);
    bytes.writeUInt32LE(size, at);
    bytes.writeDoubleLE(message.atMs, at + 4);
    bytes[at + 12] = TRANSPORTS.indexOf(message.transport) | (message.isReceived ? RECEIVED_BIT : 0);
    bytes.writeUInt16LE(message.localPort, at + 13);
    bytes.writeUInt16LE(message.remotePort, at + 15);
    bytes[at + 17] = local.length;
    bytes[at + 18] = remote.length;
    at += HEADER_BYTES;
    bytes.write(local, at, "latin1");
    bytes.write(remote, at + local.length, "latin1");
    bytes.write(text, at + local.length + remote.length, "latin1");
    this.#head += size;
    this.#count++;
    this.written++;
  }

  /**
   * The messages of a call, by its Call-ID as it is on the wire.
   *
   * @param most so many are told at most, the first ones
   */
  find(callId: string, most: number): Capture {
    const messages: CapturedMessage[] = [];
    let omitted = 0;
    const needle = Buffer.from(callId, "latin1");
    let at = this.#tail;
    let hit = -1;
    for (let left = callId === "" ? 0 : this.#count; left > 0; left--) {
      const turned = this.#recordAt(at);
      if (turned !== at) hit = -1;
      at = turned;
      const end = at + this.#bytes.readUInt32LE(at);
      if (hit < at) {
        const found = this.#bytes.indexOf(needle, at);
        hit = found === -1 ? Number.POSITIVE_INFINITY : found;
      }
      if (hit < end) {
        const message = this.#read(at, end);
        // The same text in a body, or as a part of another Call-ID, is no message of the call.
        if (callIdOf(message.text) === callId) {
          if (messages.length < most) messages.push(message);
          else omitted++;
        }
      }
      at = end;
    }
    return { messages, omitted };
  }

  /** Makes room, without a gap but at the end of the memory. */
  #placeFor(size: number): number {
    const capacity = this.#bytes.length;
    if (this.#head + size > capacity) {
      while (this.#count > 0 && this.#tail >= this.#head) this.#dropOldest();
      if (capacity - this.#head >= 4) this.#bytes.writeUInt32LE(TURN, this.#head);
      this.#head = 0;
    }
    const end = this.#head + size;
    while (this.#count > 0 && this.#tail >= this.#head && this.#tail < end) this.#dropOldest();
    if (this.#count === 0) this.#tail = this.#head;
    return this.#head;
  }

  #dropOldest(): void {
    this.#count--;
    this.#tail += this.#bytes.readUInt32LE(this.#tail);
    if (this.#count > 0) this.#tail = this.#recordAt(this.#tail);
  }

  /** Where the record is that is said to be here: at the beginning when there is none behind. */
  #recordAt(at: number): number {
    return this.#bytes.length - at < 4 || this.#bytes.readUInt32LE(at) === TURN ? 0 : at;
  }

  #read(at: number, end: number): CapturedMessage {
    const bytes = this.#bytes;
    const kind = bytes[at + 12] ?? 0;
    const localFrom = at + HEADER_BYTES;
    const remoteFrom = localFrom + (bytes[at + 17] ?? 0);
    const textFrom = remoteFrom + (bytes[at + 18] ?? 0);
    return {
      atMs: bytes.readDoubleLE(at + 4),
      isReceived: (kind & RECEIVED_BIT) !== 0,
      transport: TRANSPORTS[kind & ~RECEIVED_BIT] ?? "udp",
      local: bytes.toString("latin1", localFrom, remoteFrom),
      localPort: bytes.readUInt16LE(at + 13),
      remote: bytes.toString("latin1", remoteFrom, textFrom),
      remotePort: bytes.readUInt16LE(at + 15),
      text: bytes.toString("latin1", textFrom, end),
    };
  }
}
