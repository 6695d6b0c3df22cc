import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../../src/balancer/index.ts";
import { LateReturns } from "../../../src/cluster/leases/late-returns.ts";

describe("calls that are being hung up", () => {
  it("are so until the last BYE under way is answered", () => {
    const late = new LateReturns();
    const [call, other] = [new CallLoad(), new CallLoad()];
    late.hold(call);
    late.hold(call);
    assert.deepEqual([late.has(call), late.has(other), late.size], [true, false, 1]);
    assert.equal(late.settle(call), false);
    assert.equal(late.has(call), true);
    assert.equal(late.settle(call), true);
    assert.deepEqual([late.has(call), late.size], [false, 0]);
  });

  it("are so no more when nobody waits for answers", () => {
    const late = new LateReturns();
    const [call, other] = [new CallLoad(), new CallLoad()];
    late.hold(call);
    late.hold(call);
    late.hold(other);
    assert.deepEqual([late.close().length, late.size, late.has(call), late.settle(call)], [2, 0, false, false]);
  });

  it("an answer that nobody waits for is none", () => {
    const late = new LateReturns();
    assert.equal(late.settle(new CallLoad()), false);
    assert.equal(late.size, 0);
  });
});
