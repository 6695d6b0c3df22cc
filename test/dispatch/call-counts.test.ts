import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bench, made, request } from "./support.ts";

const LIST = "1 sip:10.0.0.1 0 9 duid=a;maxload=1\n1 sip:10.0.0.2 0 5 duid=b\n2 sip:10.0.0.1 0 9 duid=a";
const ALGORITHM = 10;

function bench() {
  const made = new Bench(LIST);
  return { ...made, bench: made, loads: () => made.dispatcher.set(1)?.destinations.map(({ load }) => load) };
}

/** Selects for the call of this owner. */
function select({ dispatcher }: Bench, owner: object, algorithm = ALGORITHM) {
  return made(dispatcher.select(1, algorithm, request({}, { owner })));
}

describe("counts of calls", () => {
  it("end once, however often their owner says that the call is over", () => {
    const { bench: b, loads } = bench();
    const [call, other] = [{}, {}];
    select(b, call);
    select(b, other);
    assert.deepEqual([loads(), b.dispatcher.countedCalls], [[1, 1], 2]);
    for (let i = 0; i < 3; i++) b.dispatcher.release(call);
    assert.deepEqual([loads(), b.dispatcher.countedCalls], [[0, 1], 1]);
  });

  it("are one a call: another selection, and the next destination, take the place of the one before", () => {
    const { bench: b, loads } = bench();
    const call = {};
    const selection = select(b, call);
    selection.next();
    assert.deepEqual(loads(), [0, 1]);
    select(b, call);
    assert.deepEqual(loads(), [1, 0]);
    select(b, call, 8); // counts nothing
    assert.deepEqual(loads(), [0, 0]);
  });

  it("go to where a call was answered that had gone on already", () => {
    const { bench: b, loads } = bench();
    const call = {};
    const selection = select(b, call);
    const first = b.dispatcher.countedOn(call);
    selection.next();
    b.dispatcher.moveTo(call, first);
    assert.deepEqual(loads(), [1, 0]);
    b.dispatcher.moveTo(call, undefined);
    assert.deepEqual(loads(), [0, 0]);
  });

  it("stay on a destination that a reload takes, and are there when another brings it back", () => {
    const { bench: b, loads } = bench();
    const call = {};
    select(b, call);
    b.load("1 sip:10.0.0.2 0 5 duid=b");
    assert.deepEqual([loads(), b.dispatcher.countedCalls], [[0], 1]);
    b.load(LIST);
    assert.deepEqual(loads(), [1, 0]);
    b.dispatcher.release(call);
    assert.deepEqual(loads(), [0, 0]);
  });

  it("go on in another process by names: duid first, else the place, and whatever maxload says", () => {
    const { bench: b } = bench();
    const [call, second] = [{}, {}];
    select(b, call);
    const names = b.dispatcher.heldBy(call);
    assert.deepEqual(names, ["1#a", "1/sip:10.0.0.1/0"]);
    const other = new Bench("1 sip:10.0.0.77 0 0 duid=A\n1 sip:10.0.0.1 0 0");
    other.dispatcher.adopt(call, names);
    assert.equal(other.at(1).load, 1, "the one with the duid, in the order of the set");
    const renamed = new Bench("1 sip:10.0.0.1 0 0 duid=other");
    for (const owner of [call, second]) renamed.dispatcher.adopt(owner, names);
    assert.equal(renamed.at(0).load, 2);
  });

  it("of a destination that is in no set wait for it, and can be told on", () => {
    const { bench: b } = bench();
    const [call, ended] = [{}, {}];
    const names = ["9#x", "9/sip:10.9.9.9/0"];
    for (const owner of [call, ended]) b.dispatcher.adopt(owner, names);
    assert.deepEqual([b.dispatcher.heldBy(call), b.dispatcher.countedCalls], [names, 2]);
    b.dispatcher.release(ended);
    b.load(`${LIST}\n9 sip:10.9.9.9`);
    assert.deepEqual([b.at(0, 9).load, b.dispatcher.countedCalls], [1, 1]);
    b.dispatcher.release(call);
    assert.equal(b.at(0, 9).load, 0);
  });
});
