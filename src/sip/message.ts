import { SipSyntaxError } from "./errors.ts";
import {
  FOLDED,
  type HeaderIndex,
  ID_MASK,
  LINE_START_SHIFT,
  SLOT_LINE,
  SLOT_VALUE,
  SLOTS_PER_HEADER,
  VALUE_END_SHIFT,
  VALUE_START_MASK,
} from "./header-index.ts";
import { H, type HeaderId, headerId } from "./headers.ts";
import { type NameAddr, parseNameAddr } from "./name-addr.ts";
import { equalsIgnoreCase, isClass, splitList, TOKEN_CHAR, unfold } from "./text.ts";
import type { Via } from "./via.ts";

/**
 * A received SIP message: its bytes, which never change, and where its headers stand. A header is decoded when somebody asks for it.
 * What is to be changed on the way out is said to a `MessageEdit`.
 *
 * `parseMessage` makes the instances and has checked start line, top Via, From, To, Call-ID, CSeq, Max-Forwards and Content-Length, so
 * their getters do not throw; on the request inside a `MalformedMessage` only `from` and `to` may.
 */
export abstract class SipMessage {
  abstract readonly kind: "request" | "response";
  /** The message as it came, one character a byte: without line ends before it and without what a datagram held behind its body. */
  readonly raw: string;
  readonly headerCount: number;
  /** Offset in `raw` of the first byte of the body. */
  readonly bodyStart: number;
  /** A line of the head ends in LF alone: it was taken, and what is sent on must not have it (RFC 3261 §7). */
  readonly hasBareLf: boolean;
  readonly callId: string;
  /** Tag of From; "" when there is none, as RFC 2543 elements send it. */
  readonly fromTag: string;
  /** Tag of To; "" when there is none. */
  readonly toTag: string;
  readonly cseqNumber: number;
  readonly cseqMethod: string;
  readonly #slots: readonly number[];
  readonly #headersEnd: number;
  readonly #bodyEnd: number;
  readonly #maxForwards: number;
  readonly #fromAt: number;
  readonly #toAt: number;
  readonly #topVia: Via | undefined;
  #from: NameAddr | undefined;
  #to: NameAddr | undefined;

  /** Only `parseMessage` calls this. What `index` holds is taken out of it: it may serve for the next message. */
  constructor(index: HeaderIndex) {
    this.raw = index.raw;
    this.headerCount = index.count;
    this.bodyStart = index.bodyStart;
    this.hasBareLf = index.hasBareLf;
    this.callId = index.callIdValue;
    this.fromTag = index.fromTag;
    this.toTag = index.toTag;
    this.cseqNumber = index.cseqNumber;
    this.cseqMethod = index.cseqMethod;
    this.#slots = index.slots;
    this.#headersEnd = index.headersEnd;
    this.#bodyEnd = index.bodyEnd;
    this.#maxForwards = index.maxForwardsValue;
    this.#fromAt = index.from;
    this.#toAt = index.to;
    this.#topVia = index.topVia;
    this.#from = undefined;
    this.#to = undefined;
  }

  headerIdAt(i: number): HeaderId {
    return (this.#slot(i, SLOT_LINE) & ID_MASK) as HeaderId;
  }

  /** Name of a header as the sender spelled it. */
  headerNameAt(i: number): string {
    return this.raw.slice(this.lineStartAt(i), this.#nameEndAt(i));
  }

  /** Value of a header on one line, without white space around it. */
  headerValueAt(i: number): string {
    const value = this.raw.slice(this.valueStartAt(i), this.valueEndAt(i));
    return (this.#slot(i, SLOT_LINE) & FOLDED) === 0 ? value : unfold(value);
  }

  /** Offset in `raw` where the line of header `i` starts; for `headerCount`, where the empty line does. */
  lineStartAt(i: number): number {
    return i < this.headerCount ? this.#slot(i, SLOT_LINE) >> LINE_START_SHIFT : this.#headersEnd;
  }

  /** Offset in `raw` where the value of header `i` starts, white space passed. */
  valueStartAt(i: number): number {
    return (this.#slot(i, SLOT_LINE) >> LINE_START_SHIFT) + (this.#slot(i, SLOT_VALUE) & VALUE_START_MASK);
  }

  /** Offset in `raw` behind the value of header `i`, before white space and line end. */
  valueEndAt(i: number): number {
    return (this.#slot(i, SLOT_LINE) >> LINE_START_SHIFT) + (this.#slot(i, SLOT_VALUE) >> VALUE_END_SHIFT);
  }

  /** Position of the first header with this id at or after `from`; -1 when there is none. */
  indexOf(id: HeaderId, from = 0): number {
    const slots = this.#slots;
    const end = this.headerCount * SLOTS_PER_HEADER;
    for (let at = from * SLOTS_PER_HEADER; at < end; at += SLOTS_PER_HEADER) {
      if ((slots[at]! & ID_MASK) === id) return at / SLOTS_PER_HEADER;
    }
    return -1;
  }

  /** Position of the first header with this name, in any case, long or compact, at or after `from`; -1 when there is none. */
  indexOfName(name: string, from = 0): number {
    const id = headerId(name);
    if (id !== H.Other) return this.indexOf(id, from);
    const lower = name.toLowerCase();
    for (let i = this.indexOf(H.Other, from); i !== -1; i = this.indexOf(H.Other, i + 1)) {
      if (equalsIgnoreCase(this.raw, this.lineStartAt(i), this.#nameEndAt(i), lower)) return i;
    }
    return -1;
  }

  /** Value of the first header with this id; undefined when there is none. */
  value(id: HeaderId): string | undefined {
    const i = this.indexOf(id);
    return i === -1 ? undefined : this.headerValueAt(i);
  }

  /** Each value of a list header such as Via or Route, over all its lines, in order (RFC 3261 §7.3.1). Empty values are passed over. */
  list(id: HeaderId): string[] {
    const values: string[] = [];
    for (let i = this.indexOf(id); i !== -1; i = this.indexOf(id, i + 1)) splitList(this.headerValueAt(i), values);
    return values;
  }

  /** Value of the first header with this name, in any case, long or compact; undefined when there is none. */
  header(name: string): string | undefined {
    const i = this.indexOfName(name);
    return i === -1 ? undefined : this.headerValueAt(i);
  }

  /** Value of each header line with this name, in any case, long or compact; lists are not split. */
  headers(name: string): string[] {
    const values: string[] = [];
    for (let i = this.indexOfName(name); i !== -1; i = this.indexOfName(name, i + 1)) values.push(this.headerValueAt(i));
    return values;
  }

  get from(): NameAddr {
    this.#from ??= parseNameAddr(this.headerValueAt(this.#fromAt));
    return this.#from;
  }

  get to(): NameAddr {
    this.#to ??= parseNameAddr(this.headerValueAt(this.#toAt));
    return this.#to;
  }

  /** First value of the first Via. */
  get topVia(): Via {
    const via = this.#topVia;
    if (via === undefined) throw new SipSyntaxError("Cannot read the top Via: the message has none that is well formed");
    return via;
  }

  /** Hops that are left; undefined when the header is absent. */
  get maxForwards(): number | undefined {
    const hops = this.#maxForwards;
    return hops === -1 ? undefined : hops;
  }

  /** Content-Length bytes, or what came behind the headers when that header is absent (RFC 3261 §18.3). */
  get body(): string {
    return this.raw.slice(this.bodyStart, this.#bodyEnd);
  }

  #nameEndAt(i: number): number {
    let at = this.lineStartAt(i);
    while (isClass(this.raw, at, TOKEN_CHAR)) at++;
    return at;
  }

  #slot(i: number, slot: number): number {
    return this.#slots[i * SLOTS_PER_HEADER + slot]!;
  }
}

/** A request. The start line of `raw` is `method SP uri SP SIP/2.0`. */
export class SipRequest extends SipMessage {
  readonly kind = "request";
  readonly method: string;
  /** Request-URI as it stands, of any scheme. */
  readonly uri: string;

  constructor(index: HeaderIndex, method: string, uri: string) {
    super(index);
    this.method = method;
    this.uri = uri;
  }
}

export class SipResponse extends SipMessage {
  readonly kind = "response";
  /** Status code, 100 to 699. */
  readonly status: number;
  /** Reason phrase as it stands; may be "". */
  readonly reason: string;

  constructor(index: HeaderIndex, status: number, reason: string) {
    super(index);
    this.status = status;
    this.reason = reason;
  }
}

/** What could not be taken as a message. */
export interface MalformedMessage {
  readonly kind: "malformed";
  /** Status code to answer with, when it can be answered. */
  readonly status: number;
  /** Reason phrase to answer with; names the header at fault. */
  readonly reason: string;
  /** Stable short name of the fault, for counters. */
  readonly code: string;
  /**
   * The request, when an answer can be built and will find its way: its method is known and not ACK, its top Via is well formed and it has
   * From, To, Call-ID and CSeq. These may be the very headers at fault: an answer repeats them as they stand.
   */
  readonly answerable: SipRequest | undefined;
}
