import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallLoad } from "../../src/balancer/index.ts";
import { CLOSED_RETRY_AFTER_S, MAX_RESERVATIONS } from "../../src/proxy/admission.ts";
import type { Admission, ProxyCall, Router } from "../../src/proxy/index.ts";
import { createDefaultRouter } from "../../src/routing/index.ts";
import { invite, type SimCall } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

type Answer = "reserved" | "full" | "closed";

const [FIRST, SECOND, THIRD] = ["203.0.113.1", "203.0.113.2", "203.0.113.3"] as const;

/** Answers when a test says so; every pick has to be asked for until it was given. */
class FakeAdmission implements Admission {
  readonly asked: (string | undefined)[] = [];
  readonly refreshed: string[] = [];
  hasRoom = false;
  /** Answers at once, in this order; a test answers what is beyond. */
  script: Answer[] = [];
  onRefresh: (() => void) | undefined;
  readonly #given = new Map<CallLoad, unknown>();
  #waiting: ((answer: Answer) => void) | undefined;

  isNeeded(load: CallLoad): boolean {
    return load.picked.length > 0 && this.#given.get(load) !== load.destination;
  }

  reserve(load: CallLoad): Promise<Answer> {
    this.asked.push(load.destination?.uri);
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting = (answer) => {
      if (answer === "reserved") this.#given.set(load, load.destination);
      resolve(answer);
    };
    const next = this.script.shift();
    if (next !== undefined) this.answer(next);
    return promise;
  }

  answer(answer: Answer): void {
    this.#waiting?.(answer);
    this.#waiting = undefined;
  }

  async refresh(group: number, resources: string): Promise<boolean> {
    this.refreshed.push(`${group} ${resources}`);
    this.onRefresh?.();
    return this.hasRoom;
  }
}

interface Bench {
  readonly net: SimNetwork;
  readonly admission: FakeAdmission;
}

function bench(options: SimOptions = {}): Bench {
  const admission = new FakeAdmission();
  const net = new SimNetwork(options);
  Object.assign(net.core, { admission });
  return { net, admission };
}

async function end({ net }: Bench): Promise<void> {
  await net.runAsync(700_000, 1_000);
  net.checkNothingLeft();
}

function finalOf(call: SimCall, status: number): string {
  call.caller.take(100);
  return call.caller.take(status);
}

describe("a call that has to be admitted", () => {
  it("waits until there is room, and goes out then", async () => {
    const bed = bench();
    const call = invite(bed.net);
    await bed.net.runAsync(40);
    call.callee.assertSilent();
    call.caller.take(100);
    assert.deepEqual(bed.net.loads, [1, 0]);
    bed.admission.answer("reserved");
    await bed.net.runAsync(10);
    call.delivered = call.callee.take("INVITE");
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1));
    await end(bed);
  });

  it("goes to another destination when others were faster", async () => {
    const bed = bench();
    bed.admission.script = ["full", "reserved"];
    const call = invite(bed.net);
    // As the answer does: others have filled it.
    bed.net.balancer.setRemoteLoad(bed.net.balancer.destination(1)!.resources[0]!.cell, 10);
    await bed.net.runAsync(10);
    call.callee.assertSilent();
    const sent = bed.net.peer(SECOND).take("INVITE");
    assert.match(sent, /^INVITE sip:service@/);
    assert.deepEqual(bed.admission.asked, [`sip:${FIRST}`, `sip:${SECOND}`]);
    assert.deepEqual(bed.net.loads, [0, 1]);
    assert.equal(bed.net.balancer.isEnabled(bed.net.balancer.destination(1)!), true);
    await end(bed);
  });

  it("is answered 503 when no destination is left, and is told to failure() as want of capacity", async () => {
    const seen: unknown[] = [];
    const router = (balancer: SimNetwork["balancer"]): Router => ({
      ...balancingRouter(balancer),
      failure: (call) => void seen.push(call.failureCause, call.status, call.response, call.load.destination, call.failovers),
    });
    const bed = bench({ router, destinations: [FIRST] });
    bed.admission.script = ["full"];
    const call = invite(bed.net);
    bed.net.balancer.setRemoteLoad(bed.net.balancer.destination(1)!.resources[0]!.cell, 10);
    await bed.net.runAsync(10);
    assert.match(finalOf(call, 503), /^SIP\/2.0 503 Service full/);
    assert.deepEqual(seen, ["capacity", 503, undefined, undefined, 1]);
    assert.deepEqual(bed.net.loads, [0]);
    await end(bed);
  });

  it("is answered 503 with Retry-After when nobody can say whether there is room", async () => {
    const bed = bench();
    bed.admission.script = ["closed"];
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    assert.equal(headerOf(finalOf(call, 503), "Retry-After"), String(CLOSED_RETRY_AFTER_S));
    assert.deepEqual(bed.net.loads, [0, 0]);
    call.callee.assertSilent();
    await end(bed);
  });

  for (const answer of ["reserved", "full", "closed"] as const) {
    it(`is over when its caller cancels before the answer "${answer}"`, async () => {
      const bed = bench();
      const call = invite(bed.net);
      await bed.net.runAsync(10);
      call.caller.send(call.cancel());
      await bed.net.runAsync(10);
      finalOf(call, 487);
      assert.deepEqual(bed.net.loads, [0, 0]);
      bed.admission.answer(answer);
      await bed.net.runAsync(10);
      assert.deepEqual(bed.net.loads, [0, 0]);
      for (const peer of [FIRST, SECOND]) bed.net.peer(peer).assertSilent();
      await end(bed);
    });
  }

  it("is ended by an operator before the answer", async () => {
    const bed = bench();
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    bed.net.onlyDialog.pending?.abort(480, "Ended");
    bed.admission.answer("reserved");
    await bed.net.runAsync(10);
    finalOf(call, 480);
    call.callee.assertSilent();
    await end(bed);
  });

  it("asks for each destination that it is sent to", async () => {
    const bed = bench();
    bed.admission.script = ["reserved"];
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    call.delivered = call.callee.take("INVITE");
    call.respond(503);
    await bed.net.runAsync(10);
    assert.deepEqual(bed.admission.asked, [`sip:${FIRST}`, `sip:${SECOND}`]);
    bed.net.peer(SECOND).assertSilent();
    assert.deepEqual(bed.net.loads, [0, 1]);
    bed.admission.answer("reserved");
    await bed.net.runAsync(10);
    bed.net.peer(SECOND).take("INVITE");
    await end(bed);
  });

  it("goes where its script has sent it, whatever the pick", async () => {
    const router = (balancer: SimNetwork["balancer"]): Router => ({
      ...balancingRouter(balancer),
      request(call: ProxyCall) {
        call.openDialog();
        balancer.start(call.load, 1, "pstn");
        call.destinationUri = `sip:${THIRD}`;
        call.relay();
      },
    });
    const bed = bench({ router });
    bed.admission.script = ["full", "reserved", "closed"]; // the last when nobody answers
    invite(bed.net);
    await bed.net.runAsync(10);
    bed.net.peer(THIRD).take("INVITE");
    assert.equal(bed.admission.asked.length, 2);
    await end(bed);
  });

  it("asks no more than so many times, and then has no pick", async () => {
    const bed = bench();
    bed.admission.script = new Array<Answer>(100).fill("full");
    const call = invite(bed.net);
    await bed.net.runAsync(30);
    assert.equal(bed.admission.asked.length, MAX_RESERVATIONS * 2, "balancingRouter tries once more after 503");
    assert.deepEqual(bed.net.loads, [0, 0]);
    finalOf(call, 503);
    await end(bed);
  });

  it("fails as a transport error does when its new pick cannot be reached", async () => {
    const bed = bench({ destinations: [FIRST, SECOND] });
    bed.admission.script = ["full", "reserved", "reserved"];
    const { endpoint } = bed.net;
    bed.net.endpoint = (address, ...rest) => (address === SECOND ? undefined : endpoint.call(bed.net, address, ...rest));
    const call = invite(bed.net);
    const { cell } = bed.net.balancer.destination(1)!.resources[0]!;
    bed.net.balancer.setRemoteLoad(cell, 10);
    await bed.net.runAsync(10);
    assert.equal(bed.net.core.counters.transport_errors, 1);
    finalOf(call, 500);
    assert.deepEqual(bed.net.loads, [0, 0]);
    await end(bed);
  });

  it("does not wait when its pick needs no answer", () => {
    const bed = bench();
    bed.admission.isNeeded = () => false;
    invite(bed.net).callee.take("INVITE");
  });
});

describe("the default route where loads are counted exactly", () => {
  const RULE = {
    match: {},
    group: 1,
    resources: "pstn",
    flags: "",
    failover_on: ["5xx"],
    max_failovers: 3,
    disable_on: ["5xx"],
  };
  const REJECT = { no_capacity: 486, no_destination: 504, bad_resource: 500 };

  function exact(capacity = 1): Bench {
    const admission = new FakeAdmission();
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const router = (balancer: SimNetwork["balancer"]): Router =>
      createDefaultRouter({ rules: [RULE], reject: REJECT }, { balancer, log, admission });
    const net = new SimNetwork({ router, destinations: [FIRST, SECOND], resources: `pstn=${capacity}` });
    Object.assign(net.core, { admission });
    return { net, admission };
  }

  function occupy({ net }: Bench, calls: number, ...ids: number[]): void {
    for (const id of ids) net.balancer.setRemoteLoad(net.balancer.destination(id)!.resources[0]!.cell, calls);
  }

  it("asks once what others hold before it refuses a call", async () => {
    const bed = exact();
    occupy(bed, 1, 1, 2);
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    finalOf(call, 486);
    assert.deepEqual(bed.admission.refreshed, ["1 pstn"]);
    await end(bed);
  });

  it("sends the call on when others have given a place back", async () => {
    const bed = exact();
    occupy(bed, 1, 1, 2);
    bed.admission.hasRoom = true;
    bed.admission.onRefresh = () => occupy(bed, 0, 2);
    bed.admission.script = ["reserved"];
    invite(bed.net);
    await bed.net.runAsync(10);
    bed.net.peer(SECOND).take("INVITE");
    await end(bed);
  });

  it("refuses a call for which others were faster everywhere, disables nobody, and asks only once what they hold", async () => {
    const bed = exact();
    bed.admission.hasRoom = true;
    bed.admission.script = ["full", "full", "full", "full"];
    const reserve = bed.admission.reserve.bind(bed.admission);
    bed.admission.reserve = (load) => {
      const answer = reserve(load);
      occupy(bed, 1, load.destination!.id);
      return answer;
    };
    bed.admission.onRefresh = () => occupy(bed, 0, 1);
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    finalOf(call, 486);
    assert.equal(bed.admission.refreshed.length, 1);
    assert.deepEqual(bed.admission.asked, [`sip:${FIRST}`, `sip:${SECOND}`, `sip:${FIRST}`]);
    for (const id of [1, 2]) assert.ok(bed.net.balancer.isEnabled(bed.net.balancer.destination(id)!));
    await end(bed);
  });

  it("gives the caller what a destination said when there is no room for another attempt", async () => {
    const bed = exact();
    bed.admission.script = ["reserved"];
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    call.delivered = call.callee.take("INVITE");
    bed.net.peer(FIRST).send(responseTo(call.delivered, 500, { toTag: call.toTag }));
    await bed.net.runAsync(10);
    occupy(bed, 1, 2);
    bed.admission.answer("full");
    await bed.net.runAsync(10);
    finalOf(call, 500);
    assert.deepEqual(bed.admission.refreshed, []);
    assert.ok(!bed.net.balancer.isEnabled(bed.net.balancer.destination(1)!), "that one failed");
    assert.ok(bed.net.balancer.isEnabled(bed.net.balancer.destination(2)!));
    await end(bed);
  });

  it("does nothing more for a call that was cancelled while it asked", async () => {
    const bed = exact();
    occupy(bed, 1, 1, 2);
    const waiting = Promise.withResolvers<boolean>();
    bed.admission.refresh = () => waiting.promise;
    const call = invite(bed.net);
    await bed.net.runAsync(10);
    call.caller.send(call.cancel());
    await bed.net.runAsync(10);
    waiting.resolve(true);
    occupy(bed, 0, 1, 2);
    await bed.net.runAsync(10);
    finalOf(call, 487);
    for (const peer of [FIRST, SECOND]) bed.net.peer(peer).assertSilent();
    await end(bed);
  });
});
