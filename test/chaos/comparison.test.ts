import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallUser } from "./call-plan.ts";
import { type CountedCall, compareCalls, compareLoads } from "./comparison.ts";

const userOf = (callId: string): CallUser => (callId.startsWith("both") ? "both" : "one");
const counted = (callId: string, destination?: string): CountedCall => ({ callId, destination });
const held = (calls: Record<string, string[]>): Map<string, Set<string>> =>
  new Map(Object.entries(calls).map(([name, ids]) => [name, new Set(ids)]));
const loads = (all: Record<string, [pstn: number, transcoding: number]>): Map<string, Record<string, number>> =>
  new Map(Object.entries(all).map(([name, [pstn, transcoding]]) => [name, { pstn, transcoding }]));

describe("calls that destinations have against calls that are counted", () => {
  const cases = [
    {
      name: "the same calls differ in nothing",
      held: { a: ["1"], b: ["2"] },
      counted: [counted("1", "a"), counted("2", "b")],
      missing: [],
      surplus: [],
    },
    { name: "a call that is not counted is missing", held: { a: ["1", "2"] }, counted: [counted("2", "a")], missing: ["1 a"], surplus: [] },
    {
      name: "a call that its destination does not have is surplus",
      held: { a: [] },
      counted: [counted("1", "a")],
      missing: [],
      surplus: ["1 a"],
    },
    {
      name: "a call at another destination is both",
      held: { a: ["1"], b: [] },
      counted: [counted("1", "b")],
      missing: ["1 a"],
      surplus: ["1 b"],
    },
    {
      name: "a call that was not answered yet is that of any destination",
      held: { a: [], b: ["1"] },
      counted: [counted("1")],
      missing: [],
      surplus: [],
    },
    {
      name: "a call that is counted twice is surplus once",
      held: { a: ["1"] },
      counted: [counted("1", "a"), counted("1")],
      missing: [],
      surplus: ["1 ?"],
    },
  ];
  for (const { name, held: calls, counted: list, missing, surplus } of cases) {
    it(name, () => {
      const found = compareCalls(held(calls), list);
      assert.deepEqual(
        [
          found.missing.map(({ callId, destination }) => `${callId} ${destination}`),
          found.surplus.map(({ callId, destination = "?" }) => `${callId} ${destination}`),
        ],
        [missing, surplus],
      );
    });
  }
});

describe("loads against the calls that destinations have", () => {
  const none = { missing: [], surplus: [] };

  it("are right when each resource counts the calls that use it", () => {
    assert.deepEqual(compareLoads(loads({ a: [2, 1], b: [0, 0] }), held({ a: ["1", "both2"] }), none, userOf), []);
  });

  it("are wrong for one resource alone", () => {
    const found = compareLoads(loads({ a: [2, 2] }), held({ a: ["1", "both2"] }), none, userOf);
    assert.deepEqual(found, ["Load of transcoding at a is 2, want 1: it has 1 of such calls"]);
  });

  it("are wrong when two faults cancel each other on the whole", () => {
    const found = compareLoads(loads({ a: [2, 0], b: [0, 0] }), held({ a: ["1"], b: ["2"] }), none, userOf);
    assert.equal(found.length, 2);
  });

  it("are right when they differ by the calls that differ, wherever one without an answer counts", () => {
    const differences = { missing: [{ callId: "1", destination: "a" }], surplus: [counted("2", "b"), counted("3")] };
    assert.deepEqual(compareLoads(loads({ a: [1, 0], b: [1, 0] }), held({ a: ["1"], b: [] }), differences, userOf), []);
    assert.equal(compareLoads(loads({ a: [0, 0], b: [1, 0] }), held({ a: ["1"], b: [] }), differences, userOf).length, 1);
  });
});
