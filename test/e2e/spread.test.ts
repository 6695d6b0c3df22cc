import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { loadsAfter, sharesOf } from "../support/largest-free-slot.ts";
import { waitFor } from "../support/net.ts";
import { runCaller, type Sipp, startCallee, startCaller } from "../support/sipp.ts";

const CALLER = "127.0.21.1";
const CALLEE = "127.0.21.2";
const CAPACITIES = [10, 20, 30, 40];

const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);

async function startFarm(size: number): Promise<Sipp[]> {
  return Promise.all(Array.from({ length: size }, () => startCallee({ scenario: "callee", address: CALLEE })));
}

describe("calls spread by the largest free slot", () => {
  let farm: Sipp[] = [];
  let headroom: Headroom;
  before(async () => {
    farm = await startFarm(CAPACITIES.length);
    headroom = await startHeadroom(
      "",
      farm.map(({ uri }, index) => ({ uri, resources: `pstn=${CAPACITIES[index]}` })),
    );
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all(farm.map((callee) => callee.stop()));
  });

  const target = (): string => `${headroom.address}:${headroom.port}`;

  async function untilLoad(calls: number): Promise<number[]> {
    let loads: number[] = [];
    await waitFor(`${calls} calls are counted`, 5_000, async () => {
      loads = await headroom.loads();
      return total(loads) === calls;
    }).catch((error: unknown) => assert.fail(`${String(error)}: loads ${loads.join(", ")}`));
    return loads;
  }

  for (const calls of [1, 11, 30, 60, 61, 75]) {
    it(`holds ${calls} calls as the formula says, and counts zero afterwards`, async () => {
      const caller = await startCaller({ scenario: "caller", address: CALLER, target: target(), calls, rate: 200, holdMs: 2_000 });
      assert.deepEqual(await untilLoad(calls), loadsAfter(CAPACITIES, calls));
      const { successful, failed, errors } = await caller.ended;
      assert.deepEqual({ successful, failed, errors }, { successful: calls, failed: 0, errors: "" });
      await headroom.untilIdle();
    });
  }

  it("fills every destination to its capacity and answers 503 to the next call (-2), which counts nowhere", async () => {
    const caller = await startCaller({ scenario: "caller", address: CALLER, target: target(), calls: 100, rate: 200, holdMs: 4_000 });
    assert.deepEqual(await untilLoad(100), CAPACITIES);
    const refused = await runCaller({ scenario: "caller-rejected", address: CALLER, target: target(), calls: 3, status: 503 });
    assert.deepEqual([refused.successful, refused.errors], [3, ""]);
    assert.deepEqual(await headroom.loads(), CAPACITIES);
    assert.equal((await caller.ended).successful, 100);
    await headroom.untilIdle();
  });

  it("passes over a destination that lb_status has disabled, until it is enabled again", async () => {
    await headroom.mi("lb_status", [4, 0]);
    const caller = await startCaller({ scenario: "caller", address: CALLER, target: target(), calls: 12, rate: 200, holdMs: 1_000 });
    assert.deepEqual(await untilLoad(12), [...loadsAfter([10, 20, 30], 12), 0]);
    assert.equal((await caller.ended).successful, 12);
    await headroom.mi("lb_status", { destination_id: 4, new_status: 1 });
    await headroom.untilIdle();
  });

  it("weighs with the capacity that lb_resize has set", async () => {
    await headroom.mi("lb_resize", [1, "pstn", 50]);
    const caller = await startCaller({ scenario: "caller", address: CALLER, target: target(), calls: 14, rate: 200, holdMs: 1_000 });
    assert.deepEqual(await untilLoad(14), loadsAfter([50, 20, 30, 40], 14));
    assert.equal((await caller.ended).successful, 14);
    await headroom.mi("lb_resize", [1, "pstn", 10]);
    await headroom.untilIdle();
  });

  it("keeps the loads of calls over a reload of the table", async () => {
    const caller = await startCaller({ scenario: "caller", address: CALLER, target: target(), calls: 30, rate: 200, holdMs: 2_000 });
    const loads = await untilLoad(30);
    await headroom.mi("lb_reload");
    assert.deepEqual(await headroom.loads(), loads);
    assert.equal((await caller.ended).successful, 30);
    await headroom.untilIdle();
  });
});

describe("a call that needs two resources goes by the scarcer one", () => {
  it("takes the destination whose scarcest resource has the larger free slot, and counts both", async () => {
    const farm = await startFarm(2);
    const [a, b] = farm.map(({ uri }) => uri) as [string, string];
    const headroom = await startHeadroom('routing: { rules: [{ group: 2, resources: "transcoding;conference" }] }', [
      { group: 2, uri: a, resources: "transcoding=10;conference=2" },
      { group: 2, uri: b, resources: "transcoding=5;conference=5" },
      { group: 1, uri: a, resources: "transcoding=900;conference=900" },
    ]);
    try {
      const target = `${headroom.address}:${headroom.port}`;
      // Free slots 2 and 5: three calls to the second, then (2 and 2) one each in turn, the first of equals before the other.
      const caller = await startCaller({ scenario: "caller", address: CALLER, target, calls: 5, rate: 200, holdMs: 1_000 });
      await waitFor("5 calls are counted", 3_000, async () => total(await headroom.loads()) === 5);
      const loads = (await headroom.list()).map(({ Resources }) => Resources.map(({ load }) => load));
      assert.deepEqual(loads, [
        [1, 1],
        [4, 4],
        [0, 0],
      ]);
      assert.equal((await caller.ended).successful, 5);
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await Promise.all(farm.map((callee) => callee.stop()));
    }
  });
});

describe("1,000 calls at 100 a second over destinations of 10, 20, 30 and 40 calls", () => {
  const CALLS = 1_000;
  const INTERVAL_MS = 10;
  const TOLERANCE_CALLS = 45; // sipp sends its calls in small bursts, and a busy machine stretches some of them

  // By absolute slots the smallest destination comes into play only above 60 calls at a time, hence the longer hold time.
  const cases = [
    { name: "by free calls", flags: "", relative: false, holdMs: 750 },
    { name: "by free percentage (flag r)", flags: "r", relative: true, holdMs: 500 },
  ];
  for (const { name, flags, relative, holdMs } of cases) {
    it(`gives each its share ${name}, without one failure, and every load is 0 at the end`, async () => {
      const farm = await startFarm(CAPACITIES.length);
      const headroom = await startHeadroom(
        `routing: { rules: [{ group: 1, resources: pstn, flags: "${flags}" }] }`,
        farm.map(({ uri }, index) => ({ uri, resources: `pstn=${CAPACITIES[index]}` })),
      );
      try {
        const target = `${headroom.address}:${headroom.port}`;
        const caller = await runCaller({
          scenario: "caller",
          address: CALLER,
          target,
          calls: CALLS,
          rate: 1000 / INTERVAL_MS,
          holdMs,
          timeoutMs: 60_000,
        });
        assert.deepEqual([caller.successful, caller.failed, caller.errors], [CALLS, 0, ""]);
        await headroom.untilIdle();
        assert.deepEqual(await headroom.loads(), [0, 0, 0, 0]);

        const answered = await Promise.all(farm.map((callee) => callee.stop()));
        const shares = answered.map(({ successful }) => successful);
        assert.equal(total(shares), CALLS);
        const wanted = sharesOf(CAPACITIES, CALLS, INTERVAL_MS, holdMs, relative);
        shares.forEach((share, index) => {
          const want = wanted[index] as number;
          assert.ok(share > 0 && Math.abs(share - want) <= TOLERANCE_CALLS, `shares ${shares.join(", ")}: want about ${wanted.join(", ")}`);
        });
      } finally {
        await headroom.stop();
        await Promise.all(farm.map((callee) => callee.kill()));
      }
    });
  }
});
