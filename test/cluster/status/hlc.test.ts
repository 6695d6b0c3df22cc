import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  HybridClock,
  isVersion,
  MAX_AHEAD_MS,
  msOf,
  nodeOf,
  VERSION_CHARS,
  versionAfter,
  versionOf,
} from "../../../src/cluster/status/hlc.ts";

const NOW_MS = 1_800_000_000_000;

describe("a version", () => {
  it("has a fixed width, and tells its time and its node", () => {
    const version = versionOf(NOW_MS, 7, 2_147_483_647);
    assert.equal(version, "1800000000000-000007-2147483647");
    assert.deepEqual([version.length, msOf(version), nodeOf(version)], [VERSION_CHARS, NOW_MS, 2_147_483_647]);
  });

  it("compares as text by time, then counter, then node", () => {
    const inOrder = [
      versionOf(9, 9, 9),
      versionOf(10, 0, 1),
      versionOf(10, 2, 1),
      versionOf(10, 2, 30),
      versionOf(10, 11, 2),
      versionOf(NOW_MS, 0, 1),
    ];
    assert.deepEqual([...inOrder].reverse().sort(), inOrder);
  });

  for (const [before, after] of [
    [versionOf(5, 1, 9), versionOf(5, 2, 3)],
    [versionOf(5, 999_999, 9), versionOf(6, 0, 3)],
  ] as const) {
    it(`${before} is followed by ${after}`, () => assert.equal(versionAfter(before, 3), after));
  }

  for (const text of [
    "",
    "1800000000000-000007-214748364",
    "1800000000000 000007-2147483647",
    "x800000000000-000007-2147483647",
    5,
    undefined,
  ]) {
    it(`is not ${JSON.stringify(text)}`, () => assert.equal(isVersion(text), false));
  }

  it("keeps its width whatever the clock says", () => {
    for (const ms of [-5, 0, 0.7, 1e15, Number.POSITIVE_INFINITY]) assert.ok(isVersion(versionOf(ms, 0, 1)), `${ms}`);
  });
});

describe("a hybrid clock", () => {
  function clock(): { hlc: HybridClock; set: (ms: number) => void } {
    let nowMs = NOW_MS;
    return {
      hlc: new HybridClock(() => nowMs, 4),
      set: (ms) => {
        nowMs = ms;
      },
    };
  }

  it("makes versions that grow, also while time stands still or goes back", () => {
    const { hlc, set } = clock();
    const made = [hlc.next(), hlc.next()];
    set(NOW_MS - 500);
    made.push(hlc.next());
    set(NOW_MS + 1);
    made.push(hlc.next());
    assert.deepEqual(made, [versionOf(NOW_MS, 0, 4), versionOf(NOW_MS, 1, 4), versionOf(NOW_MS, 2, 4), versionOf(NOW_MS + 1, 0, 4)]);
  });

  it("is ahead of what it has seen", () => {
    const { hlc } = clock();
    const seen = versionOf(NOW_MS + 900, 3, 1);
    hlc.observe(seen);
    assert.equal(hlc.next(), versionOf(NOW_MS + 900, 4, 4));
  });

  it("takes no note of what is more than 60 s ahead", () => {
    const { hlc } = clock();
    assert.equal(hlc.isAhead(versionOf(NOW_MS + MAX_AHEAD_MS, 0, 1)), false);
    const seen = versionOf(NOW_MS + MAX_AHEAD_MS + 1, 0, 1);
    assert.equal(hlc.isAhead(seen), true);
    hlc.observe(seen);
    assert.equal(hlc.next(), versionOf(NOW_MS, 0, 4));
  });

  it("comes back from an hour ahead once the clock is put right", () => {
    const { hlc, set } = clock();
    set(NOW_MS + 3_600_000);
    hlc.next();
    set(NOW_MS);
    assert.equal(hlc.next(), versionOf(NOW_MS, 0, 4));
  });
});
