import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, createScriptRouter } from "../../src/routing/index.ts";
import { parseMessage, SipResponse } from "../../src/sip/index.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer } from "./fake-call.ts";

const ringing = parseMessage(
  "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
);

describe("a route module as the router", () => {
  it("handles INVITE and the methods that the module names", () => {
    const ports = { balancer: makeBalancer(), log: new FakeLog() };
    const router = createScriptRouter({ request() {}, methods: ["MESSAGE"] }, ports);
    assert.deepEqual(
      ["INVITE", "MESSAGE", "OPTIONS"].map((method) => router.handles(method)),
      [true, true, false],
    );
    assert.equal(createScriptRouter({ request() {} }, ports).handles("MESSAGE"), false);
  });

  it("a module without failure() and reply() leaves both to the proxy", () => {
    const router = createScriptRouter({ request() {} }, { balancer: makeBalancer(), log: new FakeLog() });
    const call = new FakeCall(makeBalancer());
    assert.equal(router.failure(call.failBranch(500)), undefined);
    assert.deepEqual(call.replies, []);
    assert.equal(router.reply, undefined, "so that the proxy need not ask");
  });

  it("passes a throw of request() and failure() on to the proxy", () => {
    const fault = new Error("from the script");
    const fail = () => {
      throw fault;
    };
    const router = createScriptRouter({ request: fail, failure: fail }, { balancer: makeBalancer(), log: new FakeLog() });
    const call = new FakeCall(makeBalancer());
    assert.throws(() => router.request(call), fault);
    assert.throws(() => router.failure(call), fault);
  });

  it("passes a rejection on to the proxy", async () => {
    const fault = new Error("from the script");
    const router = createScriptRouter({ request: async () => Promise.reject(fault) }, { balancer: makeBalancer(), log: new FakeLog() });
    await assert.rejects(async () => router.request(new FakeCall(makeBalancer())), fault);
  });

  it("logs a throw and a rejection of reply() with the Call-ID; the call goes on", async () => {
    assert.ok(ringing instanceof SipResponse);
    for (const reply of [
      () => {
        throw new Error("from the script");
      },
      async () => Promise.reject(new Error("from the script")),
    ]) {
      const log = new FakeLog();
      const router = createScriptRouter({ request() {}, reply }, { balancer: makeBalancer(), log });
      router.reply?.(new FakeCall(makeBalancer()), ringing);
      await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(log.lines.length, 1);
      assert.equal(log.lines[0]?.fields["callId"], "fake-call@192.0.2.200");
      assert.match(String(log.lines[0]?.fields["err"]), /from the script/);
    }
  });

  it("waits for an asynchronous handler", async () => {
    const balancer = makeBalancer("conf=1");
    const call = new FakeCall(balancer);
    const request = async (view: Call) => {
      await Promise.resolve();
      if (view.lb.start(1, "conf")) view.relay();
    };
    await createScriptRouter({ request }, { balancer, log: new FakeLog() }).request(call);
    assert.equal(call.sent[0]?.target, 1);
    call.end();
  });

  it("what a handler does after its end has no effect, counts nothing, and is logged", async () => {
    const balancer = makeBalancer("conf=1");
    const log = new FakeLog();
    const call = new FakeCall(balancer);
    let late: Call | undefined;
    const request = (view: Call) => {
      late = view;
    };
    const router = createScriptRouter({ request }, { balancer, log });
    await router.request(call);
    assert.equal(late?.lb.start(1, "conf"), false);
    assert.equal(late?.relay(), false);
    assert.deepEqual(loadsOf(balancer, "conf"), [0]);
    assert.deepEqual(call.sent, []);
    assert.equal(log.lines[0]?.message, "Cannot lb.start after request() has ended: want every asynchronous step awaited in it");
  });

  it("is over also for a handler that failed", async () => {
    const balancer = makeBalancer("conf=1");
    for (const isAsync of [false, true]) {
      const call = new FakeCall(balancer);
      let late: Call | undefined;
      const request = (view: Call) => {
        late = view;
        if (isAsync) return Promise.reject(new Error("x"));
        throw new Error("x");
      };
      const router = createScriptRouter({ request }, { balancer, log: new FakeLog() });
      await assert.rejects(async () => router.request(call));
      assert.equal(late?.lb.start(1, "conf"), false);
    }
    assert.deepEqual(loadsOf(balancer, "conf"), [0]);
  });
});
