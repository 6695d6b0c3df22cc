import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyOf } from "../../../src/cluster/dialogs/dialog-record.ts";
import { type Dialog, OPEN_LINGER_MS, snapshotOf } from "../../../src/dialog/index.ts";
import { LentConnections } from "../../../src/server/handover/lent-connections.ts";
import type { CallNote } from "../../../src/server/handover/messages.ts";
import { TakenCalls } from "../../../src/server/handover/taken-calls.ts";
import type { SipNetwork } from "../../../src/transport/network.ts";
import { established } from "../../support/sim-call.ts";
import { SimNetwork } from "../../support/sim-network.ts";
import { responseTo } from "../../support/sip-messages.ts";

/** The former process with one call, and the next one, which is told of calls. */
function handover() {
  const former = new SimNetwork({ destinations: ["203.0.113.1"], tokens: "a" });
  const net = new SimNetwork({ destinations: ["203.0.113.1"], tokens: "b" });
  const network = { listeners: [net.listener4, net.listener6] } as unknown as SipNetwork;
  const calls = new TakenCalls(
    { dialogs: net.dialogs, balancer: net.balancer, network, log: net.core.log },
    new LentConnections(() => undefined),
    () => false,
  );
  const call = established(former);
  const dialog = former.onlyDialog;
  const bye = call.fromCaller("BYE", 2);
  return { former, net, calls, call, dialog, bye };
}

function noteOf(former: SimNetwork, dialog: Dialog): CallNote {
  const { did, hasSessionTimer, callerSession, calleeSession } = dialog;
  const body = bodyOf({ snapshot: snapshotOf(dialog), held: former.balancer.held(dialog.load) }, 0);
  const rest = { hasSessionTimer, callerSession, calleeSession, callerConnection: undefined, calleeConnection: undefined };
  return { did, body, isPending: false, isGiven: false, ...rest };
}

function overNoteOf(dialog: Dialog): CallNote {
  return { did: dialog.did, endReason: dialog.endReason, body: bodyOf({ snapshot: snapshotOf(dialog), held: [] }, 0) };
}

describe("a call that ended in the former process while its BYE was not answered", () => {
  for (const isKnown of [true, false]) {
    it(`lingers in the next one, which ${isKnown ? "had been told of it as one that goes on" : "was not told of it before"}, until it is answered there`, () => {
      const { former, net, calls, call, dialog, bye } = handover();
      if (isKnown) calls.apply(noteOf(former, dialog));
      assert.deepEqual(net.loads, [isKnown ? 1 : 0]);
      call.caller.send(bye);
      calls.apply(overNoteOf(dialog));
      assert.deepEqual([net.loads, net.dialogs.size, net.dialogs.lingering(dialog.did)?.callId], [[0], 0, call.callId]);
      // The former process is gone, and a copy of the BYE comes here.
      net.peer(call.caller.address).send(bye);
      net.peer(call.callee.address).take("BYE");
      calls.apply({ did: dialog.did, endReason: dialog.endReason });
      assert.equal(net.dialogs.lingering(dialog.did), undefined);
      net.run(60_000);
      net.checkNothingLeft();
    });
  }

  it("is not hung up by the next one while the former one still does that", () => {
    const { former, net, calls, call, dialog } = handover();
    former.proxy.endDialog(dialog);
    calls.apply(overNoteOf(dialog));
    net.run(1_000);
    assert.deepEqual(net.peer(call.callee.address).inbox, []);
    net.run(OPEN_LINGER_MS);
    net.checkNothingLeft();
  });

  it("and is answered there in the next one lingers no more, whatever the former one says later", () => {
    const { net, calls, call, dialog, bye } = handover();
    call.caller.send(bye);
    const note = overNoteOf(dialog);
    calls.apply(note);
    const callee = net.peer(call.callee.address);
    net.peer(call.caller.address).send(bye);
    callee.send(responseTo(callee.take("BYE"), 200));
    calls.apply(note);
    assert.equal(net.dialogs.lingering(dialog.did), undefined);
  });
});
