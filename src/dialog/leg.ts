import { ownText } from "../balancer/index.ts";

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
  earlyBye?: Direction;
}

export const NO_ROUTES: readonly string[] = [];

/** A leg whose texts are its own. */
export class Leg implements CalleeLeg {
  readonly tag: string;
  cseq: number;
  state: CalleeLeg["state"];
  routeSet: readonly string[];
  earlyBye?: Direction;
  #contact: string;

  constructor({ tag, contact, routeSet, cseq, state, earlyBye }: CalleeLeg) {
    this.tag = ownText(tag);
    this.#contact = ownText(contact);
    this.routeSet = ownTexts(routeSet.slice(0, MAX_ROUTE_SET));
    this.cseq = cseq;
    this.state = state;
    if (earlyBye !== undefined) this.earlyBye = earlyBye;
  }

  get contact(): string {
    return this.#contact;
  }

  set contact(uri: string) {
    if (uri !== this.#contact) this.#contact = ownText(uri);
  }
}

/** Texts of which none keeps the message that it came in. */
export function ownTexts(texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? NO_ROUTES : texts.map((text) => ownText(text));
}
