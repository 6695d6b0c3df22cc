import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runKills } from "../chaos/kills.ts";
import { runChaos } from "../chaos/run.ts";

/** Other tests run beside this one: what `npm run test:chaos` asks for, with more patience (docs/chaos.md). */
const WINDOW_MS = 400;
const SEED = 20_260_722;

describe("Headroom, killed during calls", () => {
  it("counts after each restart what destinations have, and ends at zero", async (t) => {
    const wrong = await runKills({
      ...{ seed: SEED, kills: 2, callsPerSecond: 60, windowMs: WINDOW_MS, net: "127.0.82", holdMs: [1_000, 3_000] },
      ...{ betweenMs: [1_500, 2_000], pingIntervalS: 2, say: (text) => t.diagnostic(text) },
    });
    assert.deepEqual(wrong, []);
  });

  it("counts right when parties, network, disk and clock fail as well", async (t) => {
    const wrong = await runChaos({
      ...{ seed: SEED, seconds: 6, callsPerSecond: 20, net: "127.0.83", hasSipp: false, pingIntervalS: 1 },
      ...{ holdMs: [300, 2_000], say: (text) => t.diagnostic(text) },
    });
    assert.deepEqual(wrong, []);
  });
});
