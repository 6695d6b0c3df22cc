import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, createScriptRouter, type RouteHandler } from "../../src/routing/index.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const balancer = makeBalancer("conf=10;vm=1", "conf=20");

/** Runs a request handler on a new call. */
function inRequest(handler: (call: Call) => void): { call: FakeCall } {
  const call = new FakeCall(balancer);
  createScriptRouter({ request: handler }, { balancer, log: new FakeLog() }).request(call);
  return { call };
}

describe("Call.lb: the functions of load_balancer", () => {
  it("answers true or false, and the code of OpenSIPS in code", () => {
    const { call } = inRequest((view) => {
      const { lb } = view;
      assert.equal(lb.code, 0);
      assert.equal(lb.attrs, "");
      assert.deepEqual([lb.next(), lb.code], [false, -1], "no session");
      assert.deepEqual([lb.start(1, "fax"), lb.code], [false, -4]);
      assert.deepEqual([lb.start(1, ""), lb.code], [false, -1]);
      assert.deepEqual([lb.start(9, "conf"), lb.code], [false, -3]);
      assert.equal(view.destinationUri, undefined, "untouched by a failure");
      assert.deepEqual([lb.start(1, "conf", "s"), lb.code], [true, 1]);
      assert.equal(view.destinationUri, uriOf(2));
      assert.equal(view.destination?.id, 2);
      assert.equal(lb.attrs, "attrs-2");
      assert.ok(lb.isStarted());
      assert.deepEqual([lb.next(), lb.code], [true, 1]);
      assert.equal(view.destinationUri, uriOf(1));
      assert.deepEqual([lb.next(), lb.code], [false, -3]);
      assert.equal(view.destinationUri, uriOf(1), "keeps its old value");
      assert.equal(lb.attrs, "");
      assert.deepEqual([lb.reset(), lb.isStarted()], [true, false]);
      assert.deepEqual([lb.startOrNext(1, "conf"), view.destination?.id], [true, 2]);
      assert.deepEqual([lb.loadBalance(1, "conf"), view.destination?.id], [true, 1]);
      view.drop();
    });
    assert.deepEqual(call.load.leases, []);
  });

  it("counts in the load that the dialog brings with it, from the first function on", () => {
    for (const count of [
      (view: Call) => view.lb.start(1, "conf"),
      (view: Call) => view.lb.startOrNext(1, "conf"),
      (view: Call) => view.lb.countCall("192.0.2.1", 5060, -1, "conf"),
    ]) {
      const { call } = inRequest((view) => {
        assert.ok(count(view));
        view.relay();
      });
      assert.equal(call.load.leases.length, 1);
      call.end();
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
    }
  });

  it("-2 when all are full", () => {
    const { call } = inRequest((view) => {
      assert.ok(view.lb.start(1, "vm"));
      view.relay();
    });
    inRequest((view) => {
      assert.deepEqual([view.lb.start(1, "vm"), view.lb.code], [false, -2]);
      view.drop();
    });
    call.end();
  });

  it("isDestination() answers the destination", () => {
    inRequest((view) => {
      const { lb } = view;
      assert.equal(lb.isDestination("192.0.2.2", 5060)?.id, 2);
      assert.equal(lb.code, 1);
      assert.equal(lb.isDestination("192.0.2.2", 0, 1, true)?.attrs, "attrs-2");
      assert.equal(lb.isDestination("192.0.2.2", 5061), undefined);
      assert.equal(lb.code, -1);
      assert.equal(lb.isDestination("192.0.2.2", 5060, 9), undefined);
      view.drop();
    });
  });

  it("countCall() counts without routing, and takes it back", () => {
    const { call } = inRequest((view) => {
      assert.ok(view.lb.countCall("192.0.2.1", 5060, -1, "conf;vm"));
      assert.deepEqual(
        [loadsOf(balancer, "conf"), loadsOf(balancer, "vm")],
        [
          [1, 0],
          [1, 0],
        ],
      );
      assert.ok(view.lb.countCall("192.0.2.1", 5060, -1, "vm", true));
      assert.deepEqual(loadsOf(balancer, "vm"), [0, 0]);
      assert.equal(view.destinationUri, undefined);
      view.relay();
    });
    assert.ok(call.dialogOpened);
    call.end();
    assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
  });

  it("disableDst() disables the selected destination, -1 when there is none", () => {
    const own = makeBalancer("conf=1");
    const call = new FakeCall(own);
    const request: RouteHandler = (view) => {
      assert.deepEqual([view.lb.disableDst(), view.lb.code], [false, -1]);
      assert.ok(view.lb.start(1, "conf"));
      assert.ok(view.lb.disableDst());
      view.drop();
    };
    createScriptRouter({ request }, { balancer: own, log: new FakeLog() }).request(call);
    assert.ok(!own.isEnabled(own.destination(1)!));
  });
});
