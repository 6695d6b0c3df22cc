import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TOLD_FORBIDDEN_BURST, TOLD_FORBIDDEN_REFILL_MS } from "../../src/management/limits.ts";
import { ToldForbidden } from "../../src/management/told-forbidden.ts";

describe("what viewers try", () => {
  it("is told of so many times at once, then now and then with the number of those between", () => {
    const told = new ToldForbidden();
    for (let i = 0; i < TOLD_FORBIDDEN_BURST; i++) assert.equal(told.take("wall", 0), 0);
    for (let i = 0; i < 7; i++) assert.equal(told.take("wall", 0), undefined);
    assert.equal(told.take("wall", TOLD_FORBIDDEN_REFILL_MS), 7);
    assert.equal(told.take("wall", TOLD_FORBIDDEN_REFILL_MS), undefined);
  });

  it("is counted for each viewer alone", () => {
    const told = new ToldForbidden();
    for (let i = 0; i <= TOLD_FORBIDDEN_BURST; i++) told.take("wall", 0);
    assert.equal(told.take("prometheus", 0), 0);
  });
});
