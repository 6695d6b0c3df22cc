import { CallRate } from "./call-rate.ts";
import type { DestinationTable } from "./destination-table.ts";
import { STATUS_BREAKER, STATUS_DRAINING, STATUS_LEAVING, STATUS_OVER_RATE, STATUS_RESTING, STATUS_WITHDRAWN } from "./status.ts";
import { WakeQueue } from "./wake-queue.ts";

/** State of a breaker: "trials" lets a number of calls through. */
export type BreakerState = "closed" | "open" | "trials";

const STATES = ["closed", "open", "trials"] as const;
const CLOSED_BREAKER = 0;
const OPEN_BREAKER = 1;
const TRIALS = 2;

/**
 * What keeps calls from the destinations of one table besides their status and their loads: drains, breakers, rests and limits of calls a second; and how
 * much of the capacity is open. It sets and clears the status bits that selection looks at. What ends with time is ended by {@link wake}, when
 * a call comes: nothing here needs a timer.
 */
export class Availability {
  /** By row: the share of the capacity that is open. */
  readonly factors: Float64Array;
  /** True when something has to be told of each pick. */
  watchesPicks = false;
  /** When {@link wake} has something to do; positive infinity while nothing ends with time. */
  wakesAtMs = Number.POSITIVE_INFINITY;
  readonly #table: DestinationTable;
  readonly #restUntilMs: Float64Array;
  readonly #breakers: Uint8Array;
  readonly #trialsLeft: Int32Array;
  readonly #rates = new Map<string, CallRate>();
  readonly #rateOfRow: (CallRate | undefined)[] = [];
  /** By {@link CallRate.number}. */
  readonly #rateList: CallRate[] = [];
  /** Rows that rest, by their number, and behind all rows the rates that are used up. */
  readonly #queue: WakeQueue;

  /** @param maxCallsPerSecond limit of destinations that say nothing themselves, 0 for none; `undefined` without a clock, when nobody is limited */
  constructor(table: DestinationTable, maxCallsPerSecond: number | undefined) {
    const count = table.destinations.length;
    this.#table = table;
    this.factors = new Float64Array(count).fill(1);
    this.#restUntilMs = new Float64Array(count);
    this.#breakers = new Uint8Array(count);
    this.#trialsLeft = new Int32Array(count);
    if (maxCallsPerSecond !== undefined) this.#makeRates(maxCallsPerSecond);
    this.watchesPicks = this.#rates.size > 0;
    this.#queue = new WakeQueue(count + this.#rateList.length);
  }

  /** Takes over what was known of the destinations that stay, `status` bits included, and of the calls of the last second. */
  inherit(before: Availability): void {
    for (const [oldRow, { key }] of before.#table.destinations.entries()) {
      const row = this.#table.rowOfKey(key);
      if (row === -1) continue;
      this.#table.setStatus(row, before.#table.status[oldRow]! & ~STATUS_OVER_RATE);
      this.#table.enabledAt[row] = before.#table.enabledAt[oldRow]!;
      this.factors[row] = before.factors[oldRow]!;
      this.#restUntilMs[row] = before.#restUntilMs[oldRow]!;
      this.#breakers[row] = before.#breakers[oldRow]!;
      this.#trialsLeft[row] = before.#trialsLeft[oldRow]!;
      if (this.#breakers[row] === TRIALS) this.watchesPicks = true;
    }
    for (const [key, rate] of this.#rates) {
      const known = before.#rates.get(key);
      if (known === undefined) continue;
      known.rows = rate.rows;
      known.limit = rate.limit;
      known.number = rate.number;
      this.#rateList[rate.number] = known;
      this.#rates.set(key, known);
      for (const row of rate.rows) this.#rateOfRow[row] = known;
    }
    // Rests and limits are looked at when the next call comes.
    this.wakesAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Ends what ended with time. To be called before a selection once {@link wakesAtMs} has come. */
  wake(nowMs: number): void {
    const rows = this.#restUntilMs.length;
    if (this.wakesAtMs === Number.NEGATIVE_INFINITY) {
      for (let row = 0; row < rows; row++) this.#rest(row, nowMs);
      for (const rate of this.#rateList) this.#limit(rate, nowMs);
    }
    while (this.#queue.firstAtMs <= nowMs) {
      const item = this.#queue.shift();
      if (item < rows) this.#rest(item, nowMs);
      else this.#limit(this.#rateList[item - rows]!, nowMs);
    }
    this.wakesAtMs = this.#queue.firstAtMs;
  }

  /** A call was given to the row. */
  picked(row: number, nowMs: number): void {
    if (this.#breakers[row] === TRIALS && this.#trialsLeft[row]! > 0) {
      this.#trialsLeft[row]!--;
      if (this.#trialsLeft[row] === 0) this.#setBit(row, STATUS_BREAKER, true);
    }
    const rate = this.#rateOfRow[row];
    if (rate === undefined) return;
    rate.note(nowMs);
    this.#limit(rate, nowMs);
  }

  /** The call that the row was given goes elsewhere: a trial is to be had again. The limit of calls a second goes on counting it. */
  unpicked(row: number): void {
    if (this.#breakers[row] !== TRIALS) return;
    this.#trialsLeft[row]!++;
    this.#setBit(row, STATUS_BREAKER, false);
  }

  setDraining(row: number, draining: boolean): void {
    this.#setBit(row, STATUS_DRAINING, draining);
  }

  setWithdrawn(row: number, withdrawn: boolean): void {
    this.#setBit(row, STATUS_WITHDRAWN, withdrawn);
  }

  setLeaving(row: number, leaving: boolean): void {
    this.#setBit(row, STATUS_LEAVING, leaving);
  }

  setBreaker(row: number, state: BreakerState, trials: number): void {
    this.#breakers[row] = state === "closed" ? CLOSED_BREAKER : state === "open" ? OPEN_BREAKER : TRIALS;
    this.#trialsLeft[row] = trials;
    this.#setBit(row, STATUS_BREAKER, state === "open" || (state === "trials" && trials === 0));
    if (state === "trials") this.watchesPicks = true;
  }

  breaker(row: number): BreakerState {
    return STATES[this.#breakers[row]!]!;
  }

  /** Lets the row rest until then; a time that is not after `nowMs` ends its rest. */
  restUntil(row: number, untilMs: number, nowMs: number): void {
    this.#restUntilMs[row] = untilMs;
    this.#setBit(row, STATUS_RESTING, untilMs > nowMs);
    if (untilMs > nowMs) this.#wakeBy(row, untilMs);
  }

  /** When the rest ends; 0 when the row does not rest. */
  restsUntilMs(row: number): number {
    return (this.#table.status[row]! & STATUS_RESTING) === 0 ? 0 : this.#restUntilMs[row]!;
  }

  /** Most calls within a second that the row, or its pool, gets; 0 for no limit. */
  callsPerSecond(row: number): number {
    return this.#rateOfRow[row]?.limit ?? 0;
  }

  #setBit(row: number, bit: number, on: boolean): void {
    const bits = this.#table.status[row]!;
    this.#table.setStatus(row, on ? bits | bit : bits & ~bit);
  }

  /** @param item of the queue */
  #wakeBy(item: number, atMs: number): void {
    this.#queue.set(item, atMs);
    if (this.wakesAtMs !== Number.NEGATIVE_INFINITY) this.wakesAtMs = this.#queue.firstAtMs;
  }

  /** Ends the rest of a row whose time has come. */
  #rest(row: number, nowMs: number): void {
    if ((this.#table.status[row]! & STATUS_RESTING) === 0) return;
    if (this.#restUntilMs[row]! <= nowMs) this.#setBit(row, STATUS_RESTING, false);
    else this.#wakeBy(row, this.#restUntilMs[row]!);
  }

  #limit(rate: CallRate, nowMs: number): void {
    const opensAtMs = rate.openAtMs(nowMs);
    const over = opensAtMs > nowMs;
    for (const row of rate.rows) this.#setBit(row, STATUS_OVER_RATE, over);
    if (over) this.#wakeBy(this.#restUntilMs.length + rate.number, opensAtMs);
  }

  /** One limit for each destination, or for all of one pool, as behind them is one server: the smallest that a row of it gives. */
  #makeRates(maxCallsPerSecond: number): void {
    for (const [row, { key, options }] of this.#table.destinations.entries()) {
      const limit = options.callsPerSecond ?? maxCallsPerSecond;
      if (limit === 0 && options.shared === undefined) continue;
      const rateKey = options.shared === undefined ? key : `pool ${options.shared}`;
      let rate = this.#rates.get(rateKey);
      if (rate === undefined) {
        rate = new CallRate();
        this.#rates.set(rateKey, rate);
      }
      rate.rows.push(row);
      if (limit > 0 && (rate.limit === 0 || limit < rate.limit)) rate.limit = limit;
    }
    for (const [key, rate] of this.#rates) {
      if (rate.limit === 0) this.#rates.delete(key);
      else {
        rate.number = this.#rateList.push(rate) - 1;
        for (const row of rate.rows) this.#rateOfRow[row] = rate;
      }
    }
  }
}
