import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { delivered, invite } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";

type Handler = (call: ProxyCall, balancer: Balancer) => void | Promise<void>;

/** A simulation whose handlers are these; what is not given is as in {@link balancingRouter}. */
function withHandlers(handlers: { request?: Handler; failure?: Handler; reply?: Router["reply"] }): SimNetwork {
  return new SimNetwork({
    router: (balancer) => {
      const plain = balancingRouter(balancer);
      const { request: onRequest, failure, reply } = handlers;
      return {
        handles: () => true,
        request: (call) => (onRequest ?? plain.request.bind(plain))(call, balancer),
        failure: (call) => (failure ?? plain.failure.bind(plain))(call, balancer),
        ...(reply === undefined ? {} : { reply }),
      };
    },
  });
}

function pick(call: ProxyCall, balancer: Balancer): void {
  call.openDialog();
  assert.equal(balancer.start(call.load, 1, "pstn"), 1);
  call.destinationUri = call.load.destination!.uri;
  call.setTarget(call.load.destination);
}

function wait(net: SimNetwork, ms: number): Promise<void> {
  return new Promise((resolve) => net.after(ms / 10, resolve));
}

describe("a route handler that fails", () => {
  const boom = (): never => {
    throw new Error("boom");
  };

  it("by a throw in request(): 500, a log line with the Call-ID, nothing stays counted", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        boom();
      },
    });
    const call = invite(net);
    call.caller.take(500);
    assert.deepEqual(net.loads, [0, 0]);
    const line = net.logged.find(({ level }) => level === "error");
    assert.ok(line);
    assert.equal((line.fields as { callId: string }).callId, call.callId);
    assert.equal(net.core.counters.script_errors, 1);
    net.finish();
  });

  it("by a rejection in request()", async () => {
    const net = withHandlers({
      request: async (call, balancer) => {
        pick(call, balancer);
        await wait(net, 100);
        boom();
      },
    });
    const { caller } = invite(net);
    caller.take(100);
    await net.runAsync(200);
    caller.take(500);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("by a throw after relay(): the destination is cancelled", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        call.relay();
        boom();
      },
    });
    const call = invite(net);
    call.caller.take(100);
    call.caller.take(500);
    call.delivered = call.callee.take("INVITE");
    call.respond(180);
    call.callee.take("CANCEL");
    call.respond(487);
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("by a throw or rejection in failure()", async () => {
    for (const failure of [boom, async () => boom()]) {
      const net = withHandlers({ failure });
      const call = delivered(net);
      call.respond(486);
      await net.runAsync(10);
      call.caller.take(500);
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("by a throw in reply(): the response passes all the same", () => {
    const net = withHandlers({ reply: boom });
    const call = delivered(net);
    call.answerWith(180);
    call.answerWith(200);
    assert.deepEqual(net.loads, [1, 0]);
    assert.equal(net.core.counters.script_errors, 2);
  });

  it("by a rejection after the call came up: it stays up", async () => {
    const net = withHandlers({
      request: async (call, balancer) => {
        pick(call, balancer);
        call.relay();
        await wait(net, 100);
        boom();
      },
    });
    const call = delivered(net);
    call.answerWith(200);
    await net.runAsync(200);
    assert.deepEqual(net.loads, [1, 0]);
    call.caller.assertSilent();
    call.callee.assertSilent();
  });

  it("by headers or URIs that cannot be written: 500, never an exception", () => {
    for (const spoil of [
      (call: ProxyCall) => call.addHeader("X-Evil", "a\r\nVia: b"),
      (call: ProxyCall) => call.addHeader("Bad Name", "a"),
      (call: ProxyCall) => {
        call.requestUri = "sip:a b@example.com";
      },
    ]) {
      const net = withHandlers({
        request: (call, balancer) => {
          pick(call, balancer);
          spoil(call);
          call.relay();
        },
      });
      const { caller } = invite(net);
      caller.take(500);
      net.finish();
    }
  });
});

describe("a route handler that decides nothing", () => {
  it("in request(): 500, and nothing stays counted", async () => {
    for (const handler of [pick, async (call: ProxyCall, balancer: Balancer) => pick(call, balancer)]) {
      const net = withHandlers({ request: handler });
      const { caller } = invite(net);
      await net.runAsync(10);
      caller.take(500);
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("in failure(): the best answer goes to the caller", async () => {
    for (const failure of [() => undefined, async () => undefined]) {
      const net = withHandlers({ failure });
      const call = delivered(net);
      call.respond(486);
      await net.runAsync(10);
      call.caller.take(486);
      net.finish();
    }
  });

  it("only with a provisional reply(): 500", () => {
    const net = withHandlers({
      request: (call) => {
        call.reply(182, "Queued");
      },
    });
    const { caller } = invite(net);
    caller.take(182);
    caller.take(500);
    net.finish();
  });

  it("because it never ends: 500 after 30 s, and nothing stays counted", async () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        return new Promise(() => undefined);
      },
    });
    const { caller } = invite(net);
    caller.take(100);
    await net.runAsync(29_900, 100);
    caller.assertSilent();
    await net.runAsync(200, 100);
    caller.take(500);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("when it wakes up after that, it cannot count, relay or answer any more", async () => {
    const late: unknown[] = [];
    const net = withHandlers({
      request: async (call, balancer) => {
        await wait(net, 31_000);
        call.openDialog();
        late.push(balancer.start(call.load, 1, "pstn"), balancer.countCall(call.load, "203.0.113.1", 0, -1, "pstn"));
        late.push(call.relay(), call.reply(200));
      },
    });
    const call = invite(net);
    await net.runAsync(32_000, 100);
    assert.deepEqual(late, [-1, -1, false, false]);
    assert.deepEqual(net.loads, [0, 0]);
    call.callee.assertSilent();
    net.finish();
  });
});

describe("a route handler that decided, and is still busy", () => {
  it("for more than 30 s after relay(): the call is not disturbed", async () => {
    const net = withHandlers({
      request: async (call, balancer) => {
        pick(call, balancer);
        call.relay();
        await wait(net, 40_000);
      },
    });
    const call = delivered(net);
    call.answerWith(180);
    await net.runAsync(41_000, 100);
    call.callee.assertSilent();
    call.answerWith(200);
    assert.equal(net.core.counters.script_errors, 0);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("when its branch fails and failure() thinks asynchronously: failure() decides", async () => {
    const net = withHandlers({
      request: async (call, balancer) => {
        pick(call, balancer);
        call.relay();
        await wait(net, 100);
      },
      failure: async (call, balancer) => {
        await wait(net, 300);
        assert.equal(balancer.next(call.load), 1);
        call.destinationUri = call.load.destination!.uri;
        call.setTarget(call.load.destination);
        call.relay();
      },
    });
    const call = delivered(net);
    call.respond(500);
    await net.runAsync(500);
    call.caller.assertSilent();
    net.peer("203.0.113.2").take("INVITE");
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("relay() a second time answers false, also while a host name is looked up", async () => {
    const relayed: boolean[] = [];
    const net = new SimNetwork({
      resolve: () => new Promise((resolve) => net.after(10, () => resolve("203.0.113.9"))),
      router: (balancer) => ({
        ...balancingRouter(balancer),
        request(call) {
          call.destinationUri = "sip:media.example.com";
          relayed.push(call.relay(), call.relay());
        },
      }),
    });
    invite(net);
    await net.runAsync(200);
    assert.deepEqual(relayed, [true, false]);
    assert.equal(net.peer("203.0.113.9").inbox.length, 1);
  });
});
