import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallLoad } from "../../src/balancer/index.ts";
import type { Admission } from "../../src/proxy/index.ts";
import { established, type SimCall } from "../support/sim-call.ts";
import { FR_MS, SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { responseTo } from "../support/sip-messages.ts";

/** Notes what is kept for BYEs; nothing has to be asked for. */
class Ledger implements Admission {
  readonly held = new Map<CallLoad, number>();
  holds = 0;

  isNeeded(): boolean {
    return false;
  }

  async reserve(): Promise<"reserved"> {
    return "reserved";
  }

  async refresh(): Promise<boolean> {
    return false;
  }

  hold(load: CallLoad): void {
    this.holds++;
    this.held.set(load, (this.held.get(load) ?? 0) + 1);
  }

  settle(load: CallLoad): void {
    const left = (this.held.get(load) ?? 0) - 1;
    assert.ok(left >= 0, "what was not kept is not given back");
    if (left === 0) this.held.delete(load);
    else this.held.set(load, left);
  }
}

function up(options: SimOptions = {}) {
  const net = new SimNetwork(options);
  const ledger = new Ledger();
  Object.assign(net.core, { admission: ledger });
  const call = established(net);
  return { net, ledger, call };
}

function answer(call: SimCall, status: number): void {
  call.callee.send(responseTo(call.callee.take("BYE"), status));
  call.caller.take(status);
}

describe("what a call gives back while its caller hangs up", () => {
  for (const status of [200, 481, 401, 500]) {
    it(`is kept until the destination answers ${status}`, () => {
      const { net, ledger, call } = up();
      call.caller.send(call.fromCaller("BYE", 2));
      assert.deepEqual([ledger.held.size, net.loads], [1, [0, 0]]);
      answer(call, status);
      assert.equal(ledger.held.size, 0);
      net.finish();
    });
  }

  for (const isReachable of [true, false]) {
    it(`is kept no longer when ${isReachable ? "the destination never answers" : "nothing can be sent there"}`, () => {
      const { net, ledger, call } = up();
      if (!isReachable) net.unreachable.add(call.callee.address);
      call.caller.send(call.fromCaller("BYE", 2));
      assert.equal(ledger.held.size, 1);
      if (isReachable) call.callee.take("BYE");
      net.run(isReachable ? FR_MS + 100 : 100);
      assert.equal(ledger.held.size, 0);
      net.finish();
    });
  }

  for (const looked of [false, true]) {
    it(`is kept no longer when sending fails inside${looked ? ", behind a look for its address" : ""}`, async () => {
      const { net, ledger, call } = up({ resolve: () => Promise.resolve("203.0.113.1") });
      const { send } = net;
      net.send = (text, to, owner) => {
        if (text.startsWith("BYE")) throw new RangeError("Port should be > 0 and < 65536");
        send.call(net, text, to, owner);
      };
      call.caller.send(call.fromCaller("BYE", 2, looked ? { uri: "sip:callee@named.example" } : {}));
      await net.runAsync(20);
      assert.deepEqual([ledger.holds, ledger.held.size], [1, 0]);
      call.caller.take(500);
      assert.deepEqual(net.loads, [0, 0]);
    });
  }

  it("is kept until the last of several BYEs is answered; one with an old number keeps and gives back nothing", () => {
    const { ledger, call } = up();
    call.caller.send(call.fromCaller("BYE", 5));
    const first = call.callee.take("BYE");
    call.caller.send(call.fromCaller("BYE", 3));
    answer(call, 500);
    assert.deepEqual([ledger.holds, ledger.held.size], [1, 1]);
    call.caller.send(call.fromCaller("BYE", 6));
    answer(call, 481);
    assert.deepEqual([ledger.holds, ledger.held.size], [2, 1]);
    call.callee.send(responseTo(first, 200));
    assert.equal(ledger.held.size, 0);
  });

  it("is given back at once when the destination hangs up", () => {
    const { net, ledger, call } = up();
    call.callee.send(call.fromCallee("BYE", 1));
    assert.deepEqual([ledger.holds, net.loads], [0, [0, 0]]);
  });

  it("of a fork that is hung up while another talks is nothing", () => {
    const { net, ledger, call } = up();
    call.respond(200, { toTag: "fork" });
    const second = call.caller.take(200);
    call.caller.send(call.fromCaller("BYE", 2, { to: /^To: (.*)$/m.exec(second)![1]!.trim() }));
    assert.deepEqual([ledger.held.size, net.loads], [1, [1, 0]]);
    answer(call, 200);
    assert.equal(ledger.held.size, 0);
    call.caller.send(call.fromCaller("BYE", 3));
    answer(call, 200);
    assert.deepEqual([ledger.holds, ledger.held.size, net.loads], [2, 0, [0, 0]]);
    net.finish();
  });

  it("is not kept for a BYE that is refused before it goes anywhere", () => {
    const { ledger, call } = up();
    call.caller.send(call.fromCaller("BYE", 2, { maxForwards: 0 }));
    call.caller.take(483);
    assert.equal(ledger.holds, 0);
  });
});
