import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EVENT_NAMES } from "../../src/event-names.ts";
import { pageModule } from "../support/page-module.ts";

const { SseParser } = await pageModule("sse.js");
const { Model, MAX_SAMPLES } = await pageModule("model.js");
const { barWords, changeWords, eventSentence, span } = await pageModule("words.js");

const figures = (id: number, load: number, max: number, more: object = {}): object => {
  return {
    id,
    status: "up",
    why: "",
    loads: [[load, max, max, 0, 0]],
    calls: load,
    drain: null,
    probeMs: null,
    probeAvgMs: null,
    lastCode: null,
    factor: 1,
    ...more,
  };
};
const totals = (at: number, failovers = 0): object => {
  return {
    at,
    calls: 1,
    early: 0,
    cps: 1,
    decisions: {},
    decisionsPerSecond: { "1": 1, "-2": 2 },
    failovers,
    refused: 0,
    lagMs: 1,
    memoryMb: 1,
    cluster: null,
    groups: {},
  };
};

function model() {
  const made = new Model();
  const row = (id: number, group: number, uri: string): object => ({ id, group, uri, attrs: null, resources: ["pstn"], probe: 0 });
  made.setTable({
    groups: [{ id: 1 }, { id: 2, name: "south" }],
    destinations: [row(1, 1, "sip:a"), row(2, 2, "sip:b"), row(3, 1, "sip:c")],
  });
  made.setFigures({
    at: 1,
    rows: [figures(1, 5, 10), figures(2, 0, 3), figures(3, 9, 9, { status: "disabled", why: "An operator has disabled it" })],
  });
  return made;
}

describe("the parser of the feed", () => {
  it("reads frames however they are cut, and passes comments over", () => {
    const text = ': alive\n\nevent: hello\r\ndata: {"a":\ndata: 1}\r\n\r\nretry: 2000\n\nevent: x\ndata: y\n\n';
    for (const size of [1, 2, 3, 7, text.length]) {
      const parser = new SseParser();
      const frames: unknown[] = [];
      for (let at = 0; at < text.length; at += size) frames.push(...parser.push(text.slice(at, at + size)));
      assert.deepEqual(
        frames,
        [
          { name: "hello", data: '{"a":\n1}' },
          { name: "x", data: "y" },
        ],
        `pieces of ${size}`,
      );
    }
  });
});

describe("the model of the page", () => {
  const idsOf = (items: { destination?: { id: number } }[]): (number | undefined)[] => items.map(({ destination }) => destination?.id);
  const wish = { filter: "", order: "group", onlyTroubled: false, closed: new Set<number>() };

  it("lists groups with their destinations, without those of a closed group", () => {
    assert.deepEqual(idsOf(model().items(wish).items), [undefined, 1, 3, undefined, 2]);
    assert.deepEqual(idsOf(model().items({ ...wish, closed: new Set([1]) }).items), [undefined, undefined, 2]);
  });
  it("sorts by what is free and by load, calls of others included", () => {
    const made = model();
    assert.deepEqual(idsOf(made.items({ ...wish, order: "least-free" }).items), [3, 2, 1]);
    assert.deepEqual(idsOf(made.items({ ...wish, order: "load" }).items), [3, 1, 2]);
    made.setFigures({ at: 2, rows: [figures(2, 0, 3, { loads: [[0, 3, 3, 0, 3]] })] });
    assert.deepEqual(idsOf(made.items({ ...wish, order: "load" }).items), [2, 3, 1]);
  });
  it("finds by words of address, id, group and status", () => {
    for (const [filter, ids] of [
      ["SIP:B", [2]],
      ["#3", [3]],
      ["south", [2]],
      ["group:1 pstn", [1, 3]],
      ["disabled", [3]],
      ["nothing", []],
    ] as const) {
      assert.deepEqual(idsOf(model().items({ ...wish, filter, order: "id" }).items), ids, filter);
    }
    assert.deepEqual(idsOf(model().items({ ...wish, order: "id", onlyTroubled: true }).items), [3]);
  });
  it("keeps ten minutes, with a gap where nothing was heard", () => {
    const made = model();
    for (let second = 1; second <= 700; second++) made.addTotals(totals(second * 1000, second));
    assert.equal(made.series[0].length, MAX_SAMPLES);
    assert.deepEqual(
      made.series.map((list: unknown[]) => list.at(-1)),
      [700, 1, 1, 1, 2, 1, 1],
    );
    made.addTotals(totals(800_000));
    assert.deepEqual(made.series[1].slice(-3), [1, null, 1]);
    assert.equal(made.series[5].at(-1), 0, "counters that begin anew do not go below 0");
  });
  it("keeps ten minutes while others open pages all the time, and loses no failover of that", () => {
    const made = model();
    for (let look = 0; look <= 100; look++) made.addTotals(totals(1000 + look * 100, look));
    assert.equal(made.series[0].length, 21, "the first, and one each half second");
    assert.equal(
      made.series[5].reduce((sum: number, count: number) => sum + count, 0),
      100,
    );
  });
  it("begins its charts anew when the clock of the server was set back", () => {
    const made = model();
    made.addTotals(totals(7_200_000));
    made.addTotals(totals(3_600_000));
    made.addTotals(totals(3_601_000));
    assert.deepEqual(made.series[0], [3600, 3601]);
  });
  it("takes an event once", () => {
    const made = model();
    assert.deepEqual([made.addEvent({ id: "a" }), made.addEvent({ id: "a" })], [true, false]);
  });
});

describe("words of the page", () => {
  it("say what a bar shows", () => {
    assert.equal(barWords("channels", [12, 30, 30, 0, 0]), "12 of 30 channels, 18 free");
    assert.equal(
      barWords("channels", [12, 10, 40, 5, 3]),
      "15 of 10 channels, 0 free, 40 when all is open, 5 of them on other nodes, 3 calls of others",
    );
  });
  it("say what happened, for every event that there is", () => {
    for (const event of EVENT_NAMES) assert.ok(!eventSentence({ event, params: { method: "m", params: "[]" } }).startsWith(event), event);
    assert.equal(eventSentence({ event: "E_NEW", params: { a: 1 } }), 'E_NEW {"a":1}');
    assert.equal(eventSentence({ event: "constructor", params: {} }), "constructor {}");
    assert.equal(eventSentence({ event: "E_MANAGEMENT_CHANGE", params: {} }), "E_MANAGEMENT_CHANGE {}", "of another version");
  });
  it("say what was changed", () => {
    assert.equal(changeWords("load_balancer:status", '["2",0]'), "disable destination 2");
    assert.equal(
      changeWords("load_balancer:drain", '{"destination_id":3,"deadline":600,"bye":1}'),
      "drain destination 3 within 10 min 0 s, then end its calls",
    );
    assert.equal(changeWords("dialog:end_dlg", '["x'), 'dialog:end_dlg ["x', "cut off");
  });
  it("say how long it was", () => {
    assert.deepEqual([900, 61_000, 3_700_000, 200_000_000].map(span), ["1 s", "1 min 1 s", "1 h 1 min", "2 days 7 h"]);
  });
});
