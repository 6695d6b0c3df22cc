import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogFlag, snapshotOf } from "../../src/dialog/index.ts";
import { pingingNetwork } from "../support/pinged-call.ts";
import { delivered, type SimCall } from "../support/sim-call.ts";
import type { SimNetwork } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

const RACE_MS = 5_000;

/** A call whose CANCEL and 200 cross. */
function crossed(flags: number): { net: SimNetwork; call: SimCall; ended: string[] } {
  const net = pingingNetwork(flags);
  const ended: string[] = [];
  net.dialogs.onState = ({ endReason }) => void (endReason !== "" && ended.push(endReason));
  const call = delivered(net);
  call.answerWith(180);
  call.caller.send(call.cancel());
  call.callee.take("CANCEL");
  call.caller.clear();
  call.answerWith(200);
  return { net, call, ended };
}

describe("a 2xx that crosses a CANCEL (RFC 5407)", () => {
  it("end-on-race-condition: who does not hang up then is hung up after 5 s, both sides", () => {
    const { net, call, ended } = crossed(DialogFlag.EndOnRaceCondition);
    call.caller.clear();
    net.run(RACE_MS - 100);
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
    net.run(200);
    call.caller.take("BYE");
    call.callee.take("BYE");
    assert.deepEqual([ended, net.loads], [["SIP Race Condition"], [0, 0]]);
    net.finish();
  });

  it("a restart in between does not give it its whole life", () => {
    const { net } = crossed(DialogFlag.EndOnRaceCondition);
    const { expiresAtMs, startedAtMs } = snapshotOf(net.onlyDialog);
    assert.equal(expiresAtMs - startedAtMs, RACE_MS);
  });

  it("a caller that hangs up itself, as it should, ends the call as ever", () => {
    const { net, call, ended } = crossed(DialogFlag.EndOnRaceCondition);
    call.caller.send(call.fromCaller("ACK", 1));
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    net.run(RACE_MS);
    assert.deepEqual([ended, net.loads], [["Downstream BYE"], [0, 0]]);
  });

  it("also when the CANCEL comes after the 2xx, once, and a refresh gives no more time", () => {
    const net = pingingNetwork(DialogFlag.EndOnRaceCondition);
    const call = delivered(net);
    call.answerWith(200);
    call.caller.send(call.cancel());
    net.run(RACE_MS / 2);
    call.caller.send(call.cancel());
    call.caller.send(call.fromCaller("UPDATE", 2));
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200, { headers: ["Session-Expires: 1800"] }));
    net.run(RACE_MS / 2 + 100);
    call.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("without the flag the call goes on", () => {
    const { net, ended } = crossed(0);
    net.run(60_000);
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
  });

  it("a CANCEL of a call that only rings, or of a re-INVITE, is no race", () => {
    const net = pingingNetwork(DialogFlag.EndOnRaceCondition);
    const call = delivered(net);
    call.answerWith(200);
    const invite = call.fromCaller("INVITE", 2);
    call.caller.send(invite);
    call.callee.send(responseTo(call.callee.take("INVITE"), 180));
    call.caller.send(invite.replaceAll("INVITE", "CANCEL"));
    net.run(RACE_MS * 2);
    assert.deepEqual(net.loads, [1, 0]);
  });
});
