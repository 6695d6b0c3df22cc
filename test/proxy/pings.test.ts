import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogFlag, endpointsOf, snapshotOf } from "../../src/dialog/index.ts";
import { bodyOf, OPTIONS_MS, offer, pinged, REINVITE_MS, SDP, untilPing } from "../support/pinged-call.ts";
import { requestUriOf, uriOf } from "../support/sim-call.ts";
import { FR_MS, LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const { OptionsPingCaller, OptionsPingCallee, ReinvitePingCaller, ReinvitePingCallee } = DialogFlag;

describe("OPTIONS pings", () => {
  it("go to both sides as if from the other, with the number that the other has used last, so that its next one is new", () => {
    const { net, call } = pinged(OptionsPingCaller | OptionsPingCallee);
    for (let round = 0; round < 4; round++) {
      untilPing(net);
      const toCallee = call.callee.take("OPTIONS");
      const toCaller = call.caller.take("OPTIONS");
      assert.equal(headerOf(toCallee, "CSeq"), `${7 + round} OPTIONS`);
      assert.equal(headerOf(toCaller, "CSeq"), `${round === 0 ? 0 : 40 + round} OPTIONS`);
      assert.equal(requestUriOf(toCallee), uriOf(headerOf(call.answer, "Contact")));
      assert.equal(requestUriOf(toCaller), uriOf(headerOf(call.invite, "Contact")));
      assert.equal(headerOf(toCallee, "From"), headerOf(call.answer, "From"));
      assert.equal(headerOf(toCallee, "To"), headerOf(call.answer, "To"));
      assert.equal(headerOf(toCaller, "From"), headerOf(call.answer, "To"));
      call.callee.send(responseTo(toCallee, 200));
      call.caller.send(responseTo(toCaller, 500));
      call.caller.send(call.fromCaller("INFO", 8 + round));
      const info = call.callee.take("INFO");
      assert.equal(headerOf(info, "CSeq"), `${8 + round} INFO`);
      call.callee.send(call.fromCallee("INFO", 41 + round));
      const back = call.caller.take("INFO");
      assert.equal(headerOf(back, "CSeq"), `${41 + round} INFO`);
      for (const side of [call.caller, call.callee]) side.assertSilent();
      call.callee.send(responseTo(info, 200));
      call.caller.send(responseTo(back, 200));
      for (const side of [call.caller, call.callee]) side.take(200);
    }
    assert.deepEqual([net.loads, net.dialogs.counters.options_pings, net.dialogs.counters.ping_timeouts], [[1, 0], 8, 0]);
  });

  it("one that may overtake a re-INVITE leaves its number alone", () => {
    const { net, call } = pinged(OptionsPingCallee);
    call.caller.send(call.fromCaller("INVITE", 8));
    const invite = call.callee.take("INVITE");
    call.callee.send(responseTo(invite, 180));
    untilPing(net);
    const ping = call.callee.take("OPTIONS");
    assert.equal(headerOf(ping, "CSeq"), "7 OPTIONS");
    call.callee.send(responseTo(ping, 500));
    call.callee.send(responseTo(invite, 200));
    untilPing(net);
    assert.equal(headerOf(call.callee.take("OPTIONS"), "CSeq"), "8 OPTIONS");
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("go only where the route asked for them, and not at all when it did not", () => {
    const one = pinged(OptionsPingCallee);
    untilPing(one.net);
    one.call.callee.take("OPTIONS");
    one.call.caller.assertSilent();
    const none = pinged(DialogFlag.ByeOnTimeout);
    none.net.run(OPTIONS_MS * 3);
    none.call.callee.assertSilent();
    none.call.caller.assertSilent();
  });

  it("do not go to a side that is asked by re-INVITE, as in OpenSIPS", () => {
    const { net, call } = pinged(OptionsPingCaller | OptionsPingCallee | ReinvitePingCallee);
    untilPing(net);
    call.caller.send(responseTo(call.caller.take("OPTIONS"), 200));
    call.callee.assertSilent();
    untilPing(net);
    call.callee.take("INVITE");
    const both = pinged(OptionsPingCallee | ReinvitePingCallee);
    untilPing(both.net);
    both.call.callee.take("INVITE");
    assert.equal(both.net.dialogs.counters.options_pings, 0);
  });

  for (const status of [481, 408]) {
    it(`${status}: the call ends, BYE goes to both sides, the slot is free, once`, () => {
      const { net, call, ended } = pinged(OptionsPingCallee | OptionsPingCaller);
      untilPing(net);
      call.caller.send(responseTo(call.caller.take("OPTIONS"), 200));
      call.callee.send(responseTo(call.callee.take("OPTIONS"), status));
      if (status === 408) call.callee.send(responseTo(call.callee.take("OPTIONS"), status));
      assert.deepEqual([net.loads, ended], [[0, 0], ["Ping Timeout"]]);
      assert.equal(headerOf(call.callee.take("BYE"), "CSeq"), "8 BYE");
      assert.equal(headerOf(call.caller.take("BYE"), "CSeq"), "1 BYE");
      assert.equal(net.dialogs.counters.ping_timeouts, 1);
      net.run(OPTIONS_MS * 3);
      assert.deepEqual(ended, ["Ping Timeout"]);
      net.finish();
    });
  }

  it("a caller that has vanished is noticed within two intervals", () => {
    const { net, call, ended } = pinged(OptionsPingCaller);
    call.caller.onMessage = () => undefined;
    net.run(OPTIONS_MS + 2 * FR_MS);
    assert.deepEqual([net.loads, ended], [[0, 0], ["Ping Timeout"]]);
    call.callee.take("BYE");
    net.finish();
  });

  it("one unanswered ping alone ends nothing: it is sent again at once, and an answer to that counts", () => {
    const { net, call, ended } = pinged(OptionsPingCaller);
    for (let round = 0; round < 3; round++) {
      untilPing(net);
      const first = call.caller.take("OPTIONS");
      call.caller.clear();
      untilPing(net);
      const asked = call.caller.inbox.at(-1)!;
      assert.notEqual(headerOf(asked, "Via"), headerOf(first, "Via"));
      call.caller.send(responseTo(asked, 200));
      call.caller.clear();
    }
    assert.deepEqual([net.loads, ended], [[1, 0], []]);
  });

  it("what is answered after the end, and answers of strangers, do nothing", () => {
    const { net, call, ended } = pinged(OptionsPingCallee);
    untilPing(net);
    const asked = call.callee.take("OPTIONS");
    net.peer("198.51.100.66").send(responseTo(asked, 481).replace(/branch=[^;\r]*/, "branch=z9hG4bKguess"));
    assert.deepEqual(ended, []);
    call.caller.send(call.fromCaller("BYE", 8));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.callee.send(responseTo(asked, 481));
    assert.deepEqual([ended, net.dialogs.counters.ping_timeouts], [["Downstream BYE"], 0]);
    net.run(OPTIONS_MS * 2);
    net.finish();
  });

  it("a call that goes on at another node is pinged there, by its snapshot, and no more here", () => {
    const { net, call } = pinged(OptionsPingCaller | ReinvitePingCaller);
    const other = new SimNetwork({ tokens: "other", pings: { optionsMs: OPTIONS_MS, reinviteMs: REINVITE_MS } });
    const snapshot = JSON.parse(JSON.stringify(snapshotOf(net.onlyDialog)));
    const endpoints = endpointsOf(snapshot, [other.listener4]);
    assert.ok(endpoints && other.dialogs.restore(snapshot, endpoints));
    assert.ok(net.dialogs.surrender(net.onlyDialog));
    untilPing(other);
    const caller = other.peer("198.51.100.1");
    caller.send(responseTo(caller.take("OPTIONS"), 481));
    assert.equal(other.dialogs.size, 0);
    net.run(REINVITE_MS);
    call.caller.assertSilent();
  });

  it("a node that may not end calls leaves that to the one that may", () => {
    const { net, call, ended } = pinged(OptionsPingCallee);
    let asked = 0;
    net.dialogs.mayExpire = () => {
      asked++;
      return false;
    };
    untilPing(net);
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 481));
    assert.deepEqual([asked, ended, net.loads], [1, [], [1, 0]]);
  });
});

describe("re-INVITE pings", () => {
  it("tell each side the session and the Contact of the other, so that nothing changes, and acknowledge each 2xx", () => {
    const { net, call, ended } = pinged(ReinvitePingCaller | ReinvitePingCallee);
    untilPing(net);
    const toCallee = call.callee.take("INVITE");
    const toCaller = call.caller.take("INVITE");
    assert.equal(headerOf(toCallee, "CSeq"), "7 INVITE");
    assert.equal(bodyOf(toCallee), offer("caller"));
    assert.equal(bodyOf(toCaller), offer("callee"));
    assert.equal(uriOf(headerOf(toCallee, "Contact")), uriOf(headerOf(call.invite, "Contact")));
    assert.equal(uriOf(headerOf(toCaller, "Contact")), uriOf(headerOf(call.answer, "Contact")));
    for (let copy = 0; copy < 2; copy++) {
      call.callee.send(responseTo(toCallee, 200));
      const ack = call.callee.take("ACK");
      assert.equal(headerOf(ack, "CSeq"), "7 ACK");
      assert.equal(requestUriOf(ack), uriOf(headerOf(call.answer, "Contact")));
    }
    call.caller.send(responseTo(toCaller, 491));
    call.caller.take("ACK");
    call.callee.assertSilent();
    call.caller.assertSilent();
    assert.deepEqual([ended, net.dialogs.counters.reinvite_pings], [[], 2]);
  });

  it("a re-INVITE that was accepted is what is told from then on, and one that was refused is not", () => {
    const { net, call } = pinged(ReinvitePingCallee);
    call.caller.send(call.fromCaller("INVITE", 8, { headers: SDP, body: offer("refused") }));
    call.callee.send(responseTo(call.callee.take("INVITE"), 488));
    call.caller.send(call.fromCaller("INVITE", 9, { headers: SDP, body: offer("held") }));
    call.callee.send(responseTo(call.callee.take("INVITE"), 200));
    call.callee.clear();
    untilPing(net);
    const ping = call.callee.take("INVITE");
    assert.deepEqual([headerOf(ping, "CSeq"), bodyOf(ping)], ["9 INVITE", offer("held")]);
  });

  it("481 ends the call with its own reason", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    untilPing(net);
    call.callee.send(responseTo(call.callee.take("INVITE"), 481));
    assert.deepEqual([ended, net.loads], [["ReINVITE Ping Timeout"], [0, 0]]);
    call.caller.take("BYE");
    net.finish();
  });

  it("OPTIONS takes their place while the parties keep a session timer, which a re-INVITE of ours would switch off (RFC 4028 §9)", () => {
    const { net, call } = pinged(ReinvitePingCallee, { headers: ["Session-Expires: 1800;refresher=uac"] });
    untilPing(net);
    call.callee.take("OPTIONS");
    call.callee.assertSilent();
  });
});

describe("Session-Expires (RFC 4028)", () => {
  const timed = (value: string, name = "Session-Expires") => pinged(0, { headers: [`${name}: ${value}`] });
  const GRACE_MS = 32_000;

  it("a call that nobody refreshes ends when its session does, and BYE goes to both sides", () => {
    for (const name of ["Session-Expires", "x"]) {
      const { net, call, ended } = timed("120;refresher=uac", name);
      net.run(120_000 + GRACE_MS - 1_000);
      assert.deepEqual(ended, []);
      net.run(1_000);
      assert.deepEqual([ended, net.loads], [["Lifetime Timeout"], [0, 0]]);
      call.callee.take("BYE");
      call.caller.take("BYE");
      net.finish();
    }
  });

  it("each refresh by re-INVITE or UPDATE begins it anew; one without the header leaves the lifetime alone", () => {
    const { net, call, ended } = timed("120;refresher=uac");
    for (const [i, method] of ["UPDATE", "INVITE", "UPDATE"].entries()) {
      net.run(100_000);
      call.caller.send(call.fromCaller(method, 8 + i));
      call.callee.send(responseTo(call.callee.take(method), 200, { headers: ["Session-Expires: 120"] }));
    }
    assert.deepEqual(ended, []);
    call.caller.send(call.fromCaller("UPDATE", 12));
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200));
    net.run(200_000);
    assert.deepEqual(ended, []);
    net.run(LIFETIME_MS - 500_000);
    assert.deepEqual(ended, ["Lifetime Timeout"]);
  });

  it("it never lengthens the lifetime, and what is no number or too short ends no call early", () => {
    for (const value of ["4294967295", "9999999999", "soon", "-5", "", "1e9", "99999999999"]) {
      const { net, ended } = timed(value);
      net.run(LIFETIME_MS - 100);
      assert.deepEqual(ended, [], value);
      net.run(200);
      assert.deepEqual(ended, ["Lifetime Timeout"], value);
    }
    const { net, ended } = timed("0");
    net.run(90_000 + GRACE_MS - 100);
    assert.deepEqual(ended, []);
    net.run(200);
    assert.deepEqual(ended, ["Lifetime Timeout"]);
  });
});
