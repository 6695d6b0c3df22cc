import type { BusEvent } from "./bus.ts";

/** Each call has four of them or more: they must not push out what happens once. */
const FREQUENT = "E_DLG_STATE_CHANGED";

/** First in, first out, without moving what waits each time. */
class Line {
  /** What stands before `#first` has gone. */
  #events: BusEvent[] = [];
  #first = 0;

  get length(): number {
    return this.#events.length - this.#first;
  }

  get next(): BusEvent | undefined {
    return this.#events[this.#first];
  }

  add(event: BusEvent): void {
    this.#events.push(event);
  }

  take(): BusEvent | undefined {
    const event = this.#events[this.#first];
    if (event === undefined) return undefined;
    this.#first++;
    if (this.#first * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    return event;
  }
}

/**
 * Events that wait for a receiver, in their order. When room is needed the changes of calls go first, the oldest of them, and only then the oldest of the
 * others: calls are many, and a burst of them must not hide that a destination is down.
 */
export class EventQueue {
  readonly #frequent = new Line();
  readonly #rare = new Line();

  get length(): number {
    return this.#frequent.length + this.#rare.length;
  }

  add(event: BusEvent): void {
    (event.name === FREQUENT ? this.#frequent : this.#rare).add(event);
  }

  /** Loses one event for the sake of another. False: that one is worth less than all that wait. */
  makeRoomFor({ name }: BusEvent): boolean {
    if (this.#frequent.take() !== undefined) return true;
    return name !== FREQUENT && this.#rare.take() !== undefined;
  }

  /** The next ones, at most `count`. */
  take(count: number): BusEvent[] {
    const events: BusEvent[] = [];
    while (events.length < count) {
      const [frequent, rare] = [this.#frequent.next, this.#rare.next];
      const isFrequentFirst = frequent !== undefined && (rare === undefined || frequent.serial < rare.serial);
      const event = (isFrequentFirst ? this.#frequent : this.#rare).take();
      if (event === undefined) break;
      events.push(event);
    }
    return events;
  }
}
