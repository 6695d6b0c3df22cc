import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeFault, scheduleOf } from "./schedule.ts";

const BOUNDS = { seconds: 60, destinations: 3, callers: 3, hasSipp: true };

describe("the schedule of a run", () => {
  it("is the same for the same seed, and another one for another seed", () => {
    assert.deepEqual(scheduleOf(7, BOUNDS), scheduleOf(7, BOUNDS));
    assert.notDeepEqual(scheduleOf(7, BOUNDS), scheduleOf(8, BOUNDS));
  });

  it("begins as that of a longer run with the same seed", () => {
    const short = scheduleOf(7, { ...BOUNDS, seconds: 20 });
    assert.deepEqual(
      short,
      scheduleOf(7, BOUNDS).filter(({ atMs }) => atMs < 20_000),
    );
  });

  it("has faults of every kind within a minute, in order, whatever the seed", () => {
    for (let seed = 0; seed < 100; seed++) {
      const faults = scheduleOf(seed, BOUNDS);
      assert.equal(new Set(faults.map(({ fault }) => fault.kind)).size, 9, `seed ${seed}`);
      assert.ok(faults.every(({ atMs }, i) => atMs >= (faults[i - 1]?.atMs ?? 0) && atMs < 60_000));
      const kills = faults.filter(({ fault }) => fault.kind === "kill balancer").length;
      assert.ok(kills >= 5 && kills <= 12, `${kills} kills with seed ${seed}`);
    }
  });

  it("keeps the clock within half an hour of the right time, and names parties that there are", () => {
    for (let seed = 0; seed < 50; seed++) {
      for (const { fault } of scheduleOf(seed, BOUNDS)) {
        if (fault.kind === "clock") assert.ok(Math.abs(fault.shiftMs) <= 1_800_000);
        if (fault.kind === "kill destination" || fault.kind === "kill caller") assert.ok(fault.number < 3);
        if (fault.kind === "network") assert.ok(fault.number < 6 && fault.quality.loss <= 0.12);
      }
    }
  });

  it("leaves sipp alone where there is none", () => {
    assert.ok(scheduleOf(1, { ...BOUNDS, hasSipp: false }).every(({ fault }) => fault.kind !== "kill sipp"));
  });

  it("can be read", () => {
    assert.equal(describeFault({ kind: "disk full", forMs: 1_500 }), 'disk full {"forMs":1500}');
    assert.equal(describeFault({ kind: "reload" }), "reload");
  });
});
