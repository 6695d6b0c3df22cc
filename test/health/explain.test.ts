import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad, Looks } from "../../src/balancer/index.ts";
import { explain as explainCall, MAX_DECISIONS, whatIf } from "../../src/health/index.ts";
import { type RowSketch, row } from "../balancer/support.ts";

interface Explained {
  readonly Decisions: readonly Readonly<Record<string, unknown> & { Destinations: readonly Record<string, unknown>[] }>[];
  readonly decisions_omitted?: number;
}

const ROWS: readonly RowSketch[] = [
  { id: 1, resources: "pstn=10;conf=2" },
  { id: 2, resources: "pstn=5" },
  { id: 3, resources: "pstn=10;conf=5" },
];

function farm(decisions: number, rows = ROWS): { balancer: Balancer; looks: Looks; explain: (callId: string) => Explained } {
  const looks = new Looks(decisions, () => 7);
  const balancer = new Balancer({ below: () => 0, looks });
  balancer.replaceTable(rows.map(row));
  return { balancer, looks, explain: (callId) => explainCall(looks, callId, (atMs) => `at ${atMs}`) as Explained };
}

function call(callId: string): CallLoad {
  const load = new CallLoad();
  load.callId = callId;
  return load;
}

describe("the explanation of a call", () => {
  it("has each decision: what was looked at, who won, why the others did not", () => {
    const { balancer, explain } = farm(10);
    const load = call("a@b");
    balancer.start(load, 1, "pstn;conf", "r");
    balancer.next(load);
    balancer.release(load);
    const [first, second] = explain("a@b").Decisions;
    assert.deepEqual(first, {
      at: "at 7",
      attempt: 1,
      group: 1,
      resources: "pstn;conf",
      flags: "r",
      code: 1,
      summary: "destination 1 <sip:127.0.0.21:5080> was chosen with score 100, as free as 1 more",
      chosen: 1,
      chosen_uri: "sip:127.0.0.21:5080",
      equals: [1, 3],
      Destinations: [
        {
          id: 1,
          uri: "sip:127.0.0.21:5080",
          Resources: [
            { name: "pstn", load: 0, max: 10, slot: 100 },
            { name: "conf", load: 0, max: 2, slot: 100 },
          ],
          score: 100,
          chosen: true,
        },
        {
          id: 2,
          uri: "sip:127.0.0.22:5080",
          Resources: [],
          skipped: "lacks-resource",
          reason: "it does not have every resource that was asked for",
        },
        {
          id: 3,
          uri: "sip:127.0.0.23:5080",
          Resources: [
            { name: "pstn", load: 0, max: 10, slot: 100 },
            { name: "conf", load: 0, max: 5, slot: 100 },
          ],
          score: 100,
          skipped: "equal",
          reason: "it has as much free as the one that was chosen",
        },
      ],
    });
    assert.deepEqual([second?.["attempt"], second?.["chosen"]], [2, 3]);
    assert.deepEqual(second?.Destinations[0]?.["skipped"], "tried");
  });

  it("also has those that found nobody", () => {
    const { balancer, explain } = farm(10, [{ id: 1, resources: "pstn=1" }]);
    balancer.start(call("first"), 1, "pstn");
    balancer.start(call("full"), 1, "pstn");
    balancer.setStatus(1, false, "mi");
    balancer.start(call("down"), 1, "pstn");
    const [full] = explain("full").Decisions;
    assert.deepEqual(
      [full?.["code"], full?.["summary"], full?.Destinations[0]?.["skipped"]],
      [-2, 'destinations of group 1 are up and left to try, but none has room for "pstn" now', "full"],
    );
    const [down] = explain("down").Decisions;
    assert.deepEqual(
      [down?.["code"], down?.["summary"], down?.Destinations[0]?.["skipped"]],
      [-3, 'no destination of group 1 is up and left to try for "pstn"', "disabled-by-operator"],
    );
  });

  it("tells of the table as it was, whatever happened since", () => {
    const { balancer, explain } = farm(10);
    balancer.start(call("old"), 1, "pstn");
    balancer.resize(1, "pstn", 77);
    balancer.replaceTable([row({ id: 9, resources: "conf=1" })]);
    const [decision] = explain("old").Decisions;
    assert.deepEqual(decision?.Destinations[0]?.["Resources"], [{ name: "pstn", load: 0, max: 10, slot: 10 }]);
  });

  it("is there for the latest decisions, in their order", () => {
    const { balancer, explain } = farm(3);
    for (const callId of ["a", "b", "b", "c", "b", "d"]) balancer.start(call(callId), 1, "pstn");
    assert.deepEqual(
      ["a", "b", "c", "d"].map((callId) => explain(callId)?.Decisions.length),
      [undefined, 1, 1, 1],
    );
    for (let i = 0; i < 100; i++) balancer.start(call(`x${i}`), 1, "pstn");
    assert.equal(explain("x99").Decisions.length, 1);
    assert.equal(explain("d"), undefined);
  });

  it("is bounded for a call that goes round and round: the latest are told", () => {
    const { balancer, explain } = farm(100);
    for (let i = 0; i < MAX_DECISIONS + 4; i++) balancer.start(call("a"), 1, "pstn");
    const { Decisions, decisions_omitted } = explain("a");
    assert.deepEqual([Decisions.length, decisions_omitted], [MAX_DECISIONS, 4]);
    assert.deepEqual(Decisions.at(-1)?.Destinations[0]?.["Resources"], [{ name: "pstn", load: 8, max: 10, slot: 2 }]);
  });
});

describe("what if", () => {
  it("tells what a start would do now, without doing it", () => {
    const { balancer, looks } = farm(3);
    const answer = whatIf(balancer, 1, "pstn", "") as Record<string, unknown>;
    assert.deepEqual(
      [answer["code"], answer["chosen"], answer["summary"]],
      [1, 1, "destination 1 <sip:127.0.0.21:5080> was chosen with score 10, as free as 1 more"],
    );
    assert.equal(balancer.counters.starts, 0);
    assert.equal(looks.taken, 0);
    assert.deepEqual(
      balancer.destinations().flatMap(({ resources }) => resources.map(({ cell }) => balancer.load(cell))),
      [0, 0, 0, 0, 0],
    );
  });

  for (const [resources, code, summary] of [
    ["fax", -4, 'a resource of "fax" does not exist, or is named twice'],
    ["pstn;pstn", -4, 'a resource of "pstn;pstn" does not exist, or is named twice'],
    ["", -1, '"" cannot be read as a list of resources'],
    ["a=1", -1, '"a=1" cannot be read as a list of resources'],
  ] as const) {
    it(`answers ${code} for "${resources}"`, () => {
      const { balancer } = farm(3);
      assert.deepEqual(whatIf(balancer, 1, resources, "s"), { group: 1, resources, flags: "s", code, summary, Destinations: [] });
    });
  }
});
