import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SEARCHES, SEARCH_MS } from "../../src/proxy/elsewhere.ts";
import type { ConnectionWatcher } from "../../src/transaction/index.ts";
import { branchOf, delivered, established, requestUriOf, routeValues, uriOf } from "../support/sim-call.ts";
import { type SimElsewhere, SimFailover } from "../support/sim-cluster.ts";
import { PROXY, PROXY6, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

/** A call that is up on a node that has died. */
function lostCall(options: { ack?: boolean } = {}) {
  const pair = new SimFailover();
  const call = delivered(pair.before);
  call.answerWith(180);
  call.answerWith(200);
  if (options.ack !== false) {
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
  }
  return { ...pair, net: pair.net, elsewhere: pair.elsewhere, call: pair.moved(call) };
}

describe("a request of a call whose node is gone", () => {
  for (const side of ["caller", "callee"] as const) {
    it(`BYE of the ${side} passes and frees the destination`, async () => {
      const { net, call } = lostCall();
      const [from, to] = side === "caller" ? [call.caller, call.callee] : [call.callee, call.caller];
      from.send(side === "caller" ? call.fromCaller("BYE", 2) : call.fromCallee("BYE", 1));
      assert.deepEqual(net.loads, [0, 0]);
      await net.runAsync(0);
      to.send(responseTo(to.take("BYE"), 200));
      from.take(200);
      assert.deepEqual(net.loads, [0, 0]);
      const { restored_dialogs, active_dialogs, searches, searches_failed } = net.dialogs.counters;
      assert.deepEqual(
        { restored_dialogs, active_dialogs, searches, searches_failed },
        {
          restored_dialogs: 1,
          active_dialogs: 0,
          searches: 1,
          searches_failed: 0,
        },
      );
      net.finish();
    });

    it(`re-INVITE of the ${side} with its ACK, INFO and UPDATE pass, asked for once`, async () => {
      const { net, call, elsewhere } = lostCall();
      const isCaller = side === "caller";
      const [from, to] = isCaller ? [call.caller, call.callee] : [call.callee, call.caller];
      const inside = (method: string, cseq: number): string => (isCaller ? call.fromCaller(method, cseq) : call.fromCallee(method, cseq));
      from.send(inside("INVITE", 5));
      from.take(100);
      await net.runAsync(0);
      assert.deepEqual(net.loads, [1, 0]);
      to.send(responseTo(to.take("INVITE"), 200, { headers: [`Contact: <sip:moved@${to.sentBy}>`] }));
      from.take(200);
      from.send(inside("ACK", 5));
      to.take("ACK");
      for (const method of ["INFO", "UPDATE"]) {
        from.send(inside(method, 6));
        to.send(responseTo(to.take(method), 200));
        from.take(200);
      }
      from.assertSilent();
      to.assertSilent();
      assert.equal(elsewhere.asked.length, 1);
      assert.equal(isCaller ? net.onlyDialog.calleeContact : net.onlyDialog.callerContact, `sip:moved@${to.sentBy}`);
      net.finish();
    });
  }

  it("the ACK of its 2xx passes", async () => {
    const { net, call } = lostCall({ ack: false });
    call.caller.send(call.fromCaller("ACK", 1));
    await net.runAsync(0);
    call.callee.take("ACK");
    assert.equal(net.onlyDialog.state, 4);
    net.finish();
  });

  it("ACK and BYE that come together pass in their order", async () => {
    const { net, call } = lostCall({ ack: false });
    call.caller.send(call.fromCaller("ACK", 1));
    call.caller.send(call.fromCaller("BYE", 2));
    await net.runAsync(0);
    assert.deepEqual(
      call.callee.inbox.map((text) => text.split(" ")[0]),
      ["ACK", "BYE"],
    );
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("its lifetime goes on and ends with BYE to both sides", async () => {
    const { net, call } = lostCall();
    call.caller.send(call.fromCaller("INFO", 2));
    await net.runAsync(0);
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.caller.take(200);
    net.run(599_000);
    call.caller.assertSilent();
    net.run(1_000);
    assert.equal(headerOf(call.callee.take("BYE"), "CSeq"), "3 BYE");
    call.caller.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("a Route with the address of another node is as ours; without did it is not", async () => {
    const pair = new SimFailover({ peerNodes: ["192.0.2.9"] });
    const call = pair.moved(established(pair.before));
    const foreign = headersOf(call.answer, "Record-Route").map((route) => route.replace(PROXY, "192.0.2.9"));
    call.caller.send(call.fromCaller("INFO", 2, { routes: foreign }));
    await pair.net.runAsync(0);
    assert.deepEqual(headersOf(call.callee.take("INFO"), "Route"), []);
    call.caller.send(call.fromCaller("INFO", 3, { routes: ["<sip:192.0.2.9;lr>"] }));
    pair.net.peer("192.0.2.9").take("INFO");
  });

  it("so are both of its two Routes, also where a strict router before us put one into the Request-URI", async () => {
    const pair = new SimFailover({ destinations: ["2001:db8::d1"], peerNodes: ["192.0.2.9", "2001:db8::9"] });
    const call = pair.moved(established(pair.before, { callee: "2001:db8::d1" }));
    const [outside, inside] = routeValues(headersOf(call.answer, "Record-Route"))
      .reverse()
      .map((route) => route.replace(PROXY, "192.0.2.9").replace(PROXY6, "2001:db8::9"));
    call.caller.send(call.fromCaller("INFO", 2, { routes: [outside!, inside!] }));
    await pair.net.runAsync(0);
    const target = "sip:callee@[2001:db8::d1]:5060";
    assert.deepEqual(headersOf(call.callee.take("INFO"), "Route"), []);
    call.caller.send(call.fromCaller("INFO", 3, { uri: uriOf(outside!), routes: [inside!, `<${target}>`] }));
    const info = call.callee.take("INFO");
    assert.deepEqual([requestUriOf(info), headersOf(info, "Route")], [target, []]);
  });

  it("a Route of another node that names another call stays: it is the next hop", () => {
    const net = new SimNetwork({ peerNodes: ["192.0.2.9"] });
    const call = established(net);
    const own = headersOf(call.answer, "Record-Route")[0]!;
    call.caller.send(call.fromCaller("INFO", 2, { routes: [own, "<sip:192.0.2.9;lr;did=other>"] }));
    assert.deepEqual(headersOf(net.peer("192.0.2.9").take("INFO"), "Route"), ["<sip:192.0.2.9;lr;did=other>"]);
    call.caller.send(call.fromCaller("INFO", 3, { routes: [own.replace(">", ";r2=on>"), "<sip:192.0.2.9;lr;did=other;r2=on>"] }));
    net.peer("192.0.2.9").take("INFO");
  });
});

describe("while the call is asked for", () => {
  it("a CANCEL ends the re-INVITE: 487, and nothing goes on to the other side", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    const text = call.fromCaller("INVITE", 2);
    call.caller.send(text);
    call.caller.take(100);
    const cancel = call.fromCaller("CANCEL", 2, { branch: branchOf(text), uri: requestUriOf(text) });
    call.caller.send(cancel);
    call.caller.take(200);
    call.caller.take(487);
    call.caller.send(cancel.replaceAll("CANCEL", "ACK"));
    await elsewhere.answer();
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
    call.caller.send(call.fromCaller("BYE", 3));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    call.caller.assertSilent();
    net.finish();
  });

  it("a re-INVITE whose sender vanishes with its connection goes nowhere", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    const watchers: ConnectionWatcher[] = [];
    call.caller.flow = { transport: "ws", connection: { isOpen: true, watch: (watcher) => watchers.push(watcher) } };
    call.caller.send(call.fromCaller("INVITE", 2));
    call.caller.take(100);
    for (const watcher of watchers) watcher.connectionEnded();
    await elsewhere.answer();
    call.callee.assertSilent();
    call.caller.assertSilent();
    assert.deepEqual([watchers.length, net.core.counters.callers_gone, net.loads], [1, 1, [1, 0]]);
  });

  it("copies of a request are absorbed: it passes once", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    const info = call.fromCaller("INFO", 2);
    for (let i = 0; i < 3; i++) call.caller.send(info);
    await elsewhere.answer();
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.callee.assertSilent();
    call.caller.take(200);
    call.caller.assertSilent();
    assert.equal(elsewhere.asked.length, 1);
    net.finish();
  });

  it("requests of both sides find it once", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    call.caller.send(call.fromCaller("INFO", 2));
    call.callee.send(call.fromCallee("INFO", 1));
    await elsewhere.answer();
    call.callee.take("INFO");
    call.caller.take("INFO");
    assert.equal(net.dialogs.counters.restored_dialogs, 1);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("a search that never ends is 503 within its time, and what it finds later changes nothing", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    call.caller.send(call.fromCaller("INFO", 2));
    call.caller.send(call.fromCaller("ACK", 1));
    net.run(SEARCH_MS - 10);
    call.caller.assertSilent();
    net.run(20);
    assert.equal(headerOf(call.caller.take(503), "Retry-After"), "2");
    assert.equal(net.dialogs.counters.searches_failed, 2);
    await elsewhere.answer();
    call.callee.assertSilent();
    call.caller.assertSilent();
  });

  it("a BYE of which nobody can say whose it is gets no answer: its copy is asked for again, and ends the call", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.instead = () => Promise.resolve("unknown");
    const bye = call.fromCaller("BYE", 2);
    for (let i = 0; i < 3; i++) {
      call.caller.send(bye);
      await net.runAsync(SEARCH_MS);
    }
    call.caller.assertSilent();
    assert.deepEqual([elsewhere.asked.length, net.layer.serverCount], [3, 0]);
    elsewhere.instead = undefined;
    call.caller.send(bye);
    await net.runAsync(0);
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("an INVITE of which nobody can say whose call it is belongs to is 503, and the call goes on", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.instead = () => Promise.resolve("unknown");
    const text = call.fromCaller("INVITE", 2);
    call.caller.send(text);
    call.caller.take(100);
    await net.runAsync(0);
    const refusal = call.caller.take(503);
    call.caller.send(call.ackOf(refusal).replace(/branch=[^;\r]*/, `branch=${branchOf(text)}`));
    elsewhere.instead = undefined;
    call.caller.send(call.fromCaller("INVITE", 3));
    await net.runAsync(0);
    call.callee.take("INVITE");
  });
});

describe("a call that nobody finds", () => {
  it("is 481, its ACK is dropped, and it is counted", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.kept.clear();
    call.caller.send(call.fromCaller("BYE", 2));
    call.caller.send(call.fromCaller("ACK", 1));
    await net.runAsync(0);
    call.caller.take(481);
    call.callee.assertSilent();
    assert.equal(net.dialogs.counters.searches_failed, 2);
    assert.equal(net.core.counters.unknown_dialog, 1);
    net.finish();
  });

  const faults: [string, number, NonNullable<SimElsewhere["instead"]>][] = [
    [
      "throws",
      503,
      () => {
        throw new Error("no");
      },
    ],
    ["rejects", 503, () => Promise.reject(new Error("no"))],
    ["finds nothing at once", 481, () => undefined],
  ];
  for (const [name, status, instead] of faults) {
    it(`is ${status} when whoever is asked ${name}; one line is logged for many`, async () => {
      const { net, call, elsewhere } = lostCall();
      elsewhere.instead = instead;
      for (let cseq = 2; cseq < 52; cseq++) {
        call.caller.send(call.fromCaller("INFO", cseq));
        await net.runAsync(0);
        call.caller.take(status);
      }
      assert.equal(net.logged.filter(({ level }) => level === "warn").length, name === "finds nothing at once" ? 0 : 1);
      net.finish();
    });
  }

  it("beyond the searches that are under way it is 503 at once and counted, a BYE waits for its copy; the others go on", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.waits = true;
    for (let i = 0; i < MAX_SEARCHES; i++) call.caller.send(call.fromCaller("INFO", 2 + i));
    call.caller.assertSilent();
    call.caller.send(call.fromCaller("INFO", 2_000));
    call.caller.take(503);
    call.caller.send(call.fromCaller("BYE", 2_001));
    call.caller.assertSilent();
    assert.equal(net.dialogs.counters.searches_refused, 2);
    await elsewhere.answer();
    assert.equal(call.callee.inbox.length, MAX_SEARCHES);
    call.caller.send(call.fromCaller("BYE", 3_000));
    call.callee.take("BYE");
    net.finish();
  });

  it("100,000 names of calls that nobody has leave nothing behind", async () => {
    const { net, call, elsewhere } = lostCall();
    elsewhere.kept.clear();
    call.caller.onMessage = () => {};
    const routes = headersOf(call.answer, "Record-Route");
    for (let i = 0; i < 100_000; i++) {
      const invented = routes.map((route) => route.replace(/did=[^;>]*/, `did=${i}.x`));
      call.caller.send(call.fromCaller(i % 2 === 0 ? "INFO" : "ACK", 2, { routes: invented }));
      if (i % 500 === 499) await net.runAsync(0);
    }
    elsewhere.asked.length = 0;
    assert.equal(net.dialogs.counters.searches, 100_000);
    net.checkNothingLeft();
  });

  it("a name that is longer than ours is not asked for", () => {
    const { call, elsewhere } = lostCall();
    call.caller.send(call.fromCaller("INFO", 2, { routes: [`<sip:${PROXY};lr;did=${"x".repeat(200)}>`] }));
    call.caller.take(481);
    assert.equal(elsewhere.asked.length, 0);
  });
});

describe("a did with Call-ID or tags of another call", () => {
  for (const part of ["from", "to", "callId"] as const) {
    it(`other ${part}: 481, and the call stays where it is`, async () => {
      const { net, call, elsewhere } = lostCall();
      const other = part === "callId" ? "other" : "<sip:x@example.com>;tag=other";
      for (const method of ["BYE", "INVITE"]) {
        call.caller.send(call.fromCaller(method, 2, { [part]: other }));
        await net.runAsync(0);
        call.caller.take(481);
      }
      assert.equal(elsewhere.kept.size, 1);
      assert.equal(net.dialogs.size, 0);
    });

    it(`other ${part}, of a call that is here: 481, it is not asked for, and nothing changes`, () => {
      const pair = new SimFailover();
      const call = established(pair.net);
      const other = part === "callId" ? "other" : "<sip:x@example.com>;tag=other";
      call.caller.send(call.fromCaller("BYE", 2, { [part]: other }));
      call.caller.take(481);
      assert.equal(pair.elsewhere.asked.length, 0);
      assert.deepEqual(pair.net.loads, [1, 0]);
    });
  }

  it("of two passes of one call on two nodes, each request takes that of its did", async () => {
    const pair = new SimFailover();
    const call = pair.moved(established(pair.before));
    const here = established(pair.net, { callId: call.callId, from: headerOf(call.invite, "From"), callee: "203.0.113.1" });
    assert.deepEqual(pair.net.loads, [1, 0]);
    const to = headerOf(call.answer, "To");
    call.caller.send(call.fromCaller("BYE", 2));
    await pair.net.runAsync(0);
    call.callee.take("BYE");
    assert.deepEqual(pair.net.loads, [1, 0]);
    assert.notEqual(to, headerOf(here.answer, "To"));
    here.caller.send(here.fromCaller("BYE", 2));
    here.callee.take("BYE");
    assert.deepEqual(pair.net.loads, [0, 0]);
  });
});
