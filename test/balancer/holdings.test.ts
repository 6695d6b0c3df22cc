import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/call-load.ts";
import { Holdings } from "../../src/balancer/holdings.ts";

function callAt(cells: readonly number[], tried: readonly string[] = ["one"]): CallLoad {
  const call = new CallLoad();
  const session = call.beginSession(1, "pstn", 0);
  session.tried.push(...tried);
  call.leases.push(...cells);
  call.picked.push(...cells);
  return call;
}

describe("what calls hold alike", () => {
  it("is one thing, until one of them changes it: the others never see that", () => {
    const holdings = new Holdings();
    const [one, two, three] = [callAt([4, 5]), callAt([4, 5]), callAt([4, 5])];
    for (const call of [one, two, three]) call.share(holdings);
    assert.equal(one.leases, two.leases);
    one.own().leases.pop();
    two.beginSession(2, "fax", 1).tried.push("two");
    assert.deepEqual([one.leases, two.leases, three.leases], [[4], [4, 5], [4, 5]]);
    assert.deepEqual([one.session?.tried, two.session?.tried, three.session?.tried], [["one"], ["two"], ["one"]]);
    assert.deepEqual([one.session?.group, two.session?.group, three.session?.group], [1, 2, 1]);
  });

  it("is told from what looks alike", () => {
    const holdings = new Holdings();
    const different = [callAt([1, 11]), callAt([11, 1]), callAt([1]), callAt([]), callAt([1], ["one", "two"]), callAt([1], [])];
    for (const call of different) call.share(holdings);
    assert.equal(new Set(different.map((call) => call.leases)).size, different.length);
  });

  it("is right also when more kinds than are remembered come and go", () => {
    const holdings = new Holdings();
    const calls = Array.from({ length: 10_000 }, (_, cell) => callAt([cell]));
    for (let round = 0; round < 2; round++) for (const call of calls) call.own().share(holdings);
    for (const call of calls.slice(0, 5_000)) call.own().leases.pop();
    const again = callAt([3]);
    again.share(holdings);
    assert.deepEqual(again.leases, [3]);
    for (const [cell, call] of calls.entries()) assert.deepEqual(call.leases, cell < 5_000 ? [] : [cell]);
  });
});
