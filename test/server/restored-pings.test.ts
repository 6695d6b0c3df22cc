import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Dialog, DialogState } from "../../src/dialog/index.ts";
import { RESTORED_PINGS_PER_SECOND, RestoredPings } from "../../src/server/restored-pings.ts";
import { FakeClock } from "../support/fake-clock.ts";

interface Asked {
  readonly did: string;
  readonly atMs: number;
  readonly ends: string;
}

function call(did: number, { isRestored = true, state = DialogState.Confirmed as DialogState } = {}): Dialog {
  return { did: String(did), isRestored, state } as unknown as Dialog;
}

function bench(calls: readonly Dialog[], isWanted = true) {
  const clock = new FakeClock();
  const asked: Asked[] = [];
  const told: string[] = [];
  const pings = new RestoredPings({
    dialogs: { list: () => calls.values() as IterableIterator<Dialog> },
    verify: ({ did }, afterMs, ends) => asked.push({ did, atMs: clock.nowMs + afterMs, ends }) > 0,
    config: { dialog: { ping_restored_calls: isWanted } },
    after: (ms, run) => clock.after(ms, run),
    log: { debug() {}, info: (fields, text) => void told.push(`${JSON.stringify(fields)} ${text}`), warn() {}, error() {} },
  });
  return { clock, asked, told, pings };
}

describe("calls that a start brings back", () => {
  it("are asked for once each, after those who still send BYE have sent it again, and so many in a second", () => {
    const calls = Array.from({ length: 250 }, (_, i) => call(i));
    const { clock, asked, told, pings } = bench(calls);
    const beganMs = clock.nowMs;
    pings.begin();
    clock.advance(4_999);
    assert.equal(asked.length, 0);
    clock.advance(60_000);
    assert.deepEqual(
      asked.map(({ did }) => did),
      calls.map(({ did }) => did),
    );
    assert.deepEqual(
      asked.map(({ atMs }) => atMs - beganMs),
      calls.map((_, i) => 5_000 + (i * 1_000) / RESTORED_PINGS_PER_SECOND),
    );
    assert.ok(asked.every(({ ends }) => ends === "if it says no"));
    assert.deepEqual([clock.pending, told.length], [0, 1]);
    assert.match(told[0]!, /"calls":250,"seconds":8/);
  });

  it("are not asked for when they are not up, and others never", () => {
    const { clock, asked, told, pings } = bench([call(1, { state: DialogState.Early }), call(2, { isRestored: false })]);
    pings.begin();
    assert.deepEqual([clock.pending, asked, told], [0, [], []]);
  });

  it("are not asked for when nobody wants that, nor after the end", () => {
    const unwanted = bench([call(1)], false);
    unwanted.pings.begin();
    assert.equal(unwanted.clock.pending, 0);
    const { clock, asked, pings } = bench(Array.from({ length: 500 }, (_, i) => call(i)));
    pings.begin();
    clock.advance(5_000);
    pings.close();
    clock.advance(60_000);
    assert.deepEqual([asked.length, clock.pending], [RESTORED_PINGS_PER_SECOND, 0]);
  });
});
