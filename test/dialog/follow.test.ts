import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Dialog, type DialogSnapshot, DialogState, endpointsOf, snapshotOf } from "../../src/dialog/index.ts";
import { delivered } from "../support/sim-call.ts";
import { FR_INVITE_MS, LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";

function recordOf(dialog: Dialog): DialogSnapshot {
  return JSON.parse(JSON.stringify(snapshotOf(dialog))) as DialogSnapshot;
}

function follow(net: SimNetwork, dialog: Dialog, snapshot: DialogSnapshot): void {
  net.dialogs.follow(dialog, snapshot, endpointsOf(snapshot, [net.listener4, net.listener6])!);
}

/** A call that rings, in the process that sets it up and in the one that is told of it. */
function ringing() {
  const net = new SimNetwork({ tokens: "old" });
  const call = delivered(net);
  const other = new SimNetwork();
  const snapshot = recordOf(net.onlyDialog);
  const copy = other.dialogs.restore(snapshot, endpointsOf(snapshot, [other.listener4])!);
  assert.ok(copy !== undefined);
  return { net, call, other, copy, original: net.onlyDialog };
}

describe("a call that another process sets up", () => {
  it("is what that process tells of it, states and lifetime too, and changes each state once", () => {
    const { call, other, copy, original } = ringing();
    const states: number[] = [];
    other.dialogs.onState = (dialog) => states.push(dialog.state);
    call.answerWith(180);
    follow(other, copy, recordOf(original));
    follow(other, copy, recordOf(original));
    call.answerWith(200);
    follow(other, copy, recordOf(original));
    assert.deepEqual(states, [DialogState.Early, DialogState.ConfirmedNoAck]);
    assert.deepEqual(recordOf(copy), recordOf(original));
    assert.equal(copy.load.closed, true);
    other.run(LIFETIME_MS + 1_000);
    assert.equal(copy.state, DialogState.Deleted);
    follow(other, copy, recordOf(original));
    assert.equal(copy.state, DialogState.Deleted);
  });

  it("waits no longer than usual for an answer once that process is gone", () => {
    const { other, copy } = ringing();
    other.run(FR_INVITE_MS - 1_000);
    follow(other, copy, { ...recordOf(copy), state: DialogState.Early });
    other.run(FR_INVITE_MS - 1_000);
    assert.notEqual(copy.state, DialogState.Deleted);
    other.dialogs.orphaned(copy);
    other.run(FR_INVITE_MS - 1_000);
    assert.notEqual(copy.state, DialogState.Deleted);
  });

  it("keeps what is known here of a call that is up: the higher numbers, ended legs, the longer life, and learns of forks", () => {
    const { call, other, copy, original } = ringing();
    call.answerWith(200);
    const told = recordOf(original);
    follow(other, copy, told);
    copy.callerCseq = 9;
    copy.expiresAtMs += 5_000;
    copy.legs[0]!.cseq = 7;
    copy.legs[0]!.state = "ended";
    const [leg] = told.legs;
    follow(other, copy, {
      ...told,
      callerContact: "sip:moved@198.51.100.9",
      legs: [
        { ...leg!, cseq: 3 },
        { ...leg!, tag: "fork" },
      ],
    });
    assert.deepEqual([copy.callerCseq, copy.callerContact, copy.expiresAtMs], [9, "sip:moved@198.51.100.9", told.expiresAtMs + 5_000]);
    assert.deepEqual(
      copy.legs.map(({ tag, cseq, state }) => [tag, cseq, state]),
      [
        [leg!.tag, 7, "ended"],
        ["fork", leg!.cseq, "confirmed"],
      ],
    );
  });
});
