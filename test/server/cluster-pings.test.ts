import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogState } from "../../src/dialog/index.ts";
import { ProxyFarm as Farm, type ProxyNode as Node, PING_MS, TAG, total } from "../support/proxy-farm.ts";
import { established } from "../support/sim-call.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

describe("pings of a cluster, through whole proxies", () => {
  it("a call is pinged by the node that has it, and by no other one; by the survivor when that is gone, with the numbers of the parties", async () => {
    const farm = new Farm(3, undefined, true);
    const [a, b, c] = farm.nodes as [Node, Node, Node];
    const call = established(a.net);
    call.caller.send(call.fromCaller("INFO", 7));
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    for (const side of [call.caller, call.callee]) {
      side.onMessage = (text) => {
        if (text.startsWith("OPTIONS ")) side.send(responseTo(text, 200));
      };
    }
    await farm.pass(3 * PING_MS, 500);
    assert.deepEqual(
      [a, b, c].map(({ net }) => net.dialogs.counters.options_pings > 0),
      [true, false, false],
    );
    farm.kill(a);
    const before = a.net.dialogs.counters.options_pings;
    await farm.pass(1_000);
    const survivor = total(b) === 1 ? b : c;
    const [caller, callee] = [survivor.net.peer(call.caller.address), survivor.net.peer(call.callee.address)];
    const asked: string[] = [];
    for (const side of [caller, callee]) {
      side.onMessage = (text) => {
        asked.push(headerOf(text, "CSeq"));
        if (text.startsWith("OPTIONS ") && side === callee) side.send(responseTo(text, 200));
      };
    }
    await farm.pass(2 * PING_MS, 500);
    assert.equal(a.net.dialogs.counters.options_pings, before);
    assert.deepEqual([asked.includes("7 OPTIONS"), asked.includes("0 OPTIONS"), asked.includes("8 BYE")], [true, true, true]);
    assert.deepEqual([total(b), total(c), survivor.net.dialogs.counters.ping_timeouts], [0, 0, 1]);
  });

  it("where the tag is not active a call whose party is gone goes to the owner of the tag, which asks once more and ends it", async () => {
    const farm = new Farm(2, TAG, true);
    const [a, b] = farm.nodes as [Node, Node];
    farm.tagOwner = 2;
    const call = established(a.net);
    for (const { net } of [a, b]) {
      for (const address of [call.caller.address, call.callee.address]) {
        const side = net.peer(address);
        side.onMessage = (text) => {
          if (/^(?:OPTIONS|BYE) /.test(text)) side.send(responseTo(text, address === call.callee.address ? 481 : 200));
        };
      }
    }
    await farm.pass(PING_MS + 100, 100);
    assert.deepEqual([total(a), a.net.dialogs.counters.surrendered_dialogs, total(b)], [0, 1, 0]);
    assert.deepEqual([a.net.dialogs.counters.ping_timeouts, b.net.dialogs.counters.ping_timeouts], [0, 1]);
  });

  for (const dies of [false, true]) {
    const where = dies
      ? "though their node dies 25 s after that, and is held for alive for 4 s more"
      : "though another node has the tag, and it alone may end calls";
    it(`callers that vanish are noticed within two intervals of the last ping that they answered, ${where}`, async () => {
      const farm = new Farm(2, TAG, true);
      const [a, b] = farm.nodes as [Node, Node];
      farm.tagOwner = 2;
      const beganMs = a.net.wheel.nowMs;
      let vanishedMs = Number.POSITIVE_INFINITY;
      const answeredMs = new Map<string, number>();
      const endedMs = new Map<string, number>();
      const calls = Array.from({ length: 40 }, (_, i) => established(a.net, { caller: `198.51.100.${i + 1}` }));
      for (const { net } of [a, b]) {
        const { onState } = net.dialogs;
        net.dialogs.onState = (dialog, before) => {
          if (dialog.state === DialogState.Deleted && dialog.endReason === "Ping Timeout") endedMs.set(dialog.callId, net.wheel.nowMs);
          onState?.(dialog, before);
        };
        for (const address of ["203.0.113.1", ...calls.map(({ caller }) => caller.address)]) {
          const side = net.peer(address);
          side.onMessage = (text) => {
            if (!/^(?:OPTIONS|BYE) /.test(text) || (address !== "203.0.113.1" && net.wheel.nowMs >= vanishedMs)) return;
            if (address !== "203.0.113.1") answeredMs.set(headerOf(text, "Call-ID"), net.wheel.nowMs);
            side.send(responseTo(text, 200));
          };
        }
      }
      await farm.pass(2 * PING_MS, 100);
      vanishedMs = beganMs + 2 * PING_MS;
      if (dies) {
        await farm.pass(25_000, 100);
        a.isKilled = true;
        a.link.cut();
        await farm.pass(4_000, 100);
        farm.kill(a);
      }
      await farm.pass(2 * PING_MS, 100);
      assert.deepEqual([total(b), b.net.dialogs.size, endedMs.size], [0, 0, calls.length]);
      const tookMs = calls.map(({ callId }) => endedMs.get(callId)! - answeredMs.get(callId)!);
      assert.ok(Math.max(...tookMs) <= 2 * PING_MS, `the longest took ${Math.max(...tookMs)} ms`);
      assert.equal(b.net.dialogs.counters.ping_timeouts, dies ? calls.length - a.net.dialogs.counters.ping_timeouts : calls.length);
    });
  }

  it("the callees of calls of a node that is gone are asked for each once, though the route wants no pings; only 481 ends one", async () => {
    const farm = new Farm(2, undefined, true, 0);
    const [a, b] = farm.nodes as [Node, Node];
    const calls = Array.from({ length: 12 }, () => established(a.net));
    await farm.pass(100);
    farm.kill(a);
    const callee = b.net.peer("203.0.113.1");
    const gone = new Set(calls.slice(0, 4).map(({ callId }) => callId));
    const silent = new Set(calls.slice(4, 8).map(({ callId }) => callId));
    const asked = new Map<string, number>();
    callee.onMessage = (text) => {
      const callId = headerOf(text, "Call-ID");
      if (text.startsWith("OPTIONS ")) asked.set(headerOf(text, "Via"), 1);
      if (/^(?:OPTIONS|BYE) /.test(text) && !silent.has(callId)) callee.send(responseTo(text, gone.has(callId) ? 481 : 200));
    };
    await farm.pass(4_900, 100);
    assert.deepEqual([total(b), asked.size], [12, 0]);
    await farm.pass(60_000, 100);
    assert.deepEqual([total(b), b.net.dialogs.counters.ping_timeouts], [8, 4]);
    const before = asked.size;
    assert.equal(before, 12 + silent.size, "each once, and who is silent once more");
    await farm.pass(120_000, 500);
    assert.deepEqual([total(b), asked.size], [8, before]);
  });

  it("a call that is offered for its silence, and whose route wants no pings, is asked for by the node that may end it", async () => {
    const farm = new Farm(2, TAG, true, 0);
    const [a, b] = farm.nodes as [Node, Node];
    farm.tagOwner = 2;
    established(a.net);
    for (const { net } of [a, b]) net.peer("203.0.113.1").onMessage = () => undefined;
    await farm.pass(100);
    assert.ok(a.net.proxy.verify([...a.net.dialogs.list()][0]!, 0));
    await farm.pass(10_500, 100);
    assert.deepEqual([total(a), total(b)], [0, 1]);
    await farm.pass(10_000, 100);
    assert.deepEqual([total(a), total(b), b.net.dialogs.counters.ping_timeouts], [0, 0, 1]);
  });
});
