import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { balancerOf, newCall, usage } from "./support.ts";

describe("placing a call that somebody else has routed", () => {
  it("counts those of the resources that the destination has, in place of the pick before, also above capacity", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=1;v=5" },
      { id: 2, resources: "t=0" },
    ]);
    const call = newCall();
    assert.equal(balancer.start(call, 1, "t"), 1);
    balancer.place(call, balancer.destination(2), ["t", "v", "unknown"]);
    assert.equal(call.destination?.id, 2);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t"), call.leases.length], ["0/1", "1/0", 1]);
    balancer.place(call, balancer.destination(1), []);
    assert.deepEqual([call.destination?.id, usage(balancer, 2, "t"), call.leases.length], [1, "0/0", 0]);
    balancer.place(call, balancer.destination(1), ["v"]);
    balancer.place(call, undefined, ["v"]);
    assert.deepEqual([call.destination, call.leases, balancer.recount([call])], [undefined, [], []]);
  });

  it("leaves the LB session alone, and lb_next ends what was placed", () => {
    const balancer = balancerOf([1, 2, 3].map((id) => ({ id, resources: `t=${10 * id}` })));
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.place(call, balancer.destination(1), ["t"]);
    assert.equal(balancer.next(call), 1);
    assert.deepEqual([call.destination?.id, usage(balancer, 1, "t"), usage(balancer, 2, "t")], [2, "0/10", "1/20"]);
  });

  it("changes nothing of a call that is up or over", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=2" }]);
    const call = newCall();
    balancer.start(call, 1, "t");
    call.closed = true;
    balancer.place(call, undefined, []);
    assert.deepEqual([call.destination?.id, usage(balancer, 1, "t")], [1, "1/2"]);
  });

  it("may disable what it was placed on, also after an operator had enabled that, but not when it was enabled since", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=2" }]);
    const call = newCall();
    const enabled = (): boolean => balancer.isEnabled(balancer.destination(1)!);
    balancer.setStatus(1, false, "mi");
    balancer.setStatus(1, true, "mi");
    balancer.place(call, balancer.destination(1), []);
    assert.deepEqual([balancer.disableDestination(call), enabled(), balancer.counters.disables_stale], [1, false, 0]);
    balancer.setStatus(1, true, "mi");
    balancer.disableDestination(call);
    assert.deepEqual([enabled(), balancer.counters.disables_stale], [true, 1]);
  });

  it("counts for limits of calls a second and for the trials of a breaker", () => {
    const clock = { now: 5000 };
    const balancer = balancerOf(
      [
        { id: 1, resources: "t=100", attrs: "cps=2" },
        { id: 2, resources: "t=100" },
      ],
      { nowMs: () => clock.now },
    );
    const [one, two] = [1, 2].map((id) => balancer.destination(id)!);
    for (let call = 0; call < 2; call++) balancer.place(newCall(), one, []);
    assert.equal(balancer.isOverRate(one!), true);
    clock.now += 1000;
    assert.equal(balancer.isOverRate(one!), false);

    balancer.setBreaker(2, { trials: 2 });
    balancer.place(newCall(), two, ["t"]);
    assert.equal(balancer.isAvailable(two!), true);
    balancer.place(newCall(), two, ["t"]);
    assert.equal(balancer.isAvailable(two!), false, "both trials are under way");
  });

  it("counts the call of a destination that a reload has taken until it ends", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=2" }]);
    const gone = balancer.destination(1);
    balancer.replaceTable([]);
    const call = newCall();
    balancer.place(call, gone, ["t"]);
    assert.equal(call.leases.length, 1);
    balancer.release(call);
    assert.deepEqual([call.leases, balancer.recount([])], [[], []]);
  });
});
