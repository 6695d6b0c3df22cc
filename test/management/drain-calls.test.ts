import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drainCalls } from "../../src/management/index.ts";
import { fakeDialog, fakePorts } from "./fake-ports.ts";

describe("the calls of a destination that is drained", () => {
  const ports = fakePorts({
    endDialog: (dialog) => {
      if (dialog.did === "stuck") throw new Error("no socket");
      ended.push(dialog.did);
    },
  });
  const ended: string[] = [];
  const [first, second] = ports.balancer.destinations();
  const [transcoding, conference] = first!.resources.map(({ cell }) => cell);
  const elsewhere = second!.resources[0]!.cell;
  ports.calls.push(
    fakeDialog("none", "1@x", []),
    fakeDialog("one", "2@x", [conference!]),
    fakeDialog("both", "3@x", [elsewhere, transcoding!]),
    fakeDialog("other", "4@x", [elsewhere]),
    fakeDialog("stuck", "5@x", [transcoding!, conference!]),
  );
  const { calls, endCall } = drainCalls(ports);

  it("are the dialogs that hold load of it, each once", () => {
    assert.deepEqual(calls(first!), ["one", "both", "stuck"]);
    assert.deepEqual(calls(second!), ["both", "other"]);
  });

  it("are ended only while they are there and still count on it", () => {
    assert.equal(endCall("one", first!), true);
    for (const name of ["none", "other", "gone"]) assert.equal(endCall(name, first!), false);
    assert.deepEqual(ended, ["one"]);
  });

  it("do not keep each other from ending: a failure is logged", () => {
    assert.equal(endCall("stuck", first!), false);
    assert.deepEqual(
      ports.logged.map(({ level, fields }) => [level, fields["callId"], fields["id"]]),
      [["error", "5@x", 1]],
    );
  });
});
