import type { NaptrRecord, SrvRecord } from "../resolution/index.ts";

/** Types of records that are asked for, by their numbers (RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 3403). */
export const DNS_TYPES = { A: 1, AAAA: 28, NAPTR: 35, SRV: 33 } as const;
export type DnsType = keyof typeof DNS_TYPES;

/** What the records of a type are read as. */
export interface DnsRecords {
  readonly A: string;
  readonly AAAA: string;
  readonly NAPTR: NaptrRecord;
  readonly SRV: SrvRecord;
}

/** A record of the answer: one of the type that was asked for, or a CNAME that leads to it. Names are in lower case without a final dot. */
export interface DnsRecord<T extends DnsType> {
  readonly name: string;
  readonly ttlS: number;
  /** Name that this one stands for; undefined when the record is no CNAME. */
  readonly alias: string | undefined;
  readonly value: DnsRecords[T] | undefined;
}

export interface DnsResponse<T extends DnsType> {
  /** RFC 1035 §4.1.1: 0 no error, 3 no such name. */
  readonly rcode: number;
  readonly isTruncated: boolean;
  readonly answers: readonly DnsRecord<T>[];
  /** Seconds for which a negative answer holds (RFC 2308 §5); undefined when the answer does not say. */
  readonly negativeTtlS: number | undefined;
}

/** What a datagram may hold that we ask for: fits into every path without fragments (RFC 9715 §3.1). */
export const UDP_PAYLOAD = 1_232;
const HEADER_BYTES = 12;
/** RFC 1035 §2.3.4. */
const MAX_NAME_CHARS = 253;
const MAX_LABEL_BYTES = 63;
/** Compression pointers of one name that are followed. Each must lead back, so that no name is endless. */
const MAX_POINTERS = 32;
/** Records of one message that are looked at; a message with more is refused. */
const MAX_RECORDS = 512;
/** RFC 2181 §8: a time to live with the highest bit set is 0. */
const MAX_TTL_S = 0x7fff_ffff;

const CLASS_IN = 1;
const CNAME = 5;
const SOA = 6;
const OPT = 41;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const OPCODE_MASK = 0x7800;
const RCODE_MASK = 0x000f;

/**
 * A question as it is sent (RFC 1035 §4.1).
 *
 * @param withEdns with an OPT record that allows answers of {@link UDP_PAYLOAD} bytes (RFC 6891); some old servers refuse that
 * @returns undefined when the name cannot be asked for: a label that is empty or too long, characters beyond ASCII
 */
export function encodeQuery(id: number, name: string, type: DnsType, withEdns: boolean): Buffer | undefined {
  const encoded = encodeName(name);
  if (encoded === undefined) return undefined;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(FLAG_RECURSION_DESIRED, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(withEdns ? 1 : 0, 10);
  const question = Buffer.alloc(4);
  question.writeUInt16BE(DNS_TYPES[type], 0);
  question.writeUInt16BE(CLASS_IN, 2);
  const opt = Buffer.alloc(withEdns ? 11 : 0);
  if (withEdns) {
    opt.writeUInt16BE(OPT, 1);
    opt.writeUInt16BE(UDP_PAYLOAD, 3);
  }
  return Buffer.concat([header, encoded, question, opt]);
}

function encodeName(name: string): Buffer | undefined {
  if (name === "" || name.length > MAX_NAME_CHARS || !/^[\x21-\x7e]+$/.test(name)) return undefined;
  const parts: Buffer[] = [];
  for (const label of name.split(".")) {
    if (label === "" || label.length > MAX_LABEL_BYTES) return undefined;
    parts.push(Buffer.from([label.length]), Buffer.from(label, "latin1"));
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/**
 * Reads the answer to a question.
 *
 * @param name as it was asked, in lower case without a final dot
 * @returns undefined when it is no answer to this question, or cannot be read: it may be forged, so the caller waits on
 */
export function decodeResponse<T extends DnsType>(bytes: Buffer, id: number, name: string, type: T): DnsResponse<T> | undefined {
  try {
    return new Reader(bytes).response(id, name, type);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // it ends too early, or a length is a lie
    throw error;
  }
}

/** Reads from front to back. Throws a RangeError at what cannot be: so does Buffer behind its end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  response<T extends DnsType>(id: number, name: string, type: T): DnsResponse<T> | undefined {
    if (this.#uint16() !== id) return undefined;
    const flags = this.#uint16();
    if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return undefined;
    const [questions, answerCount, authorityCount, additionalCount] = [this.#uint16(), this.#uint16(), this.#uint16(), this.#uint16()];
    const rcode = flags & RCODE_MASK;
    const isTruncated = (flags & FLAG_TRUNCATED) !== 0;
    // A server that could not read the question may leave it out, and tells so.
    if (questions === 0 && rcode !== 0 && rcode !== 3) return { rcode, isTruncated, answers: [], negativeTtlS: undefined };
    if (questions !== 1 || this.#name() !== name || this.#uint16() !== DNS_TYPES[type] || this.#uint16() !== CLASS_IN) return undefined;
    // The caller asks again over TCP: what stands in a cut message is of no use.
    if (isTruncated) return { rcode, isTruncated, answers: [], negativeTtlS: undefined };
    if (answerCount + authorityCount + additionalCount > MAX_RECORDS) return undefined;
    const answers: DnsRecord<T>[] = [];
    for (let i = 0; i < answerCount; i++) {
      const record = this.#answer(type);
      if (record !== undefined) answers.push(record);
    }
    let negativeTtlS: number | undefined;
    for (let i = 0; i < authorityCount; i++) negativeTtlS ??= this.#soaTtl();
    return { rcode, isTruncated, answers, negativeTtlS };
  }

  #answer<T extends DnsType>(type: T): DnsRecord<T> | undefined {
    const { name, recordType, recordClass, ttlS, end } = this.#recordHead();
    const isWanted = recordClass === CLASS_IN && (recordType === DNS_TYPES[type] || recordType === CNAME);
    if (!isWanted) {
      this.#at = end;
      return undefined;
    }
    const alias = recordType === CNAME ? this.#name() : undefined;
    const value = recordType === CNAME ? undefined : (this.#value(type, end) as DnsRecords[T]);
    if (this.#at !== end) throw new RangeError("a record is longer or shorter than it says");
    return { name, ttlS, alias, value };
  }

  #value(type: DnsType, end: number): DnsRecords[DnsType] {
    switch (type) {
      case "A":
        return this.#take(4).join(".");
      case "AAAA":
        return ipv6Text(this.#take(16));
      case "SRV":
        return { priority: this.#uint16(), weight: this.#uint16(), port: this.#uint16(), target: this.#name() };
      case "NAPTR": {
        const [order, preference] = [this.#uint16(), this.#uint16()];
        const [flags, service, regexp] = [this.#text(end), this.#text(end), this.#text(end)];
        return { order, preference, flags, service, regexp, replacement: this.#name() };
      }
    }
  }

  /** RFC 2308 §5: the lesser of the record's own time to live and its field MINIMUM. */
  #soaTtl(): number | undefined {
    const { recordType, ttlS, end } = this.#recordHead();
    if (recordType !== SOA) {
      this.#at = end;
      return undefined;
    }
    if (end - this.#at < 22) throw new RangeError("a record is shorter than it must be");
    const minimum = this.#bytes.readUInt32BE(end - 4);
    this.#at = end;
    return Math.min(ttlS, ttlOf(minimum));
  }

  #recordHead(): { name: string; recordType: number; recordClass: number; ttlS: number; end: number } {
    const name = this.#name();
    const [recordType, recordClass] = [this.#uint16(), this.#uint16()];
    const ttlS = ttlOf(this.#uint16() * 65_536 + this.#uint16());
    const end = this.#uint16() + this.#at;
    if (end > this.#bytes.length) throw new RangeError("a record ends behind the message");
    return { name, recordType, recordClass, ttlS, end };
  }

  /** RFC 1035 §4.1.4. */
  #name(): string {
    const labels: string[] = [];
    let [at, chars, pointers] = [this.#at, 0, 0];
    let limit = at;
    let after: number | undefined;
    for (;;) {
      const length = this.#bytes.readUInt8(at);
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = this.#bytes.readUInt16BE(at) & 0x3fff;
        after ??= at + 2;
        if (target >= limit || ++pointers > MAX_POINTERS) throw new RangeError("a name does not lead back");
        at = target;
        limit = target;
        continue;
      }
      if (length > MAX_LABEL_BYTES || at + 1 + length > this.#bytes.length) throw new RangeError("a label is too long");
      const label = this.#bytes.toString("latin1", at + 1, at + 1 + length);
      chars += length + 1;
      if (chars > MAX_NAME_CHARS + 1) throw new RangeError("a name is too long");
      labels.push(/^[\x21-\x2d\x2f-\x7e]+$/.test(label) ? label.toLowerCase() : "\ufffd"); // no name that we look for
      at += 1 + length;
    }
    this.#at = after ?? at + 1;
    return labels.join(".");
  }

  /** A character-string (RFC 1035 §3.3). */
  #text(end: number): string {
    const length = this.#take(1)[0] ?? 0;
    if (this.#at + length > end) throw new RangeError("a text is longer than its record");
    return this.#take(length).toString("latin1");
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError("the message ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #uint16(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }
}

function ttlOf(value: number): number {
  return value > MAX_TTL_S ? 0 : value;
}

/** The usual spelling (RFC 5952), as the system's resolver gives it. */
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
