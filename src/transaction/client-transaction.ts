import { buildAck, parseMessage, type SipRequest, type SipResponse } from "../sip/index.ts";
import type { TransactionLayer } from "./layer.ts";
import { type Endpoint, LOST, type SendOwner } from "./ports.ts";
import { Act, clientStep, inviteClientStep, On, State, stateOf } from "./step.ts";
import type { Timer, TimerOwner } from "./timer-wheel.ts";
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

const RETRANSMIT = 1;
const TIMEOUT = 2;
const LINGER = 3;

/** One request that we sent and the responses to it (RFC 3261 §17.1). */
export class ClientTransaction implements TimerOwner, SendOwner {
  readonly method: string;
  readonly branch: string;
  readonly target: Endpoint;
  state: State;
  readonly #layer: TransactionLayer;
  readonly #user: ClientUser;
  #text: string;
  /** Text of the ACK for a non-2xx, repeated for each copy of the response. */
  #ack = "";
  #retransmitMs = T1_MS;
  /** The request was sent again, as the connection of the first copy was lost. */
  #wasLost = false;
  #retransmit: Timer | undefined;
  #timeout: Timer | undefined;
  #linger: Timer | undefined;

  constructor(layer: TransactionLayer, request: ClientRequest, user: ClientUser) {
    this.#layer = layer;
    this.#user = user;
    this.method = request.method;
    this.branch = request.branch;
    this.target = request.target;
    this.#text = request.text;
    this.state = this.method === "INVITE" ? State.Calling : State.Trying;
    if (!this.#reliable) this.#retransmit = layer.startTimer(T1_MS, this, RETRANSMIT);
    this.#timeout = layer.startTimer(request.timeoutMs, this, TIMEOUT);
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
    this.#apply(kind === RETRANSMIT ? On.Retransmit : kind === TIMEOUT ? On.Timeout : On.Linger);
  }

  /** Gives up at once, without a word to the user: what waited for a cancelled branch is over (RFC 3261 §9.1). */
  abandon(): void {
    if (this.state !== State.Terminated) this.#terminate();
  }

  #apply(event: On, response?: SipResponse, reason = ""): void {
    const before = this.state;
    const step = (this.method === "INVITE" ? inviteClientStep : clientStep)(before, event, this.#reliable);
    this.state = stateOf(step);
    if (step & Act.StopRetransmit) this.#retransmit = this.#layer.stopTimer(this.#retransmit);
    if (step & Act.StopTimeout) this.#timeout = this.#layer.stopTimer(this.#timeout);
    if (step & Act.Resend) this.#resend();
    if (step & Act.DoubleRetransmit) this.#startRetransmit(this.#retransmitMs * 2);
    if (step & Act.RetransmitAtT2) this.#startRetransmit(T2_MS);
    if (step & Act.SendAck && response !== undefined) this.#sendAck(response);
    if (step & Act.StartLinger) this.#startLinger();
    if (this.state === State.Terminated && before !== State.Terminated) this.#terminate();
    if (step & Act.Pass && response !== undefined) this.#user.response(this, response);
    if (step & Act.ReportTimeout) this.#user.timeout(this);
    if (step & Act.ReportTransportError) this.#user.transportError(this, reason);
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
    this.#retransmit = this.#layer.startTimer(this.#retransmitMs, this, RETRANSMIT);
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
    else this.#linger = this.#layer.startTimer(ms, this, LINGER);
  }

  #terminate(): void {
    this.state = State.Terminated;
    this.#retransmit = this.#layer.stopTimer(this.#retransmit);
    this.#timeout = this.#layer.stopTimer(this.#timeout);
    this.#linger = this.#layer.stopTimer(this.#linger);
    this.#layer.forgetClient(this);
  }
}
