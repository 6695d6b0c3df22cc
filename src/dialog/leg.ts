import { ownText } from "../balancer/index.ts";
import { H, type SipResponse } from "../sip/index.ts";

/** Who sent an in-dialog request: downstream is from the caller to the callee. */
export type Direction = "downstream" | "upstream";

/** Legs of one forked call that are remembered; further forks are carried but cannot be ended by us. */
export const MAX_LEGS = 16;
/** Hops of a route set that are remembered. */
export const MAX_ROUTE_SET = 16;

/** One callee of the call: a forking destination may answer with several To tags (RFC 3261 §12.1). */
export interface CalleeLeg {
  readonly tag: string;
  contact: string;
  /** Hops between us and the callee, nearest first. */
  routeSet: readonly string[];
  /** Highest CSeq number of the requests that the callee sent; 0 before the first. */
  cseq: number;
  state: "early" | "confirmed" | "ended";
  /** Who sent BYE before the 2xx had passed. */
  earlyBye?: Direction | undefined;
}

export const NO_ROUTES: readonly string[] = [];

/** A leg whose texts are its own, in one: there may be a hundred thousand, and each text has a head of sixteen bytes. */
export class Leg implements CalleeLeg {
  /** The tag, then the contact. */
  #texts: string;
  readonly #tagLength: number;
  cseq: number;
  state: CalleeLeg["state"];
  routeSet: readonly string[];

  constructor({ tag, contact, routeSet, cseq, state, earlyBye }: CalleeLeg) {
    this.#texts = ownText(tag, contact);
    this.#tagLength = tag.length;
    this.routeSet = ownTexts(routeSet.slice(0, MAX_ROUTE_SET));
    this.cseq = cseq;
    this.state = state;
    if (earlyBye !== undefined) this.earlyBye = earlyBye;
  }

  /** Of few legs, so that it is no field of the others. */
  get earlyBye(): Direction | undefined {
    return EARLY_BYES.get(this);
  }

  set earlyBye(direction: Direction) {
    EARLY_BYES.set(this, direction);
  }

  get tag(): string {
    return this.#texts.slice(0, this.#tagLength);
  }

  /** How long the text is that the tag is a part of. */
  get textChars(): number {
    return this.#texts.length;
  }

  hasTag(tag: string): boolean {
    return tag.length === this.#tagLength && this.#texts.startsWith(tag);
  }

  get contact(): string {
    return this.#texts.slice(this.#tagLength);
  }

  set contact(uri: string) {
    if (uri !== this.contact) this.#texts = ownText(this.tag, uri);
  }
}

const EARLY_BYES = new WeakMap<Leg, Direction>();

/** Texts of which none keeps the message that it came in. */
export function ownTexts(texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? NO_ROUTES : texts.map((text) => ownText(text));
}

/** Record-Routes before ours came from hops behind us; the nearest is the last of them (RFC 3261 §12.1.2). */
export function calleeRoutesOf(response: SipResponse, did: string): readonly string[] {
  const first = response.value(H.RecordRoute);
  if (first === undefined) return NO_ROUTES;
  const mark = `did=${did}`;
  const place = first.indexOf(mark);
  if (place !== -1 && first.lastIndexOf(",", place) === -1) return NO_ROUTES; // ours is the first, as nearly always: no list of them is made
  const routes = response.list(H.RecordRoute);
  const ours = routes.findIndex((route) => route.includes(mark));
  if (ours <= 0) return NO_ROUTES;
  return ownTexts(routes.slice(0, ours).reverse().slice(0, MAX_ROUTE_SET));
}
