import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseState, printFlags } from "../../src/dispatch/index.ts";
import { DispatchStates } from "../../src/server/dispatch-states.ts";
import { type DispatcherStateTable, openStore } from "../../src/store/index.ts";
import { Bench } from "../dispatch/support.ts";

const LIST = "1 sip:192.0.2.1 0 9 duid=a\n1 sip:192.0.2.2 0 8\n1 sip:192.0.2.3 4 7\n2 sip:192.0.2.1 8\n";
const AT_MS = Date.UTC(2026, 10, 22);

/** One run of the program with a dispatcher over a list. */
async function run(table: DispatcherStateTable, list = LIST) {
  const logged: string[] = [];
  const log = (_fields: object, message: string) => logged.push(message);
  const bench = new Bench(list, { probingMode: 1 });
  const timers: (() => void)[] = [];
  const states = new DispatchStates({
    table,
    dispatcher: bench.dispatcher,
    wallMs: () => AT_MS,
    after: (_ms, fire) => {
      timers.push(fire);
      return () => undefined;
    },
    log: { debug: log, info: log, warn: log, error: log } as never,
  });
  await states.load();
  states.setsChanged(bench.dispatcher.sets);
  const tell = () => {
    for (const change of bench.changes.splice(0)) states.changed(change);
  };
  const set = (state: string, setId: number, uri?: string) => {
    bench.dispatcher.setState(setId, uri, parseState(state)!);
    tell();
  };
  const letters = () => bench.dispatcher.sets.map(({ destinations }) => destinations.map(({ flags }) => printFlags(flags)).join(" "));
  return { bench, states, tell, set, letters, logged, timers };
}

async function withStore(test: (table: () => DispatcherStateTable) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-dispatch-states-"));
  const store = await openStore(`sqlite:${join(folder, "headroom.db")}`, { table: "load_balancer" });
  const log = { info: () => undefined, error: () => undefined };
  try {
    await test(() => store.dispatcherStates(log));
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

describe("states that operators set", () => {
  it("are in force again after a restart, those of two destinations with one URI each for itself", async () => {
    await withStore(async (table) => {
      const first = await run(table());
      first.set("d", 1, "sip:192.0.2.1");
      first.set("tp", 1, "sip:192.0.2.2");
      first.set("a", 1, "sip:192.0.2.3");
      assert.deepEqual(first.letters(), ["DX TP AX", "AP"]);
      await first.states.close();
      const second = await run(table());
      assert.deepEqual(second.letters(), ["DX TP AX", "AP"]);
      assert.equal(second.bench.changes.length, 0, "it is no news");
      assert.match(second.logged[0]!, /^dispatcher destination <sip:192\.0\.2\.1> of set 1 stays DX, as it was set at 2026-11-22T/);
      second.set("a", 1, "sip:192.0.2.1");
      await second.states.close();
      assert.deepEqual((await run(table())).letters(), ["AX TP AX", "AP"]);
    });
  });

  it("end when a probe, a script or the record says something else", async () => {
    await withStore(async (table) => {
      const first = await run(table());
      const { bench } = first;
      first.set("i", 1);
      bench.dispatcher.probed(bench.at(0), 200, undefined);
      bench.dispatcher.report(bench.at(1), 0, "script");
      bench.load(LIST.replace("3 4 7", "3 2 7"));
      first.tell();
      assert.deepEqual(first.letters(), ["AP AX TX", "AP"]);
      await first.states.close();
      assert.deepEqual((await run(table())).letters(), ["AX AX DX", "AP"]);
    });
  });

  it("wait for a destination that comes with a later load", async () => {
    await withStore(async (table) => {
      const first = await run(table());
      first.set("d", 2);
      await first.states.close();
      const second = await run(table(), "1 sip:192.0.2.9 0\n");
      second.bench.load(LIST);
      second.states.setsChanged(second.bench.dispatcher.sets);
      assert.deepEqual(second.letters()[1], "DX");
    });
  });

  it("are written again when the database could not be written, and the log says so once", async () => {
    let isBroken = true;
    const written: unknown[] = [];
    const { set, states, timers, logged } = await run({
      read: async () => [],
      write: async (changes) => {
        if (isBroken) throw new Error("disk full");
        written.push(changes);
      },
    });
    set("d", 2);
    assert.equal(await states.settled(), false);
    assert.equal(states.counters.state_write_failures, 3);
    assert.deepEqual(logged, ["Cannot write states of dispatcher destinations, trying again"]);
    isBroken = false;
    timers.at(-1)!();
    assert.equal(await states.settled(), true);
    assert.equal(written.length, 1);
    assert.equal(states.pending, 0);
  });

  it("that are none are passed over with a sentence", async () => {
    const { letters, logged } = await run({
      read: async () => [
        { destination: "1#a", state: 64, changed_at: 1 },
        { destination: "1/sip:192.0.2.2/0", state: 1, changed_at: 1 },
      ],
      write: async () => undefined,
    });
    assert.deepEqual(letters(), ["AX IX DX", "AP"]);
    assert.match(logged[0]!, /^Cannot use the saved state of dispatcher destination "1#a": want flags from 0 to 15$/);
  });
});
