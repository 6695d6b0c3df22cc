import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import type { DestinationState } from "../../src/health/index.ts";
import { type DestinationStore, openStore, StoreError } from "../../src/store/index.ts";
import { QueuedStateStore, type StateQueueOptions } from "../../src/store/state-store.ts";
import { WriterThread, type WriterThreadOptions } from "../../src/store/writer-thread.ts";
import { waitFor } from "../support/net.ts";

const TABLE = "load_balancer";
const ENDS = { worker: new URL("./worker-that-ends.ts", import.meta.url) };

let folder = "";
let file = "";
let counter = 0;
let store: DestinationStore;
let threads: WriterThread[] = [];
let logged: string[] = [];
const log = {
  info: (_: object, message: string) => void logged.push(`info ${message}`),
  error: (_: object, message: string) => void logged.push(`error ${message}`),
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-thread-"));
});
beforeEach(async () => {
  file = join(folder, `${counter++}.db`);
  logged = [];
  store = await openStore(`sqlite:${file}`, { table: TABLE });
});
afterEach(async () => {
  for (const thread of threads) await thread.close();
  threads = [];
  await store.close();
});
after(() => rmSync(folder, { recursive: true }));

function open(options: WriterThreadOptions = {}): WriterThread {
  const thread = new WriterThread({ file, table: TABLE }, log, options);
  threads.push(thread);
  return thread;
}

function queue(thread: WriterThread, options?: StateQueueOptions): QueuedStateStore {
  const read = async () => ({ states: [], problems: [] });
  const table = { read, write: (states: readonly DestinationState[]) => thread.run("write states", states), crashes: 0 };
  Object.defineProperty(table, "crashes", { get: () => thread.crashes });
  return new QueuedStateStore(table, log, options);
}

function state(id: number): DestinationState {
  const held = { enabled: false, autoReenable: false, draining: false, drainDeadlineMs: 0, drainBye: false };
  return { id, group: 1, uri: `sip:192.0.2.${id}`, ...held, changedAtMs: 1, cause: "mi" };
}

function written(): number {
  const database = new Database(file, { readonly: true });
  try {
    return (database.prepare("SELECT count(*) AS n FROM headroom_destination_state").get() as { n: number }).n;
  } finally {
    database.close();
  }
}

function failed(message: RegExp) {
  return (error: unknown) => error instanceof StoreError && message.test(error.message);
}

describe("the thread of a database", () => {
  it("waits for another program's lock while everything else goes on, and all is written after it", async () => {
    const states = store.states(log);
    assert.equal(await states.settled(), true);
    states.save(state(0));
    await waitFor("the thread is up", 10_000, () => states.pending === 0);
    const other = new Database(file);
    const gapsMs: number[] = [];
    let saved = 1;
    try {
      other.exec("BEGIN EXCLUSIVE");
      const untilMs = performance.now() + 1_000;
      let beforeMs = performance.now();
      while (performance.now() < untilMs) {
        states.save(state(saved++));
        await new Promise((resolve) => setTimeout(resolve, 2));
        gapsMs.push(performance.now() - beforeMs);
        beforeMs = performance.now();
      }
      assert.ok(states.pending >= saved - 1);
      other.exec("COMMIT");
    } finally {
      other.close();
    }
    // The machine's own noise is allowed for; a thread that waited for the lock would stand still for a second.
    assert.ok(Math.max(...gapsMs) < 300, `stood still for ${Math.max(...gapsMs)} ms`);
    assert.ok(saved > 50, `${saved} states were saved`);
    await states.close();
    assert.deepEqual([written(), states.pending, states.counters.states_lost], [saved, 0, 0]);
  });

  it("has written a state to the disk when it says so", async () => {
    const states = store.states(log);
    states.save(state(1));
    await waitFor("it is settled", 10_000, () => states.settled());
    assert.equal(written(), 1);
    await states.close();
  });

  it("reads the rows of a reload while another program writes", async () => {
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    const thread = open();
    await waitFor("the thread is up", 10_000, () => thread.isUp);
    const other = new Database(file);
    try {
      other.exec("BEGIN IMMEDIATE");
      const rows = await thread.run("read destinations", undefined);
      assert.deepEqual(rows, await store.list());
      assert.equal(rows.length, 1);
    } finally {
      other.close();
    }
  });

  it("is started with its first job and ends when it has had none for a while, where it is told to", async () => {
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    const thread = open({ idleMs: 50 });
    for (let i = 0; i < 3; i++) {
      assert.deepEqual([thread.isUp, thread.isResting], [false, true]);
      const [rows, again] = await Promise.all([thread.run("read destinations", undefined), thread.run("read destinations", undefined)]);
      assert.deepEqual([rows.length, again.length, thread.isUp, thread.isResting], [1, 1, true, false]);
      await waitFor("it rests", 10_000, () => thread.isResting);
    }
    await thread.close();
    assert.deepEqual([thread.crashes, thread.isUp, thread.isResting, logged], [0, false, false, []]);
    await assert.rejects(thread.run("read destinations", undefined), failed(/it is closed$/));
  });

  it("hands on what SQLite says, with its code", async () => {
    const thread = open();
    rmSync(file);
    await assert.rejects(
      thread.run("read destinations", undefined),
      (error) => error instanceof StoreError && error.code === "NO_DATABASE",
    );
    writeFileSync(file, "this was a database once, and it is long enough that SQLite looks at all of its header before it gives up on it");
    await assert.rejects(
      thread.run("read destinations", undefined),
      (error) => error instanceof StoreError && error.code === "CANNOT_OPEN",
    );
  });

  it("takes so many jobs and no more, and none once it is closed", async () => {
    const thread = open();
    const jobs = Array.from({ length: 17 }, () => thread.run("read destinations", undefined));
    await assert.rejects(jobs[16]!, failed(/16 jobs wait for it$/));
    assert.equal((await Promise.all(jobs.slice(0, 16))).length, 16);
    const late = assert.rejects(thread.run("read destinations", undefined), failed(/it is closed$/));
    await Promise.all([thread.close(), thread.close(), late]);
    await assert.rejects(thread.run("read destinations", undefined), failed(/it is closed$/));
    assert.deepEqual([thread.crashes, thread.isUp, logged], [0, false, []]);
  });
});

describe("a thread that ends by itself", () => {
  for (const [ending, reason] of [
    ["throw", "a fault of the thread"],
    ["exit", "exit code 7"],
  ]) {
    it(`is started again, and what it was writing is written (${ending})`, async () => {
      writeFileSync(`${file}.${ending}`, "");
      const thread = open(ENDS);
      const states = queue(thread);
      for (let id = 0; id < 10; id++) states.save(state(id));
      await waitFor("all is written", 10_000, () => states.pending === 0);
      assert.equal(written(), 10);
      assert.deepEqual(
        [states.counters.state_writer_crashes, states.counters.state_write_failures, states.counters.states_lost],
        [1, 1, 0],
      );
      assert.deepEqual(logged, [`error The thread of database "${file}" ended, starting it again: ${reason}`]);
      await states.close();
    });
  }

  it("and never comes up is tried again ever more seldom, told three times, and stops at once", async () => {
    const thread = open({ worker: new URL("./no-such-worker.ts", import.meta.url) });
    await waitFor("it ended four times", 10_000, () => thread.crashes >= 4);
    assert.equal(logged.length, 3);
    assert.equal(thread.isUp, false);
    const states = queue(thread, { flushMs: 100 });
    states.save(state(1));
    const fromMs = performance.now();
    await states.close();
    await thread.close();
    assert.ok(performance.now() - fromMs < 1_500);
    assert.equal(states.counters.states_lost, 1);
  });
});

describe("a thread that still loads", () => {
  it("is ended when it has loaded everything, as an end in the middle of native code is that of the process", async () => {
    const thread = open({ worker: new URL("./worker-that-loads.ts", import.meta.url) });
    const lost = thread.run("write states", []);
    const closing = thread.close();
    await assert.rejects(lost, /it is closed$/);
    await closing;
    assert.ok(existsSync(`${file}.loaded`));
    assert.deepEqual(logged, []);
  });
});

describe("a thread that hangs", () => {
  /** Runs the program to its end. */
  function stop(how: "close" | "exit"): Promise<{ signal: unknown; output: string }> {
    return new Promise((resolve) => {
      const program = join(import.meta.dirname, "stop-with-hanging-thread.ts");
      execFile(process.execPath, [program, how], { timeout: 20_000, killSignal: "SIGTERM" }, (error, output) => {
        resolve({ signal: error?.signal, output });
      });
    });
  }

  it("holds up neither a stop nor the end of the program", async () => {
    const { signal, output } = await stop("close");
    assert.match(output, /^States of 1 destinations are lost at the stop: the write does not end$/m);
    assert.match(output, /^The thread of database "stuck\.db" hangs and is left behind: the disk may be stuck$/m);
    const [, tookMs] = /^stopped after (\d+) ms$/m.exec(output) ?? [];
    assert.ok(Number(tookMs) < 2_000, output);
    assert.equal(signal, "SIGKILL");
  });

  it("does not hold up an end without a stop", async () => {
    const { signal, output } = await stop("exit");
    assert.match(output, /^stopped after/m);
    assert.equal(signal, "SIGKILL");
  });

  it("fails a reload after a bound, not the program", async () => {
    const thread = open();
    await waitFor("the thread is up", 10_000, () => thread.isUp);
    const other = new Database(file);
    try {
      other.exec("BEGIN IMMEDIATE");
      const write = assert.rejects(thread.run("write states", [state(1)]), failed(/another program is writing it$/));
      await assert.rejects(thread.run("read destinations", undefined, 100), failed(/no answer within 0\.1 s$/));
      await write;
    } finally {
      other.close();
    }
  });
});
