import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type DestinationOptions, parseDestinationOptions } from "../../src/balancer/index.ts";

const none = { shared: undefined, priority: 0, weight: 1, callsPerSecond: undefined };

describe("options in the attributes of a row", () => {
  const good: [attrs: string | undefined, want: Partial<DestinationOptions>][] = [
    [undefined, {}],
    ["", {}],
    ["id=3", {}],
    ["shared", {}],
    ["share of=a; wt=2; gps=1; cpus=8; ps=3; prio=1; heights=1; we1ght=2", {}],
    ["myshared=a", {}],
    ["prefix weight=2", {}],
    ["shared=fra-1.a_B", { shared: "fra-1.a_B" }],
    ["gw=fra1; shared = fra1 , weight=2;;priority= 3", { shared: "fra1", weight: 2, priority: 3 }],
    ["weight=0.01", { weight: 0.01 }],
    ["weight=100.00", { weight: 100 }],
    ["weight=1.5,weight2=9", { weight: 1.5 }],
    ["priority=1000", { priority: 1000 }],
    ["priority=007", { priority: 7 }],
    ["cps=0", { callsPerSecond: 0 }],
    ["cps=10000;note=a=b", { callsPerSecond: 10_000 }],
  ];
  for (const [attrs, want] of good) {
    it(`"${attrs}" says ${JSON.stringify(want)}`, () => {
      assert.deepEqual(parseDestinationOptions(attrs), { ...none, ...want, problems: [] });
    });
  }

  const bad: [attrs: string, want: Partial<DestinationOptions>, problem: string][] = [
    ["shared=", {}, 'shared "" must be 1 to 64 letters, digits, "_", "." or "-"'],
    ["shared=a b", {}, 'shared "a b" must be 1 to 64 letters, digits, "_", "." or "-"'],
    [`shared=${"a".repeat(65)}`, {}, `shared "${"a".repeat(60)}..." must be 1 to 64 letters, digits, "_", "." or "-"`],
    ["priority=-1", {}, 'priority "-1" must be a whole number from 0 to 1000'],
    ["priority=high", {}, 'priority "high" must be a whole number from 0 to 1000'],
    ["priority=1001", {}, 'priority "1001" must be a whole number from 0 to 1000'],
    ["weight=0", {}, 'weight "0" must be a number from 0.01 to 100 with at most two decimals'],
    ["weight=0.005", {}, 'weight "0.005" must be a number from 0.01 to 100 with at most two decimals'],
    ["weight=100.01", {}, 'weight "100.01" must be a number from 0.01 to 100 with at most two decimals'],
    ["weight=1e1", {}, 'weight "1e1" must be a number from 0.01 to 100 with at most two decimals'],
    ["cps=1.5", {}, 'cps "1.5" must be a whole number from 0 to 10000'],
    ["cps=10001", {}, 'cps "10001" must be a whole number from 0 to 10000'],
    ["weight=2; weight=3", { weight: 2 }, '"weight" stands twice; want each option once'],
    ["wieght=3", {}, '"wieght" is no option; want "weight" if that is meant'],
    ["site=fra; weigh = 3", {}, '"weigh" is no option; want "weight" if that is meant'],
    ["WEIGHT=2", {}, '"WEIGHT" is no option; want "weight" if that is meant'],
    ["share=a", {}, '"share" is no option; want "shared" if that is meant'],
    ["prioritty=1", {}, '"prioritty" is no option; want "priority" if that is meant'],
    ["csp=5; weight=2", { weight: 2 }, '"csp" is no option; want "cps" if that is meant'],
    ["cps=x, cps=3", {}, 'cps "x" must be a whole number from 0 to 10000'],
  ];
  for (const [attrs, want, problem] of bad) {
    it(`"${attrs}": ${problem}`, () => {
      const { problems, ...rest } = parseDestinationOptions(attrs);
      assert.deepEqual(rest, { ...none, ...want });
      assert.equal(problems[0], problem);
    });
  }

  it("are in range whatever the attributes hold", () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom("shared", "weight", "cps", "priority", "=", ";", ",", "1", "-", ".", " ", "9"))
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (attrs) => {
        const { shared, priority, weight, callsPerSecond } = parseDestinationOptions(attrs);
        assert.ok(shared === undefined || shared.length > 0);
        assert.ok(Number.isInteger(priority) && priority >= 0 && priority <= 1000);
        assert.ok(weight >= 0.01 && weight <= 100);
        assert.ok(callsPerSecond === undefined || (callsPerSecond >= 0 && callsPerSecond <= 10_000));
      }),
    );
  });
});
