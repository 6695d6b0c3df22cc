import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiFailure, type MiResult } from "../../src/cli/mi-client.ts";
import { readTop, type TopView } from "../../src/cli/top-data.ts";
import { drawTop, type TopLayout } from "../../src/cli/top-view.ts";

const AT_MS = Date.UTC(2026, 10, 22, 21, 30, 5);
const WIDE: TopLayout = { columns: 120, rows: 0, sort: "id", isReversed: false, offset: 0, colours: false, ascii: false, keys: false };

function destination(id: number, loads: readonly (readonly [name: string, load: number, max: number])[], more: object = {}): object {
  const Resources = loads.map(([name, load, max]) => ({ name, load, max }));
  return { uri: `sip:192.0.2.${id}:5060`, id, group: 1, enabled: "yes", "auto-reenable": "on", Resources, ...more };
}

function answers(destinations: readonly object[], counts: object = {}, probes: readonly object[] = []): MiResult[] {
  return [{ result: { Destinations: destinations } }, { result: counts }, { result: { Probes: probes } }];
}

function look(destinations: readonly object[], counts: object = {}, probes: readonly object[] = []): TopView {
  return readTop(answers(destinations, counts, probes), AT_MS, undefined).view;
}

describe("a look at the balancer", () => {
  it("is a table with a bar for each resource, under a line of totals and one of each group", () => {
    const view = look(
      [
        destination(1, [
          ["pstn", 12, 30],
          ["conf", 5, 5],
        ]),
        destination(2, [["pstn", 0, 10]], { enabled: "no" }),
        destination(3, [["pstn", 3, 4]], { group: 7, draining: "yes", drain_load: 3 }),
      ],
      {
        "dialog:active_dialogs": 14,
        "dialog:early_dialogs": 1,
        "load_balancer:selected": 90,
        "load_balancer:no_capacity": 2,
        "tm:failovers": 3,
      },
      [{ id: 1, last_ms: 1.234 }],
    );
    assert.deepEqual(drawTop(view, WIDE).lines, [
      "Headroom  21:30:05 UTC  15 calls (1 ringing), - a second, 1 of 3 destinations take calls",
      "decisions: placed 90, all full 2; failovers 3; refused for load 0; event loop 0 ms late",
      "",
      "Group 1  1 of 2 take calls; pstn 12/30, 18 free; conf 5/5, 0 free",
      "ID URI                Res. Load                                 Free Status        Probe Why",
      " 1 sip:192.0.2.1:5060 pstn ████████████░░░░░░░░░░░░░░░░░░ 12/30   18 full         1.2 ms No free slot for conf",
      "                      conf ██████████████████████████████   5/5    0",
      " 2 sip:192.0.2.2:5060 pstn ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0/10   10 disabled          - A route has disabled it, and no",
      "",
      "Group 7  0 of 1 take calls",
      "ID URI                Res. Load                                 Free Status        Probe Why",
      " 3 sip:192.0.2.3:5060 pstn ███████████████████████░░░░░░░   3/4    1 draining          - 3 of its load are left, and no",
    ]);
  });

  it("says how many calls a second came since the look before, and nothing after a restart", () => {
    const results = answers([], { "dialog:processed_dialogs": 130 });
    const rate = (before: number): number | null =>
      readTop(results, AT_MS, { at: AT_MS - 2_000, calls: before }).view.totals.callsPerSecond;
    assert.equal(rate(100), 15);
    assert.equal(rate(131), null);
  });

  const statuses: { name: string; more: object; probed?: boolean; want: [string, string] }[] = [
    { name: "up", more: {}, want: ["up", ""] },
    { name: "disabled by a probe", more: { enabled: "no" }, probed: true, want: ["probing", "Probes look whether it is back"] },
    {
      name: "disabled without probes",
      more: { enabled: "no" },
      want: ["disabled", "A route has disabled it, and no probe looks whether it is back"],
    },
    {
      name: "disabled by an operator",
      more: { enabled: "no", "auto-reenable": "off" },
      probed: true,
      want: ["disabled", "An operator has disabled it"],
    },
    {
      name: "drained until a time",
      more: { draining: "yes", drain_load: 2, drain_deadline: Date.UTC(2026, 0, 1, 12, 0, 1) / 1000 },
      want: ["draining", "Until 12:00:01 UTC: 2 of its load are left, and no new calls come"],
    },
    {
      name: "leaving",
      more: { registered: "leaving", registration_end: "expired" },
      want: ["withdrawn", "Its registration has ended, and its calls are left to end"],
    },
    { name: "paused", more: { freeswitch: "paused" }, want: ["withdrawn", "Its FreeSWITCH is paused"] },
    { name: "stale", more: { freeswitch: "stale" }, want: ["stale", "The heartbeats of its FreeSWITCH have stopped"] },
    { name: "without heartbeat", more: { freeswitch: "initial" }, want: ["up", "No heartbeat of its FreeSWITCH has come yet"] },
    { name: "broken", more: { breaker: "open" }, want: ["breaker", "Too many of its calls failed, and none are sent for a while"] },
    {
      name: "tried",
      more: { breaker: "trials" },
      want: ["breaker", "Too many of its calls failed, and trial calls show whether it is well again"],
    },
    { name: "resting", more: { resting: 9 }, want: ["resting", "9 s are left of the rest that it asked for by a 503 with Retry-After"] },
    {
      name: "over its rate",
      more: { rate_limit: 5, over_rate: "yes" },
      want: ["rate", "It got all 5 calls that it may get within a second"],
    },
    { name: "starting", more: { capacity_percent: 40 }, want: ["starting", "It starts slowly, with 40 % of its capacity"] },
  ];
  for (const { name, more, probed = false, want } of statuses) {
    it(`says of a destination that is ${name}: ${want.join(", ")}`, () => {
      const [row] = look([destination(1, [["pstn", 1, 10]], more)], {}, probed ? [{ id: 1, last_ms: null }] : []).destinations;
      assert.deepEqual([row?.status, row?.why], want);
    });
  }

  it("counts calls of others on a FreeSWITCH, and shows what a slow start has not opened yet", () => {
    const foreign = { ...destination(1, []), Resources: [{ name: "pstn", load: 2, max: 10, foreign_load: 3 }] };
    assert.deepEqual(look([foreign]).destinations[0]?.resources, [{ name: "pstn", load: 5, max: 10, capacity: 10, free: 5 }]);
    const slow = { ...destination(1, [], { capacity_percent: 50 }), Resources: [{ name: "pstn", load: 5, max: 10, capacity: 20 }] };
    assert.match(drawTop(look([slow]), WIDE).lines[5] ?? "", / █{7}░{7}·{14} 5\/10 of 20 /);
    assert.match(drawTop(look([slow]), { ...WIDE, ascii: true }).lines[5] ?? "", / #{7}-{7}\.{14} /);
  });

  it("throws what the balancer says when it gives no list", () => {
    const refused = new MiFailure("Forbidden (403)", 403);
    assert.throws(() => readTop([{ error: refused }], AT_MS, undefined), refused);
  });

  it("does without probes, and without what it does not understand", () => {
    const [list, counts] = answers([destination(1, [["pstn", 1, 2]]), 7 as unknown as object]);
    const { view } = readTop([list!, counts!, { error: new MiFailure("Method not found (-32601)", -32601) }], AT_MS, undefined);
    assert.equal(view.destinations.length, 1);
  });
});

describe("the table of top", () => {
  const loads = [3, 9, 5, 1].map((load, i) => destination(i + 1, [["pstn", load, 10 * (i + 1)]]));
  const idsIn = (layout: Partial<TopLayout>): number[] =>
    drawTop(look(loads), { ...WIDE, ...layout })
      .lines.map((line) => Number(/^ +(\d+) sip:/.exec(line)?.[1] ?? 0))
      .filter((id) => id > 0);

  it("is ordered by id, free slots or load, and the other way round", () => {
    assert.deepEqual(idsIn({}), [1, 2, 3, 4]);
    assert.deepEqual(idsIn({ sort: "slots" }), [1, 2, 3, 4]); // 7, 11, 25, 39
    assert.deepEqual(idsIn({ sort: "load" }), [2, 1, 3, 4]); // 45, 30, 17, 3 %
    assert.deepEqual(idsIn({ sort: "load", isReversed: true }), [4, 3, 1, 2]);
  });

  it("fits any terminal", () => {
    const many = Array.from({ length: 200 }, (_, i) =>
      destination(i + 1, [["a-resource-with-a-long-name", i, 1_000_000]], { uri: `sip:${"x".repeat(100)}:5060` }),
    );
    for (const columns of [1, 20, 40, 60, 80, 100, 132, 250]) {
      for (const rows of [5, 10, 24, 60]) {
        const { lines } = drawTop(look(many), { ...WIDE, columns, rows, keys: true });
        assert.equal(lines.length, rows);
        for (const line of lines) assert.ok(line.length <= columns, `${line.length} > ${columns}: ${line}`);
      }
    }
  });

  it("is scrolled, and says where it is", () => {
    const layout = { ...WIDE, rows: 7, keys: true };
    const { lines, bodyLines, bodyRows } = drawTop(look(loads), { ...layout, offset: 4 });
    assert.deepEqual([bodyLines, bodyRows], [6, 3]);
    assert.match(lines.join("\n"), / 2 sip[^\n]*\n +3 sip[^\n]*\n +4 sip[^\n]*\nlines 4 to 6 of 6 {3}q quit/);
    assert.deepEqual(drawTop(look(loads), { ...layout, offset: 400 }).lines, lines);
  });

  it("has colours when they are wanted, and is the same text without them", () => {
    const view = look([destination(1, [["pstn", 10, 10]]), destination(2, [["pstn", 1, 10]], { enabled: "no" })]);
    const colourful = drawTop(view, { ...WIDE, colours: true }).lines;
    assert.match(colourful.join("\n"), /\u001b\[31mdisabled \u001b\[0m/);
    const plainAgain = colourful.map((line) => line.replace(/\u001b\[\d+m/g, "").trimEnd());
    assert.deepEqual(plainAgain, drawTop(view, WIDE).lines);
  });

  it("lets nothing of the table steer the terminal", () => {
    const view = look([
      destination(1, [["p\u001b[2Jstn", 1, 2]], { uri: "sip:\u009b2J", registered: "leaving", registration_end: "\u0007" }),
    ]);
    assert.doesNotMatch(drawTop(view, WIDE).lines.join(""), /[\u0000-\u001f\u007f-\u009f]/);
  });

  it("says why it is old", () => {
    assert.equal(drawTop(look([]), { ...WIDE, fault: "No news: gone" }).lines[0], "No news: gone");
    assert.match(drawTop(look([]), WIDE).lines.at(-1) ?? "", /^No destinations: add one/);
  });
});
