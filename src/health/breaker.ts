import { OutcomeWindow } from "./outcome-window.ts";

/** When a breaker opens, and how it closes again. */
export interface BreakerSettings {
  /** Calls of how long are judged, ms; 0: there is no breaker. */
  readonly windowMs: number;
  /** Calls within the window below which nothing is judged, from 1. */
  readonly minCalls: number;
  /** Share of failed calls that opens, above 0 to 1. */
  readonly failureRatio: number;
  /** How long it stays open before trial calls are let through, ms. */
  readonly openMs: number;
  /** Trial calls that must pass to close it, from 1. */
  readonly trialCalls: number;
}

/** "trials": a few calls are let through to see whether the destination is well again. */
export type BreakerPhase = "closed" | "open" | "trials";

/**
 * The circuit breaker of one destination: a state machine without clock, timers or effects.
 *
 * Each change of phase, and each round of trials, begins a new epoch. A call carries a ticket, the epoch in which it was sent or began to ring,
 * so that what becomes of calls from before the phase, a time-out that comes late above all, says nothing of it.
 *
 * A trial passes with a final answer that is no failure: ringing alone closes nothing, since the same call may be answered 503 a moment later.
 * One that rings still when the time of its round is up has passed too: that callees take their time is not the destination's fault.
 */
export class Breaker {
  phase: BreakerPhase = "closed";
  epoch = 0;
  /** Trial calls that have passed in this phase. */
  trialsPassed = 0;
  /** The epoch with which the phase began. */
  #since = 0;
  /** Trial calls that began to ring in this epoch and have come to nothing yet. */
  #ringing = 0;
  readonly #settings: BreakerSettings;
  readonly #window: OutcomeWindow;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
    this.#window = new OutcomeWindow(settings.windowMs);
  }

  /** A call rings. To be told at most once a call. Answers the ticket that the call carries from now on. */
  alive(ticket: number, nowMs: number): number {
    if (!this.#isOfPhase(ticket)) return ticket;
    if (this.phase === "closed") this.#window.countCall(nowMs);
    else if (this.phase === "trials") this.#ringing++;
    return this.epoch;
  }

  /**
   * A call got its final answer, and that was no failure. To be told at most once a call. Answers whether the phase changed.
   *
   * @param wasAlive {@link alive} was told of this call before
   */
  passed(ticket: number, wasAlive: boolean, nowMs: number): boolean {
    if (!this.#isOfPhase(ticket)) return false;
    if (this.phase === "closed" && !wasAlive) this.#window.countCall(nowMs);
    if (this.phase !== "trials") return false;
    if (wasAlive && ticket < this.epoch) return false; // it has passed with the end of its round
    if (wasAlive && this.#ringing > 0) this.#ringing--;
    return this.#pass(1);
  }

  /**
   * A call failed. Answers whether the phase changed.
   *
   * @param wasAlive {@link alive} was told of this call before: it is counted already
   */
  failed(ticket: number, wasAlive: boolean, nowMs: number): boolean {
    if (!this.#isOfPhase(ticket)) return false;
    if (this.phase === "trials") return this.#turn("open");
    if (this.phase === "open") return false;
    if (!wasAlive) this.#window.countCall(nowMs);
    this.#window.countFailure(nowMs);
    const { minCalls, failureRatio } = this.#settings;
    const failures = this.failures(nowMs);
    const calls = this.calls(nowMs);
    return calls >= minCalls && failures >= failureRatio * calls && this.#turn("open");
  }

  /** Somebody else has seen that it is to be open. Answers whether the phase changed. */
  open(): boolean {
    return this.phase !== "open" && this.#turn("open");
  }

  /** It was open for long enough. Answers whether the phase changed. */
  tryOut(): boolean {
    return this.phase === "open" && this.#turn("trials");
  }

  /** The time of a round of trials is up: what rings has passed. Answers whether the phase changed; if not, what is still wanted may be let through. */
  endRound(): boolean {
    if (this.phase !== "trials") return false;
    const ringing = this.#ringing;
    this.#ringing = 0;
    this.epoch++;
    return this.#pass(ringing);
  }

  /** Somebody vouches for the destination: calls from before say nothing of it any more, and nothing is open. Answers whether the phase changed. */
  forgive(): boolean {
    const wasClosed = this.phase === "closed";
    this.#turn("closed");
    return !wasClosed;
  }

  /** Trial calls that still have to pass. */
  get trialsWanted(): number {
    return this.phase === "trials" ? this.#settings.trialCalls - this.trialsPassed : 0;
  }

  /** Calls of the window, also those whose beginning it has forgotten already. */
  calls(nowMs: number): number {
    return Math.max(this.#window.calls(nowMs), this.#window.failures(nowMs));
  }

  failures(nowMs: number): number {
    return this.#window.failures(nowMs);
  }

  /** A ticket from the future is that of a breaker before this one, whose row had gone for a while. */
  #isOfPhase(ticket: number): boolean {
    return this.#since <= ticket && ticket <= this.epoch;
  }

  #pass(trials: number): boolean {
    this.trialsPassed += trials;
    return this.trialsPassed >= this.#settings.trialCalls && this.#turn("closed");
  }

  /** What led to the opening stays readable in the window until the breaker closes. */
  #turn(phase: BreakerPhase): true {
    this.phase = phase;
    this.#since = ++this.epoch;
    this.#ringing = 0;
    this.trialsPassed = 0;
    if (phase === "closed") this.#window.clear();
    return true;
  }
}
