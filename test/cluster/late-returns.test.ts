import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Balancer, CallLoad } from "../../src/balancer/index.ts";
import { LateReturns } from "../../src/cluster/late-returns.ts";
import { row } from "../health/drain-farm.ts";

describe("leases of calls that are being hung up", () => {
  let given: [call: string, cell: number][] = [];
  let returns: LateReturns;
  beforeEach(() => {
    given = [];
    returns = new LateReturns(({ name }, cell) => void given.push([name, cell]));
  });

  /** A call with one lease. */
  function call(name: string): CallLoad {
    const balancer = new Balancer({ below: () => 0, nowMs: () => 0, onStatus: () => {}, onFault: (text) => assert.fail(text) });
    balancer.replaceTable([row(1)]);
    const load = new CallLoad();
    load.name = name;
    load.opened = true;
    balancer.place(load, balancer.destinations()[0]!, ["pstn"]);
    assert.equal(load.leases.length, 1);
    return load;
  }

  it("are given back at once when nobody holds them", () => {
    const one = call("one");
    returns.ended(one, 3);
    assert.deepEqual([given, returns.size], [[["one", 3]], 0]);
  });

  it("are kept until the destination has agreed, each once and in their order, those of other calls not", () => {
    const [one, two] = [call("one"), call("two")];
    returns.hold(one);
    for (const cell of [5, 4]) returns.ended(one, cell);
    returns.ended(two, 7);
    assert.deepEqual([given, returns.size], [[["two", 7]], 1]);
    returns.settle(one);
    returns.settle(one);
    assert.deepEqual(given.slice(1), [
      ["one", 5],
      ["one", 4],
    ]);
    assert.equal(returns.size, 0);
  });

  it("that end after the answer are given back at once", () => {
    const one = call("one");
    returns.hold(one);
    returns.settle(one);
    returns.ended(one, 5);
    assert.deepEqual(given, [["one", 5]]);
  });

  it("are not lost by a second BYE of the same call", () => {
    const one = call("one");
    returns.hold(one);
    returns.ended(one, 5);
    returns.hold(one);
    returns.settle(one);
    assert.deepEqual(given, [["one", 5]]);
  });

  it("are given back when nobody waits for answers any more", () => {
    const [one, two] = [call("one"), call("two")];
    for (const load of [one, two]) {
      returns.hold(load);
      returns.ended(load, 5);
    }
    returns.close();
    assert.deepEqual(
      [given, returns.size],
      [
        [
          ["one", 5],
          ["two", 5],
        ],
        0,
      ],
    );
  });

  it("take no memory for a call that has none", () => {
    const none = new CallLoad();
    returns.hold(none);
    assert.equal(returns.size, 0);
    returns.settle(none);
    assert.deepEqual(given, []);
  });
});
