import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EVERYBODY, MAX_SILENT_ENDS, PingOutages, type UnansweredPings } from "../../src/dialog/index.ts";
import { MAX_SILENT_ADDRESSES } from "../../src/dialog/ping-outages.ts";

const HOLD_MS = 300_000;

interface Bench {
  readonly outages: PingOutages;
  readonly told: string[];
  nowMs: number;
  answers: number;
  /** How many of so many calls may end, one after the other, whose pings were sent 10 s ago. */
  ended(address: string, calls: number): number;
}

/** Pings of a call that is about to end. */
function unanswered(nowMs: number, silentMs = nowMs - 10_000): UnansweredPings {
  return { firstMs: nowMs - 10_000, lastMs: nowMs - 5_000, silentMs };
}

function bench(holdMs = HOLD_MS): Bench {
  const told: string[] = [];
  const self: Bench = {
    told,
    nowMs: 1_000_000,
    answers: 0,
    outages: new PingOutages({
      holdMs,
      nowMs: () => self.nowMs,
      answers: () => self.answers,
      changed: ({ kind, address, held }) => told.push(`${kind} ${address} ${held}`.replace("  ", " all ")),
    }),
    ended(address, calls) {
      let ended = 0;
      for (let i = 0; i < calls; i++) if (self.outages.mayEnd(address, unanswered(self.nowMs))) ended++;
      return ended;
    },
  };
  return self;
}

describe("silence of many parties at once", () => {
  it("a few calls end at once, the others are kept while nobody at all answers anything", () => {
    const b = bench();
    for (let i = 0; i < 50; i++) b.ended(`192.0.2.${i}`, 1);
    assert.deepEqual([b.ended("198.51.100.1", 1), b.told], [0, ["began all 1"]]);
    assert.equal(EVERYBODY, "");
  });

  it("while others answer, single parties that vanish all end, however many", () => {
    const b = bench();
    for (let i = 0; i < 200; i++) {
      b.answers++;
      assert.equal(b.ended(`192.0.2.${i}`, 1), 1);
    }
    assert.deepEqual(b.told, []);
  });

  it("an address that answers no more keeps its calls, and those of others end", () => {
    const b = bench();
    let ended = 0;
    for (let i = 0; i < 100; i++) {
      b.answers++;
      ended += b.ended("192.0.2.1", 1);
      assert.equal(b.ended(`198.51.100.${i}`, 1), 1);
    }
    assert.deepEqual([ended, b.told], [MAX_SILENT_ENDS, ["began 192.0.2.1 1"]]);
  });

  it("who answers now and then is no outage", () => {
    const b = bench();
    for (let i = 0; i < 100; i++) {
      b.answers++;
      b.outages.alive("192.0.2.1");
      assert.equal(b.ended("192.0.2.1", 3), 3);
    }
    assert.deepEqual(b.told, []);
  });

  it("after the time that calls are kept all end", () => {
    const b = bench();
    b.ended("192.0.2.1", 50);
    b.nowMs += HOLD_MS - 1;
    assert.equal(b.ended("192.0.2.1", 50), 0);
    b.nowMs += 1;
    assert.equal(b.ended("192.0.2.1", 50), 50);
    // That of everybody and that of the address alike.
    assert.deepEqual(b.told.slice(2), ["timeout all 90", "timeout 192.0.2.1 90"]);
  });

  it("when it is over, what was left unanswered before says nothing, and what is left unanswered later does", () => {
    const b = bench();
    b.ended("192.0.2.1", 50);
    b.nowMs += 60_000;
    b.answers++;
    b.outages.alive("192.0.2.1");
    assert.deepEqual(b.told.slice(2), ["ended 192.0.2.1 40", "ended all 40"]);
    b.nowMs += 9_000;
    assert.equal(b.ended("192.0.2.1", 5), 0);
    b.nowMs += 2_000;
    assert.equal(b.ended("192.0.2.1", 5), 5);
  });

  it("one call that ends now and then for its silence never adds up to an outage", () => {
    const b = bench();
    for (let i = 0; i < 100; i++) {
      b.nowMs += HOLD_MS;
      assert.equal(b.ended("192.0.2.1", 1), 1);
    }
    assert.deepEqual(b.told, []);
  });

  it("0: every call ends", () => {
    const b = bench(0);
    assert.equal(b.ended("192.0.2.1", 1_000), 1_000);
  });

  it("addresses that nobody hears of again take no more than their room", () => {
    const b = bench();
    b.ended("first", MAX_SILENT_ENDS);
    for (let i = 0; i < MAX_SILENT_ADDRESSES; i++) {
      b.answers++;
      b.ended(`a${i}`, 1);
    }
    b.answers++;
    assert.equal(b.ended("first", 1), 1);
    assert.deepEqual(b.told, []);
  });
});
