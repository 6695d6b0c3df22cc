import { buildResponse, parseMessage, type SipRequest } from "../sip/index.ts";
import type { TransactionLayer } from "./layer.ts";
import type { ConnectionWatcher, Endpoint } from "./ports.ts";
import { copyOf, type KnownRequest, originOf, senderOf } from "./request-index.ts";
import { responseTarget, stampedVia } from "./response-routing.ts";
import { Act, inviteServerStep, On, State, serverStep, stateOf } from "./step.ts";
import { Timer, type TimerOwner } from "./timer-wheel.ts";
import { T1_MS, T2_MS, T4_MS, TIMER_64_T1_MS } from "./timers.ts";

/** The transaction user of a server transaction, once it has taken the request on. */
export interface ServerUser {
  /** A CANCEL for this INVITE came; it is answered 200 already (RFC 3261 §16.10). */
  cancel(cancel: SipRequest): void;
  /** The CANCEL came after the final response: it has no effect (RFC 3261 §9.2). */
  cancelledLate?(): void;
  /** The connection that every answer to this INVITE would take has ended, and there is no final answer yet. What is answered from now on goes nowhere. */
  callerGone?(): void;
  /** Timer H: the final response was never acknowledged. Nothing can be done but to know it. */
  ackTimeout?(): void;
}

const RETRANSMIT = 1;
const TIMEOUT = 2;
const LINGER = 3;

/**
 * One request that we received and the responses that we sent to it (RFC 3261 §17.2). It is its own timer for the wait for an ACK and for the time that it lingers,
 * of which it has one at a time: at 1,000 calls/s there are 64,000 of them that linger, and each object less is one less to be moved by the collector.
 */
export class ServerTransaction extends Timer implements TimerOwner, ConnectionWatcher, KnownRequest {
  readonly source: Endpoint;
  callId: string;
  readonly method: string;
  readonly cseqNumber: number;
  readonly sender: string;
  readonly origin: string;
  isMergeable = false;
  isCrowded = false;
  nextOfCall: ServerTransaction | undefined = undefined;
  state: State;
  user: ServerUser | undefined = undefined;
  readonly #layer: TransactionLayer;
  #target: Endpoint;
  /** Once it is answered only its text is kept: where its headers stand takes more memory than the text, and hardly ever somebody asks again. */
  #request: SipRequest | string;
  #isDeserted = false;
  #last = "";
  #toTag = "";
  #retransmitMs = T1_MS;
  /** Timer G: only a refused INVITE has it. */
  #retransmit: Timer | undefined = undefined;

  constructor(layer: TransactionLayer, request: SipRequest, source: Endpoint) {
    super(undefined, 0, 0);
    const { method, topVia } = request;
    this.#layer = layer;
    this.#request = request;
    this.source = source;
    this.callId = request.callId;
    // One that nobody knows may be as long as the message that it would keep.
    this.method = method === "INVITE" ? "INVITE" : method === "BYE" ? "BYE" : copyOf(method);
    this.cseqNumber = request.cseqNumber;
    this.sender = senderOf(topVia);
    this.origin = originOf(request);
    this.#target = responseTarget(topVia, source);
    this.state = method === "INVITE" ? State.Proceeding : State.Trying;
    if (method === "INVITE") source.connection?.watch?.(this);
  }

  /** @throws {Error} when the transaction user has said that it needs it no more */
  get request(): SipRequest {
    return typeof this.#request === "string" ? readAgain(this.#request) : this.#request;
  }

  /** The transaction user needs the request no more. Until it is answered it stays all the same. */
  forgetRequest(): void {
    if (this.answered) this.#request = "";
  }

  /** Whether the request can still be asked for. */
  get hasRequest(): boolean {
    return this.#request !== "";
  }

  get #isInvite(): boolean {
    return this.method === "INVITE";
  }

  /** A final response was sent. */
  get answered(): boolean {
    return this.state >= State.Accepted;
  }

  /** Answers with a response of our own. False when a final response was sent before. */
  reply(status: number, reason: string, headers?: readonly (readonly [string, string])[]): boolean {
    if (this.answered) return false;
    if (this.#isDeserted) {
      this.respond(status, "");
      return true;
    }
    const via = stampedVia(this.request, this.source);
    const toTag = status > 100 ? this.localTag() : undefined;
    const text = buildResponse(this.request, status, reason, { via, toTag, headers: this.#layer.ownHeaders(status, headers) });
    this.#layer.counters.local_replies++;
    this.respond(status, text);
    return true;
  }

  /** The To tag of the responses that we make ourselves: one a transaction (RFC 3261 §8.2.6.2). */
  localTag(): string {
    if (this.#toTag === "") this.#toTag = this.#layer.chance.token();
    return this.#toTag;
  }

  /** Answers with this To tag: that of the INVITE, for its CANCEL (RFC 3261 §9.2). */
  useTag(tag: string): void {
    this.#toTag = tag;
  }

  /** Sends a response that is ready: one that came from a destination, without our Via. */
  respond(status: number, text: string): void {
    if (!this.#isDeserted) this.#apply(status < 200 ? On.Provisional : status < 300 ? On.Success : On.Failure, text);
    else if (status >= 200) this.drop(); // RFC 3261 §17.2.4: nobody can acknowledge it
  }

  connectionEnded(): void {
    if (this.answered) return;
    this.#isDeserted = true;
    this.user?.callerGone?.();
  }

  /**
   * The request came again. Whose connection has ended and who has opened another one is answered there: the port of its Via may be one that nobody can connect to.
   * @param request the copy
   * @param source of the copy
   */
  receiveCopy(request: SipRequest, source: Endpoint): void {
    const { address, connection, transport } = this.source;
    const isBack = connection?.isOpen === false && source.connection !== undefined;
    if (isBack && source.transport === transport && source.address === address) this.#target = responseTarget(request.topVia, source);
    this.#apply(On.Request);
  }

  /** An ACK with the branch of this transaction. True when it was for us (non-2xx), false when it belongs to the TU. */
  receiveAck(): boolean {
    const passed = this.state === State.Accepted;
    this.#apply(On.Ack);
    return !passed;
  }

  timerFired(kind: number): void {
    this.#apply(kind === RETRANSMIT ? On.Retransmit : kind === TIMEOUT ? On.Timeout : On.Linger);
  }

  /** Never answers: copies are absorbed until their sender gives up (RFC 4320 §4.1). Harmless when a final response was sent before. */
  silence(): void {
    if (this.answered) return;
    this.state = State.Completed;
    this.#last = "";
    this.#settle();
    this.#start(TIMER_64_T1_MS, LINGER);
  }

  /** Forgets the transaction without an answer. */
  drop(): void {
    if (this.state !== State.Terminated) this.#terminate();
  }

  #apply(event: On, text = ""): void {
    const before = this.state;
    const step = (this.#isInvite ? inviteServerStep : serverStep)(before, event, this.#reliable);
    this.state = stateOf(step);
    if (this.answered && before < State.Accepted) this.#settle();
    if (step & Act.Send) this.#send(text);
    if (step & Act.Resend && this.#last !== "") {
      this.#layer.counters.retransmitted_responses++;
      this.#layer.wire.send(this.#last, this.#target);
    }
    if (this.state !== stateOf(step)) return; // what was sent was answered within the call: the timers are those of the later state
    if (step & Act.StopRetransmit) this.#retransmit = this.#layer.stopTimer(this.#retransmit);
    if (step & Act.StopTimeout) this.#layer.stopTimer(this);
    if (step & Act.StartRetransmit) this.#startRetransmit(T1_MS);
    if (step & Act.DoubleRetransmit) this.#startRetransmit(Math.min(this.#retransmitMs * 2, T2_MS));
    if (step & Act.StartTimeout) this.#start(TIMER_64_T1_MS, TIMEOUT);
    if (step & Act.StartLinger) this.#startLinger();
    if (this.state === State.Terminated && before !== State.Terminated) this.#terminate();
    if (step & Act.ReportTimeout) this.user?.ackTimeout?.();
  }

  get #reliable(): boolean {
    return this.source.transport !== "udp";
  }

  #send(text: string): void {
    // In Accepted nothing is ever repeated by the transaction, so nothing is kept.
    this.#last = this.state === State.Accepted ? "" : text;
    this.#layer.wire.send(text, this.#target);
  }

  #startRetransmit(ms: number): void {
    this.#retransmitMs = ms;
    this.#retransmit = this.#layer.startTimer(ms, this, RETRANSMIT);
  }

  #startLinger(): void {
    const timerI = this.#reliable ? 0 : T4_MS;
    const timerJ = this.#reliable ? 0 : TIMER_64_T1_MS;
    const ms = !this.#isInvite ? timerJ : this.state === State.Accepted ? TIMER_64_T1_MS : timerI;
    if (ms === 0) this.state = State.Terminated;
    else this.#start(ms, LINGER); // in place of that of silence(), when an ACK came all the same
  }

  #start(ms: number, kind: number): void {
    this.kind = kind;
    this.#layer.restartTimer(this, ms, this.#layer.nowMs());
  }

  #settle(): void {
    this.#unwatch();
    if (typeof this.#request !== "string") this.#request = this.#request.raw;
  }

  #unwatch(): void {
    if (this.#isInvite) this.source.connection?.unwatch?.(this);
  }

  #terminate(): void {
    this.state = State.Terminated;
    this.#unwatch();
    this.#retransmit = this.#layer.stopTimer(this.#retransmit);
    this.#layer.stopTimer(this);
    this.#layer.forgetServer(this);
    this.#last = "";
  }
}

/** What was a request when it came is one still. */
function readAgain(text: string): SipRequest {
  if (text === "") throw new Error("Cannot read the request of a transaction: it was said that nobody needs it any more");
  const message = parseMessage(text);
  return (message.kind === "malformed" ? message.answerable : message) as SipRequest;
}
