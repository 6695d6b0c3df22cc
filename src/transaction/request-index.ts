import { BRANCH_COOKIE, type SipRequest, type Via } from "../sip/index.ts";

/** Marks a branch of RFC 3261, unique in space and time (§8.1.1.7). */
export const MAGIC_COOKIE = BRANCH_COOKIE;
/** Requests of one Call-ID that are looked through one by one. A peer that has one Call-ID for everything must not make each search longer: the others have a key each. */
const MAX_IN_LINE = 8;

/** What is remembered of a request so that what belongs to it is known. Nothing of it holds the message that it came in. */
export interface KnownRequest {
  callId: string;
  readonly method: string;
  readonly cseqNumber: number;
  /** Branch and sent-by of the top Via, with a space between them. */
  readonly sender: string;
  /** From tag and Request-URI, with a space between them; "" when neither tells it from others. */
  readonly origin: string;
  /** A copy of it that comes by another way is known by it (RFC 3261 §8.2.2.2). */
  isMergeable: boolean;
  /** There were many of its Call-ID: it has a key of its own. */
  isCrowded: boolean;
}

/** One in the line of those of the same Call-ID. */
type InLine<T> = KnownRequest & { nextOfCall: T | undefined };

/**
 * Requests by what RFC 3261 §17.2.3 matches by, and by what §8.2.2.2 knows merged ones. By Call-ID, as a call has two or three of them: a key made of all
 * the parts took 1.1 KB and 5 µs a call, most of it for three long texts.
 */
export class RequestIndex<T extends InLine<T>> {
  readonly #calls = new Map<string, T>();
  readonly #crowded = new Map<string, T>();
  readonly #crowdedMerges = new Map<string, T>();
  #size = 0;
  #mergeable = 0;

  get size(): number {
    return this.#size;
  }

  get mergeable(): number {
    return this.#mergeable;
  }

  /** @param method that of the transaction: INVITE for its ACK and CANCEL */
  find(request: SipRequest, method: string): T | undefined {
    const via = request.topVia;
    for (let known = this.#calls.get(request.callId); known !== undefined; known = known.nextOfCall)
      if (known.method === method && isOf(known, via, request)) return known;
    return this.#crowded.size === 0 ? undefined : this.#crowded.get(serverKey(request, method));
  }

  /** The one that the same request would be merged with; it may be the very same. */
  findMergeable(request: SipRequest): T | undefined {
    const { method } = request;
    for (let known = this.#calls.get(request.callId); known !== undefined; known = known.nextOfCall)
      if (known.isMergeable && known.method === method && hasOrigin(known, request)) return known;
    return this.#crowdedMerges.size === 0 ? undefined : this.#crowdedMerges.get(mergeKeyOf(request));
  }

  /** To be called for what `find` has not found. */
  add(known: T): void {
    this.#size++;
    const first = this.#calls.get(known.callId);
    if (first === undefined) {
      known.callId = copyOf(known.callId);
      this.#calls.set(known.callId, known);
      return;
    }
    known.callId = first.callId;
    let count = 1;
    for (let other = first.nextOfCall; other !== undefined; other = other.nextOfCall) count++;
    if (count >= MAX_IN_LINE) {
      known.isCrowded = true;
      this.#crowded.set(ownKeyOf(known), known);
    } else {
      known.nextOfCall = first.nextOfCall;
      first.nextOfCall = known;
    }
  }

  /** From now on this is the one that copies by another way are merged with, in place of `before`. */
  setMergeable(known: T, before: T | undefined): void {
    if (before !== undefined) this.#forgetMergeable(before);
    known.isMergeable = true;
    this.#mergeable++;
    if (known.isCrowded) this.#crowdedMerges.set(mergeKeyOfKnown(known), known);
  }

  /** Harmless when it is not here. */
  remove(known: T): void {
    if (known.isCrowded) {
      const key = ownKeyOf(known);
      if (this.#crowded.get(key) !== known) return;
      this.#crowded.delete(key);
    } else if (!this.#unlink(known)) return;
    this.#size--;
    this.#forgetMergeable(known);
  }

  /** The names of all that are here: see `requestKeys`. */
  *keys(): IterableIterator<string> {
    for (const known of this.all()) {
      yield ownKeyOf(known);
      if (known.isMergeable) yield mergeKeyOfKnown(known);
    }
  }

  *all(): IterableIterator<T> {
    for (const first of this.#calls.values())
      for (let known: T | undefined = first; known !== undefined; known = known.nextOfCall) yield known;
    yield* this.#crowded.values();
  }

  #unlink(known: T): boolean {
    const first = this.#calls.get(known.callId);
    if (first === known) {
      if (known.nextOfCall === undefined) this.#calls.delete(known.callId);
      else this.#calls.set(known.callId, known.nextOfCall);
      known.nextOfCall = undefined;
      return true;
    }
    for (let before = first; before !== undefined; before = before.nextOfCall) {
      if (before.nextOfCall !== known) continue;
      before.nextOfCall = known.nextOfCall;
      known.nextOfCall = undefined;
      return true;
    }
    return false;
  }

  #forgetMergeable(known: T): void {
    if (!known.isMergeable) return;
    known.isMergeable = false;
    this.#mergeable--;
    if (known.isCrowded) this.#crowdedMerges.delete(mergeKeyOfKnown(known));
  }
}

/** `KnownRequest.sender` of a request. */
export function senderOf({ branch, sentBy }: Via): string {
  return inOnePiece(branch, sentBy);
}

/** `KnownRequest.origin` of a request. */
export function originOf(request: SipRequest): string {
  return request.toTag === "" || !isUnique(request.topVia.branch) ? inOnePiece(request.fromTag, request.uri) : "";
}

/** By what the transactions are known that a request may belong to: its own, that of the INVITE for ACK and CANCEL, and that of a copy by another way. */
export function requestKeys(request: SipRequest): readonly string[] {
  const { method, toTag } = request;
  if (method === "ACK") return [serverKey(request, "INVITE")];
  const own = serverKey(request, method);
  if (method === "CANCEL") return [own, serverKey(request, "INVITE")];
  return toTag === "" ? [own, mergeKeyOf(request)] : [own];
}

/**
 * The Call-ID is not in the RFC's rule; it keeps a peer that repeats its branches from getting another call's answer. Peers of RFC 2543 have no unique branch:
 * there the rest counts as well, without the To tag, as the ACK has one that its INVITE had not (RFC 3261 §17.2.3).
 */
function isOf(known: KnownRequest, via: Via, request: SipRequest): boolean {
  return isPair(known.sender, via.branch, via.sentBy) && (isUnique(via.branch) || hasOrigin(known, request));
}

function hasOrigin(known: KnownRequest, request: SipRequest): boolean {
  return known.cseqNumber === request.cseqNumber && isPair(known.origin, request.fromTag, request.uri);
}

function isPair(pair: string, first: string, second: string): boolean {
  return pair.length === first.length + 1 + second.length && pair.startsWith(first) && pair.endsWith(second);
}

/** The cookie alone says nothing: such a branch is as one of RFC 2543 (RFC 4475 §3.2.1). */
function isUnique(branch: string): boolean {
  return branch.length > MAGIC_COOKIE.length && branch.startsWith(MAGIC_COOKIE);
}

/** @param method that of the transaction: INVITE for its ACK and CANCEL */
function serverKey(request: SipRequest, method: string): string {
  const { branch, sentBy } = request.topVia;
  const prefix = method === "INVITE" ? "" : method;
  if (isUnique(branch)) return inOnePiece(prefix, branch, sentBy, request.callId);
  return inOnePiece(prefix, request.fromTag, request.callId, String(request.cseqNumber), request.uri, sentBy, branch);
}

function mergeKeyOf(request: SipRequest): string {
  return inOnePiece(request.callId, request.fromTag, String(request.cseqNumber), request.method, request.uri);
}

/** The same as `serverKey` of its request. */
function ownKeyOf({ method, sender, origin, callId, cseqNumber }: KnownRequest): string {
  const prefix = method === "INVITE" ? "" : method;
  const [branch, sentBy] = parted(sender);
  if (isUnique(branch)) return inOnePiece(prefix, branch, sentBy, callId);
  const [fromTag, uri] = parted(origin);
  return inOnePiece(prefix, fromTag, callId, String(cseqNumber), uri, sentBy, branch);
}

function mergeKeyOfKnown({ method, origin, callId, cseqNumber }: KnownRequest): string {
  const [fromTag, uri] = parted(origin);
  return inOnePiece(callId, fromTag, String(cseqNumber), method, uri);
}

/** There is no space in a sent-by or Request-URI. */
function parted(pair: string): [first: string, second: string] {
  const space = pair.lastIndexOf(" ");
  return [pair.slice(0, space), pair.slice(space + 1)];
}

/** A text without the message that it was cut from. */
export function copyOf(text: string): string {
  return [text.slice(0, 1), text.slice(1)].join("");
}

/** A text out of parts of a message. A template would keep the parts, and with them the whole message, for as long as the text. */
function inOnePiece(...parts: string[]): string {
  return parts.join(" ");
}
