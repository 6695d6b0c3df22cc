/** Names of the events: the first two are those of OpenSIPS. */
export const EVENT_NAMES = [
  "E_LOAD_BALANCER_STATUS",
  "E_DLG_STATE_CHANGED",
  "E_LOAD_BALANCER_BREAKER",
  "E_LOAD_BALANCER_REST",
  "E_LOAD_BALANCER_DRAIN",
  "E_LOAD_BALANCER_GROUP",
  "E_LOAD_BALANCER_HEADROOM",
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

/** What an event tells; its shape belongs to the name. */
export type EventParams = Readonly<Record<string, string | number | boolean>>;

/** One thing that happened. Nothing in it changes any more. */
export class BusEvent {
  /** Order of the events of one run of the program, from 1. */
  readonly serial: number;
  readonly name: EventName;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  #params: EventParams | (() => EventParams);

  constructor(serial: number, name: EventName, atMs: number, params: EventParams | (() => EventParams)) {
    this.serial = serial;
    this.name = name;
    this.atMs = atMs;
    this.#params = params;
  }

  get params(): EventParams {
    if (typeof this.#params === "function") this.#params = this.#params();
    return this.#params;
  }
}

/** Events that somebody who comes back has not seen. */
export interface Missed {
  readonly events: readonly BusEvent[];
  /** Some that were to be told are not kept any more. */
  readonly lost: boolean;
}

export interface BusOptions {
  /** Latest events of each name that are kept; 0: none. */
  readonly history: number;
  readonly wallMs: () => number;
  /** Tells this run of the program from others: ids of events begin with it. Letters and digits. */
  readonly run: string;
  /** A subscriber threw; the others are told all the same. */
  readonly onFault: (error: unknown) => void;
}

/** How often each thing happened since the start. */
export interface BusCounters {
  published: number;
}

/**
 * Tells subscribers what happens, in order and at once: they must not wait. Each name has a history of its own, so that the many events of calls do
 * not push out the few of destinations.
 */
export class EventBus {
  readonly counters: BusCounters = { published: 0 };
  readonly #options: BusOptions;
  readonly #histories = new Map<EventName, History>();
  readonly #subscribers = new Set<(event: BusEvent) => void>();
  #serial = 0;

  constructor(options: BusOptions) {
    this.#options = options;
  }

  /**
   * @param params what the event tells, or a function that makes it of things that do not change any more. It is called when somebody wants to know:
   * most events of calls go out of the history unread
   */
  publish(name: EventName, params: EventParams | (() => EventParams)): void {
    const event = new BusEvent(++this.#serial, name, this.#options.wallMs(), params);
    this.counters.published++;
    this.#historyOf(name).add(event);
    for (const tell of this.#subscribers) {
      try {
        tell(event);
      } catch (error) {
        this.#options.onFault(error);
      }
    }
  }

  /** Tells of every event from now on, until what it answers is called. */
  subscribe(tell: (event: BusEvent) => void): () => void {
    this.#subscribers.add(tell);
    return () => void this.#subscribers.delete(tell);
  }

  /** Name of an event in the world: the same for all who are told of it, and never given twice. */
  idOf({ serial }: Pick<BusEvent, "serial">): string {
    return `${this.#options.run}-${serial}`;
  }

  /**
   * What came after the event with this id. All that is kept, when the id is of another run of the program or none of ours.
   *
   * @param names only these; empty: all
   */
  since(id: string, names: ReadonlySet<string>): Missed {
    const serial = this.#serialOf(id);
    const events: BusEvent[] = [];
    let lost = serial === undefined;
    for (const [name, history] of this.#histories) {
      if (names.size > 0 && !names.has(name)) continue;
      events.push(...history.since(serial ?? 0));
      if (history.lastLost > (serial ?? 0)) lost = true;
    }
    events.sort((a, b) => a.serial - b.serial);
    return { events, lost };
  }

  #serialOf(id: string): number | undefined {
    const [, run, digits] = /^([a-z0-9]+)-(\d{1,15})$/.exec(id) ?? [];
    const serial = Number(digits);
    return run === this.#options.run && serial <= this.#serial ? serial : undefined;
  }

  #historyOf(name: EventName): History {
    let history = this.#histories.get(name);
    if (history === undefined) {
      history = new History(this.#options.history);
      this.#histories.set(name, history);
    }
    return history;
  }
}

/** The latest events of one name. */
class History {
  /** Serial of the latest event that is not kept any more; 0 when all are. */
  lastLost = 0;
  readonly #size: number;
  readonly #events: BusEvent[] = [];
  /** Where the oldest stands, once all places are taken. */
  #oldest = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(event: BusEvent): void {
    if (this.#events.length < this.#size) {
      this.#events.push(event);
    } else if (this.#size === 0) {
      this.lastLost = event.serial;
    } else {
      this.lastLost = this.#events[this.#oldest]!.serial;
      this.#events[this.#oldest] = event;
      this.#oldest = (this.#oldest + 1) % this.#size;
    }
  }

  *since(serial: number): IterableIterator<BusEvent> {
    const count = this.#events.length;
    for (let i = 0; i < count; i++) {
      const event = this.#events[(this.#oldest + i) % count]!;
      if (event.serial > serial) yield event;
    }
  }
}
