import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Dialog, type DialogSnapshot, endpointsOf, PUT_OFF_MS, snapshotOf } from "../../src/dialog/index.ts";
import type { Listener } from "../../src/transaction/index.ts";
import { delivered, established } from "../support/sim-call.ts";
import { FR_INVITE_MS, LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

/** The call as another node would read it. */
function recordOf(dialog: Dialog): DialogSnapshot {
  return JSON.parse(JSON.stringify(snapshotOf(dialog))) as DialogSnapshot;
}

function restored(net: SimNetwork, snapshot: DialogSnapshot): Dialog {
  const dialog = net.dialogs.restore(snapshot, endpointsOf(snapshot, [net.listener4, net.listener6])!);
  assert.ok(dialog !== undefined);
  return dialog;
}

/** A call that is up, as a record. */
function record(): DialogSnapshot {
  const net = new SimNetwork({ tokens: "old" });
  established(net);
  return recordOf(net.onlyDialog);
}

describe("a snapshot", () => {
  it("of a restored call is that of the call, in every state", () => {
    const net = new SimNetwork({ tokens: "old" });
    const call = delivered(net, { headers: ["Record-Route: <sip:198.51.100.50;lr>"], from: "J\u00c3\u00bcrgen <sip:j@example.com>;tag=j" });
    const records = [recordOf(net.onlyDialog)];
    call.answerWith(180, { toTag: "fork" });
    records.push(recordOf(net.onlyDialog));
    call.answerWith(200);
    records.push(recordOf(net.onlyDialog));
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.send(call.fromCallee("INFO", 41));
    records.push(recordOf(net.onlyDialog));
    assert.deepEqual(
      records.map(({ state }) => state),
      [1, 2, 3, 4],
    );
    for (const snapshot of records) {
      const other = new SimNetwork();
      assert.deepEqual(recordOf(restored(other, snapshot)), snapshot);
    }
    assert.equal(records[3]!.legs.find(({ state }) => state === "confirmed")?.cseq, 41);
  });

  it("is named by its did, also in its load", () => {
    const snapshot = record();
    const dialog = restored(new SimNetwork(), snapshot);
    assert.deepEqual([dialog.load.name, dialog.load.callId, dialog.load.opened], [snapshot.did, snapshot.callId, true]);
  });

  it("of a call with a guard of a script leaves only the places where the parties were last seen", () => {
    const net = new SimNetwork({ tokens: "old" });
    const call = established(net);
    net.onlyDialog.guard = { accepts: () => true };
    const other = new SimNetwork();
    restored(other, recordOf(net.onlyDialog));
    const [caller, callee] = [other.peer(call.caller.address), other.peer(call.callee.address)];
    const own = `<sip:192.0.2.1:5060;lr;did=${net.onlyDialog.did}>`;
    caller.send(call.fromCaller("INFO", 2, { routes: [own, "<sip:203.0.113.99;lr>"] }));
    caller.take(403);
    caller.send(call.fromCaller("INFO", 3));
    callee.take("INFO");
  });

  const listener = (address: string, port: number, family: 4 | 6 = 4): Listener => ({
    transport: "udp",
    address,
    port,
    family,
    sentByFor: () => `${address}:${port}`,
  });
  const choices: { name: string; listeners: Listener[]; want: string | undefined }[] = [
    { name: "bound alike", listeners: [listener("192.0.2.7", 5060), listener("192.0.2.1", 5060)], want: "192.0.2.1 5060" },
    { name: "of the same port", listeners: [listener("192.0.2.7", 5070), listener("192.0.2.8", 5060)], want: "192.0.2.8 5060" },
    { name: "of the same family", listeners: [listener("2001:db8::1", 5060, 6), listener("192.0.2.7", 5070)], want: "192.0.2.7 5070" },
    { name: "none of another family", listeners: [listener("2001:db8::1", 5060, 6)], want: undefined },
    { name: "none of another transport", listeners: [{ ...listener("192.0.2.1", 5060), transport: "tcp" }], want: undefined },
  ];
  for (const { name, listeners, want } of choices) {
    it(`takes the listener ${name}`, () => {
      const found = endpointsOf(record(), listeners);
      assert.equal(found && `${found.caller.listener.address} ${found.caller.listener.port}`, want);
      assert.equal(found?.callee?.address, want && "203.0.113.1");
    });
  }
});

describe("DialogTable.restore()", () => {
  it("answers nothing for a call that is here, that has just ended, or for which there is no room", () => {
    const net = new SimNetwork({ maxDialogs: 1 });
    const snapshot = record();
    const dialog = restored(net, snapshot);
    const endpoints = endpointsOf(snapshot, [net.listener4])!;
    assert.equal(net.dialogs.restore(snapshot, endpoints), undefined);
    assert.equal(net.dialogs.restore({ ...snapshot, did: "other" }, endpoints), undefined);
    net.dialogs.end(dialog, "MI Termination");
    assert.equal(net.dialogs.restore(snapshot, endpoints), undefined);
    assert.equal(new SimNetwork().dialogs.restore({ ...snapshot, state: 5 }, endpoints), undefined);
    assert.equal(net.dialogs.counters.restored_dialogs, 1);
    net.finish();
  });

  it("takes a call back that was surrendered", () => {
    const net = new SimNetwork();
    const snapshot = record();
    assert.equal(net.dialogs.surrender(restored(net, snapshot)), true);
    assert.equal(net.dialogs.knows(snapshot.did), false);
    restored(net, snapshot);
    const { restored_dialogs, surrendered_dialogs, active_dialogs, expired_dialogs, failed_dialogs } = net.dialogs.counters;
    assert.deepEqual([restored_dialogs, surrendered_dialogs, active_dialogs, expired_dialogs, failed_dialogs], [2, 1, 1, 0, 0]);
    net.finish();
  });

  it("limits legs and routes, and a lifetime that is no lifetime", () => {
    const snapshot = record();
    const leg = snapshot.legs[0]!;
    const routes = Array.from({ length: 1_000 }, () => "<sip:203.0.113.60;lr>");
    const net = new SimNetwork();
    const dialog = restored(net, {
      ...snapshot,
      callerRouteSet: routes,
      legs: Array.from({ length: 1_000 }, (_, i) => ({ ...leg, tag: String(i), routeSet: routes })),
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    assert.deepEqual([dialog.legs.length, dialog.legs[0]!.routeSet.length, dialog.callerRouteSet.length], [16, 16, 16]);
    net.run(LIFETIME_MS);
    assert.equal(net.dialogs.size, 1);
    net.dialogs.surrender(dialog);
    net.finish();
  });
});

describe("the sources of a restored call", () => {
  it("have an ongoing call, and have it no more when it has ended", () => {
    const net = new SimNetwork();
    const dialog = restored(net, record());
    const places = [dialog.callerEndpoint.address, dialog.calleeEndpoint!.address];
    assert.deepEqual(
      places.map((address) => net.callPeers.has(address)),
      [true, true],
    );
    net.dialogs.surrender(dialog);
    assert.equal(net.callPeers.size, 0);
    net.finish();
  });
});

describe("DialogTable.surrender()", () => {
  it("gives the leases back, sends nothing and tells its end; what comes later is unknown", () => {
    const net = new SimNetwork();
    const call = established(net);
    const dialog = net.onlyDialog;
    const states: number[] = [];
    const listener = net.dialogs.onState;
    net.dialogs.onState = (told, before) => {
      states.push(told.state);
      listener?.(told, before);
    };
    assert.equal(net.dialogs.surrender(dialog), true);
    assert.equal(net.dialogs.surrender(dialog), false);
    assert.deepEqual([net.loads, dialog.endReason, states], [[0, 0], "Taken over", [5]]);
    call.caller.assertSilent();
    call.callee.assertSilent();
    call.caller.send(call.fromCaller("BYE", 2));
    call.caller.take(481);
    net.finish();
  });

  it("does nothing to a call whose INVITE is still handled here", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    assert.equal(net.dialogs.surrender(net.onlyDialog), false);
    assert.deepEqual(net.loads, [1, 0]);
    call.answerWith(200);
    assert.equal(net.dialogs.surrender(net.onlyDialog), true);
    call.respond(200);
    call.caller.take(200);
    call.callee.assertSilent();
    net.finish();
  });
});

describe("the lifetime of a restored call", () => {
  it("ends when it would have ended, also at once", () => {
    for (const leftMs of [-3_600_000, 0, 5_000]) {
      const net = new SimNetwork();
      const ended: string[] = [];
      const dialog = restored(net, { ...record(), expiresAtMs: 1_700_000_000_000 + leftMs });
      net.dialogs.onExpired = ({ did }) => ended.push(did);
      if (leftMs > 0) net.run(leftMs - 10);
      assert.deepEqual(ended, []);
      net.run(20);
      assert.deepEqual(ended, [dialog.did]);
      assert.deepEqual([dialog.endReason, net.dialogs.counters.expired_dialogs], ["Lifetime Timeout", 1]);
      net.finish();
    }
  });

  it("that is over for many at once ends them one after the other, all within 10 s", () => {
    const net = new SimNetwork();
    const old = record();
    const CALLS = 6_000;
    for (let i = 0; i < CALLS; i++) restored(net, { ...old, did: `${i}.old`, callId: `${i}`, expiresAtMs: 1_700_000_000_000 - 1 });
    const perTick: number[] = [];
    let ended = 0;
    net.dialogs.onExpired = () => ended++;
    for (let ms = 0; ms < 10_020; ms += 10) {
      net.run(10);
      perTick.push(ended);
      ended = 0;
    }
    assert.equal(net.dialogs.size, 0);
    assert.ok(Math.max(...perTick) <= 12, String(Math.max(...perTick)));
    net.finish();
  });

  it("is no longer than it was at its start, when the wall clock was set back meanwhile", () => {
    const net = new SimNetwork();
    const startedAtMs = 1_700_000_000_000 + 86_400_000;
    restored(net, { ...record(), startedAtMs, expiresAtMs: startedAtMs + 60_000 });
    net.run(59_000);
    assert.equal(net.dialogs.size, 1);
    net.run(2_000);
    assert.equal(net.dialogs.size, 0);
    net.finish();
  });

  it("before the 2xx it is that of an INVITE, and nobody is asked", () => {
    const source = new SimNetwork({ tokens: "old" });
    delivered(source);
    const net = new SimNetwork();
    net.dialogs.mayExpire = () => assert.fail("asked");
    net.dialogs.onUnanswered = undefined;
    const dialog = restored(net, recordOf(source.onlyDialog));
    net.run(FR_INVITE_MS - 10);
    assert.equal(net.dialogs.size, 1);
    net.run(20);
    assert.equal(dialog.endReason, "Unanswered");
    net.checkNothingLeft();
  });
});

describe("DialogTable.mayExpire", () => {
  const cases = [
    { answers: [true], byes: 2, asked: 1, afterMs: 0 },
    { answers: [false, true], byes: 2, asked: 2, afterMs: PUT_OFF_MS },
    { answers: [false, false], byes: 0, asked: 2, afterMs: PUT_OFF_MS },
    { answers: ["throws"], byes: 2, asked: 1, afterMs: 0 },
  ];
  for (const { answers, byes, asked, afterMs } of cases) {
    it(`answers ${answers.join(", ")}: ${byes} BYEs ${afterMs} ms after the lifetime, and the leases are given back`, () => {
      const net = new SimNetwork();
      const call = established(net);
      let count = 0;
      net.dialogs.mayExpire = () => {
        const answer = answers[count++];
        if (typeof answer !== "boolean") throw new Error("no");
        return answer;
      };
      net.run(LIFETIME_MS + afterMs - 100);
      assert.equal(net.dialogs.size, 1);
      net.run(200);
      assert.deepEqual([net.loads, count, net.dialogs.counters.expired_dialogs], [[0, 0], asked, 1]);
      assert.equal(call.caller.inbox.length + call.callee.inbox.length, byes);
      net.finish();
    });
  }

  it("a call that is surrendered after it was put off is ended by the other node", () => {
    const net = new SimNetwork();
    const call = established(net);
    const dialog = net.onlyDialog;
    net.dialogs.mayExpire = () => false;
    net.run(LIFETIME_MS + 100);
    assert.equal(net.dialogs.surrender(dialog), true);
    net.run(PUT_OFF_MS * 2);
    assert.equal(dialog.endReason, "Taken over");
    call.caller.assertSilent();
    net.finish();
  });

  it("a call that was put off, and whose session is refreshed then, is put off once more when that is over", () => {
    const net = new SimNetwork();
    const call = established(net, { responseHeaders: ["Session-Expires: 90;refresher=uac"] });
    net.dialogs.mayExpire = () => false;
    net.run(122_100); // 32 s more, for a last refresh
    const refresh = call.fromCaller("UPDATE", 2, { headers: ["Session-Expires: 90;refresher=uac"] });
    call.caller.send(refresh);
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200, { headers: ["Session-Expires: 90;refresher=uac"] }));
    net.run(122_100);
    assert.equal(net.dialogs.size, 1);
    net.run(PUT_OFF_MS);
    assert.equal(net.dialogs.size, 0);
    net.run(60_000);
    net.checkNothingLeft();
  });

  it("nobody is asked for a call that its callee has hung up before its 2xx", () => {
    const net = new SimNetwork();
    net.dialogs.mayExpire = () => assert.fail("asked");
    const call = delivered(net);
    call.answerWith(180);
    call.callee.send(call.fromCallee("BYE", 1));
    call.caller.send(responseTo(call.caller.take("BYE"), 481));
    call.answerWith(200);
    net.run(1_100);
    call.caller.take("BYE");
    net.finish();
  });
});

describe("DialogTable.changeListeners", () => {
  it("are told of all that a snapshot shows, and of no call that has ended", () => {
    const net = new SimNetwork();
    let last = "";
    let told = 0;
    net.dialogs.changeListeners.push((dialog) => {
      assert.ok(dialog.state < 5);
      last = JSON.stringify([snapshotOf(dialog), net.balancer.held(dialog.load)]);
      told++;
    });
    const call = delivered(net);
    const check = (): void => {
      const dialog = net.onlyDialog;
      assert.equal(last, JSON.stringify([snapshotOf(dialog), net.balancer.held(dialog.load)]));
    };
    check();
    call.answerWith(180);
    check();
    call.callee.send(call.fromCallee("UPDATE", 7));
    check();
    call.caller.send(responseTo(call.caller.take("UPDATE"), 200, { headers: ["Contact: <sip:new@198.51.100.1>"] }));
    check();
    call.answerWith(200);
    check();
    call.caller.send(call.fromCaller("ACK", 1));
    check();
    call.caller.send(call.fromCaller("INFO", 9));
    check();
    const before = told;
    call.caller.send(call.fromCaller("BYE", 10));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    assert.ok(told <= before + 1);
    net.finish();
  });

  it("are told of a failover to another destination", () => {
    const net = new SimNetwork();
    let last = "";
    net.dialogs.changeListeners.push((dialog) => {
      last = JSON.stringify([snapshotOf(dialog), net.balancer.held(dialog.load)]);
    });
    const call = delivered(net);
    call.answerWith(180);
    call.respond(500);
    net.peer("203.0.113.2").take("INVITE");
    assert.equal(last, JSON.stringify([snapshotOf(net.onlyDialog), net.balancer.held(net.onlyDialog.load)]));
    assert.match(last, /203\.0\.113\.2/);
  });
});
