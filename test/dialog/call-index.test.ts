import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallIndex } from "../../src/dialog/call-index.ts";
import type { Dialog } from "../../src/dialog/index.ts";
import { QuietProxy } from "../support/quiet-proxy.ts";

const MANY = 10_000;
const CALL_ID = "one-for-all";
/** What is looked at for one message, however many calls have its Call-ID. */
const MAX_LOOKS = 66;

function call(number: number, tag = `callee${number}`): Dialog {
  const legs = [{ tag }];
  return {
    callId: CALL_ID,
    did: `d${number}`,
    legs,
    hasLeg: (wanted: string) => legs.some((leg) => leg.tag === wanted),
  } as unknown as Dialog;
}

describe("calls by Call-ID", () => {
  it("are looked through, oldest first, while they are few", () => {
    const index = new CallIndex();
    const calls = [call(1), call(2), call(3)];
    for (const one of calls) index.add(one);
    assert.deepEqual([...index.candidates(CALL_ID, { fromTag: "caller", toTag: "callee3" })], calls);
    assert.deepEqual([...index.all(CALL_ID)], calls);
    assert.deepEqual([...index.all("another")], []);
    index.remove(calls[1]!);
    assert.deepEqual([...index.all(CALL_ID)], [calls[0], calls[2]]);
    index.remove(calls[1]!);
    index.remove(calls[0]!);
    index.remove(calls[2]!);
    assert.equal(index.size, 0);
  });

  it("are found by the tag of a callee, either way, among ten thousand without looking at more than a few", () => {
    const index = new CallIndex();
    const calls = Array.from({ length: MANY }, (_, number) => call(number));
    for (const one of calls) index.add(one);
    for (const number of [0, 17, 5_000, 9_999]) {
      for (const tags of [
        { fromTag: "caller", toTag: `callee${number}` },
        { fromTag: `callee${number}`, toTag: "caller" },
      ]) {
        const looked = [...index.candidates(CALL_ID, tags)];
        assert.equal(looked[0], calls[number]);
        assert.ok(looked.length <= MAX_LOOKS, `${looked.length} were looked at`);
      }
    }
    for (const one of calls) index.remove(one);
    assert.equal(index.size, 0);
  });

  it("keep no tags of legs that were given up, however many there were", () => {
    const index = new CallIndex();
    const [one, other] = [call(1), call(2)];
    index.add(one);
    index.add(other);
    for (let i = 0; i < 1_000; i++) {
      (one.legs as unknown as { tag: string }[])[0]!.tag = `given-up${i}`;
      index.learned(one);
    }
    assert.equal([...index.candidates(CALL_ID, { fromTag: "x", toTag: "given-up999" })][0], one);
    index.remove(one);
    index.remove(other);
    assert.equal(index.size, 0);
  });

  it("each end by their own BYE when thousands have the same one, and many take no longer each than few", (t) => {
    const microsecondsOf = (count: number): number => {
      const proxy = new QuietProxy();
      const ways: QuietProxy["way"][] = [];
      const began = process.cpuUsage();
      for (let number = 0; number < count; number++) {
        proxy.begin({ number, callId: CALL_ID });
        ways.push({ ...proxy.way, route: "<sip:192.0.2.1:5060;lr>" }); // without did: by Call-ID and tags
      }
      assert.equal(proxy.load, count);
      for (let number = count - 1; number >= 0; number--) proxy.end({ number, callId: CALL_ID }, ways[number]);
      const { user, system } = process.cpuUsage(began);
      assert.deepEqual([proxy.load, proxy.dialogs.size], [0, 0]);
      return (user + system) / count;
    };
    microsecondsOf(300); // compiled
    const [few, many] = [microsecondsOf(20), microsecondsOf(1_500)];
    t.diagnostic(`processor time of a call: ${few.toFixed(0)} µs with 20, ${many.toFixed(0)} µs with 1,500 of one Call-ID`);
    assert.ok(many < few * 10 + 1_000, `${many} µs against ${few} µs`);
  });
});
