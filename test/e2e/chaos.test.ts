import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runKills } from "../chaos/kills.ts";
import { runChaos } from "../chaos/run.ts";

const SEED = 7;
/** Calls that change later than this before a kill may be lost: other tests run beside this one. `npm run test:kills` has the 50 ms that are promised. */
const WINDOW_MS = 400;
/** What nobody answers is given up sooner than by RFC 3261, as this has to be over soon. */
const GIVE_UP_MS = 6_000;

describe("Headroom, while everything goes wrong", { concurrency: true }, () => {
  it("counts after each kill what destinations have, and ends at zero", async (t) => {
    const wrong = await runKills({
      ...{ seed: SEED, kills: 2, callsPerSecond: 40, windowMs: WINDOW_MS, net: "127.0.82", holdMs: [500, 2_000] },
      ...{ betweenMs: [1_500, 2_000], pingIntervalS: 1, giveUpMs: GIVE_UP_MS, say: (text) => t.diagnostic(text) },
    });
    assert.deepEqual(wrong, []);
  });

  it("counts right once parties, network, disk and clock have failed as well, and ends at zero", async (t) => {
    const wrong = await runChaos({
      ...{ seed: SEED, seconds: 6, callsPerSecond: 15, net: "127.0.83", hasSipp: false, pingIntervalS: 1, ringingS: 2 },
      ...{ holdMs: [300, 2_000], giveUpMs: GIVE_UP_MS, say: (text) => t.diagnostic(text) },
    });
    assert.deepEqual(wrong, []);
  });
});
