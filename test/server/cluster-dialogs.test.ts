import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProxyFarm as Farm, type ProxyNode as Node, TAG, total } from "../support/proxy-farm.ts";
import { delivered, established } from "../support/sim-call.ts";
import { FR_INVITE_MS, LIFETIME_MS, PROXY } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

describe("calls of a cluster, through whole proxies", () => {
  for (const isAlive of [true, false]) {
    it(`BYE of a call whose node is ${isAlive ? "alive" : "gone"} is forwarded by another one, and every load is 0`, async () => {
      const farm = new Farm(2);
      const [a, b] = farm.nodes as [Node, Node];
      const call = established(a.net);
      await farm.pass(100);
      if (!isAlive) farm.kill(a);
      b.net.peer(call.caller.address).send(call.fromCaller("BYE", 2));
      await farm.pass(50);
      const bye = b.net.peer(call.callee.address).take("BYE");
      assert.equal(headerOf(bye, "Call-ID"), call.callId);
      b.net.peer(call.callee.address).send(responseTo(bye, 200));
      b.net.peer(call.caller.address).take(200);
      await farm.pass(100);
      assert.equal(total(b), 0);
      b.net.checkLoads();
      if (!isAlive) return;
      assert.deepEqual([total(a), a.net.dialogs.size, a.net.dialogs.counters.surrendered_dialogs, a.surrendered.length], [0, 0, 1, 1]);
      a.net.checkLoads();
    });
  }

  it("a BYE that comes while Redis cannot be asked ends its call once it can", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    const call = established(a.net);
    await farm.pass(100);
    farm.kill(a);
    b.link.cut();
    const caller = b.net.peer(call.caller.address);
    const bye = call.fromCaller("BYE", 2);
    caller.send(bye);
    await farm.pass(500);
    b.link.heal();
    b.link.stall();
    caller.send(bye);
    await farm.pass(2_000);
    caller.assertSilent();
    b.link.heal();
    await farm.pass(500);
    caller.send(bye);
    await farm.pass(50);
    b.net.peer(call.callee.address).take("BYE");
    assert.equal(total(b), 0);
  });

  it("a BYE that is quicker than the news that its call is up ends it all the same", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    const call = delivered(a.net);
    await farm.pass(100);
    call.answerWith(200);
    b.net.peer(call.caller.address).send(call.fromCaller("BYE", 2));
    await farm.pass(10);
    const callee = b.net.peer(call.callee.address);
    callee.send(responseTo(callee.take("BYE"), 200));
    b.net.peer(call.caller.address).take(200);
    await farm.pass(3_000);
    assert.deepEqual([total(a), total(b), a.net.dialogs.size, b.net.dialogs.size], [0, 0, 0, 0]);
  });

  it("a BYE with the tags of nobody takes nothing", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    const call = established(a.net);
    await farm.pass(100);
    const caller = b.net.peer(call.caller.address);
    caller.send(call.fromCaller("BYE", 2, { from: `<sip:x@${PROXY}>;tag=invented` }));
    caller.send(call.fromCaller("BYE", 2, { callId: "another" }));
    await farm.pass(200);
    assert.deepEqual([caller.inbox.length, caller.inbox.every((text) => text.startsWith("SIP/2.0 481"))], [2, true]);
    assert.deepEqual([total(a), total(b)], [1, 0]);
  });

  it("calls of a node that is gone are counted by the survivor, which hangs them up when their lifetime ends", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    const calls = Array.from({ length: 50 }, () => established(a.net));
    await farm.pass(100);
    farm.kill(a);
    await farm.pass(1_000);
    assert.deepEqual([b.net.loads, b.released], [a.net.loads, [1]]);
    b.net.checkLoads();
    for (const call of calls.slice(0, 10)) b.net.peer(call.callee.address).send(call.fromCallee("BYE", 1));
    await farm.pass(100);
    assert.equal(total(b), 40);
    await farm.pass(LIFETIME_MS, 1_000);
    assert.equal(total(b), 0);
    assert.equal(b.net.dialogs.counters.expired_dialogs, 40);
    const byes = [...new Set(calls.map(({ callee }) => callee.address))].flatMap((address) => b.net.peer(address).inbox);
    for (const { callId } of calls.slice(10)) assert.ok(byes.some((text) => text.startsWith("BYE ") && text.includes(callId)));
  });

  it("a call that rings when its node dies is answered through the survivor", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    const call = delivered(a.net);
    call.answerWith(180);
    await farm.pass(100);
    farm.kill(a);
    await farm.pass(500);
    assert.deepEqual([total(b), b.net.dialogs.counters.early_dialogs], [1, 1]);
    b.net
      .peer(call.callee.address)
      .send(responseTo(call.delivered, 200, { toTag: call.toTag, headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] }));
    await farm.pass(100);
    assert.deepEqual([b.net.dialogs.counters.active_dialogs, total(b)], [1, 1]);
    call.answer = b.net.peer(call.caller.address).take(200);
    b.net.peer(call.caller.address).send(call.fromCaller("BYE", 2));
    await farm.pass(100);
    assert.equal(total(b), 0);
  });

  it("a call that nobody answers any more ends at the survivor, without a trace", async () => {
    const farm = new Farm(2);
    const [a, b] = farm.nodes as [Node, Node];
    delivered(a.net).answerWith(180);
    await farm.pass(100);
    farm.kill(a);
    await farm.pass(500);
    assert.equal(total(b), 1);
    await farm.pass(FR_INVITE_MS + 45_000, 500); // taken back, then asked for
    assert.deepEqual([total(b), farm.redis.store.keys()], [0, []]);
  });

  it("where the tag is not active a call whose lifetime is over goes to the owner of the tag, which hangs it up", async () => {
    const farm = new Farm(2, TAG);
    const [a, b] = farm.nodes as [Node, Node];
    farm.tagOwner = 2;
    const call = established(a.net);
    await farm.pass(100);
    await farm.pass(LIFETIME_MS + 2_000, 500);
    assert.deepEqual([total(a), total(b), b.net.dialogs.counters.expired_dialogs, a.net.dialogs.counters.expired_dialogs], [0, 0, 1, 0]);
    assert.equal(headerOf(b.net.peer(call.callee.address).take("BYE"), "Call-ID"), call.callId);
    assert.equal(call.callee.inbox.length, 0);
  });

  it("only the owner of the tag adopts, also when it gets the tag later", async () => {
    const farm = new Farm(3, TAG);
    const [a, b, c] = farm.nodes as [Node, Node, Node];
    for (let i = 0; i < 20; i++) established(a.net);
    await farm.pass(100);
    farm.kill(a);
    await farm.pass(2_000);
    assert.deepEqual([total(b), total(c)], [0, 0]);
    farm.tagOwner = 3;
    await farm.pass(2_000);
    assert.deepEqual([total(b), total(c)], [0, 20]);
    assert.deepEqual([b.released, c.released], [[1], [1]]);
  });
});
