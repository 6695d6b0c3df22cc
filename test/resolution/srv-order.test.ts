import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Address } from "../../src/balancer/index.ts";
import { drawByWeight, FAILED_MS, FailedAddresses, orderAddresses } from "../../src/resolution/index.ts";
import { below, seededRandom } from "../support/random.ts";

function address(name: string, priority: number, weight: number, entry: number): Address {
  return { ip: name, port: 5060, transport: "udp", srv: { entry, priority, weight } };
}

describe("RFC 2782, Weight", () => {
  const draw = below(seededRandom(4711));
  /** How often each entry comes first of 20,000 times, in percent. */
  function firsts(...weights: number[]): number[] {
    const counts = weights.map(() => 0);
    for (let i = 0; i < 20_000; i++) {
      const [first] = drawByWeight(
        weights.map((weight, at) => ({ weight, at })),
        draw,
      );
      counts[first!.at]!++;
    }
    return counts.map((count) => count / 200);
  }
  function assertNear(found: readonly number[], want: readonly number[]): void {
    for (const [i, percent] of want.entries()) assert.ok(Math.abs(found[i]! - percent) < 1.5, `${found} is not near ${want}`);
  }

  it("draws in proportion to the weights", () => assertNear(firsts(60, 20, 20), [60, 20, 20]));
  it("draws equals equally often", () => assertNear(firsts(100, 100, 100, 100), [25, 25, 25, 25]));
  it("draws an entry without weight hardly ever while others have some", () => assertNear(firsts(0, 1000), [0.1, 99.9]));
  it("draws equally often when none has a weight: the second server is there to be used", () => assertNear(firsts(0, 0), [50, 50]));
  it("is true to the smallest weights", () => {
    assertNear(firsts(1, 1), [50, 50]);
    assertNear(firsts(2, 1, 1), [50, 25, 25]);
  });
  it("bears the largest weights", () => assertNear(firsts(65_535, 65_535), [50, 50]));

  it("draws the second of the rest in proportion as well", () => {
    const seconds = { b: 0, c: 0 };
    for (let i = 0; i < 20_000; i++) {
      const order = orderAddresses([address("a", 1, 1000, 0), address("b", 1, 30, 1), address("c", 1, 10, 2)], draw);
      if (order[0]?.ip === "a") seconds[order[1]!.ip as "b" | "c"]++;
    }
    const share = (100 * seconds.b) / (seconds.b + seconds.c);
    assert.ok(Math.abs(share - 75) < 1.5, `${share} is not near 75`);
  });

  it("each is drawn once, and the last one without chance", () => {
    const asked: number[] = [];
    const order = drawByWeight([{ weight: 3 }, { weight: 0 }, { weight: 2 }], (n) => {
      asked.push(n);
      return n - 1;
    });
    assert.deepEqual(order, [{ weight: 2 }, { weight: 0 }, { weight: 3 }]);
    assert.deepEqual(asked, [321, 193]);
  });
});

describe("orderAddresses()", () => {
  it("never draws a higher priority before a lower one, and keeps the addresses of a record together", () => {
    const draw = below(seededRandom(7));
    const all = [address("b1", 20, 9, 2), address("a1", 10, 5, 0), address("a2", 10, 5, 0), address("c1", 10, 5, 1)];
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++)
      seen.add(
        orderAddresses(all, draw)
          .map(({ ip }) => ip)
          .join(" "),
      );
    assert.deepEqual([...seen].sort(), ["a1 a2 c1 b1", "c1 a1 a2 b1"]);
  });
  it("leaves addresses without SRV records as they are, the same object, without chance", () => {
    const all: Address[] = [
      { ip: "192.0.2.2", port: 5060, transport: "udp" },
      { ip: "192.0.2.1", port: 5060, transport: "udp" },
    ];
    assert.equal(
      orderAddresses(all, () => assert.fail("nothing is drawn")),
      all,
    );
  });
});

describe("FailedAddresses", () => {
  it("puts those last that failed lately, and forgets that after 32 seconds", () => {
    let nowMs = 0;
    const failed = new FailedAddresses(() => nowMs);
    const all = ["a", "b", "c"].map((ip): Address => ({ ip, port: 5060, transport: "udp" }));
    const order = () =>
      failed
        .last(all)
        .map(({ ip }) => ip)
        .join("");
    assert.equal(failed.last(all), all);
    failed.add(all[0]!);
    assert.equal(order(), "bca");
    failed.add(all[1]!);
    failed.add(all[2]!);
    assert.equal(order(), "abc");
    nowMs = FAILED_MS;
    assert.equal(order(), "abc");
    failed.add({ ip: "a", port: 5061, transport: "udp" });
    assert.equal(failed.last(all), all);
  });
  it("remembers a thousand at most", () => {
    const failed = new FailedAddresses(() => 0);
    const all = Array.from({ length: 1_001 }, (_, i): Address => ({ ip: `h${i}`, port: 1, transport: "udp" }));
    for (const one of all) failed.add(one);
    assert.equal(failed.last(all)[0]?.ip, "h0");
  });
});
