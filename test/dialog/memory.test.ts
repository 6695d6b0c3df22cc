import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DialogFlag } from "../../src/dialog/index.ts";
import { QuietProxy } from "../support/quiet-proxy.ts";

const CALLS = 2_500;
const WARM_UP_CALLS = 1_500;
/** Of simulated time: all timers of RFC 3261 §17 are over. */
const REST_MS = 70_000;
/** What may be kept of a call that is up, its leases, timer, places in indexes and what its keeper knows of it among that. Measured: 1,010. */
const MAX_BYTES = 1_100;
/** More for a call whose parties are pinged. */
/** Of making and ending all calls. */
const ROUNDS = 6;
const MAX_PING_BYTES = 900;
/** More while its transactions last, for 32 s. Measured: 3,000. */
const MAX_TRANSACTION_BYTES = 4_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heapBytes(): number {
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage().heapUsed;
}

/** A proxy that keeps calls, has its code compiled and holds some. */
async function warm(flags: number): Promise<QuietProxy> {
  const proxy = new QuietProxy([]);
  for (let number = 0; number < WARM_UP_CALLS; number++) proxy.begin({ number, flags });
  await proxy.pass(1_000);
  return proxy;
}

/** Bytes for each of many calls: while their transactions last, and later. */
async function bytesOf(flags = 0): Promise<{ meanwhile: number; atRest: number }> {
  const proxy = await warm(flags);
  const isPinged = flags !== 0;
  if (!isPinged) await proxy.pass(REST_MS); // nobody answers pings here
  const before = heapBytes();
  for (let number = WARM_UP_CALLS; number < WARM_UP_CALLS + CALLS; number++) proxy.begin({ number, flags });
  await proxy.pass(1_000);
  const meanwhile = (heapBytes() - before) / CALLS;
  if (!isPinged) await proxy.pass(REST_MS);
  assert.deepEqual([proxy.dialogs.size, proxy.load], [WARM_UP_CALLS + CALLS, WARM_UP_CALLS + CALLS]);
  return { meanwhile, atRest: (heapBytes() - before) / CALLS };
}

describe("memory of an ongoing call", () => {
  it(`is less than ${MAX_BYTES} bytes, and less than ${MAX_BYTES + MAX_TRANSACTION_BYTES} with its transactions`, async (t) => {
    const { meanwhile, atRest } = await bytesOf();
    t.diagnostic(`${atRest.toFixed(0)} bytes a call, ${meanwhile.toFixed(0)} with its transactions`);
    assert.ok(atRest < MAX_BYTES, `${atRest} bytes`);
    assert.ok(meanwhile < MAX_BYTES + MAX_TRANSACTION_BYTES, `${meanwhile} bytes with its transactions`);
  });

  it(`is less than ${MAX_PING_BYTES} bytes more when its parties are pinged`, async (t) => {
    const [plain, pinged] = [await bytesOf(), await bytesOf(DialogFlag.OptionsPingCaller | DialogFlag.OptionsPingCallee)];
    const more = pinged.meanwhile - plain.meanwhile;
    t.diagnostic(`${more.toFixed(0)} bytes more`);
    assert.ok(more < MAX_PING_BYTES, `${more} bytes more`);
  });

  it("is given back when it ends: nothing is left of thousands", async (t) => {
    const proxy = new QuietProxy([]);
    const ways: QuietProxy["way"][] = [];
    const after: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (let number = 0; number < CALLS; number++) {
        proxy.begin({ number });
        ways[number] = proxy.way;
      }
      await proxy.pass(REST_MS);
      for (let number = 0; number < CALLS; number++) proxy.end({ number }, ways[number]);
      ways.length = 0;
      await proxy.pass(REST_MS);
      assert.deepEqual([proxy.dialogs.size, proxy.dialogs.places, proxy.load, proxy.layer.serverCount], [0, 0, 0, 0]);
      after.push(heapBytes());
    }
    // Tables grow and shrink from one round to the next: what is left of every call is told by several.
    const left = (after.at(-1)! - after[0]!) / ((ROUNDS - 1) * CALLS);
    t.diagnostic(`${left.toFixed(0)} bytes a call are left`);
    assert.ok(left < 100, `${left} bytes a call are left`); // tables that have grown
  });
});
