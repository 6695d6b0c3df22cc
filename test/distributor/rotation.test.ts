import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Distributor, type ListSpec, MAX_WEIGHT } from "../../src/distributor/index.ts";

const nodeNames = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
const listOf = (weights: readonly number[]): ListSpec => ({ name: "l", nodes: weights.map((weight, i) => ({ name: `n${i}`, weight })) });
const distributorOf = (weights: readonly number[], isUsable = (_: string) => true) => new Distributor({ isUsable }, [listOf(weights)]);
const weightLists = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

/**
 * The rotation as the source of mod_distributor computes it: counters that grow from `target - weight` to `target`, looked at from the head each time.
 * Undefined when it gives up after 1000 looks.
 */
class Oracle {
  readonly #target: number;
  readonly #initial: readonly number[];
  #current: number[];
  #last = -1;

  constructor(weights: readonly number[]) {
    this.#target = sum(weights);
    this.#initial = weights.map((weight) => this.#target - weight);
    this.#current = [...this.#initial];
  }

  next(excluded: ReadonlySet<string>): string | undefined {
    for (let looks = 1; looks <= 1000; looks++) {
      const below = this.#current.flatMap((counter, i) => (counter < this.#target ? [i] : []));
      const found = below.find((i) => i > this.#last);
      if (found !== undefined) {
        this.#current[found]!++;
        this.#last = found;
        if (!excluded.has(`n${found}`)) return `n${found}`;
        if (below.length === 1) this.#reset();
      } else if (below.length > 0) this.#last = -1;
      else this.#reset();
    }
    return undefined;
  }

  #reset(): void {
    this.#current = [...this.#initial];
    this.#last = -1;
  }
}

describe("the rotation", () => {
  it("gives each node exactly its weight in each round", () => {
    fc.assert(
      fc.property(weightLists, fc.integer({ min: 1, max: 3 }), (weights, rounds) => {
        const distributor = distributorOf(weights);
        for (let round = 0; round < rounds; round++) {
          const picks = Array.from({ length: sum(weights) }, () => distributor.next("l"));
          assert.deepEqual(
            nodeNames(weights.length).map((name) => picks.filter((pick) => pick === name).length),
            weights,
          );
        }
      }),
    );
  });

  it("is that of mod_distributor for any weights and any exceptions, that change from call to call, also when all are excluded", () => {
    const exceptions = fc.array(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 8 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(weightLists, exceptions, (weights, calls) => {
        const distributor = distributorOf(weights);
        const oracle = new Oracle(weights);
        for (const call of calls) {
          const excluded = call.map((i) => `n${i}`);
          assert.equal(distributor.next("l", excluded), oracle.next(new Set(excluded)));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("never chooses an exception, and always another node while there is one", () => {
    const cases = fc.record({ weights: weightLists, excluded: fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 8 }) });
    fc.assert(
      fc.property(cases, ({ weights, excluded }) => {
        const distributor = distributorOf(weights);
        const names = excluded.map((i) => `n${i}`);
        const left = nodeNames(weights.length).filter((name) => !names.includes(name));
        for (let i = 0; i < 20; i++) {
          const pick = distributor.next("l", names);
          assert.equal(left.length > 0, pick !== undefined);
          if (pick !== undefined) assert.ok(left.includes(pick));
        }
      }),
    );
  });

  it("passes over what is down as over an exception", () => {
    fc.assert(
      fc.property(weightLists, fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 6 }), (weights, down) => {
        const names = down.map((i) => `n${i}`);
        const byHealth = distributorOf(weights, (name) => !names.includes(name));
        const byException = distributorOf(weights);
        for (let i = 0; i < 40; i++) assert.equal(byHealth.next("l"), byException.next("l", names));
      }),
    );
  });

  it("depends on nothing but the weights and what was asked before", () => {
    fc.assert(
      fc.property(weightLists, (weights) => {
        const [one, other] = [distributorOf(weights), distributorOf(weights)];
        for (let i = 0; i < 50; i++) assert.equal(one.next("l"), other.next("l"));
      }),
    );
  });

  it("finds a node that mod_distributor gives up on: others, which are excluded, have more turns than it looks at", () => {
    const weights = [1, 5000, 5000];
    const oracle = new Oracle(weights);
    const distributor = distributorOf(weights);
    const excluded = ["n1", "n2"];
    assert.deepEqual([oracle.next(new Set(excluded)), distributor.next("l", excluded)], ["n0", "n0"]);
    assert.deepEqual([oracle.next(new Set(excluded)), distributor.next("l", excluded)], [undefined, "n0"]);
  });

  it("finds the only usable node of a thousand, and gives up on a thousand at once", () => {
    const weights = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? MAX_WEIGHT : 1));
    let usable = "n999";
    const distributor = distributorOf(weights, (name) => name === usable);
    for (let i = 0; i < 5; i++) assert.equal(distributor.next("l"), "n999");
    usable = "";
    assert.equal(distributor.next("l"), undefined);
  });

  it("starts anew with a reload, also when nothing changed", () => {
    const distributor = distributorOf([2, 3]);
    assert.deepEqual(
      [1, 2, 3].map(() => distributor.next("l")),
      ["n0", "n1", "n0"],
    );
    assert.equal(distributor.reload([listOf([2, 3])]), true);
    assert.equal(distributor.next("l"), "n0");
  });
});
