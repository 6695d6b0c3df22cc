import type { Balancer, Destination } from "../balancer/index.ts";
import { Breaker, type BreakerPhase, type BreakerSettings } from "./breaker.ts";

/** Longest time that a breaker stays open because another node says so, ms. */
const MAX_ADOPTED_OPEN_MS = 86_400_000;

/** A destination failed a call: nobody answered in time, it answered 503, or 408 to a call that never rang, or nothing could be sent to it. */
export type CallFailure = "timeout" | "408" | "503" | "transport";

/**
 * What the proxy tells of the calls that it sends to destinations, whoever routed them: rules or a script. Of each call at most once `alive`, then at most once
 * `passed` or `failed`. Of a call that rings until nobody waits any longer nothing more is told than `alive`.
 */
export interface OutcomePort {
  /** A call is sent. The ticket that it answers is handed back with the outcome. */
  begun(destination: Destination): number;
  /** The first provisional response other than 100 came: the destination works on the call. Answers the ticket that is handed back from now on. */
  alive(destination: Destination, ticket: number): number;
  /**
   * A final response came that is no failure.
   *
   * @param wasAlive `alive` was told before
   */
  passed(destination: Destination, ticket: number, wasAlive: boolean): void;
  /**
   * @param wasAlive `alive` was told before
   * @param retryAfterS of a 503 the seconds for which it wants no further request, from 0; `undefined` when it says nothing that can be read
   */
  failed(destination: Destination, ticket: number, failure: CallFailure, wasAlive: boolean, retryAfterS: number | undefined): void;
  /**
   * The destination says that it has no room for the call. True: whoever tells its capacity has taken note, and nothing else is told of this call, as it
   * says nothing of the destination's health. False, or absent: it counts as `failed`.
   *
   * @param cells those in which the call is still counted
   */
  lackOfRoom?(destination: Destination, cells: readonly number[]): boolean;
}

/** The keys of the configuration that calls are judged by: seconds and shares. */
export interface OutcomeKeys {
  readonly retry_after_max: number;
  readonly breaker: {
    readonly window: number;
    readonly min_calls: number;
    readonly failure_ratio: number;
    readonly open_for: number;
    readonly trial_calls: number;
  };
}

export interface OutcomeSettings {
  readonly breaker: BreakerSettings;
  /** Longest rest that a Retry-After can bring, ms; 0: it is ignored. */
  readonly retryAfterMaxMs: number;
}

/** What the configuration says of judging calls; `undefined` when nothing of it is in use. */
export function outcomeSettings({ retry_after_max, breaker }: OutcomeKeys): OutcomeSettings | undefined {
  if (retry_after_max <= 0 && breaker.window <= 0) return undefined;
  return {
    retryAfterMaxMs: retry_after_max * 1000,
    breaker: {
      windowMs: breaker.window * 1000,
      minCalls: breaker.min_calls,
      failureRatio: breaker.failure_ratio,
      openMs: breaker.open_for * 1000,
      trialCalls: breaker.trial_calls,
    },
  };
}

/** A breaker changed its phase. `calls` and `failures` are those of its window. */
export interface BreakerChange {
  readonly destination: Destination;
  readonly phase: BreakerPhase;
  readonly before: BreakerPhase;
  readonly calls: number;
  readonly failures: number;
  /** An operator closed it, or it follows another node of the cluster; absent: its calls did it. */
  readonly cause?: "mi" | "cluster";
}

/** A breaker as those who manage it see it. */
export interface BreakerFigures {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  readonly phase: BreakerPhase;
  readonly calls: number;
  readonly failures: number;
  /** Trial calls that have still to pass; 0 unless the phase is "trials". */
  readonly trialsWanted: number;
}

/** How often each thing happened since the start; `breakers_open` is how many are not closed now. */
export interface OutcomeCounters {
  calls_alive: number;
  failures_timeout: number;
  failures_408: number;
  failures_503: number;
  failures_transport: number;
  /** Outcomes of calls to destinations that a reload removed. */
  outcomes_stale: number;
  breakers_open: number;
  breaker_openings: number;
  /** Times that trial calls were let through; more often than openings when trials were lost or failed. */
  breaker_trials: number;
  breaker_closings: number;
  /** Rests that began or were made longer. */
  retry_after_obeyed: number;
  /** Of these, how many were cut to the ceiling. */
  retry_after_capped: number;
}

export interface OutcomePorts {
  readonly balancer: Pick<Balancer, "destination" | "destinations" | "setBreaker" | "restUntil" | "restsUntilMs">;
  readonly settings: OutcomeSettings;
  /** The balancer's clock: milliseconds that never go back. */
  readonly nowMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly onBreaker?: (change: BreakerChange) => void;
  /** A destination asked for rest and gets it, `ms` from now; not told again when it asks for more meanwhile. 0: an operator ended it. */
  readonly onRest?: (destination: Destination, ms: number) => void;
}

interface Watched {
  destination: Destination;
  readonly breaker: Breaker;
  /** Takes the timer of the open breaker, or of its trials, back. */
  stopTimer: (() => void) | undefined;
}

/** Judges destinations by their calls: breakers, and rests that a 503 asks for. It keeps nothing of a call, and one breaker a destination. */
export class CallOutcomes implements OutcomePort {
  readonly counters: OutcomeCounters = {
    calls_alive: 0,
    failures_timeout: 0,
    failures_408: 0,
    failures_503: 0,
    failures_transport: 0,
    outcomes_stale: 0,
    breakers_open: 0,
    breaker_openings: 0,
    breaker_trials: 0,
    breaker_closings: 0,
    retry_after_obeyed: 0,
    retry_after_capped: 0,
  };
  readonly #ports: OutcomePorts;
  readonly #watched = new Map<string, Watched>();

  constructor(ports: OutcomePorts) {
    this.#ports = ports;
  }

  begun({ key }: Destination): number {
    return this.#watched.get(key)?.breaker.epoch ?? 0;
  }

  alive(destination: Destination, ticket: number): number {
    this.counters.calls_alive++;
    const current = this.#current(destination);
    const watched = current && this.#watch(current);
    return watched === undefined ? ticket : watched.breaker.alive(ticket, this.#ports.nowMs());
  }

  passed(destination: Destination, ticket: number, wasAlive: boolean): void {
    if (!wasAlive) this.counters.calls_alive++;
    const current = this.#current(destination);
    const watched = current && this.#watch(current);
    if (watched === undefined) return;
    const before = watched.breaker.phase;
    if (watched.breaker.passed(ticket, wasAlive, this.#ports.nowMs())) this.#changed(watched, before);
  }

  failed(destination: Destination, ticket: number, failure: CallFailure, wasAlive: boolean, retryAfterS: number | undefined): void {
    if (failure === "timeout") this.counters.failures_timeout++;
    else if (failure === "408") this.counters.failures_408++;
    else if (failure === "503") this.counters.failures_503++;
    else this.counters.failures_transport++;
    const current = this.#current(destination);
    if (current === undefined) return;
    const watched = this.#watch(current);
    if (watched !== undefined) {
      const before = watched.breaker.phase;
      if (watched.breaker.failed(ticket, wasAlive, this.#ports.nowMs())) this.#changed(watched, before);
    }
    if (retryAfterS !== undefined) this.#rest(current, retryAfterS * 1000);
  }

  /**
   * An operator says that the destination is well: its rest ends and its breaker closes. Calls that were sent before say nothing to the breaker any more.
   * Rows of a pool are forgiven one by one, as they are enabled.
   */
  forgive(destination: Destination): void {
    const { balancer, onRest } = this.#ports;
    const watched = this.#watched.get(destination.key);
    if (watched !== undefined) {
      const before = watched.breaker.phase;
      if (watched.breaker.forgive()) this.#changed(watched, before, "mi");
    }
    if (balancer.restsUntilMs(destination) === 0) return;
    balancer.restUntil(destination.id, 0);
    onRest?.(destination, 0);
  }

  /**
   * Follows the breaker of another node of the cluster; trial calls are each node's own. Nothing happens where there are no breakers.
   *
   * @param openMs how much longer it is open, ms; not above 0: trial calls are let through already; `undefined`: it has closed
   */
  adopt(id: number, openMs: number | undefined): void {
    const destination = this.#ports.balancer.destination(id);
    const watched = destination && (openMs === undefined ? this.#watched.get(destination.key) : this.#watch(destination));
    if (watched === undefined) return;
    const { breaker } = watched;
    const before = breaker.phase;
    if (openMs === undefined) {
      if (before !== "closed" && breaker.forgive()) this.#changed(watched, before, "cluster");
    } else if (openMs > 0) {
      if (breaker.open()) this.#changed(watched, before, "cluster");
      this.#wait(watched, Math.min(openMs, MAX_ADOPTED_OPEN_MS));
    } else if (before === "closed" && breaker.open()) {
      this.#changed(watched, before, "cluster");
      this.#timeUp(watched);
    }
  }

  /** To be told of a new table: breakers of rows that are gone are forgotten. The balancer keeps the states of the others. */
  tableChanged(): void {
    const current = new Map(this.#ports.balancer.destinations().map((destination) => [destination.key, destination]));
    for (const [key, watched] of this.#watched) {
      const destination = current.get(key);
      if (destination === undefined) this.#forget(key, watched);
      else watched.destination = destination;
    }
  }

  /** What is known of each destination that had a call, in id order. */
  figures(): BreakerFigures[] {
    const nowMs = this.#ports.nowMs();
    return [...this.#watched.values()]
      .map(({ destination: { id, group, uri }, breaker }) => ({
        id,
        group,
        uri,
        phase: breaker.phase,
        calls: breaker.calls(nowMs),
        failures: breaker.failures(nowMs),
        trialsWanted: breaker.trialsWanted,
      }))
      .sort((a, b) => a.id - b.id);
  }

  /** Lets no timer outlive it. */
  stop(): void {
    for (const [key, watched] of this.#watched) this.#forget(key, watched);
  }

  #watch(destination: Destination): Watched | undefined {
    const { breaker } = this.#ports.settings;
    if (breaker.windowMs <= 0) return undefined;
    let watched = this.#watched.get(destination.key);
    if (watched === undefined) {
      watched = { destination, breaker: new Breaker(breaker), stopTimer: undefined };
      this.#watched.set(destination.key, watched);
    }
    return watched;
  }

  /** The destination of a call, which may be older than the table, as the table has it now; `undefined` when it has it no more. */
  #current({ id, key }: Destination): Destination | undefined {
    const current = this.#ports.balancer.destination(id);
    if (current?.key === key) return current;
    this.counters.outcomes_stale++;
    return undefined;
  }

  #changed(watched: Watched, before: BreakerPhase, cause?: BreakerChange["cause"]): void {
    const { destination, breaker } = watched;
    const { balancer, nowMs, onBreaker } = this.#ports;
    watched.stopTimer?.();
    watched.stopTimer = undefined;
    const calls = breaker.calls(nowMs());
    const failures = breaker.failures(nowMs());
    if (breaker.phase === "closed") {
      balancer.setBreaker(destination.id, "closed");
      this.counters.breaker_closings++;
      this.counters.breakers_open--;
    } else if (breaker.phase === "open") {
      balancer.setBreaker(destination.id, "open");
      if (before === "closed") {
        this.counters.breaker_openings++;
        this.counters.breakers_open++;
      }
      this.#wait(watched);
    } else this.#letTrialsThrough(watched);
    onBreaker?.({ destination, phase: breaker.phase, before, calls, failures, ...(cause && { cause }) });
  }

  #wait(watched: Watched, ms = this.#ports.settings.breaker.openMs): void {
    watched.stopTimer?.();
    watched.stopTimer = this.#ports.after(ms, () => this.#timeUp(watched));
  }

  /** The breaker was open for long enough, or the time of a round of trials is up. */
  #timeUp(watched: Watched): void {
    const { breaker } = watched;
    watched.stopTimer?.();
    watched.stopTimer = undefined;
    if (breaker.tryOut()) this.#changed(watched, "open");
    else if (breaker.endRound()) this.#changed(watched, "trials");
    else if (breaker.phase === "trials") this.#letTrialsThrough(watched);
  }

  /**
   * As many as are still wanted. Not every trial comes to an outcome: a call may be picked and then answered otherwise by the script. What is lost is
   * replaced after the time that the breaker was open, so that at most `trialCalls` a time reach a destination that may be broken.
   */
  #letTrialsThrough(watched: Watched): void {
    this.counters.breaker_trials++;
    this.#ports.balancer.setBreaker(watched.destination.id, { trials: watched.breaker.trialsWanted });
    this.#wait(watched);
  }

  /** A rest becomes longer, never shorter: answers to calls that were under way may come in any order. */
  #rest(destination: Destination, askedMs: number): void {
    const { balancer, settings, nowMs, onRest } = this.#ports;
    const ms = Math.min(askedMs, settings.retryAfterMaxMs);
    if (ms <= 0) return;
    const untilMs = nowMs() + ms;
    const restsUntilMs = balancer.restsUntilMs(destination);
    if (restsUntilMs >= untilMs) return;
    for (const row of this.#rowsOfServer(destination)) {
      if (balancer.restsUntilMs(row) < untilMs) balancer.restUntil(row.id, untilMs);
    }
    this.counters.retry_after_obeyed++;
    if (ms < askedMs) this.counters.retry_after_capped++;
    if (restsUntilMs === 0) onRest?.(destination, ms);
  }

  /** Rows that share a pool are one server, which asked for rest as a whole. */
  #rowsOfServer(destination: Destination): readonly Destination[] {
    const { shared } = destination.options;
    return shared === undefined ? [destination] : this.#ports.balancer.destinations().filter(({ options }) => options.shared === shared);
  }

  #forget(key: string, watched: Watched): void {
    watched.stopTimer?.();
    if (watched.breaker.phase !== "closed") this.counters.breakers_open--;
    this.#watched.delete(key);
  }
}
