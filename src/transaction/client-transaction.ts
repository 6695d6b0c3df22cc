import { buildAck, parseMessage, type SipRequest, type SipResponse } from "../sip/index.ts";
import type { TransactionLayer } from "./layer.ts";
import { type Endpoint, LOST, type SendOwner } from "./ports.ts";
import { Act, clientStep, inviteClientStep, On, State, stateOf } from "./step.ts";
import { Timer, type TimerOwner } from "./timer-wheel.ts";
import { T1_MS, T2_MS, T4_MS, TIMER_64_T1_MS } from "./timers.ts";

/** The transaction user of a client transaction: the proxy's response context (RFC 3261 §16.7). */
export interface ClientUser {
  response(transaction: ClientTransaction, response: SipResponse): void;
  /** Timer B or F: nobody answered. The transaction has ended. */
  timeout(transaction: ClientTransaction): void;
  /** The request could not be sent. The transaction has ended. */
  transportError(transaction: ClientTransaction, reason: string): void;
}

/** What a client transaction sends and for how long it waits. */
export interface ClientRequest {
  readonly text: string;
  readonly method: string;
  /** Branch of our Via in `text`. */
  readonly branch: string;
  readonly target: Endpoint;
  /** Timer B (INVITE) or F, in milliseconds. */
  readonly timeoutMs: number;
}

/** What it waits for: an answer, with Timer A or E as long as there is nothing, or its end. */
const ANSWER = 1;
const LINGER = 2;
const NEVER = Number.POSITIVE_INFINITY;

/** Takes the place of the user of a transaction that has nothing more to say to it. */
const NOBODY: ClientUser = { response() {}, timeout() {}, transportError() {} };

/**
 * One request that we sent and the responses to it (RFC 3261 §17.1). It is its own timer, for what is due first: an ordinary answer comes within a millisecond, so
 * that timers are set and stopped for each request and hardly ever fire.
 */
export class ClientTransaction extends Timer implements TimerOwner, SendOwner {
  readonly method: string;
  readonly branch: string;
  readonly target: Endpoint;
  state: State;
  readonly #layer: TransactionLayer;
  user: ClientUser;
  #text: string;
  /** Text of the ACK for a non-2xx, repeated for each copy of the response. */
  #ack = "";
  #retransmitMs = T1_MS;
  /** The request was sent again, as the connection of the first copy was lost. */
  #wasLost = false;
  /** When Timers A or E, and B or F, are due. */
  #retransmitAtMs = NEVER;
  #timeoutAtMs = NEVER;

  constructor(layer: TransactionLayer, request: ClientRequest, user: ClientUser) {
    super(undefined, ANSWER, 0);
    this.#layer = layer;
    this.user = user;
    this.method = request.method;
    this.branch = request.branch;
    this.target = request.target;
    this.#text = request.text;
    this.state = this.method === "INVITE" ? State.Calling : State.Trying;
    const nowMs = layer.nowMs();
    if (!this.#reliable) this.#retransmitAtMs = nowMs + T1_MS;
    this.#timeoutAtMs = nowMs + request.timeoutMs;
    this.#await();
    layer.wire.send(request.text, request.target, this);
  }

  get #reliable(): boolean {
    return this.target.transport !== "udp";
  }

  receive(response: SipResponse): void {
    const status = response.status;
    this.#apply(status < 200 ? On.Provisional : status < 300 ? On.Success : On.Failure, response);
  }

  transportError(reason: string): void {
    if (this.#mayRepeat(reason)) {
      this.#wasLost = true;
      this.#resend();
    } else this.#apply(On.TransportError, undefined, reason);
  }

  timerFired(kind: number): void {
    if (kind === LINGER) {
      this.#apply(On.Linger);
      return;
    }
    const nowMs = this.#layer.nowMs();
    if (nowMs >= this.#retransmitAtMs) this.#apply(On.Retransmit);
    if (nowMs >= this.#timeoutAtMs) this.#apply(On.Timeout);
    else if (!this.isPending && this.state < State.Accepted) this.#await();
  }

  /** Gives up at once, without a word to the user: what waited for a cancelled branch is over (RFC 3261 §9.1). */
  abandon(): void {
    if (this.state !== State.Terminated) this.#terminate();
  }

  #apply(event: On, response?: SipResponse, reason = ""): void {
    const before = this.state;
    const step = (this.method === "INVITE" ? inviteClientStep : clientStep)(before, event, this.#reliable);
    this.state = stateOf(step);
    if (step & Act.StopRetransmit) this.#retransmitAtMs = NEVER;
    if (step & Act.StopTimeout) this.#timeoutAtMs = NEVER;
    if (step & (Act.StopRetransmit | Act.StopTimeout)) this.#await();
    if (step & Act.Resend) this.#resend();
    if (this.state !== stateOf(step)) return; // what was sent was answered within the call: the timers are those of the later state
    if (step & Act.DoubleRetransmit) this.#startRetransmit(this.#retransmitMs * 2);
    if (step & Act.RetransmitAtT2) this.#startRetransmit(T2_MS);
    if (step & Act.SendAck && response !== undefined) this.#sendAck(response);
    if (step & Act.StartLinger) this.#startLinger();
    if (this.state === State.Terminated && before !== State.Terminated) this.#terminate();
    if (step & Act.Pass && response !== undefined) this.user.response(this, response);
    if (step & Act.ReportTimeout) this.user.timeout(this);
    if (step & Act.ReportTransportError) this.user.transportError(this, reason);
    if (this.state >= State.Completed) this.user = NOBODY; // only a 2xx may be followed by what is to be told
  }

  /**
   * Once, on a new connection: should the first copy have arrived after all, this one is a copy to the other side (RFC 3261 §17.2.3). Who is only reached by
   * the connection that it has opened has no other.
   */
  #mayRepeat(reason: string): boolean {
    const isWaiting = this.state === State.Calling || this.state === State.Trying;
    return isWaiting && !this.#wasLost && this.target.connection === undefined && reason.startsWith(LOST);
  }

  #resend(): void {
    this.#layer.counters.retransmitted_requests++;
    this.#layer.wire.send(this.#text, this.target, this);
  }

  #startRetransmit(ms: number): void {
    // Timer A doubles without a ceiling, Timer E stops at T2.
    this.#retransmitMs = this.method === "INVITE" ? ms : Math.min(ms, T2_MS);
    this.#retransmitAtMs = this.#layer.nowMs() + this.#retransmitMs;
    this.#await();
  }

  /** Sets the timer for what is due first, or stops it. */
  #await(): void {
    const dueAtMs = Math.min(this.#retransmitAtMs, this.#timeoutAtMs);
    if (dueAtMs === NEVER) this.#layer.stopTimer(this);
    else this.#layer.restartTimer(this, 0, dueAtMs);
  }

  #sendAck(response: SipResponse): void {
    if (this.#ack === "") {
      const sent = parseMessage(this.#text);
      // Our own Via may have taken a request over a limit that it kept when it came: it must be acknowledged all the same.
      const request = sent.kind === "malformed" ? sent.answerable : sent;
      if (request === undefined) return;
      this.#ack = buildAck(request as SipRequest, response);
      this.#text = "";
    }
    this.#layer.wire.send(this.#ack, this.target);
  }

  #startLinger(): void {
    if (this.method !== "INVITE" || this.state === State.Accepted) this.#text = "";
    const timerK = this.#reliable ? 0 : T4_MS;
    const timerD = this.#reliable ? 0 : TIMER_64_T1_MS;
    // Timer M waits for forked 2xx on every transport.
    const ms = this.method !== "INVITE" ? timerK : this.state === State.Accepted ? TIMER_64_T1_MS : timerD;
    if (ms === 0) this.state = State.Terminated;
    else {
      this.kind = LINGER;
      this.#layer.restartTimer(this, ms, this.#layer.nowMs());
    }
  }

  #terminate(): void {
    this.state = State.Terminated;
    this.#layer.stopTimer(this);
    this.#layer.forgetClient(this);
  }
}
