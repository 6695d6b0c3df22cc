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
  /** Trial calls that must succeed to close it, from 1. */
  readonly trialCalls: number;
}

/** "trials": a few calls are let through to see whether the destination is well again. */
export type BreakerPhase = "closed" | "open" | "trials";

/**
 * The circuit breaker of one destination: a state machine without clock, timers or effects.
 *
 * Each change of phase begins a new epoch. A call carries the epoch in which it was sent, so that what becomes of calls from before, a time-out
 * that comes late above all, says nothing of the phase after them.
 */
export class Breaker {
  phase: BreakerPhase = "closed";
  epoch = 0;
  /** Trial calls that have succeeded in this epoch. */
  trialsPassed = 0;
  readonly #settings: BreakerSettings;
  readonly #window: OutcomeWindow;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
    this.#window = new OutcomeWindow(settings.windowMs);
  }

  /** The destination showed that it works on a call of that epoch. To be told once a call. Answers whether the phase changed. */
  alive(epoch: number, nowMs: number): boolean {
    if (epoch !== this.epoch) return false;
    if (this.phase === "closed") this.#window.countCall(nowMs);
    else if (this.phase === "trials" && ++this.trialsPassed >= this.#settings.trialCalls) return this.#turn("closed");
    return false;
  }

  /**
   * A call of that epoch failed. Answers whether the phase changed.
   *
   * @param wasAlive {@link alive} was told of this call before: it is counted already
   */
  failed(epoch: number, wasAlive: boolean, nowMs: number): boolean {
    if (epoch !== this.epoch) return false;
    if (this.phase === "trials") return this.#turn("open");
    if (this.phase === "open") return false;
    if (!wasAlive) this.#window.countCall(nowMs);
    this.#window.countFailure(nowMs);
    const { minCalls, failureRatio } = this.#settings;
    const failures = this.failures(nowMs);
    const calls = this.calls(nowMs);
    return calls >= minCalls && failures >= failureRatio * calls && this.#turn("open");
  }

  /** It was open for long enough. Answers whether the phase changed. */
  tryOut(): boolean {
    return this.phase === "open" && this.#turn("trials");
  }

  /** Trial calls that still have to succeed. */
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

  /** What led to the opening stays readable in the window until the breaker closes. */
  #turn(phase: BreakerPhase): true {
    this.phase = phase;
    this.epoch++;
    this.trialsPassed = 0;
    if (phase === "closed") this.#window.clear();
    return true;
  }
}
