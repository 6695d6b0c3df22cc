import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogState, ENDED_LINGER_MS } from "../../src/dialog/index.ts";
import { delivered, established, invite } from "../support/sim-call.ts";
import { LIFETIME_MS, PROXY, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

describe("dialog states, as the OpenSIPS dialog module numbers them", () => {
  it("1 unconfirmed, 2 early, 3 confirmed without ACK, 4 confirmed, 5 deleted", () => {
    const net = new SimNetwork();
    const { counters } = net.dialogs;
    const call = delivered(net);
    const dialog = net.onlyDialog;
    assert.equal(dialog.state, DialogState.Unconfirmed);
    assert.deepEqual([counters.early_dialogs, counters.active_dialogs], [0, 0]);
    call.answerWith(180);
    assert.equal(dialog.state, DialogState.Early);
    assert.deepEqual([counters.early_dialogs, counters.active_dialogs], [1, 0]);
    call.answerWith(200);
    assert.equal(dialog.state, DialogState.ConfirmedNoAck);
    assert.deepEqual([counters.early_dialogs, counters.active_dialogs], [0, 1]);
    assert.equal(dialog.expiresAtMs - dialog.startedAtMs, LIFETIME_MS);
    call.caller.send(call.fromCaller("ACK", 1));
    assert.equal(dialog.state, DialogState.Confirmed);
    call.caller.send(call.fromCaller("BYE", 2));
    assert.equal(dialog.state, DialogState.Deleted);
    assert.deepEqual([counters.early_dialogs, counters.active_dialogs, counters.processed_dialogs], [0, 0, 1]);
    assert.deepEqual([counters.expired_dialogs, counters.failed_dialogs], [0, 0]);
    net.finish();
  });

  it("each change is told once, when it is done, with the reason of the end", () => {
    const net = new SimNetwork();
    const told: string[] = [];
    net.dialogs.onState = (dialog, before) => void told.push(`${before}>${dialog.state} ${dialog.endReason}`);
    const call = delivered(net);
    call.answerWith(180);
    call.answerWith(180);
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1));
    call.caller.send(call.fromCaller("ACK", 1));
    call.caller.send(call.fromCaller("BYE", 2));
    assert.deepEqual(told, ["1>2 ", "2>3 ", "3>4 ", "4>5 Downstream BYE"]);
    const refused = delivered(net);
    refused.respond(486);
    assert.deepEqual(told.slice(4), ["1>5 Rejected"]);
  });

  it("what it counts can be told by its Call-ID", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    assert.equal(net.onlyDialog.load.callId, call.callId);
  });

  it("a call that fails counts as failed, whatever its state", () => {
    for (const ringing of [false, true]) {
      const net = new SimNetwork();
      const call = delivered(net);
      if (ringing) call.answerWith(180);
      call.respond(486);
      assert.equal(net.dialogs.counters.failed_dialogs, 1);
      assert.equal(net.dialogs.counters.early_dialogs, 0);
      assert.equal(net.dialogs.size, 0);
      net.finish();
    }
  });

  it("it knows URIs, tags, Contacts, CSeq numbers and route sets of both sides (RFC 3261 §12.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Record-Route: <sip:edge1.example.com;lr>, <sip:edge2.example.com;lr>"] });
    const dialog = net.onlyDialog;
    // Two proxies behind us have put themselves above our Record-Route.
    const response = responseTo(call.delivered, 200, { toTag: "T", headers: ["Contact: Bob <sip:bob@203.0.113.1>;x=1"] });
    call.callee.send(
      response.replace("Record-Route:", "Record-Route: <sip:far.example.com;lr>,<sip:near.example.com;lr>\r\nRecord-Route:"),
    );
    call.caller.take(200);
    assert.equal(dialog.toTag, "T");
    assert.equal(dialog.calleeContact, "sip:bob@203.0.113.1");
    assert.equal(dialog.callerContact, `sip:caller@${call.caller.sentBy}`);
    assert.deepEqual(dialog.callerRouteSet, ["<sip:edge1.example.com;lr>", "<sip:edge2.example.com;lr>"]);
    assert.deepEqual(dialog.calleeRouteSet, ["<sip:near.example.com;lr>", "<sip:far.example.com;lr>"]);
    assert.equal(dialog.callerCseq, 1);
    assert.equal(dialog.calleeCseq, 0);
    assert.equal(dialog.callId, call.callId);
  });

  it("it is found by did and by Call-ID while it is ongoing, and listed oldest first", () => {
    const net = new SimNetwork();
    const first = delivered(net);
    const second = delivered(net, { callee: "203.0.113.2" });
    const [one, two] = [...net.dialogs.list()];
    assert.deepEqual([one?.callId, two?.callId], [first.callId, second.callId]);
    assert.equal(net.dialogs.byDid(one!.did), one);
    assert.equal(net.dialogs.byCallId(first.callId), one);
    assert.equal(net.dialogs.byCallId(first.callId, "wrong"), undefined);
    assert.equal(net.dialogs.size, 2);
    first.respond(486);
    assert.equal(net.dialogs.byDid(one!.did), undefined);
    assert.equal(net.dialogs.byCallId(first.callId), undefined);
    assert.deepEqual([...net.dialogs.list()], [two]);
  });
});

describe("dialog matching: did, checked against Call-ID and tags, else these alone (RFC 3261 §12.2.2)", () => {
  it("without did a request is matched by Call-ID and tags, in both directions", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2, { routes: [] }));
    call.callee.take("INFO");
    call.callee.send(call.fromCallee("INFO", 1, { routes: [] }));
    call.caller.take("INFO");
    call.caller.send(call.fromCaller("INFO", 3, { routes: [`<sip:${PROXY};lr>`] }));
    call.callee.take("INFO");
  });

  it("a did of another call or of none does not matter when Call-ID and tags are right", () => {
    const net = new SimNetwork();
    const call = established(net);
    const other = established(net, { callee: "203.0.113.2" });
    const otherDid = net.dialogs.byCallId(other.callId)!.did;
    for (const [i, did] of [otherDid, "nonsense", ""].entries()) {
      call.caller.send(call.fromCaller("INFO", 2 + i, { routes: [`<sip:${PROXY};lr;did=${did}>`] }));
      call.callee.take("INFO");
    }
    other.callee.assertSilent();
  });

  it("the did of a call with another Call-ID is 481, also with the tags of that call", () => {
    const net = new SimNetwork();
    const call = established(net);
    const other = established(net, { callee: "203.0.113.2" });
    call.caller.send(call.fromCaller("BYE", 2, { callId: other.callId }));
    call.caller.take(481);
    assert.deepEqual(net.loads, [1, 1]);
  });

  it("before the 2xx a To tag whose 1xx was lost is taken, after it only known ones are", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    const to = headerOf(call.answer, "To").replace(call.toTag, "lost");
    call.caller.send(call.fromCaller("UPDATE", 2, { to }));
    call.callee.take("UPDATE");
    call.answerWith(200);
    call.caller.send(call.fromCaller("UPDATE", 3, { to }));
    call.caller.take(481);
  });

  it("after a failover the tags of the destination that was given up are no longer of the call", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.respond(500);
    const second = net.peer("203.0.113.2");
    second.send(responseTo(second.take("INVITE"), 200, { toTag: "new", headers: [`Contact: <sip:new@${second.sentBy}>`] }));
    call.caller.take(200);
    call.caller.send(call.fromCaller("INFO", 2));
    call.caller.take(481);
    assert.equal(net.onlyDialog.toTag, "new");
  });

  it("two calls with one Call-ID are told apart by their tags", () => {
    const net = new SimNetwork();
    const one = established(net, { callId: "same", from: "<sip:a@example.com>;tag=one" });
    const two = established(net, { callId: "same", from: "<sip:a@example.com>;tag=two", callee: "203.0.113.2" });
    one.caller.send(one.fromCaller("BYE", 2, { routes: [] }));
    one.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 1]);
    two.caller.send(two.fromCaller("BYE", 2, { routes: [] }));
    two.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});

describe("the end of a call, exactly once", () => {
  it("a copy of the BYE is absorbed; a BYE of a new transaction passes for some seconds, then it is 481", () => {
    const net = new SimNetwork();
    const call = established(net);
    const bye = call.fromCaller("BYE", 2);
    call.caller.send(bye);
    call.caller.send(bye);
    call.callee.take("BYE");
    call.callee.assertSilent();
    call.caller.send(call.fromCaller("BYE", 3));
    call.callee.send(responseTo(call.callee.take("BYE"), 481));
    call.caller.take(481);
    net.run(ENDED_LINGER_MS + 10);
    call.caller.clear();
    call.caller.send(call.fromCaller("BYE", 4));
    call.caller.take(481);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("BYEs that cross both pass and free the destination once", () => {
    const net = new SimNetwork();
    const call = established(net);
    established(net, { callee: "203.0.113.2" });
    established(net);
    assert.deepEqual(net.loads, [2, 1]);
    call.callee.clear();
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(call.fromCallee("BYE", 1));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.send(responseTo(call.caller.take("BYE"), 200));
    call.caller.take(200);
    call.callee.take(200);
    assert.deepEqual(net.loads, [1, 1]);
    net.checkLoads();
  });

  it("a BYE that is answered 481 or 408 has ended the call (RFC 3261 §15.1.1)", () => {
    for (const status of [481, 408, 500]) {
      const net = new SimNetwork();
      const call = established(net);
      call.callee.send(call.fromCallee("BYE", 1));
      call.caller.send(responseTo(call.caller.take("BYE"), status));
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("after the BYE other requests of the call are 481, and a late ACK still passes", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    call.callee.send(call.fromCallee("BYE", 1));
    call.caller.take("BYE");
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    call.caller.send(call.fromCaller("INFO", 2));
    call.caller.take(481);
  });

  it("an early BYE passes and the call ends with the answer of its INVITE (§15.1.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    assert.deepEqual(net.loads, [1, 0]);
    call.respond(487);
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("an early BYE that crosses the 2xx ends the call: nobody would send another one", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.take("BYE");
    call.respond(200);
    call.caller.take(200);
    assert.deepEqual(net.loads, [0, 0]);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    assert.equal(net.dialogs.size, 0);
    assert.equal(net.dialogs.counters.active_dialogs, 0);
    net.finish();
  });

  it("a BYE of the callee that overtakes its 2xx ends the call as soon as the caller can know it", () => {
    for (const ringing of [true, false]) {
      const net = new SimNetwork();
      const call = delivered(net);
      if (ringing) call.answerWith(180);
      else call.answer = responseTo(call.delivered, 200, { toTag: call.toTag }).replace(/^Via: [^\r]*\r\n/m, "");
      call.callee.send(call.fromCallee("BYE", 1));
      call.caller.send(responseTo(call.caller.take("BYE"), 481));
      call.answerWith(200);
      net.run(1_000);
      const bye = call.caller.take("BYE");
      assert.equal(headerOf(bye, "CSeq"), "2 BYE");
      call.callee.take("BYE");
      assert.deepEqual(net.loads, [0, 0]);
      assert.equal(net.dialogs.counters.expired_dialogs, 0);
      net.finish();
    }
  });

  it("an early BYE of one fork leaves the others alone", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180, { toTag: "one" });
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.take("BYE");
    call.answerWith(180, { toTag: "two" });
    call.answerWith(200, { toTag: "two" });
    assert.deepEqual(net.loads, [1, 0]);
    call.answerWith(200, { toTag: "one" });
    assert.deepEqual(net.loads, [1, 0]);
    net.finish();
  });

  it("the end of an INVITE without any answer of ours ends it too", () => {
    const net = new SimNetwork();
    invite(net);
    net.finish();
  });
});
