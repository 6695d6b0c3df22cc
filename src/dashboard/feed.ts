import type { ServerResponse } from "node:http";
import { frame } from "./frame.ts";
import type { EventSource, FeedClock, FeedEvent, RowSources, TotalSources } from "./ports.ts";
import { MAX_WAITING, Reader } from "./reader.ts";
import { type Sample, Sampler } from "./sampler.ts";

/** Readers at the same time: people in front of pages, and management must stay reachable beside them. */
export const MAX_READERS = 16;
/** Time between two heartbeats, ms. */
const HEARTBEAT_MS = 15_000;
/** Time after which a reader whose connection broke should come back, ms. */
const RETRY_MS = 2_000;
/** Events from before that a new reader gets. */
const HISTORY = 100;
/** Each call has four of them or more: nobody can read them all, and they must not hide what happens once. */
const FREQUENT = "E_DLG_STATE_CHANGED";
/** So many of {@link HISTORY} may be such, and so many a second are told; the rest is left out. `/events` tells all. */
const FREQUENT_SHARE = 20;
/** Events that wait to be made into text; more at once than this are lost to the page, oldest first. */
const MAX_UNWRITTEN = 500;

/** What the page is told of the program and of itself. */
export interface Identity {
  readonly version: string;
  /** What the program calls itself. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Of the cluster; null when it runs alone. */
  readonly node: number | null;
}

/** Who reads. */
export interface FeedVisitor {
  readonly by: string;
  readonly role: string;
  readonly needsToken: boolean;
  readonly methods: readonly string[];
  /** Path that methods are asked at. */
  readonly mi: string;
}

export interface FeedPorts {
  readonly identity: Identity;
  readonly rows: RowSources;
  readonly totals: TotalSources;
  readonly events: EventSource;
  readonly clock: FeedClock;
  /** Is told of what kept the feed from looking at something. */
  readonly onFault: (error: unknown) => void;
  /** @default MAX_READERS */
  readonly maxReaders?: number;
  /** @default MAX_WAITING */
  readonly maxWaiting?: number;
}

/** How often each thing happened since the start; `readers` is how many read now. */
export interface FeedCounters {
  readers: number;
  readers_refused: number;
  /** Those that read too slowly. */
  readers_dropped: number;
}

/**
 * What the page of the dashboard shows, as server-sent events: `hello`, `table`, `figures`, `totals`, `event`. Everything is looked at once for all readers, while
 * there is one, and each text is made once.
 */
export class Feed {
  readonly counters: FeedCounters = { readers: 0, readers_refused: 0, readers_dropped: 0 };
  readonly #ports: FeedPorts;
  readonly #sampler: Sampler;
  readonly #readers = new Set<Reader>();
  #stops: (() => void)[] = [];
  #unwritten: FeedEvent[] = [];
  #frequentLeft = FREQUENT_SHARE;
  #isClosed = false;

  constructor(ports: FeedPorts) {
    this.#ports = ports;
    this.#sampler = new Sampler({
      ...{ rows: ports.rows, totals: ports.totals, clock: ports.clock },
      isAllWanted: () => [...this.#readers].some((reader) => reader.wantsAll && reader.isReady),
      onSample: (sample) => this.#sampled(sample),
      onFault: ports.onFault,
    });
  }

  /** Answers a GET: for as long as the reader stays, or with an error. */
  handle(response: ServerResponse, visitor: FeedVisitor): void {
    const { clock, maxReaders = MAX_READERS, maxWaiting = MAX_WAITING } = this.#ports;
    if (this.#isClosed || this.#readers.size >= maxReaders) {
      this.counters.readers_refused++;
      refuse(response, `Cannot serve more than ${maxReaders} readers of the dashboard at a time`);
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" });
    const reader = new Reader(response, { soon: (run) => clock.soon(run), onEnd: (...end) => this.#ended(...end), maxWaiting });
    reader.send([Buffer.from(`retry: ${RETRY_MS}\n\n`), this.#hello(visitor)]);
    this.#readers.add(reader);
    this.counters.readers = this.#readers.size;
    if (this.#readers.size === 1) this.#begin();
    else this.#sampler.hurry();
  }

  /** Ends every stream, and serves none any more. */
  close(): void {
    this.#isClosed = true;
    for (const reader of [...this.#readers]) reader.drop();
  }

  #hello({ by, role, needsToken, methods, mi }: FeedVisitor): Buffer {
    const { version, name, startedAtMs, node } = this.#ports.identity;
    return frame("hello", JSON.stringify({ version, name, role, by, needsToken, startedAt: startedAtMs, node, methods, mi }));
  }

  #begin(): void {
    const { clock, events } = this.#ports;
    this.#stops = [
      events.subscribe((event) => this.#published(event)),
      clock.every(HEARTBEAT_MS, () => {
        for (const reader of [...this.#readers]) reader.beat();
      }),
      () => this.#sampler.stop(),
    ];
    this.#sampler.start();
  }

  #sampled({ table, figures, all, totals }: Sample): void {
    this.#frequentLeft = FREQUENT_SHARE;
    this.#tellEvents(); // those who are served for the first time now find them in the history
    const news = [...(table ?? []), ...(figures ?? []), totals];
    for (const reader of [...this.#readers]) {
      if (!reader.isReady) reader.wantsAll = true;
      else if (!reader.wantsAll) reader.send(news, true);
      else if (all !== undefined) this.#sendAll(reader, all, totals);
    }
  }

  #sendAll(reader: Reader, all: readonly Buffer[], totals: Buffer): void {
    reader.send([...all, totals], true);
    reader.wantsAll = false;
    if (reader.isServed) return;
    reader.isServed = true;
    reader.send(this.#history(), true);
  }

  /** The rare ones are not pushed out by those of calls. */
  #history(): readonly Buffer[] {
    const { events } = this.#ports;
    const frequent = events.latest(FREQUENT_SHARE, (name) => name === FREQUENT);
    const rare = events.latest(HISTORY - frequent.length, (name) => name !== FREQUENT);
    return [...rare, ...frequent].map((event) => frame("event", event.json()));
  }

  #published(event: FeedEvent): void {
    if (event.name === FREQUENT && --this.#frequentLeft < 0) return;
    this.#unwritten.push(event);
    if (this.#unwritten.length > MAX_UNWRITTEN) this.#unwritten.shift();
    else if (this.#unwritten.length === 1) this.#ports.clock.soon(() => this.#tellEvents());
  }

  #tellEvents(): void {
    if (this.#unwritten.length === 0) return;
    const frames = this.#unwritten.map((event) => frame("event", event.json()));
    this.#unwritten = [];
    for (const reader of [...this.#readers]) if (reader.isServed) reader.send(frames);
  }

  #ended(reader: Reader, wasDropped: boolean): void {
    if (wasDropped && !this.#isClosed) this.counters.readers_dropped++;
    this.#readers.delete(reader);
    this.counters.readers = this.#readers.size;
    if (this.#readers.size > 0) return;
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#unwritten = [];
  }
}

function refuse(response: ServerResponse, sentence: string): void {
  const body = Buffer.from(`${sentence}\n`);
  response.writeHead(503, { "content-type": "text/plain", "content-length": body.length, connection: "close" });
  response.end(body);
}
