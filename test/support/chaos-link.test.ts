import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChaosLink, PERFECT } from "./chaos-link.ts";
import { seededRandom } from "./random.ts";

/** What arrives when so many numbers are sent, in the order of arrival. */
function sent(link: ChaosLink, count: number): number[] {
  const arrived: number[] = [];
  for (let number = 0; number < count; number++) link.carry(() => arrived.push(number));
  return arrived;
}

describe("a link of a bad network", () => {
  it("carries everything at once, in its order, while nothing is wrong", () => {
    assert.deepEqual(sent(new ChaosLink(seededRandom(1)), 4), [0, 1, 2, 3]);
  });

  it("loses and repeats shares of what is sent, the same ones for the same seed", () => {
    const run = (): number[] => sent(new ChaosLink(seededRandom(3), { ...PERFECT, loss: 0.1, duplication: 0.2 }), 10_000);
    const arrived = run();
    const different = new Set(arrived).size;
    assert.deepEqual(run(), arrived);
    assert.ok(different > 8_800 && different < 9_200, `${different} of 10,000 arrived`);
    const copies = arrived.length - different;
    assert.ok(copies > 1_600 && copies < 2_000, `${copies} copies arrived`);
  });

  it("lets what is sent later overtake", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const arrived = sent(new ChaosLink(seededRandom(5), { ...PERFECT, reordering: 0.3 }), 100);
    assert.ok(arrived.length < 100);
    t.mock.timers.tick(100);
    assert.equal(arrived.length, 100);
    assert.notDeepEqual(
      arrived,
      arrived.toSorted((a, b) => a - b),
    );
  });

  it("holds everything, and lets it go in its order and in portions", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const link = new ChaosLink(seededRandom(1));
    link.hold();
    const arrived = sent(link, 10);
    assert.equal(arrived.length, 0);
    link.release();
    link.carry(() => arrived.push(10));
    assert.deepEqual(arrived, [0, 1, 2]);
    link.hold();
    t.mock.timers.tick(1_000);
    assert.deepEqual(arrived, [0, 1, 2]);
    link.release();
    for (let portion = 0; portion < 3; portion++) t.mock.timers.tick(5);
    assert.deepEqual(arrived, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.equal(link.isHeld, false);
  });

  it("drops what is on its way", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const link = new ChaosLink(seededRandom(1), { ...PERFECT, delayMs: 50 });
    const arrived = sent(link, 10);
    link.drop();
    t.mock.timers.tick(1_000);
    assert.deepEqual(arrived.length, arrived.filter((number) => number < 10).length);
    const before = arrived.length;
    t.mock.timers.tick(1_000);
    assert.equal(arrived.length, before);
    link.close();
    assert.deepEqual(sent(link, 3), []);
  });
});
