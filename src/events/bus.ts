import type { EventName } from "../event-names.ts";

/** What an event tells; its shape belongs to the name. */
export type EventParams = Readonly<Record<string, string | number | boolean>>;

/** What makes of itself what an event tells, once somebody asks; nothing in it changes any more. */
export interface ParamsSource {
  toParams(): EventParams;
}

/** One thing that happened. Nothing in it changes any more. */
export class BusEvent {
  /** Order of the events of one run of the program, from 1. */
  readonly serial: number;
  readonly name: EventName;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  #params: EventParams | undefined;
  #source: ParamsSource | undefined;

  constructor(serial: number, name: EventName, atMs: number, params: EventParams | ParamsSource) {
    this.serial = serial;
    this.name = name;
    this.atMs = atMs;
    const isSource = isParamsSource(params);
    this.#params = isSource ? undefined : params;
    this.#source = isSource ? params : undefined;
  }

  get params(): EventParams {
    this.#params ??= this.#source!.toParams();
    this.#source = undefined;
    return this.#params;
  }
}

function isParamsSource(params: EventParams | ParamsSource): params is ParamsSource {
  return typeof params["toParams"] === "function";
}

/** Events of one name as they were at one moment: those at `from` up to `to` in a row of blocks. */
interface Part {
  readonly blocks: readonly (readonly BusEvent[])[];
  from: number;
  readonly to: number;
}

/** Events that somebody who comes back has not seen, as they were kept when he came: later ones are not among them, and none goes away. */
export class Missed {
  /** Some that were to be told are not kept any more. */
  readonly lost: boolean;
  /** One for each name. */
  readonly #parts: readonly Part[];
  #left: number;

  constructor(parts: readonly Part[], lost: boolean) {
    this.lost = lost;
    this.#parts = parts;
    this.#left = parts.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** How many have not been taken yet. */
  get left(): number {
    return this.#left;
  }

  /** The next `count` of all names in order, fewer at the end: there may be so many that nobody should have them all in one go. */
  take(count: number): BusEvent[] {
    const events: BusEvent[] = [];
    while (events.length < count && this.#left > 0) {
      let first: Part | undefined;
      let next: BusEvent | undefined;
      for (const part of this.#parts) {
        if (part.from === part.to) continue;
        const candidate = eventAt(part.blocks, part.from);
        if (next !== undefined && candidate.serial > next.serial) continue;
        first = part;
        next = candidate;
      }
      first!.from++;
      this.#left--;
      events.push(next!);
    }
    return events;
  }
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
   * @param params what the event tells, or what makes that when somebody wants to know: most events of calls go out of the history unread
   */
  publish(name: EventName, params: EventParams | ParamsSource): void {
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
    const parts: Part[] = [];
    let lost = serial === undefined;
    for (const [name, history] of this.#histories) {
      if (names.size > 0 && !names.has(name)) continue;
      parts.push(history.since(serial ?? 0));
      if (history.lastLost > (serial ?? 0)) lost = true;
    }
    return new Missed(parts, lost);
  }

  /** The latest events of these names that are kept, of all names together, oldest first. */
  latest(count: number, isWanted: (name: EventName) => boolean): BusEvent[] {
    const found: BusEvent[] = [];
    for (const [name, history] of this.#histories) if (isWanted(name)) found.push(...history.latest(count));
    return found.sort((a, b) => a.serial - b.serial).slice(count === 0 ? found.length : -count);
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

/** Events in a block. */
const BLOCK = 256;

function eventAt(blocks: readonly (readonly BusEvent[])[], at: number): BusEvent {
  return blocks[Math.floor(at / BLOCK)]![at % BLOCK]!;
}

/** The latest events of one name, in blocks: whoever wants to have them all takes the blocks, and needs no copy of each event. */
class History {
  /** Serial of the latest event that is not kept any more; 0 when all are. */
  lastLost = 0;
  readonly #size: number;
  /** All are full but the last one. What stands in them never changes; a block is given up when none of its events is kept any more. */
  readonly #blocks: BusEvent[][] = [];
  /** Where the oldest stands. */
  #from = 0;
  /** Where the next one will stand. */
  #to = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(event: BusEvent): void {
    if (this.#size === 0) {
      this.lastLost = event.serial;
      return;
    }
    if (this.#to % BLOCK === 0) this.#blocks.push([]);
    this.#blocks.at(-1)!.push(event);
    this.#to++;
    if (this.#to - this.#from <= this.#size) return;
    this.lastLost = eventAt(this.#blocks, this.#from).serial;
    this.#from++;
    if (this.#from < BLOCK) return;
    this.#blocks.shift();
    this.#from -= BLOCK;
    this.#to -= BLOCK;
  }

  latest(count: number): BusEvent[] {
    const events: BusEvent[] = [];
    for (let at = Math.max(this.#from, this.#to - count); at < this.#to; at++) events.push(eventAt(this.#blocks, at));
    return events;
  }

  /** Those with a greater serial. */
  since(serial: number): Part {
    let from = this.#from;
    for (let end = this.#to; from < end; ) {
      const middle = (from + end) >> 1;
      if (eventAt(this.#blocks, middle).serial > serial) end = middle;
      else from = middle + 1;
    }
    return { blocks: [...this.#blocks], from, to: this.#to };
  }
}
