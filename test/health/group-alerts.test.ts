import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, type BalancerOptions, CallLoad, type CapacityFeed } from "../../src/balancer/index.ts";
import { ALERT_SLICE_MS, ALERT_SLICE_ROWS, HELD_ROUNDS } from "../../src/health/group-alerts.ts";
import { ALERT_CHECK_MS, type GroupAlert, GroupAlerts } from "../../src/health/index.ts";
import { balancerOf, cellOf, type RowSketch, row } from "../balancer/support.ts";

interface Watch {
  readonly balancer: Balancer;
  readonly alerts: GroupAlerts;
  /** Groups of the rules; undefined: a script decides. */
  wanted: ReadonlySet<number> | undefined;
  /** Groups to which calls go beyond capacities. */
  readonly overfilled: Set<number>;
  /** Looks, and tells what came of it. */
  look(): string[];
}

const SIGNS = { raised: "+", recovered: "-", gone: "?" } as const;

function watch(rows: readonly RowSketch[], lowPercent: number, options: Partial<BalancerOptions> = {}): Watch {
  const told: string[] = [];
  const balancer = balancerOf(rows, options);
  const onAlert = (alert: GroupAlert): void => {
    const what =
      alert.kind === "none-available"
        ? `none of ${alert.rows}${alert.failedOpen ? " failed open" : ""}`
        : `${alert.resource} ${alert.free}/${alert.capacity} ${alert.freePercent}%`;
    told.push(`${SIGNS[alert.state]}${alert.group} ${what}`);
  };
  const made: Watch = {
    balancer,
    alerts: new GroupAlerts({
      balancer,
      lowPercent,
      failOpen: options.failOpen === true,
      wanted: () => made.wanted,
      overfills: (group) => made.overfilled.has(group),
      onAlert,
    }),
    wanted: new Set(),
    overfilled: new Set(),
    look() {
      assert.equal(made.alerts.check(), ALERT_CHECK_MS);
      return told.splice(0);
    },
  };
  return made;
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
    assert.deepEqual([look(), look(), alerts.raised], [["+1 none of 2"], [], 1]);
    balancer.setStatus(1, true, "probe");
    assert.deepEqual([look(), look(), alerts.raised], [["-1 none of 2"], [], 0]);
  });

  it("is raised when no destination that is up has any capacity, unless calls overfill the group", () => {
    const made = watch([...rows.slice(0, 2), { id: 3, group: 2, resources: "pstn=0;conf=0" }, { id: 4, group: 3, resources: "pstn=0" }], 0);
    made.overfilled.add(3);
    assert.deepEqual(made.look(), ["+2 none of 1"]);
    made.balancer.resize(3, "conf", 1);
    made.balancer.resize(1, "pstn", 0);
    assert.deepEqual(made.look(), ["-2 none of 1"]);
    made.balancer.resize(2, "pstn", 0);
    assert.deepEqual(made.look(), ["+1 none of 2"]);
    made.balancer.resize(2, "pstn", 5);
    made.balancer.setCapacityFactor(2, 0);
    assert.deepEqual(made.look(), ["-1 none of 2"]);
  });

  it("is not raised for one that is only full", () => {
    const { balancer, look } = watch(rows, 0);
    fill(balancer, 2);
    assert.deepEqual(look(), []);
  });

  it("waits for a breaker to close: a round of trial calls is no return", () => {
    const { balancer, look } = watch(rows, 20);
    balancer.setBreaker(3, "open");
    assert.deepEqual(look(), ["+2 none of 1", "+2 pstn 0/1 0%"]);
    for (const state of [{ trials: 3 }, "open", { trials: 1 }] as const) {
      balancer.setBreaker(3, state);
      assert.deepEqual(look(), []);
    }
    balancer.setBreaker(3, "closed");
    assert.deepEqual(look(), ["-2 none of 1", "-2 pstn 1/1 100%"]);
  });
});

describe("the alert of a group without rows", () => {
  const rows = [
    { id: 1, resources: "pstn=1" },
    { id: 2, group: 2, resources: "pstn=1" },
  ];
  const onlyFirst = rows.slice(0, 1).map(row);

  it("is raised for a group that rules name and no row has, until one comes", () => {
    const made = watch(rows.slice(0, 1), 0);
    made.wanted = new Set([1, 2]);
    assert.deepEqual([made.look(), made.look(), made.alerts.raised], [["+2 none of 0"], [], 1]);
    made.balancer.replaceTable(rows.map(row));
    assert.deepEqual([made.look(), made.alerts.raised], [["-2 none of 1"], 0]);
  });

  it("is raised when a reload takes the last row, also for a group that was down before", () => {
    const made = watch(rows, 0);
    made.wanted = new Set([2]);
    assert.deepEqual(made.look(), []);
    made.balancer.setStatus(2, false, "mi");
    assert.deepEqual(made.look(), ["+2 none of 1"]);
    made.balancer.replaceTable(onlyFirst);
    assert.deepEqual([made.look(), made.look()], [["+2 none of 0"], []]);
  });

  it("ends without a recovery when no rule names the group any more", () => {
    const made = watch(rows, 0);
    made.wanted = new Set([1, 2]);
    made.balancer.replaceTable(onlyFirst);
    assert.deepEqual(made.look(), ["+2 none of 0"]);
    made.wanted = new Set([1]);
    assert.deepEqual([made.look(), made.alerts.raised], [["?2 none of 0"], 0]);
  });

  it("is raised for every group that ever had a row when a script decides", () => {
    const made = watch(rows, 0);
    made.wanted = undefined;
    assert.deepEqual(made.look(), []);
    made.balancer.replaceTable(onlyFirst);
    assert.deepEqual([made.look(), made.look()], [["+2 none of 0"], []]);
    made.balancer.replaceTable(rows.map(row));
    assert.deepEqual(made.look(), ["-2 none of 1"]);
  });

  it("takes low headroom of the group with it, which is no recovery", () => {
    const made = watch(rows, 50);
    made.balancer.setDraining(2, true);
    assert.deepEqual(made.look(), ["+2 none of 1", "+2 pstn 0/1 0%"]);
    made.balancer.replaceTable(onlyFirst);
    assert.deepEqual([made.look(), made.alerts.raised], [["?2 none of 0", "?2 pstn 0/0 0%"], 0]);
  });
});

describe("the alerts of a group that fails open", () => {
  const rows = [
    { id: 1, resources: "pstn=4" },
    { id: 2, resources: "pstn=6;conf=2" },
  ];

  it("say so, and say anew when somebody closes what was open, and when it is open again", () => {
    const { balancer, look } = watch(rows, 0, { failOpen: true });
    balancer.setStatus(1, false, "probe");
    balancer.setBreaker(2, "open");
    assert.deepEqual([look(), look()], [["+1 none of 2 failed open"], []]);
    balancer.setStatus(1, false, "mi");
    assert.deepEqual(look(), []);
    balancer.setDraining(2, true);
    assert.deepEqual([look(), look()], [["+1 none of 2"], []]);
    balancer.setDraining(2, false);
    assert.deepEqual(look(), ["+1 none of 2 failed open"]);
    balancer.setBreaker(2, "closed");
    assert.deepEqual(look(), ["-1 none of 2"]);
  });

  it("do not count one that takes itself out", () => {
    const { balancer, look } = watch(rows, 0, { failOpen: true });
    balancer.setWithdrawn(1, true);
    balancer.setStatus(2, false, "mi");
    assert.deepEqual(look(), ["+1 none of 2"]);
  });

  it("take what calls can still use for free, resource by resource", () => {
    const { balancer, look } = watch(rows, 50, { failOpen: true });
    balancer.setStatus(2, false, "probe");
    assert.deepEqual(look(), ["+1 pstn 4/10 40%"]);
    balancer.setStatus(1, false, "probe");
    assert.deepEqual(look(), ["+1 none of 2 failed open", "-1 pstn 10/10 100%"]);
    balancer.setStatus(2, false, "mi");
    assert.deepEqual(look(), ["+1 pstn 4/10 40%", "+1 conf 0/2 0%"]);
  });
});

describe("a look at many destinations", () => {
  const many = (count: number, group: (id: number) => number): RowSketch[] =>
    Array.from({ length: count }, (_, id) => ({ id, group: group(id), ip: "192.0.2.1", port: id + 1, resources: "pstn=1" }));

  for (const [what, group] of [
    ["one group", () => 1],
    ["a group each", (id: number) => id],
  ] as const) {
    it(`is made in slices, between which calls have their turn: ${what}`, () => {
      const count = ALERT_SLICE_ROWS * 2 + 500;
      const { balancer, alerts } = watch(many(count, group), 0);
      let looked = 0;
      const isAvailable = balancer.isAvailable.bind(balancer);
      balancer.isAvailable = (destination) => {
        looked++;
        return isAvailable(destination);
      };
      for (let round = 0; round < 2; round++) {
        const slices = [0, 1, 2].map(() => {
          looked = 0;
          return [alerts.check(), looked];
        });
        assert.deepEqual(slices, [
          [ALERT_SLICE_MS, ALERT_SLICE_ROWS],
          [ALERT_SLICE_MS, ALERT_SLICE_ROWS],
          [ALERT_CHECK_MS, 500],
        ]);
      }
    });
  }

  it("begins again with a new table", () => {
    const made = watch(
      many(ALERT_SLICE_ROWS + 1, () => 1),
      0,
    );
    assert.equal(made.alerts.check(), ALERT_SLICE_MS);
    made.balancer.replaceTable([row({ id: 1, group: 2, resources: "pstn=1" })]);
    made.balancer.setStatus(1, false, "mi");
    assert.deepEqual(made.look(), ["+2 none of 1"]);
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
    const { look } = watch([{ id: 1, resources: "pstn=0;conf=1" }], 50);
    assert.deepEqual(look(), []);
  });
});

describe("capacities that somebody outside tells", () => {
  const feed: CapacityFeed = { key: "feed", equals: () => true };

  /** Destination 1, and 2 of group 2, are fed. */
  function fedWatch(lowPercent: number, others: readonly RowSketch[] = []): Watch & { feed(id: number, capacity: number): void } {
    const made = watch([], lowPercent);
    const fed = [1, 2].map((id) => ({ ...row({ id, group: id, resources: "x=1" }), resources: [{ name: "pstn", capacity: 10, feed }] }));
    made.balancer.replaceTable([...fed, ...others.map(row)]);
    return Object.assign(made, {
      feed: (id: number, capacity: number) => made.balancer.feed(cellOf(made.balancer.destination(id), "pstn"), capacity, 0),
    });
  }

  it("raise nothing while they are closed for a moment, be the server idle or not", () => {
    const { balancer, feed, look, alerts } = fedWatch(20);
    const calls = fill(balancer, 3);
    for (let hold = 0; hold < 5; hold++) {
      feed(1, hold % 2 === 0 ? 3 : 10);
      feed(2, hold % 2 === 0 ? 0 : 10);
      assert.deepEqual(look(), []);
    }
    for (const call of calls) balancer.release(call);
    feed(1, 0);
    feed(2, 0);
    for (let round = 1; round < HELD_ROUNDS; round++) assert.deepEqual(look(), []);
    feed(1, 10);
    feed(2, 10);
    assert.deepEqual([look(), alerts.raised], [[], 0]);
    feed(1, 0);
    assert.deepEqual(look(), [], "the count begins anew");
  });

  it("raise both alerts when they stay so, until there is room again", () => {
    const { feed, look } = fedWatch(20);
    feed(1, 0);
    for (let round = 0; round < HELD_ROUNDS; round++) assert.deepEqual(look(), []);
    assert.deepEqual([look(), look()], [["+1 none of 1", "+1 pstn 0/0 0%"], []]);
    feed(1, 10);
    assert.deepEqual(look(), ["-1 none of 1", "-1 pstn 10/10 100%"]);
  });

  it("change nothing for a destination that is withdrawn, disabled or drained: that is told at once", () => {
    const { balancer, feed, look } = fedWatch(0);
    balancer.setWithdrawn(1, true);
    balancer.setStatus(2, false, "mi");
    feed(2, 0);
    assert.deepEqual(look(), ["+1 none of 1", "+2 none of 1"]);
    balancer.setWithdrawn(1, false);
    balancer.setDraining(1, true);
    assert.deepEqual(look(), []);
    balancer.setDraining(1, false);
    assert.deepEqual(look(), ["-1 none of 1"]);
  });

  it("do not hide that the others of the group are low", () => {
    const { balancer, feed, look } = fedWatch(50, [{ id: 3, resources: "pstn=20" }]);
    const held = fill(balancer, 8);
    assert.deepEqual(
      held.map(({ destination }) => destination?.id),
      [3, 3, 3, 3, 3, 3, 3, 3],
    );
    feed(1, 0);
    assert.deepEqual(look(), []);
    fill(balancer, 3);
    assert.deepEqual(look(), ["+1 pstn 9/20 45%"]);
  });

  it("end a low headroom only with room, not with a capacity that is gone for a moment", () => {
    const { balancer, feed, look } = fedWatch(50);
    const calls = fill(balancer, 6);
    assert.deepEqual(look(), ["+1 pstn 4/10 40%"]);
    for (const call of calls) balancer.release(call);
    feed(1, 0);
    assert.deepEqual(look(), []);
    feed(1, 10);
    assert.deepEqual(look(), ["-1 pstn 10/10 100%"]);
  });
});
