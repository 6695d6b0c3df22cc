import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SourceRates } from "../../src/overload/source-rates.ts";
import { FakeClock } from "../support/fake-clock.ts";

const UNIT_MS = 1_000;
const DENSITY = 5;
const SOURCES = 6;

function rates() {
  const clock = new FakeClock(10_000);
  const sources = new SourceRates(
    { unitMs: UNIT_MS, density: DENSITY, banMs: 3_000 },
    { seed: 7, nowMs: clock.now, isExempt: () => false, callsOf: () => 0, onBan: () => {} },
  );
  return { clock, sources };
}

const steps = fc.array(fc.record({ source: fc.nat(SOURCES - 1), waitMs: fc.oneof(fc.nat(50), fc.nat(600)) }), { maxLength: 400 });
const addressOf = (source: number): string => `203.0.113.${source}`;

/** The most requests within any stretch of a window's length. */
function densest(times: readonly number[]): number {
  let most = 0;
  for (const [i, from] of times.entries()) most = Math.max(most, times.slice(i).filter((at) => at < from + UNIT_MS).length);
  return most;
}

describe("rates of sources, whatever is sent", () => {
  it("never ban who keeps to the number in every stretch of a window's length", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { clock, sources } = rates();
        const times = new Map<number, number[]>();
        for (const { source, waitMs } of all) {
          clock.advance(waitMs);
          const sent = times.get(source) ?? [];
          times.set(source, sent);
          // Who keeps to the rate waits with what would be too much.
          if (densest([...sent.slice(-DENSITY), clock.nowMs]) > DENSITY) continue;
          sent.push(clock.nowMs);
          assert.equal(sources.request(addressOf(source)), true);
        }
        assert.equal(sources.banCount, 0);
      }),
      { numRuns: 300 },
    );
  });

  it("always ban who sends more than twice the number in a stretch of a window's length", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { clock, sources } = rates();
        const times = new Map<number, number[]>();
        const banned = new Set<number>();
        for (const { source, waitMs } of all) {
          clock.advance(waitMs);
          times.set(source, [...(times.get(source) ?? []), clock.nowMs]);
          if (!sources.request(addressOf(source))) banned.add(source);
        }
        for (const [source, sent] of times) if (densest(sent) > 2 * DENSITY) assert.ok(banned.has(source), `source ${source}`);
      }),
      { numRuns: 300 },
    );
  });

  it("hold the number of sources and bans within the table, for any mixture", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5_000), { maxLength: 3_000 }), (ids) => {
        const clock = new FakeClock(1);
        const sources = new SourceRates(
          { unitMs: UNIT_MS, density: 1, banMs: 3_000 },
          { seed: 3, nowMs: clock.now, isExempt: () => false, callsOf: () => 0, onBan: () => {}, maxSources: 64, maxBans: 16 },
        );
        for (const id of ids) {
          sources.request(`10.0.${id >> 8}.${id & 255}`);
          clock.advance(id % 3);
        }
        assert.ok(sources.sourceCount <= 64 && sources.banCount <= 16);
        clock.advance(10_000);
        sources.sweep();
        assert.equal(sources.banCount, 0);
      }),
      { numRuns: 100 },
    );
  });
});
