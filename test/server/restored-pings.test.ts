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

function call(
  did: number,
  { isRestored = true, state = DialogState.Confirmed as DialogState, expiresAtMs = Number.MAX_VALUE } = {},
): Dialog {
  return { did: String(did), isRestored, state, expiresAtMs } as unknown as Dialog;
}

function bench(calls: readonly Dialog[], isWanted = true) {
  const clock = new FakeClock();
  const asked: Asked[] = [];
  const told: string[] = [];
  const ended = new Set<string>();
  const pings = new RestoredPings({
    dialogs: { list: () => calls.values() as IterableIterator<Dialog>, byDid: (did) => (ended.has(did) ? undefined : call(Number(did))) },
    pings: () => ({
      verify: ({ did }, afterMs, ends = "if it says no or nothing") => asked.push({ did, atMs: clock.nowMs + afterMs, ends }) > 0,
      askNow: ({ did }) => void asked.push({ did, atMs: clock.nowMs, ends: "now" }),
    }),
    wallMs: () => clock.nowMs,
    config: { dialog: { ping_restored_calls: isWanted } },
    after: (ms, run) => clock.after(ms, run),
    log: { debug() {}, info: (fields, text) => void told.push(`${JSON.stringify(fields)} ${text}`), warn() {}, error() {} },
  });
  return { clock, asked, told, ended, pings };
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
    assert.match(told[0]!, /"calls":250,"seconds":3/);
  });

  it("are not asked for when they have ended before their turn", () => {
    const { clock, asked, ended, pings } = bench(Array.from({ length: 250 }, (_, i) => call(i)));
    pings.begin();
    clock.advance(5_000);
    for (let i = 120; i < 240; i++) ended.add(String(i));
    clock.advance(60_000);
    assert.equal(asked.length, 250 - 120);
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

describe("calls that come from a node that is gone", () => {
  it("are asked for as those of a start are, and those that follow wait for their turn behind them", () => {
    const { clock, asked, told, pings } = bench([]);
    const beganMs = clock.nowMs;
    pings.begin();
    for (let i = 0; i < 150; i++) pings.taken(call(i), i % 2 === 0 ? "adopted" : "own");
    clock.advance(5_500);
    for (let i = 150; i < 250; i++) pings.taken(call(i), "adopted");
    clock.advance(60_000);
    assert.deepEqual(
      asked.map(({ did, atMs }) => [did, atMs - beganMs]),
      Array.from({ length: 250 }, (_, i) => [String(i), 5_000 + i * 10]),
    );
    pings.taken(call(250), "adopted");
    clock.advance(5_000);
    assert.deepEqual([asked.length, asked.at(-1)?.did, clock.pending, told.length], [251, "250", 0, 2]);
  });

  it("are asked for once when they came before the start was over, and not at all when a message has brought them", () => {
    const { clock, asked, pings } = bench([call(1)]);
    pings.taken(call(1), "own");
    pings.begin();
    pings.taken(call(2), "asked");
    clock.advance(60_000);
    assert.deepEqual(
      asked.map(({ did }) => did),
      ["1"],
    );
  });
});

describe("a call that another node may not end", () => {
  it("is asked for at once, whatever the configuration wants of restored ones, unless its time is over", () => {
    const { clock, asked, pings } = bench([], false);
    pings.taken(call(1), "offered");
    pings.taken(call(2, { expiresAtMs: clock.nowMs }), "offered");
    assert.deepEqual(asked, [{ did: "1", atMs: clock.nowMs, ends: "now" }]);
    assert.equal(clock.pending, 0);
  });
});
