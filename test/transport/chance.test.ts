import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { below, RandomTokens } from "../../src/transport/chance.ts";

describe("RandomTokens.token()", () => {
  const tokens = new RandomTokens();
  const drawn = Array.from({ length: 50_000 }, () => tokens.token());

  it("never repeats one, also between two sources", () => {
    const others = new RandomTokens();
    const all = new Set([...drawn, ...Array.from({ length: 50_000 }, () => others.token())]);
    assert.equal(all.size, 100_000);
  });

  it("has 16 characters, 96 bits, all legal in a SIP token (RFC 3261 §25.1)", () => {
    for (const token of drawn) assert.match(token, /^[A-Za-z0-9_-]{16}$/);
  });

  it("uses every character in every place about equally often", () => {
    const expected = drawn.length / 64;
    for (let place = 0; place < 16; place++) {
      const counts = new Map<string, number>();
      for (const token of drawn) counts.set(token[place]!, (counts.get(token[place]!) ?? 0) + 1);
      assert.equal(counts.size, 64);
      for (const [character, count] of counts)
        assert.ok(Math.abs(count - expected) < expected / 3, `"${character}" stands ${count} times at place ${place}`);
    }
  });
});

describe("below()", () => {
  it("gives every whole number from 0 to n-1, and nothing else", () => {
    for (const n of [1, 2, 3, 10]) {
      const seen = new Set(Array.from({ length: 1_000 }, () => below(n)));
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        Array.from({ length: n }, (_, i) => i),
      );
    }
  });
});
