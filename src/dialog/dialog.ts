import { CallLoad, ownText } from "../balancer/index.ts";
import type { SipMessage, SipRequest, SipResponse } from "../sip/index.ts";
import type { Endpoint, TimerOwner } from "../transaction/index.ts";
import type { CountedPeers, Pings } from "./attached.ts";
import { REINVITE_PINGS } from "./flags.ts";
import { type CalleeLeg, calleeRoutesOf, type Direction, Leg, MAX_LEGS, NO_ROUTES, ownTexts } from "./leg.ts";
import { contactUri, type DialogOrigin, saysContact } from "./origin.ts";
import { PassingState } from "./passing-state.ts";
import { sessionOf } from "./session-timer.ts";
import { partAsJson, partOf, type TextPart, textOf } from "./text-part.ts";

/** States as the OpenSIPS dialog module numbers them (`dlg_hash.h`). */
export const DialogState = { Unconfirmed: 1, Early: 2, ConfirmedNoAck: 3, Confirmed: 4, Deleted: 5 } as const;
export type DialogState = (typeof DialogState)[keyof typeof DialogState];

/**
 * One ongoing call, and the owner of what it counts (RFC 3261 §12; OpenSIPS dialog module). There may be a hundred thousand, for hours: no text of it keeps
 * the message that it came in, and what stands inside another text is told as a place in that.
 * As a timer it waits for the end of the lifetime, or until an ended dialog is forgotten.
 */
export class Dialog extends PassingState implements TimerOwner {
  /** What the call is called in our Record-Route, the same on all nodes of a cluster. */
  readonly did: string;
  readonly callId: string;
  /** Nearly always there is one, and no list of it. */
  #legs: Leg | readonly CalleeLeg[] = NO_LEGS;
  readonly load = new CallLoad();
  /** Where the INVITE came from, or the caller has gone since. */
  callerEndpoint: Endpoint;
  /** Where the INVITE went last; undefined before the first branch. */
  calleeEndpoint: Endpoint | undefined = undefined;
  state: DialogState = DialogState.Unconfirmed;
  readonly callerRouteSet: readonly string[];
  callerCseq: number;
  #startedAtMs = 0;
  /** A time of the clock is an object, a span of less than 25 days is none. */
  #lifetimeMs = 0;
  /** What was asked for it: bits of `DialogFlag`. */
  flags = 0;
  /** What pings its parties while it is up. */
  pinged: Pings | undefined = undefined;
  /** Kept by whoever counts the calls of each source: those that this call was counted for. */
  peers: CountedPeers | undefined = undefined;
  /** Bits of {@link Mark}. */
  #marks = 0;
  /** The From value of the INVITE, its To value, the caller's contact and the branch of the INVITE that went out last: each text has a head of sixteen bytes. */
  #texts: string;
  readonly #fromLength: number;
  readonly #toLength: number;
  #contactLength: number;
  readonly #fromUri: TextPart;
  readonly #fromTag: TextPart;
  readonly #toUri: TextPart;
  readonly #onTimer: (dialog: Dialog) => void;

  constructor(did: string, origin: DialogOrigin, onTimer: (dialog: Dialog) => void) {
    super();
    this.did = ownText(did);
    this.#onTimer = onTimer;
    const { fromValue, toValue } = origin;
    this.callId = ownText(origin.callId);
    this.#texts = ownText(fromValue, toValue, origin.callerContact);
    this.#fromLength = fromValue.length;
    this.#toLength = toValue.length;
    this.#contactLength = origin.callerContact.length;
    this.#fromUri = partOf(origin.fromUri, fromValue);
    this.#fromTag = partOf(origin.fromTag, fromValue);
    this.#toUri = partOf(origin.toUri, toValue);
    this.callerEndpoint = origin.callerEndpoint;
    this.callerRouteSet = ownTexts(origin.callerRouteSet);
    this.callerCseq = origin.callerCseq;
    this.load.opened = true;
    this.load.callId = this.callId;
    this.load.name = this.did;
  }

  timerFired(): void {
    this.#onTimer(this);
  }

  /** Another node handled its INVITE, or handles it still. */
  get isRestored(): boolean {
    return this.#has(Mark.Restored);
  }

  set isRestored(is: boolean) {
    this.#mark(Mark.Restored, is);
  }

  /** Another node has this call: what is known of it serves one message, and nothing of the call is changed here. */
  get isGuest(): boolean {
    return this.#has(Mark.Guest);
  }

  set isGuest(is: boolean) {
    this.#mark(Mark.Guest, is);
  }

  /** A negative answer to an INVITE whose transaction was lost has passed: its ACK has to pass too. */
  get isRefused(): boolean {
    return this.#has(Mark.Refused);
  }

  set isRefused(is: boolean) {
    this.#mark(Mark.Refused, is);
  }

  /** The end of its lifetime was put off once, for another node to end the call. */
  get isPutOff(): boolean {
    return this.#has(Mark.PutOff);
  }

  set isPutOff(is: boolean) {
    this.#mark(Mark.PutOff, is);
  }

  /** The parties refresh the session in time, or end it (RFC 4028). */
  get hasSessionTimer(): boolean {
    return this.#has(Mark.SessionTimer);
  }

  set hasSessionTimer(is: boolean) {
    this.#mark(Mark.SessionTimer, is);
  }

  #has(mark: number): boolean {
    return (this.#marks & mark) !== 0;
  }

  #mark(mark: number, is: boolean): void {
    this.#marks = is ? this.#marks | mark : this.#marks & ~mark;
  }

  /** Wall clock, milliseconds, when the 2xx passed; 0 before. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  set startedAtMs(to: number) {
    const { expiresAtMs } = this;
    this.#startedAtMs = to;
    this.expiresAtMs = expiresAtMs;
  }

  /** Wall clock, milliseconds, when the lifetime ends; 0 before the 2xx. */
  get expiresAtMs(): number {
    return this.#startedAtMs + this.#lifetimeMs;
  }

  set expiresAtMs(to: number) {
    this.#lifetimeMs = to - this.#startedAtMs;
  }

  /** From and To header values of the INVITE, with the caller's tag in the first: needed to end the call ourselves. */
  get fromValue(): string {
    return this.#texts.slice(0, this.#fromLength);
  }

  get toValue(): string {
    return this.#texts.slice(this.#fromLength, this.#valuesLength);
  }

  get fromTag(): string {
    return textOf(this.#fromTag, this.#texts, 0);
  }

  get fromUri(): string {
    return textOf(this.#fromUri, this.#texts, 0);
  }

  get toUri(): string {
    return textOf(this.#toUri, this.#texts, this.#fromLength);
  }

  /** Where the caller's URI, its tag and the callee's URI stand in the two values, as JSON, with commas between them, for a record of the call. */
  get partsAsJson(): string {
    return `${partAsJson(this.#fromUri)},${partAsJson(this.#fromTag)},${partAsJson(this.#toUri)}`;
  }

  get callerContact(): string {
    return this.#texts.slice(this.#valuesLength, this.#valuesLength + this.#contactLength);
  }

  set callerContact(uri: string) {
    if (uri === this.callerContact) return;
    this.#texts = ownText(this.#texts.slice(0, this.#valuesLength), uri, this.inviteBranch);
    this.#contactLength = uri.length;
  }

  /** Branch of our Via in the INVITE that went out last: an answer to it is known by that when the transaction was lost with its node. "" before. */
  get inviteBranch(): string {
    return this.#texts.slice(this.#valuesLength + this.#contactLength);
  }

  set inviteBranch(branch: string) {
    if (branch !== this.inviteBranch) this.#texts = ownText(this.#texts.slice(0, this.#valuesLength + this.#contactLength), branch);
  }

  /** How long the texts are that its tags are a part of; of a call with several callees, more than anything. */
  get textChars(): number {
    const legs = this.#legs;
    if (legs instanceof Leg) return this.#texts.length + legs.textChars;
    return legs.length === 0 ? this.#texts.length : Number.POSITIVE_INFINITY;
  }

  get #valuesLength(): number {
    return this.#fromLength + this.#toLength;
  }

  /** Callees, in the order in which they were heard of. */
  get legs(): readonly CalleeLeg[] {
    return this.#legs instanceof Leg ? [this.#legs] : this.#legs;
  }

  /** Goes on with legs that were learned elsewhere. */
  restoreLegs(legs: readonly Readonly<CalleeLeg>[]): void {
    this.#setLegs(legs.slice(0, MAX_LEGS).map((leg) => new Leg(leg)));
  }

  /** The leg that talks: the first confirmed one, else the first. */
  get leg(): CalleeLeg | undefined {
    const legs = this.#legs;
    return legs instanceof Leg ? legs : (legs.find((leg) => leg.state === "confirmed") ?? legs[0]);
  }

  get toTag(): string {
    return this.leg?.tag ?? "";
  }

  get calleeContact(): string {
    return this.leg?.contact ?? "";
  }

  get calleeRouteSet(): readonly string[] {
    return this.leg?.routeSet ?? NO_ROUTES;
  }

  get calleeCseq(): number {
    return this.leg?.cseq ?? 0;
  }

  findLeg(tag: string): CalleeLeg | undefined {
    const legs = this.#legs;
    if (legs instanceof Leg) return legs.hasTag(tag) ? legs : undefined;
    for (const leg of legs) if (leg.tag === tag) return leg;
    return undefined;
  }

  hasLeg(tag: string): boolean {
    return this.findLeg(tag) !== undefined;
  }

  /** Which way a request goes, by its tags; undefined when they are not those of this dialog (RFC 3261 §12.2.2). */
  directionOf(request: SipRequest): Direction | undefined {
    const { fromTag, toTag } = request;
    if (fromTag === this.fromTag) return this.#knows(toTag) ? "downstream" : undefined;
    if (toTag === this.fromTag) return this.#knows(fromTag) ? "upstream" : undefined;
    return undefined;
  }

  /**
   * Whether a message is of this call: a request by Call-ID and tags, a response by Call-ID, the caller's tag and the branch of the INVITE that went out last,
   * which only those know who handled it.
   */
  owns(message: SipRequest | SipResponse): boolean {
    if (message.callId !== this.callId) return false;
    if (message.kind === "request") return this.directionOf(message as SipRequest) !== undefined;
    return message.fromTag === this.fromTag && this.inviteBranch !== "" && message.topVia.branch === this.inviteBranch;
  }

  /** What caller and callee said of their sessions has been agreed on. undefined: nothing new. Kept only when a ping will need it. */
  noteSessions(caller: SipMessage | undefined, callee: SipMessage | undefined): void {
    if ((this.flags & REINVITE_PINGS) === 0) return;
    if (caller !== undefined) this.callerSession = sessionOf(caller) ?? this.callerSession;
    if (callee !== undefined) this.calleeSession = sessionOf(callee) ?? this.calleeSession;
  }

  /**
   * The 2xx of its INVITE passes. What was agreed on while it rang counts more than what these two say (RFC 3261 §13.2.1, RFC 3311 §5.1); among several callees
   * nobody can say with whom that was.
   */
  noteAnswer(invite: SipRequest, response: SipResponse): void {
    if (this.callerSession === "" && this.calleeSession === "") this.noteSessions(invite, response);
    else if (this.legs.length > 1) this.#forgetSessions();
  }

  #forgetSessions(): void {
    this.callerSession = "";
    this.calleeSession = "";
  }

  /** A response to the INVITE passes: its To tag becomes a leg, or the leg learns its remote target (RFC 3261 §12.1.2). */
  learnLeg(response: SipResponse, state: "early" | "confirmed"): CalleeLeg | undefined {
    const tag = response.toTag;
    // A callee of RFC 2543 has no tag: it is a leg once it answers (RFC 3261 §12.1.2).
    if (tag === "" && state === "early") return undefined;
    const leg = this.findLeg(tag);
    if (leg === undefined) {
      if (!this.#makeRoomFor(state)) return undefined;
      const added = new Leg({ tag, contact: contactUri(response), routeSet: calleeRoutesOf(response, this.did), cseq: 0, state });
      this.#addLeg(added);
      return added;
    }
    if (state === "early" && leg.state === "early") leg.contact = contactUri(response) || leg.contact;
    if (state === "confirmed" && leg.state !== "confirmed") {
      if (leg.state === "early") leg.state = "confirmed";
      if (!saysContact(response, leg.contact)) leg.contact = contactUri(response) || leg.contact;
      leg.routeSet = calleeRoutesOf(response, this.did);
    }
    return leg;
  }

  /** Its INVITE is about to go out. */
  inviteSent(target: Endpoint, branch: string, uri: string, cseq: number): void {
    this.calleeEndpoint = target;
    this.inviteBranch = branch;
    this.inviteUri = uri;
    this.inviteCseq = cseq;
  }

  /** The leg with this tag, as one whose 2xx was not seen. Undefined: there is no room for another one. */
  confirmLeg(tag: string, contact: string): CalleeLeg | undefined {
    const leg = this.findLeg(tag);
    if (leg === undefined) {
      if (!this.#makeRoomFor("confirmed")) return undefined;
      const added = new Leg({ tag, contact, routeSet: NO_ROUTES, cseq: 0, state: "confirmed" });
      this.#addLeg(added);
      return added;
    }
    if (leg.state === "early") leg.state = "confirmed";
    leg.contact = contact || leg.contact;
    return leg;
  }

  /** A BYE passes for the leg with this tag, of which no 1xx may have told: a 2xx that it crosses does not bring the leg up again. */
  endLeg(tag: string, direction: Direction): void {
    const isEarly = this.state < DialogState.ConfirmedNoAck;
    let leg = this.findLeg(tag);
    if (leg === undefined) {
      if (!isEarly || this.legs.length >= MAX_LEGS) return;
      const added = new Leg({ tag, contact: "", routeSet: NO_ROUTES, cseq: 0, state: "ended", earlyBye: direction });
      this.#addLeg(added);
      leg = added;
    }
    leg.state = "ended";
    if (isEarly) leg.earlyBye = direction;
  }

  /** Legs of a destination that was given up are forgotten: their tags are no longer part of the call. */
  forgetEarlyLegs(): void {
    this.#forgetSessions();
    this.#setLegs(this.legs.filter(({ state }) => state === "confirmed"));
  }

  /** Whether the callee's tag of this request is one that we saw. */
  hasLegOf(request: SipRequest, direction: Direction): boolean {
    return this.findLeg(direction === "downstream" ? request.toTag : request.fromTag) !== undefined;
  }

  #setLegs(legs: readonly CalleeLeg[]): void {
    const [first] = legs;
    if (first === undefined) this.#legs = NO_LEGS;
    else this.#legs = legs.length === 1 && first instanceof Leg ? first : legs;
  }

  #addLeg(leg: Leg): void {
    if (this.#legs === NO_LEGS) this.#legs = leg;
    else this.#setLegs(this.legs.concat(leg)); // a list that grows makes room for seventeen
  }

  /** An answer is worth more than the tags of forks that only rang, or that were invented. */
  #makeRoomFor(state: "early" | "confirmed"): boolean {
    const { legs } = this;
    if (legs.length < MAX_LEGS) return true;
    const spare = state === "early" ? -1 : legs.findIndex((leg) => leg.state !== "confirmed");
    if (spare !== -1) this.#setLegs(legs.toSpliced(spare, 1));
    return spare !== -1;
  }

  #knows(tag: string): boolean {
    if (this.findLeg(tag) !== undefined) return true;
    // Before the 2xx a fork may speak whose 1xx was lost; afterwards only the tags that we saw are of this call.
    return this.state < DialogState.ConfirmedNoAck || (this.legs.length >= MAX_LEGS && this.legs.every((leg) => leg.state === "confirmed"));
  }
}

/** What is or is not so of a call, a bit each: a field each would be eight bytes. */
const Mark = { Restored: 1, Guest: 2, Refused: 4, PutOff: 8, SessionTimer: 16 } as const;

const NO_LEGS: readonly CalleeLeg[] = [];
