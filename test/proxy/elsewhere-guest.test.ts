import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered } from "../support/sim-call.ts";
import { SimFailover } from "../support/sim-cluster.ts";
import { responseTo } from "../support/sip-messages.ts";

describe("a call that another node has and that is not up: a guest", () => {
  it("PRACK, UPDATE and a BYE pass both ways; nothing is counted, listed or kept", async () => {
    const pair = new SimFailover();
    const early = delivered(pair.before, { headers: ["Supported: 100rel"] });
    early.answerWith(183, { headers: ["Require: 100rel", "RSeq: 1"] });
    const call = pair.moved(early, true);
    const { net } = pair;
    const changed: string[] = [];
    net.dialogs.changeListeners.push(({ did }) => void changed.push(did));
    for (const [from, to, text] of [
      [call.caller, call.callee, call.fromCaller("PRACK", 2, { headers: ["RAck: 1 1 INVITE"] })],
      [call.callee, call.caller, call.fromCallee("UPDATE", 1, { headers: ["Contact: <sip:new@203.0.113.1>"] })],
      [call.caller, call.callee, call.fromCaller("BYE", 3)],
    ] as const) {
      from.send(text);
      await net.runAsync(0);
      to.send(responseTo(to.take(text.split(" ")[0]!), 200));
      from.take(200);
    }
    assert.deepEqual(changed, []);
    assert.equal(pair.elsewhere.asked.length, 3);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});
