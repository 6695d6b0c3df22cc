import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type Balancer, BalancerError, type CallLoad, type LbCode } from "../../src/balancer/index.ts";
import { balancerOf, newCall, occupy, type RowSketch, row } from "./support.ts";

type Usage = Record<string, Record<string, string | [number, number]>>;

interface Step {
  op: string;
  rc: number;
  du_id: number | null;
  attrs: string;
}

interface Result {
  steps: Step[];
  loads_during_held_call: Usage | null;
}

interface Recorded {
  case: string;
  destinations: { id: number; group: number; resources: string; enabled: boolean }[];
  load: Record<string, Record<string, number>>;
  ops: string;
  fail?: number[];
  fail_ops?: string;
  create?: boolean;
  loads_before: Usage;
  results: Result | Result[];
  loads_after: Usage;
  loads_end: Usage;
}

/** Where Headroom answers otherwise on purpose: the fields of the recording that it answers instead. */
const INTENDED_DIFFERENCES: Record<string, { why: string; change(recorded: Recorded): void }> = {
  resize_to_negative: { why: "a capacity below zero is refused, so the row's own stays", change: keepCapacity },
  resize_to_negative_relative: { why: "a capacity below zero is refused, so the row's own stays", change: keepCapacity },
  count_group_200: {
    why: "group ids above 127 are whole numbers like others",
    change(recorded) {
      const result = recorded.results as Result;
      result.steps[0]!.rc = 1;
      result.loads_during_held_call!["1"]!["transcoding"] = [1, 5];
    },
  },
  count_group_257_matches_1: {
    why: "group 257 is not group 1",
    change(recorded) {
      const result = recorded.results as Result;
      result.steps[0]!.rc = -1;
      result.loads_during_held_call!["1"]!["transcoding"] = [0, 5];
    },
  },
};

/** What a management command did before the call, in the recordings that do not show it in another field. */
const RESIZED: Record<string, number> = { resize_to_negative: -1, resize_to_negative_relative: -1, resize_to_3e9: 3_000_000_000 };

const recordings: Recorded[] = readFileSync(new URL("../fixtures/lb-semantics.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

describe("the answers of a real OpenSIPS 4.1, replayed", () => {
  it("are 92, and each intended difference is about one of them", () => {
    assert.equal(recordings.length, 92);
    const names = new Set(recordings.map((recorded) => recorded.case));
    for (const name of Object.keys(INTENDED_DIFFERENCES)) assert.ok(names.has(name), name);
  });

  for (const recorded of recordings) {
    const difference = INTENDED_DIFFERENCES[recorded.case];
    it(difference === undefined ? recorded.case : `${recorded.case}, but ${difference.why}`, () => {
      difference?.change(recorded);
      for (const result of [recorded.results].flat()) {
        const played = playEveryChance(recorded);
        assert.ok(played.includes(JSON.stringify(summary(result))), `want ${JSON.stringify(summary(result))}, got ${played.join(" or ")}`);
      }
    });
  }
});

function keepCapacity(recorded: Recorded): void {
  for (const usage of [recorded.loads_before, recorded.loads_after, recorded.loads_end]) usage["1"]!["transcoding"] = [0, 5];
  const [step] = (recorded.results as Result).steps;
  step!.du_id = 1;
  step!.attrs = "id=1";
}

/** Plays the recording once for each way that chance could fall, and answers what each gave. */
function playEveryChance(recorded: Recorded): string[] {
  const outcomes: string[] = [];
  const open: number[][] = [[]];
  for (let script = open.pop(); script !== undefined; script = open.pop()) {
    const drawn = script;
    let draws = 0;
    const below = (n: number) => {
      if (draws === drawn.length) {
        for (let other = 1; other < n; other++) open.push([...drawn, other]);
        drawn.push(0);
      }
      return drawn[draws++]!;
    };
    outcomes.push(JSON.stringify(play(recorded, below)));
  }
  return outcomes;
}

function play(recorded: Recorded, below: (n: number) => number): unknown {
  const balancer = balancerOf(recorded.destinations.flatMap(usable), { below });
  for (const { id, enabled } of recorded.destinations) if (!enabled) balancer.setStatus(id, false, "mi");
  const others = Object.entries(recorded.load).flatMap(([id, resources]) =>
    Object.entries(resources).flatMap(([name, times]) => occupy(balancer, Number(id), name, times)),
  );
  const resized = RESIZED[recorded.case];
  if (resized !== undefined) assert.equal(balancer.resize(1, "transcoding", resized), resized < 0 ? "bad-capacity" : "ok");
  assert.deepEqual(usageOf(balancer), recorded.loads_before);

  const call = newCall();
  call.opened = recorded.create ?? false;
  const steps = recorded.ops.split("|").map((op) => playStep(balancer, call, op));
  while (recorded.fail_ops !== undefined && call.destination !== undefined && recorded.fail?.includes(call.destination.id)) {
    steps.push(...recorded.fail_ops.split("|").map((op) => playStep(balancer, call, op)));
  }
  const during = usageOf(balancer);
  balancer.release(call);
  assert.deepEqual(usageOf(balancer), recorded.loads_after);
  for (const other of others) balancer.release(other);
  assert.deepEqual(usageOf(balancer), recorded.loads_end);
  return summary({ steps, loads_during_held_call: isHeld(recorded) ? during : null });
}

function isHeld(recorded: Recorded): boolean {
  return [recorded.results].flat().some((result) => result.loads_during_held_call !== null);
}

/** A row whose resources OpenSIPS skips is skipped here too. */
function usable({ id, group, resources }: Recorded["destinations"][number]): RowSketch[] {
  try {
    row({ id, group, resources });
    return [{ id, group, resources }];
  } catch (error) {
    assert.ok(error instanceof BalancerError);
    return [];
  }
}

function playStep(balancer: Balancer, call: CallLoad, text: string): Step {
  const [op = "", ...args] = text.split(":");
  const [first = "", second = "", third = "", fourth = ""] = args;
  const chosen = (rc: LbCode): Step => ({ op, rc, du_id: rc === 1 ? call.destination!.id : null, attrs: balancer.attrs(call) });
  const plain = (rc: LbCode): Step => ({ op, rc, du_id: null, attrs: "" });
  switch (op) {
    case "start":
      call.opened = true;
      return chosen(balancer.start(call, Number(first), second, third));
    case "start2":
      call.opened = true;
      return chosen(balancer.start(call, Number(first), second));
    case "son":
      call.opened = true;
      return chosen(balancer.startOrNext(call, Number(first), second, third));
    case "next":
      return chosen(balancer.next(call));
    case "reset":
      return plain(balancer.reset(call));
    case "started":
      return plain(balancer.isStarted(call) ? 1 : -1);
    case "disable":
      return plain(balancer.disableDestination(call));
    case "count":
    case "uncount":
      call.opened = true;
      return plain(balancer.countCall(call, first, Number(second), Number(third), fourth, op === "uncount"));
    case "isdst": {
      const found = balancer.isDestination(first, Number(second), Number(third), fourth === "1");
      return { op, rc: found ? 1 : -1, du_id: null, attrs: found?.attrs ?? "" };
    }
    default:
      return { op: text.slice(0, 2), rc: 1, du_id: null, attrs: "" };
  }
}

/** What is compared: the destination counts after a step that chooses one, the attributes where the recording shows them. */
function summary(result: Result): unknown {
  return {
    steps: result.steps.map(({ op, rc, du_id, attrs }) => {
      const chooses = ["start", "start2", "next", "son"].includes(op);
      const shown = chooses || op === "isdst";
      return { op, rc, id: chooses && rc === 1 ? du_id : null, attrs: shown && op !== "start2" && attrs !== "unset" ? attrs : "" };
    }),
    during: result.loads_during_held_call,
  };
}

function usageOf(balancer: Balancer): Usage {
  return Object.fromEntries(
    balancer.destinations().map((destination) => [
      String(destination.id),
      {
        enabled: balancer.isEnabled(destination) ? "yes" : "no",
        "auto-reenable": balancer.isAutoReenable(destination) ? "on" : "off",
        ...Object.fromEntries(destination.resources.map(({ name, cell }) => [name, [balancer.load(cell), balancer.maxLoad(cell)]])),
      },
    ]),
  ) as Usage;
}
