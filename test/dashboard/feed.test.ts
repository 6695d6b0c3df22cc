import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { MAX_READERS } from "../../src/dashboard/index.ts";
import { ANNA, type FakeResponse, FeedRig, row } from "./feed-rig.ts";

const ROWS = [row(1, 1, "pstn=30;conf=5"), row(2, 1, "pstn=10"), row(7, 2, "pstn=3", { attrs: "x=1", probeMode: 1 })];

function names(reader: FakeResponse): string[] {
  return reader.take().map(({ event }) => event);
}

describe("a reader of the dashboard's feed", () => {
  it("is told who it is, then of the table, of all figures, of totals and of what happened before", () => {
    const rig = new FeedRig(ROWS);
    rig.publish("E_OVERLOAD", { state: "began" });
    const reader = rig.open();
    rig.settle();
    assert.equal(reader.status, 200);
    assert.equal(reader.headers["content-type"], "text/event-stream");
    assert.match(reader.text, /^retry: 2000\n\nevent: hello\n/);
    const frames = reader.take();
    assert.deepEqual(
      frames.map(({ event }) => event),
      ["hello", "table", "figures", "totals", "event"],
    );
    const [hello, table, figures, totals, event] = frames.map(({ data }) => data);
    assert.deepEqual(hello, {
      version: "1.2.3",
      name: "headroom",
      role: "operator",
      by: "anna",
      needsToken: true,
      startedAt: 5_000,
      node: null,
      mi: "/mi",
      methods: ANNA.methods,
    });
    assert.deepEqual(table, {
      groups: [{ id: 1 }, { id: 2 }],
      destinations: [
        { id: 1, group: 1, uri: "sip:192.0.2.1", attrs: null, resources: ["pstn", "conf"], probe: 0 },
        { id: 2, group: 1, uri: "sip:192.0.2.2", attrs: null, resources: ["pstn"], probe: 0 },
        { id: 7, group: 2, uri: "sip:192.0.2.7", attrs: "x=1", resources: ["pstn"], probe: 1 },
      ],
    });
    assert.equal(figures.at, 1_000_000);
    assert.deepEqual(figures.rows[0], {
      id: 1,
      status: "up",
      why: "",
      loads: [
        [0, 30, 30, 0, 0],
        [0, 5, 5, 0, 0],
      ],
      calls: 0,
      drain: null,
      probeMs: null,
      probeAvgMs: null,
      lastCode: null,
      factor: 1,
    });
    assert.equal(figures.rows.length, 3);
    assert.deepEqual(totals.groups, { "1": { pstn: [0, 40], conf: [0, 5] }, "2": { pstn: [0, 3] } });
    assert.deepEqual(event, { event: "E_OVERLOAD", params: { state: "began" } });
  });

  it("is told each second of totals, and only of rows that are not as they were", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.settle();
    reader.take();
    rig.pass(1_000);
    assert.deepEqual(names(reader), ["totals"]);
    rig.balancer.start(new CallLoad(), 1, "pstn");
    rig.pass(1_000);
    const frames = reader.take();
    assert.deepEqual(
      frames.map(({ event }) => event),
      ["figures", "totals"],
    );
    assert.deepEqual(
      frames[0]!.data.rows.map(({ id, loads, calls }: { id: number; loads: number[][]; calls: number }) => [id, loads, calls]),
      [
        [
          1,
          [
            [1, 30, 30, 0, 0],
            [0, 5, 5, 0, 0],
          ],
          1,
        ],
      ],
    );
    assert.equal(frames[0]!.data.at, 1_002_000);
  });

  it("is told of a new table, and of all figures with it", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.settle();
    reader.take();
    rig.balancer.replaceTable([row(1, 1, "pstn=30"), row(3, 1, "pstn=10")]);
    rig.pass(1_000);
    const [table, figures] = reader.take();
    assert.deepEqual(
      table!.data.destinations.map(({ id, resources }: { id: number; resources: string[] }) => [id, resources]),
      [
        [1, ["pstn"]],
        [3, ["pstn"]],
      ],
    );
    assert.deepEqual(
      figures!.data.rows.map(({ id }: { id: number }) => id),
      [1, 3],
    );
    rig.balancer.replaceTable([row(1, 1, "pstn=30"), row(3, 1, "pstn=12")]);
    rig.pass(1_000);
    assert.deepEqual(names(reader), ["figures", "totals"], "another capacity is no other table");
    rig.balancer.replaceTable([]);
    rig.pass(1_000);
    assert.deepEqual(reader.take()[0], { event: "table", data: { destinations: [], groups: [] } });
  });

  it("is told of no mixture when the table changes in the middle of a look", () => {
    const rows = Array.from({ length: 100 }, (_, i) => row(i + 1, 1, "pstn=5"));
    const rig = new FeedRig(rows);
    rig.stepMs = 1; // so that a look takes many turns
    const reader = rig.open();
    rig.turn();
    rig.turn();
    rig.balancer.replaceTable([row(1, 1, "conf=5"), ...rows.slice(1)]);
    rig.settle();
    const [, table, figures] = reader.take();
    assert.deepEqual(table!.data.destinations[0].resources, ["conf"]);
    assert.equal(figures!.data.rows.length, 100);
    const call = new CallLoad();
    rig.balancer.start(call, 1, "pstn");
    rig.pass(500);
    assert.equal(rig.timers, 2);
  });

  it("is told of each event once, those of before first", () => {
    const rig = new FeedRig(ROWS);
    rig.publish("E_OVERLOAD", { n: 1 });
    const reader = rig.open();
    rig.publish("E_OVERLOAD", { n: 2 });
    rig.settle();
    rig.publish("E_OVERLOAD", { n: 3 });
    rig.settle();
    const told = reader.take().filter(({ event }) => event === "event");
    assert.deepEqual(
      told.map(({ data }) => data.params.n),
      [1, 2, 3],
    );
  });

  it("is told of few changes of calls, and they hide nothing that happens once", () => {
    const rig = new FeedRig(ROWS);
    rig.publish("E_OVERLOAD");
    for (let i = 0; i < 500; i++) rig.publish("E_DLG_STATE_CHANGED", { i });
    const reader = rig.open();
    rig.settle();
    const before = reader.take().filter(({ event }) => event === "event");
    assert.deepEqual([before.length, before[0]!.data.event], [21, "E_OVERLOAD"]);
    for (let i = 0; i < 500; i++) rig.publish("E_DLG_STATE_CHANGED", { i });
    rig.publish("E_PIKE_BLOCKED");
    rig.settle();
    const after = reader.take();
    assert.deepEqual([after.length, after.at(-1)!.data.event], [21, "E_PIKE_BLOCKED"]);
    rig.pass(1_000);
    rig.publish("E_DLG_STATE_CHANGED");
    rig.settle();
    assert.deepEqual(names(reader).at(-1), "event", "each second has a share of its own");
  });

  it("is not alone: a second one gets everything at once, the first only what changes", () => {
    const rig = new FeedRig(ROWS);
    const first = rig.open();
    rig.settle();
    first.take();
    rig.pass(300);
    const second = rig.open({ ...ANNA, by: "wall", role: "viewer" });
    rig.settle();
    const [hello, ...rest] = second.take();
    assert.deepEqual([hello!.data.by, hello!.data.role], ["wall", "viewer"]);
    assert.deepEqual(
      rest.map(({ event }) => event),
      ["table", "figures", "totals"],
    );
    assert.deepEqual(names(first), ["totals"]);
    assert.equal(rig.feed.counters.readers, 2);
  });

  it("hears something every 15 s", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.pass(15_000);
    assert.match(reader.text, /\n\n: alive\n\n/);
  });
});

describe("the dashboard's feed", () => {
  it("looks at nothing and keeps no timer while nobody reads", () => {
    const rig = new FeedRig(ROWS);
    assert.equal(rig.timers, 0);
    const readers = [rig.open(), rig.open()];
    rig.settle();
    assert.equal(rig.timers, 2);
    for (const reader of readers) reader.destroy();
    assert.deepEqual([rig.timers, rig.tell, rig.feed.counters.readers], [0, undefined, 0]);
    assert.equal(rig.feed.counters.readers_dropped, 0);
    rig.settle();
    const again = rig.open();
    rig.settle();
    assert.deepEqual(names(again), ["hello", "table", "figures", "totals"]);
  });

  it("can be left in the middle of a look", () => {
    const rig = new FeedRig(Array.from({ length: 200 }, (_, i) => row(i + 1, 1, "pstn=5")));
    rig.stepMs = 1;
    const reader = rig.open();
    rig.turn();
    rig.turn();
    reader.destroy();
    rig.settle();
    assert.equal(rig.timers, 0);
    const other = rig.open();
    rig.settle();
    assert.equal(other.take()[2]!.data.rows.length, 200);
  });

  it("looks at 10,000 destinations in parts, others having their turn in between", () => {
    const rig = new FeedRig(Array.from({ length: 10_000 }, (_, i) => row(i + 1, i % 7, "pstn=5")));
    rig.stepMs = 0.5;
    const reader = rig.open();
    rig.settle();
    assert.ok(rig.turns > 200, `it took ${rig.turns} turns`);
    const [, table, figures] = reader.take();
    assert.deepEqual([table!.data.destinations.length, table!.data.groups.length, figures!.data.rows.length], [10_000, 7, 10_000]);
    assert.ok(reader.writes > 30, `all was written in ${reader.writes} pieces`);
  });

  it("tells of what kept it from looking, and looks again a second later", () => {
    const rig = new FeedRig([row(1, 1, "pstn=5"), row(2, 1, "pstn=5", { probeMode: 1 })]);
    const reader = rig.open();
    rig.settle();
    reader.take();
    const call = new CallLoad();
    rig.balancer.start(call, 1, "pstn");
    const { get } = rig.probes;
    rig.probes.get = () => {
      throw new Error("broken");
    };
    rig.pass(1_000);
    assert.deepEqual([names(reader), rig.faults.map(String)], [[], ["Error: broken"]]);
    rig.probes.get = get;
    rig.pass(1_000);
    const frames = reader.take();
    assert.equal(frames.find(({ event }) => event === "figures")!.data.rows[0].calls, 1, "nothing is lost");
  });

  it("serves a few readers, and says so to others", () => {
    const rig = new FeedRig(ROWS);
    const readers = Array.from({ length: MAX_READERS }, () => rig.open());
    const refused = rig.open();
    assert.deepEqual([refused.status, refused.text], [503, "Cannot serve more than 16 readers of the dashboard at a time\n"]);
    readers[0]!.destroy();
    assert.equal(rig.open().status, 200);
    assert.deepEqual([rig.feed.counters.readers, rig.feed.counters.readers_refused], [16, 1]);
  });

  it("gives a slow reader everything once it has taken the rest, and nothing meanwhile", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.settle();
    reader.take();
    reader.isFull = true;
    rig.pass(1_000);
    assert.deepEqual(names(reader), ["totals"]);
    for (let i = 0; i < 5; i++) {
      rig.balancer.start(new CallLoad(), 1, "pstn");
      rig.pass(1_000);
    }
    assert.deepEqual(names(reader), []);
    reader.isFull = false;
    reader.emit("drain");
    rig.pass(1_000);
    const frames = reader.take();
    assert.deepEqual(
      frames.map(({ event }) => event),
      ["table", "figures", "totals"],
    );
    assert.equal(frames[1]!.data.rows[0].loads[0][0], 5);
  });

  it("drops a reader that takes nothing between two heartbeats", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    reader.isFull = true;
    rig.pass(29_000);
    assert.equal(reader.isDestroyed, false);
    rig.pass(2_000);
    assert.deepEqual([reader.isDestroyed, rig.feed.counters.readers_dropped, rig.timers], [true, 1, 0]);
  });

  it("drops a reader for which too many events wait", () => {
    const rig = new FeedRig(ROWS, { maxWaiting: 50 });
    const reader = rig.open();
    rig.settle();
    reader.isFull = true;
    for (let i = 0; i < 60; i++) {
      rig.publish("E_OVERLOAD", { i });
      rig.settle();
    }
    assert.deepEqual([reader.isDestroyed, rig.feed.counters.readers_dropped], [true, 1]);
  });

  it("serves nobody once it is closed", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.settle();
    rig.feed.close();
    assert.deepEqual([reader.isDestroyed, rig.timers, rig.feed.counters.readers_dropped], [true, 0, 0]);
    assert.equal(rig.open().status, 503);
  });
});
