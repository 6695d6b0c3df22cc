import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogFlag, endpointsOf, MAX_SILENT_ENDS, snapshotOf } from "../../src/dialog/index.ts";
import { SipProxy } from "../../src/proxy/index.ts";
import { OPTIONS_MS, pinged, pingingNetwork, REINVITE_MS, untilPing } from "../support/pinged-call.ts";
import { delivered, established, requestUriOf, type SimCall, uriOf } from "../support/sim-call.ts";
import { FR_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

const { OptionsPingCaller, OptionsPingCallee } = DialogFlag;
const BOTH = OptionsPingCaller | OptionsPingCallee;
const HOLD_MS = 300_000;
const GUARDED = { pings: { optionsMs: OPTIONS_MS, reinviteMs: REINVITE_MS, outageMs: HOLD_MS } };

/** Calls from as many callers, whose callees answer pings or not. */
function farm(net: SimNetwork, count: number, callee = "203.0.113.1"): SimCall[] {
  const calls: SimCall[] = [];
  for (let i = 0; i < count; i++) {
    calls.push(established(net, { caller: `198.51.100.${i + 1}`, callee: net.loads[0] === net.loads[1] ? callee : "203.0.113.2" }));
  }
  return calls;
}

function answers(net: SimNetwork, address: string): void {
  const peer = net.peer(address);
  peer.onMessage = (text) => {
    if (/^(?:OPTIONS|BYE) /.test(text)) peer.send(responseTo(text, 200));
  };
}

const silent = (net: SimNetwork, address: string): void => {
  net.peer(address).onMessage = () => undefined;
};

describe("pings by route sets, of forks, of restored calls", () => {
  it("they take the way of the route sets; a strict router gets itself as Request-URI (RFC 3261 §12.2.1.1)", () => {
    const net = pingingNetwork(BOTH);
    const call = delivered(net, { headers: ["Record-Route: <sip:198.51.100.50;lr>, <sip:198.51.100.51;lr>"] });
    const ok = responseTo(call.delivered, 200, { toTag: "T", headers: ["Contact: <sip:bob@203.0.113.77>"] });
    call.callee.send(
      ok.replace("Record-Route:", "Record-Route: <sip:203.0.113.61;lr>\r\nRecord-Route: <sip:203.0.113.60>\r\nRecord-Route:"),
    );
    untilPing(net);
    const toCallee = net.peer("203.0.113.60").take("OPTIONS");
    assert.equal(requestUriOf(toCallee), "sip:203.0.113.60");
    assert.deepEqual(headersOf(toCallee, "Route"), ["<sip:203.0.113.61;lr>", "<sip:bob@203.0.113.77>"]);
    const toCaller = net.peer("198.51.100.50").take("OPTIONS");
    assert.equal(requestUriOf(toCaller), uriOf(headerOf(call.invite, "Contact")));
    assert.deepEqual(headersOf(toCaller, "Route"), ["<sip:198.51.100.50;lr>", "<sip:198.51.100.51;lr>"]);
  });

  it("one of two callees that have answered is gone: it is hung up alone, and the other one is asked from then on", () => {
    const net = pingingNetwork(BOTH);
    const call = delivered(net);
    call.answerWith(200, { toTag: "one" });
    call.answerWith(200, { toTag: "two" });
    untilPing(net);
    call.caller.send(responseTo(call.caller.take("OPTIONS"), 200));
    const ping = call.callee.take("OPTIONS");
    assert.match(headerOf(ping, "To"), /;tag=one$/);
    call.callee.send(responseTo(ping, 481));
    for (const [side, header] of [
      [call.callee, "To"],
      [call.caller, "From"],
    ] as const) {
      const bye = side.take("BYE");
      assert.match(headerOf(bye, header), /;tag=one$/);
      side.send(responseTo(bye, 200));
      side.assertSilent();
    }
    assert.deepEqual(net.loads, [1, 0]);
    untilPing(net);
    const next = call.callee.take("OPTIONS");
    assert.match(headerOf(next, "To"), /;tag=two$/);
    call.callee.send(responseTo(next, 481));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("its caller knows one of two callees no more: that one is hung up alone; a caller that is silent is gone for both", () => {
    for (const isSilent of [false, true]) {
      const net = pingingNetwork(OptionsPingCaller);
      const call = delivered(net);
      call.answerWith(200, { toTag: "one" });
      call.answerWith(200, { toTag: "two" });
      untilPing(net);
      const ping = call.caller.take("OPTIONS");
      assert.match(headerOf(ping, "From"), /;tag=one$/);
      if (isSilent) net.run(2 * FR_MS);
      else call.caller.send(responseTo(ping, 481));
      assert.match(headerOf(call.callee.take("BYE"), "To"), /;tag=one$/);
      assert.deepEqual(net.loads, [isSilent ? 0 : 1, 0]);
      if (!isSilent) call.callee.assertSilent();
    }
  });

  it("a call that was restored before there was a proxy is pinged, with the numbers that its parties had", () => {
    const { net, call } = pinged(BOTH);
    call.callee.send(call.fromCallee("INFO", 41));
    const other = new SimNetwork({ tokens: "other" });
    const snapshot = JSON.parse(JSON.stringify(snapshotOf(net.onlyDialog)));
    assert.ok(other.dialogs.restore(snapshot, endpointsOf(snapshot, [other.listener4])!));
    new SipProxy({ ...other.core, pings: { optionsMs: OPTIONS_MS, reinviteMs: REINVITE_MS } });
    untilPing(other);
    assert.equal(headerOf(other.peer(call.callee.address).take("OPTIONS"), "CSeq"), "7 OPTIONS");
    const toCaller = other.peer(call.caller.address).take("OPTIONS");
    assert.equal(headerOf(toCaller, "CSeq"), "41 OPTIONS");
    other.peer(call.caller.address).send(responseTo(toCaller, 481));
    assert.equal(headerOf(other.peer(call.caller.address).take("BYE"), "CSeq"), "42 BYE");
    assert.equal(headerOf(other.peer(call.callee.address).take("BYE"), "CSeq"), "8 BYE");
  });
});

describe("many that fall silent at once", () => {
  it("the network of this machine is down: a few calls end, the others are kept, and go on when it is back", () => {
    const net = pingingNetwork(BOTH, { ...GUARDED, resources: "pstn=100" });
    farm(net, 60);
    const all = [...Array(60).keys()].map((i) => `198.51.100.${i + 1}`).concat("203.0.113.1", "203.0.113.2");
    for (const address of all) silent(net, address);
    net.run(HOLD_MS - 30_000);
    const left = net.dialogs.size;
    assert.ok(left >= 60 - MAX_SILENT_ENDS, String(left));
    assert.ok(net.dialogs.counters.ping_outages >= 1);
    assert.equal(net.logged.filter(({ level, message }) => level === "warn" && message.startsWith("nobody answers pings")).length, 1);
    for (const address of all) answers(net, address);
    net.run(HOLD_MS / 2);
    assert.equal(net.dialogs.size, left);
    // One that is gone meanwhile ends now as ever.
    silent(net, [...net.dialogs.list()][0]!.callerEndpoint.address);
    net.run(OPTIONS_MS + 2 * FR_MS);
    assert.equal(net.dialogs.size, left - 1);
    net.checkLoads();
  });

  it("one destination is dead: its calls are freed after the time for which they are kept, and those of others are not touched", () => {
    const net = pingingNetwork(BOTH, { ...GUARDED, resources: "pstn=100" });
    const calls = farm(net, 60);
    for (const { caller } of calls) answers(net, caller.address);
    silent(net, "203.0.113.1");
    answers(net, "203.0.113.2");
    net.run(2 * OPTIONS_MS);
    assert.deepEqual(net.loads, [30 - MAX_SILENT_ENDS, 30]);
    net.run(HOLD_MS + 2 * OPTIONS_MS);
    assert.deepEqual(net.loads, [0, 30]);
    const told = net.logged
      .filter(({ fields }) => "held" in fields)
      .map(({ level, fields }) => [level, "address" in fields && fields.address]);
    assert.deepEqual(told, [
      ["warn", "203.0.113.1"],
      ["warn", "203.0.113.1"],
    ]);
  });

  it("one that has lost its calls says so, and all of them end at once", () => {
    const net = pingingNetwork(BOTH, { ...GUARDED, resources: "pstn=100" });
    const calls = farm(net, 60);
    for (const { caller } of calls) answers(net, caller.address);
    answers(net, "203.0.113.2");
    net.peer("203.0.113.1").onMessage = (text) => {
      if (!text.startsWith("ACK")) net.peer("203.0.113.1").send(responseTo(text, 481));
    };
    net.run(OPTIONS_MS);
    assert.deepEqual(net.loads, [0, 30]);
  });

  it("a caller that vanishes alone is noticed within two intervals of 30 s, whoever else there is", () => {
    const net = pingingNetwork(BOTH, { ...GUARDED, resources: "pstn=100" });
    const calls = farm(net, 20);
    for (const { caller } of calls) answers(net, caller.address);
    for (const address of ["203.0.113.1", "203.0.113.2"]) answers(net, address);
    net.run(100_000);
    for (const { caller } of calls.slice(0, 6)) {
      const before = net.dialogs.size;
      silent(net, caller.address);
      net.run(2 * OPTIONS_MS);
      assert.equal(net.dialogs.size, before - 1);
    }
    assert.deepEqual([net.dialogs.size, net.dialogs.counters.ping_outages], [14, 0]);
  });
});

describe("a call that there is reason to doubt", () => {
  it("its callee is asked until it has answered once, whatever the route has asked for", () => {
    const net = pingingNetwork(0);
    const call = established(net);
    assert.equal(net.proxy.verify(net.onlyDialog, 7_000), true);
    assert.equal(net.proxy.verify(net.onlyDialog, 1_000), false);
    net.run(6_990);
    call.callee.assertSilent();
    net.run(20);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 200));
    net.run(3 * OPTIONS_MS);
    call.callee.assertSilent();
    call.caller.assertSilent();
    assert.equal(net.proxy.verify(net.onlyDialog, 7_000), true);
    net.run(7_010);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 481));
    assert.deepEqual([net.loads, net.dialogs.counters.ping_timeouts], [[0, 0], 1]);
    net.finish();
  });

  it("one that is pinged anyway is asked no more often, and one that is not up cannot be asked", () => {
    const net = pingingNetwork(OptionsPingCallee);
    established(net);
    assert.equal(net.proxy.verify(net.onlyDialog, 0), false);
    const other = pingingNetwork(0);
    delivered(other);
    assert.equal(other.proxy.verify(other.onlyDialog, 0), false);
  });

  it("where only a no is to end it, a callee that says nothing is asked twice and keeps its call", () => {
    const net = pingingNetwork(0);
    const call = established(net);
    net.proxy.verify(net.onlyDialog, 0, "if it says no");
    net.run(10 * OPTIONS_MS);
    assert.equal(net.dialogs.counters.options_pings, 2);
    assert.deepEqual([net.loads, net.onlyDialog.pinged], [[1, 0], undefined]);
    call.callee.clear();

    net.proxy.verify(net.onlyDialog, 0, "if it says no");
    net.run(10);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 481));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("a restored one that another node may have too ends by no 481: where we ask may be where its callee was once; it is asked again later", () => {
    const net = pingingNetwork(0);
    const before = established(net);
    const other = pingingNetwork(0, { tokens: "other" });
    const snapshot = snapshotOf(net.onlyDialog);
    const dialog = other.dialogs.restore(snapshot, endpointsOf(snapshot, [other.listener4])!)!;
    const callee = other.peer(before.callee.address);
    let isSure = false;
    other.dialogs.isOwn = () => isSure;
    other.proxy.verify(dialog, 0, "if it says no");
    for (const state of [4, 5]) {
      other.run(isSure ? OPTIONS_MS : 10);
      callee.send(responseTo(callee.take("OPTIONS"), 481));
      assert.equal(dialog.state, state);
      isSure = true;
    }
  });

  it("nothing is left of the question once it is answered, and pings that the route wants go on", () => {
    const net = pingingNetwork(OptionsPingCaller);
    const call = established(net);
    const { pinged } = net.onlyDialog;
    assert.equal(net.proxy.verify(net.onlyDialog, 0), true);
    net.run(10);
    assert.notEqual(net.onlyDialog.pinged, pinged);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 200));
    assert.equal(net.onlyDialog.pinged, pinged);
    net.run(OPTIONS_MS + 1_000);
    call.caller.take("OPTIONS");
  });

  it("a callee that cannot be reached at first is asked again", () => {
    const net = pingingNetwork(0);
    const call = established(net);
    net.proxy.verify(net.onlyDialog, 0);
    net.unreachable.add(call.callee.address);
    net.run(100);
    assert.deepEqual(net.loads, [1, 0]);
    net.unreachable.clear();
    net.run(OPTIONS_MS);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 200));
    net.run(3 * OPTIONS_MS);
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
  });
});
