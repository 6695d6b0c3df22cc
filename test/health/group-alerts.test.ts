import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, CallLoad } from "../../src/balancer/index.ts";
import { type GroupAlert, GroupAlerts } from "../../src/health/index.ts";
import { balancerOf, type RowSketch, row } from "../balancer/support.ts";

interface Watch {
  readonly balancer: Balancer;
  readonly alerts: GroupAlerts;
  /** Looks, and tells what came of it. */
  look(): string[];
}

function watch(rows: readonly RowSketch[], lowPercent: number): Watch {
  const told: string[] = [];
  const balancer = balancerOf(rows);
  const onAlert = (alert: GroupAlert): void => {
    const what = alert.kind === "none-available" ? "none" : `${alert.resource} ${alert.free}/${alert.capacity} ${alert.freePercent}%`;
    told.push(`${alert.raised ? "+" : "-"}${alert.group} ${what}`);
  };
  const alerts = new GroupAlerts({ balancer, lowPercent, onAlert });
  return {
    balancer,
    alerts,
    look() {
      alerts.check();
      return told.splice(0);
    },
  };
}

function fill(balancer: Balancer, calls: number, resources = "pstn", group = 1): CallLoad[] {
  return Array.from({ length: calls }, () => {
    const load = new CallLoad();
    assert.equal(balancer.start(load, group, resources), 1);
    return load;
  });
}

describe("the alert of a group without destination", () => {
  const rows = [
    { id: 1, resources: "pstn=1" },
    { id: 2, resources: "pstn=1" },
    { id: 3, group: 2, resources: "pstn=1" },
  ];

  it("is raised once, until a destination gets calls again", () => {
    const { balancer, alerts, look } = watch(rows, 0);
    assert.deepEqual(look(), []);
    balancer.setStatus(1, false, "probe");
    assert.deepEqual(look(), []);
    balancer.setDraining(2, true);
    assert.deepEqual([look(), look(), alerts.raised], [["+1 none"], [], 1]);
    balancer.setStatus(1, true, "probe");
    assert.deepEqual([look(), look(), alerts.raised], [["-1 none"], [], 0]);
  });

  it("is not raised for one that is only full", () => {
    const { balancer, look } = watch(rows, 0);
    fill(balancer, 2);
    assert.deepEqual(look(), []);
  });

  it("is forgotten with the group, and raised anew when that comes back", () => {
    const { balancer, alerts, look } = watch(rows, 0);
    balancer.setStatus(3, false, "mi");
    assert.deepEqual(look(), ["+2 none"]);
    balancer.replaceTable(rows.slice(0, 2).map(row));
    assert.deepEqual([look(), alerts.raised], [[], 0]);
    balancer.replaceTable(rows.map(row));
    balancer.setStatus(3, false, "mi");
    assert.deepEqual(look(), ["+2 none"]);
  });
});

describe("the alert of low headroom", () => {
  const rows = [
    { id: 1, resources: "pstn=60;conf=10" },
    { id: 2, resources: "pstn=40" },
  ];

  it("is raised once below the limit, and ends a little above it", () => {
    const { balancer, alerts, look } = watch(rows, 20);
    const calls = fill(balancer, 80);
    assert.deepEqual(look(), []);
    calls.push(...fill(balancer, 1));
    assert.deepEqual([look(), look(), alerts.raised], [["+1 pstn 19/100 19%"], [], 1]);
    balancer.release(calls.pop()!);
    assert.deepEqual(look(), []);
    balancer.release(calls.pop()!);
    assert.deepEqual([look(), alerts.raised], [["-1 pstn 21/100 21%"], 0]);
  });

  it("looks at each resource for itself", () => {
    const { balancer, look } = watch(rows, 20);
    fill(balancer, 9, "conf");
    assert.deepEqual(look(), ["+1 conf 1/10 10%"]);
  });

  it("takes the capacity of a destination that gets no calls for gone", () => {
    const { balancer, look } = watch(rows, 50);
    balancer.setStatus(1, false, "probe");
    assert.deepEqual(look(), ["+1 pstn 40/100 40%", "+1 conf 0/10 0%"]);
  });

  it("counts a pool once, and as free while one of its rows gets calls", () => {
    const pooled = [1, 2].map((id) => ({ id, resources: "pstn=10", attrs: "shared=a" }));
    const { balancer, look } = watch([...pooled, { id: 3, resources: "pstn=10" }], 50);
    fill(balancer, 10);
    assert.deepEqual(look(), []);
    fill(balancer, 2);
    assert.deepEqual(look(), ["+1 pstn 8/20 40%"]);
    balancer.setStatus(1, false, "mi");
    assert.deepEqual(look(), []);
  });

  it("says nothing of resources without capacity", () => {
    const { look } = watch([{ id: 1, resources: "pstn=0" }], 50);
    assert.deepEqual(look(), []);
  });
});
