import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { Feed, type FeedEvent, type FeedVisitor, type RowSources, type TotalSources } from "../../src/dashboard/index.ts";

export const ANNA: FeedVisitor = { by: "anna", role: "operator", needsToken: true, methods: ["lb_list", "lb_drain"], mi: "/mi" };

export function row(id: number, group: number, resources: string, more: Partial<DestinationRow> = {}): DestinationRow {
  const addresses = [{ ip: "192.0.2.1", port: 5060, transport: "udp" }] as const;
  const uri = `sip:192.0.2.${id}`;
  return {
    id,
    group,
    uri,
    resources: parseResources(resources),
    probeMode: 0,
    attrs: undefined,
    description: undefined,
    addresses,
    ...more,
  };
}

/** One frame of the stream. */
export interface Frame {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: each name has a shape of its own
  readonly data: any;
}

/** A response that is not there, and what was written to it. */
export class FakeResponse extends EventEmitter {
  status = 0;
  headers: Record<string, unknown> = {};
  text = "";
  isDestroyed = false;
  /** Takes what is written and wants no more for now. */
  isFull = false;
  writes = 0;

  writeHead(status: number, headers: Record<string, unknown>): this {
    this.status = status;
    this.headers = headers;
    return this;
  }

  write(chunk: Buffer): boolean {
    assert.equal(this.isDestroyed, false, "nothing is written to one who has gone");
    this.text += chunk.toString();
    this.writes++;
    return !this.isFull;
  }

  end(chunk: Buffer): void {
    this.text += chunk.toString();
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit("close");
  }

  /** Frames since they were asked for last. */
  take(): Frame[] {
    const end = this.text.lastIndexOf("\n\n") + 2;
    const blocks = this.text.slice(0, end).split("\n\n");
    this.text = this.text.slice(end);
    return blocks
      .map((block) => /^event: ([^\n]*)\ndata: ([^\n]*)$/.exec(block))
      .filter((match) => match !== null)
      .map(([, event = "", data = ""]) => ({ event, data: JSON.parse(data) }));
  }
}

/** A feed whose time is that of the test. */
export class FeedRig {
  readonly balancer: Balancer;
  readonly feed: Feed;
  /** Events that are kept. */
  readonly kept: FeedEvent[] = [];
  readonly totals = { ongoing: 0, early: 0, begun: 0, failovers: 0, refused: 0, lagMs: 0 };
  readonly drains = new Map<number, { load: number; deadlineMs: number }>();
  readonly drained = new Set<number>();
  readonly faults: unknown[] = [];
  readonly probes = new Map<number, { lastStatus: number; latency: { last: number; ewma: number; samples: number } }>();
  feedState: ReturnType<RowSources["feedState"]>;
  /** Monotonic milliseconds; a turn may add to it. */
  nowMs = 0;
  /** What each look at the clock takes. */
  stepMs = 0;
  /** Turns of the event loop that looks and writing took. */
  turns = 0;
  tell: ((event: FeedEvent) => void) | undefined;
  readonly #timers: { everyMs: number; dueMs: number; run: () => void }[] = [];
  #soon: (() => void)[] = [];

  constructor(
    rows: readonly DestinationRow[],
    options: { maxReaders?: number; maxWaiting?: number; cluster?: TotalSources["cluster"] } = {},
  ) {
    this.balancer = new Balancer({ below: () => 0, nowMs: () => this.nowMs });
    this.balancer.replaceTable(rows);
    const { totals } = this;
    this.feed = new Feed({
      ...options,
      onFault: (error) => void this.faults.push(error),
      identity: { version: "1.2.3", name: "headroom", startedAtMs: 5_000, node: null },
      rows: {
        balancer: this.balancer,
        drains: {
          of: ({ id }) => this.drains.get(id),
          drained: ({ id }) => (this.drained.has(id) ? "up" : undefined),
        },
        probes: ({ id }) => this.probes.get(id),
        feedState: () => this.feedState,
      },
      totals: {
        calls: () => totals,
        failovers: () => totals.failovers,
        refused: () => totals.refused,
        takeLagMs: () => totals.lagMs,
        memoryBytes: () => 100 * 1_048_576,
        cluster: options.cluster,
      },
      events: {
        latest: (count, isWanted) => (count === 0 ? [] : this.kept.filter(({ name }) => isWanted(name)).slice(-count)),
        subscribe: (tell) => {
          this.tell = tell;
          return () => {
            this.tell = undefined;
          };
        },
      },
      clock: {
        wallMs: () => 1_000_000 + this.nowMs,
        nowMs: () => {
          this.nowMs += this.stepMs;
          return this.nowMs;
        },
        every: (everyMs, run) => {
          const timer = { everyMs, dueMs: this.nowMs + everyMs, run };
          this.#timers.push(timer);
          return () => void this.#timers.splice(this.#timers.indexOf(timer), 1);
        },
        soon: (run) => void this.#soon.push(run),
      },
    });
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** One turn of the event loop. Answers whether there was something to do. */
  turn(): boolean {
    const due = this.#soon;
    this.#soon = [];
    if (due.length > 0) this.turns++;
    for (const run of due) run();
    return due.length > 0;
  }

  settle(): void {
    for (let turns = 0; this.turn(); turns++) assert.ok(turns < 100_000, "it goes on for ever");
  }

  /** Lets time go by, to whatever is due. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.dueMs += next.everyMs;
      next.run();
      this.settle();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }

  publish(name: string, params: object = {}): void {
    const event = { name, json: () => JSON.stringify({ event: name, params }) };
    this.kept.push(event);
    this.tell?.(event);
  }

  open(visitor = ANNA): FakeResponse {
    const response = new FakeResponse();
    this.feed.handle(response as unknown as ServerResponse, visitor);
    return response;
  }
}
