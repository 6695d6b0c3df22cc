import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";
import type { DestinationState } from "../../src/health/index.ts";
import { StoreError } from "../../src/store/errors.ts";
import { QueuedStateStore, type StateTable } from "../../src/store/state-store.ts";

/** A table whose writes end when the test says so. */
class FakeTable implements StateTable {
  writes: { states: readonly DestinationState[]; settle: (error?: Error) => void }[] = [];
  /** What writes answer at once; undefined: they wait for the test. */
  answer: "ok" | "fail" | undefined = "ok";

  async read() {
    return { states: [], problems: [] };
  }

  write(states: readonly DestinationState[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (error?: Error): void => (error ? reject(error) : resolve());
    this.writes.push({ states, settle });
    if (this.answer !== undefined) settle(this.answer === "ok" ? undefined : new Error("disk on fire"));
    return promise;
  }
}

let table: FakeTable;
let logged: string[];
const log = {
  info: (_: object, message: string) => void logged.push(`info ${message}`),
  error: (_: object, message: string) => void logged.push(`error ${message}`),
};
beforeEach((context) => {
  table = new FakeTable();
  logged = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  (context as { after?: (run: () => void) => void }).after?.(() => mock.timers.reset());
});

function state(id: number, changedAtMs = 0): DestinationState {
  return {
    id,
    group: 1,
    uri: `sip:192.0.2.${id}`,
    enabled: false,
    autoReenable: false,
    draining: false,
    drainDeadlineMs: 0,
    drainBye: false,
    changedAtMs,
    cause: "mi",
  };
}

/** Lets everything run that waits for no timer. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await settle();
}

describe("a state that is saved", () => {
  it("is written a moment later, together with the others, one for each destination", async () => {
    const store = new QueuedStateStore(table, log);
    store.save(state(1, 1));
    store.save(state(2, 2));
    store.save(state(1, 3));
    assert.equal(table.writes.length, 0);
    await pass(50);
    assert.deepEqual(
      table.writes.map(({ states }) => states.map(({ id, changedAtMs }) => [id, changedAtMs])),
      [
        [
          [1, 3],
          [2, 2],
        ],
      ],
    );
    assert.equal(store.pending, 0);
    await pass(60_000);
    assert.equal(table.writes.length, 1);
  });

  it("is written again when it changes while it is being written", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    store.save(state(1, 1));
    await pass(50);
    store.save(state(1, 2));
    await pass(10_000);
    assert.equal(table.writes.length, 1, "one write at a time");
    table.answer = "ok";
    table.writes[0]?.settle();
    await settle();
    assert.equal(store.pending, 1);
    await pass(50);
    assert.deepEqual(table.writes[1]?.states, [state(1, 2)]);
    assert.equal(store.pending, 0);
  });

  it("waits behind at most 500 of a write", async () => {
    const store = new QueuedStateStore(table, log);
    for (let id = 0; id < 1_250; id++) store.save(state(id));
    for (let i = 0; i < 3; i++) await pass(50);
    assert.deepEqual(
      table.writes.map(({ states }) => states.length),
      [500, 500, 250],
    );
  });
});

describe("a table that cannot be written", () => {
  it("is tried again ever more seldom, is told once, and again when it works", async () => {
    table.answer = "fail";
    const store = new QueuedStateStore(table, log);
    store.save(state(1));
    await pass(50);
    const gaps: number[] = [];
    for (let i = 0; i < 9; i++) {
      const before = table.writes.length;
      let gap = 0;
      while (table.writes.length === before) {
        await pass(50);
        gap += 50;
      }
      gaps.push(gap);
    }
    assert.deepEqual(gaps, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    store.save(state(1, 9)); // does not hurry it
    table.answer = "ok";
    await pass(29_900);
    assert.equal(store.pending, 1);
    await pass(100);
    assert.equal(store.pending, 0);
    assert.deepEqual(table.writes.at(-1)?.states, [state(1, 9)]);
    assert.deepEqual(logged, [
      "error Cannot write states of destinations, trying again: disk on fire",
      "info States of destinations can be written again",
    ]);
    assert.deepEqual({ ...store.counters }, { states_written: 1, state_write_failures: 10, states_lost: 0, state_writer_crashes: 0 });
  });

  it("for a moment only is no news", async () => {
    table.answer = "fail";
    const store = new QueuedStateStore(table, log);
    store.save(state(1));
    await pass(50);
    await pass(250);
    table.answer = "ok";
    await pass(500);
    assert.deepEqual([store.pending, store.counters.state_write_failures, logged], [0, 2, []]);
  });

  it("keeps the states of so many destinations and no more, the latest of each", async () => {
    table.answer = "fail";
    const store = new QueuedStateStore(table, log, { maxPending: 2 });
    for (const id of [1, 2, 3, 4]) store.save(state(id));
    store.save(state(2, 7));
    assert.deepEqual([store.pending, store.counters.states_lost], [2, 2]);
    assert.deepEqual(logged, ["error State of destination 3 <sip:192.0.2.3> is lost: 2 others wait to be written"]);
    table.answer = "ok";
    await store.flush();
    assert.deepEqual(table.writes.at(-1)?.states, [state(1), state(2, 7)]);
    store.save(state(3));
    assert.equal(store.pending, 1);
  });

  it("does not hold up a stop for longer than agreed", async () => {
    mock.timers.reset();
    table.answer = "fail";
    const store = new QueuedStateStore(table, log, { flushMs: 0 });
    store.save(state(1));
    await store.close();
    assert.equal(store.counters.states_lost, 1);
    assert.equal(table.writes.length, 1);
    assert.deepEqual(logged, ["error States of 1 destinations are lost at the stop: disk on fire"]);
  });
});

describe("a flush", () => {
  it("gives up a write that hangs", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    store.save(state(1));
    const closed = store.close();
    await pass(5_000);
    await closed;
    assert.deepEqual([store.pending, store.counters.states_lost], [0, 1]);
    const told = [
      "error Writing states of destinations takes more than 5 s: the disk may be stuck",
      "error States of 1 destinations are lost at the stop: the write does not end",
    ];
    assert.deepEqual(logged, told);
    table.writes[0]?.settle(new Error("too late"));
    await settle();
    assert.deepEqual(logged, told);
  });

  it("waits for the write that is under way, and writes the rest", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    for (let id = 0; id < 600; id++) store.save(state(id));
    await pass(50);
    let isDone = false;
    const flushed = store.flush().then(() => {
      isDone = true;
    });
    await settle();
    assert.deepEqual([table.writes.length, isDone], [1, false]);
    table.answer = "ok";
    table.writes[0]?.settle();
    await flushed;
    assert.deepEqual([table.writes.length, store.pending], [2, 0]);
  });

  it("has nothing to do without states, and may be asked for again and again", async () => {
    const store = new QueuedStateStore(table, log);
    await Promise.all([store.flush(), store.flush(), store.close(), store.close()]);
    assert.equal(table.writes.length, 0);
  });
});

describe("one who waits until all is settled", () => {
  /** What it was told, or "waiting". */
  function ask(store: QueuedStateStore): { answer: boolean | "waiting" } {
    const asked: { answer: boolean | "waiting" } = { answer: "waiting" };
    void store.settled().then((answer) => {
      asked.answer = answer;
    });
    return asked;
  }

  it("begins the write at once, and is told when it is done", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    assert.equal(await store.settled(), true, "nothing was saved");
    store.save(state(1));
    const asked = ask(store);
    await settle();
    assert.deepEqual([table.writes.length, asked.answer], [1, "waiting"]);
    table.writes[0]?.settle();
    await settle();
    assert.equal(asked.answer, true);
    await pass(60_000);
    assert.equal(table.writes.length, 1);
  });

  it("waits for what was saved before, and for nothing later", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    store.save(state(1, 1));
    await pass(50);
    store.save(state(1, 2)); // while the first is being written
    const both = ask(store);
    store.save(state(2));
    table.writes[0]?.settle();
    await settle();
    assert.deepEqual([table.writes.length, both.answer], [2, "waiting"]);
    store.save(state(1, 3));
    table.writes[1]?.settle();
    await settle();
    assert.deepEqual([both.answer, store.pending], [true, 1]);
  });

  it("waits on when a state is saved again before it was written", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    for (let id = 0; id < 501; id++) store.save(state(id));
    const asked = ask(store);
    store.save(state(500, 9)); // waits for the second write
    await settle();
    table.writes[0]?.settle();
    await settle();
    assert.deepEqual([table.writes.length, asked.answer], [2, "waiting"]);
    table.writes[1]?.settle();
    await settle();
    assert.equal(asked.answer, true);
  });

  it("waits a second at most, and the write goes on", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log);
    store.save(state(1));
    const asked = ask(store);
    await pass(999);
    assert.equal(asked.answer, "waiting");
    await pass(1);
    assert.equal(asked.answer, false);
    assert.deepEqual([table.writes.length, store.pending], [1, 1]);
    await pass(5_000);
    assert.deepEqual([store.isUnwritable, logged.length], [true, 1]);
    assert.match(logged[0] ?? "", /^error Writing states of destinations takes more than 5 s/);
    table.writes[0]?.settle();
    await settle();
    assert.deepEqual([store.isUnwritable, store.pending, logged[1]], [false, 0, "info States of destinations can be written again"]);
  });

  it("does not wait for a database of which it is known that it cannot be written, and sees when it can again", async () => {
    table.answer = "fail";
    const unwritable = new StoreError("FAILED", "Cannot use database: this user may not write it");
    const store = new QueuedStateStore(table, log, { unwritable });
    assert.deepEqual(logged, [
      "error What operators decide for destinations is lost at a restart: Cannot use database: this user may not write it",
    ]);
    assert.equal(store.isUnwritable, true);
    store.save(state(1));
    assert.equal(await store.settled(), false);
    table.answer = "ok";
    assert.equal(await store.settled(), true);
    assert.deepEqual([store.isUnwritable, logged.slice(1)], [false, ["info States of destinations can be written again"]]);
  });

  it("is told when a state was lost", async () => {
    table.answer = undefined;
    const store = new QueuedStateStore(table, log, { maxPending: 1 });
    store.save(state(1));
    store.save(state(2));
    assert.equal(await store.settled(), false);
  });
});
