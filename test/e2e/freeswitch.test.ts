import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FreeswitchFarm, type Media, PLAIN_FORMULA, type UpCall } from "../support/freeswitch-farm.ts";
import { waitFor } from "../support/net.ts";

async function withFarm(size: number, run: (farm: FreeswitchFarm) => Promise<void>, config = PLAIN_FORMULA): Promise<void> {
  const farm = await FreeswitchFarm.start(size, config);
  try {
    await farm.untilConnected();
    await run(farm);
  } finally {
    await farm.stop();
  }
}

/** The formula in its plainest form: OpenSIPS `lb_update_max_loads`. */
function capacityOf({ esl: { figures } }: Media, load: number): number {
  const { idleCpu, maxSessions, sessions } = figures;
  return Math.trunc((idleCpu / 100) * Math.min(maxSessions, maxSessions - (sessions - load)));
}

/** Where the next call belongs: the largest free slot, the first of equals. */
function bestOf(media: readonly Media[], loads: readonly number[]): number {
  const slots = media.map((one, i) => capacityOf(one, loads[i]!) - loads[i]!);
  return slots.indexOf(Math.max(...slots)) + 1;
}

describe("a farm of FreeSWITCHes", () => {
  it("has its initial load until heartbeats come, then what the formula makes of them, and calls follow their Idle-CPU", async () => {
    await withFarm(
      3,
      async (farm) => {
        assert.deepEqual(await farm.capacities(), [12, 12, 12]);
        assert.equal((await farm.destination(2)).freeswitch, "initial");
        const loads = [0, 0, 0];
        const up: UpCall[] = [];
        const rounds: [idleCpu: number[], foreignSessions: number[]][] = [
          [
            [90, 60, 30],
            [0, 40, 10],
          ],
          [
            [20, 95, 60],
            [0, 0, 0],
          ],
          [
            [50, 50, 50],
            [100, 3, 60],
          ],
        ];
        for (const [idleCpu, foreign] of rounds) {
          for (const [i, { esl }] of farm.media.entries()) {
            Object.assign(esl.figures, { maxSessions: 100, idleCpu: idleCpu[i], sessions: foreign[i]! + loads[i]! });
          }
          await farm.beat();
          assert.deepEqual(
            await farm.capacities(),
            farm.media.map((one, i) => capacityOf(one, loads[i]!)),
          );
          for (let n = 0; n < 12; n++) {
            const wanted = bestOf(farm.media, loads);
            const call = await farm.call();
            assert.equal(call.destination, wanted, `call ${n} with loads ${loads.join(", ")}`);
            loads[wanted - 1]! += 1;
            up.push(call);
          }
        }
        assert.deepEqual(await farm.headroom.loads(), loads);
        assert.equal((await farm.destination(1)).freeswitch, undefined, "there is nothing to say any more");
        for (const call of up) await call.hangUp();
        await farm.headroom.untilIdle();
      },
      PLAIN_FORMULA.replace("fetch_freeswitch_stats: true", "fetch_freeswitch_stats: true, initial_freeswitch_load: 12"),
    );
  });

  it("does not send all calls to the idle one until it tells how busy it is", async () => {
    await withFarm(
      2,
      async (farm) => {
        const [one, two] = farm.media.map(({ esl }) => esl.figures);
        Object.assign(one!, { maxSessions: 20, idleCpu: 100 });
        Object.assign(two!, { maxSessions: 20, idleCpu: 70 });
        await farm.beat();
        assert.deepEqual(await farm.capacities(), [20, 14]);
        const up: UpCall[] = [];
        for (let n = 0; n < 16; n++) up.push(await farm.call());
        const [first = 0, second = 0] = await farm.headroom.loads();
        assert.ok(second >= 6 && first >= second, `${first} and ${second}`);
        for (const call of up) await call.hangUp();
      },
      PLAIN_FORMULA.replace("predict: false", "predict: true"),
    );
  });

  it("counts sessions of others as load when that is asked for", async () => {
    await withFarm(
      1,
      async (farm) => {
        Object.assign(farm.media[0]!.esl.figures, { maxSessions: 100, idleCpu: 100, sessions: 97 });
        await farm.beat();
        const up = [await farm.call(), await farm.call(), await farm.call()];
        assert.deepEqual((await farm.destination(1)).Resources, [{ name: "calls", max: 100, load: 3, foreign_load: 97 }]);
        assert.equal((await farm.call()).status, 503);
        for (const call of up) await call.hangUp();
        await farm.headroom.untilIdle();
      },
      PLAIN_FORMULA.replace("predict: false", "predict: true, foreign_load: load"),
    );
  });

  it("503 Maximum Calls In Progress: the slot is closed until the next heartbeat, and nothing else happens to the server", async () => {
    const config = `${PLAIN_FORMULA.replace("disable_on: []", 'disable_on: ["503"]')}
health: { retry_after_max: 600, breaker: { window: 30, min_calls: 1, failure_ratio: 0.1 } }`;
    await withFarm(
      2,
      async (farm) => {
        const [full, other] = farm.media;
        for (const { esl } of farm.media) esl.figures.maxSessions = 50;
        other!.esl.figures.idleCpu = 50;
        await farm.beat();
        const held = await farm.call();
        assert.equal(held.destination, 1);
        full!.sip.answer = { status: 503, reason: "Maximum Calls In Progress", headers: ["Retry-After: 300"] };
        const saved = await farm.call();
        assert.equal(saved.destination, 2, "the call fails over");
        const { enabled, resting, breaker, Resources } = await farm.destination(1);
        assert.deepEqual(
          { enabled, resting, breaker, Resources },
          {
            enabled: "yes",
            resting: undefined,
            breaker: undefined,
            Resources: [{ name: "calls", max: 1, load: 1 }],
          },
        );
        full!.sip.answer = { status: 200 };
        const next = await farm.call();
        assert.equal(next.destination, 2);
        await held.hangUp();
        await waitFor("the load is given back", 3000, async () => (await farm.headroom.loads())[0] === 0);
        assert.deepEqual(
          (await farm.destination(1)).Resources,
          [{ name: "calls", max: 1, load: 0 }],
          "as many as there were then still fit",
        );
        await farm.beat([0]);
        assert.equal((await farm.capacities())[0], 50);
        assert.equal(await farm.statistic("freeswitch:refused_calls"), 1);
        assert.equal(await farm.statistic("health:failures_503"), 0);
        for (const call of [saved, next]) await call.hangUp();
      },
      config,
    );
  });

  it("a server without a feed that answers so is treated as any other", async () => {
    await withFarm(
      2,
      async (farm) => {
        const [one, two] = farm.media;
        await farm.headroom.replaceRows([
          { uri: one!.sip.uri, resources: "calls=50" },
          { uri: two!.sip.uri, resources: "calls=10" },
        ]);
        await waitFor("no connection is left", 5000, () => farm.media.every(({ esl }) => esl.openConnections === 0));
        one!.sip.answer = { status: 503, reason: "Maximum Calls In Progress" };
        const call = await farm.call();
        assert.equal(call.destination, 2);
        assert.equal((await farm.destination(1)).enabled, "no");
        await call.hangUp();
      },
      PLAIN_FORMULA.replace("disable_on: []", 'disable_on: ["503"]'),
    );
  });

  it("one that is paused, or shuts down, gets no calls, keeps those that it has, and comes back by itself", async () => {
    await withFarm(
      2,
      async (farm) => {
        const [one, two] = farm.media.map(({ esl }) => esl);
        two!.figures.idleCpu = 1;
        await farm.beat();
        const held = await farm.call();
        assert.equal(held.destination, 1);
        const stateOf = async () => (await farm.destination(1)).freeswitch;
        one!.figures.pausedInbound = true;
        await waitFor("paused", 5000, async () => (await stateOf()) === "paused");
        const elsewhere = await farm.call();
        assert.equal(elsewhere.destination, 2, "also with flag n");
        assert.equal((await farm.destination(1)).enabled, "yes");
        await farm.headroom.mi("lb_reload");
        assert.equal(await stateOf(), "paused", "a reload does not change that");
        one!.figures.pausedInbound = false;
        await waitFor("paused no more", 5000, async () => (await stateOf()) === undefined);
        one!.requestShutdown();
        await waitFor("leaving", 5000, async () => (await stateOf()) === "leaving");
        const third = await farm.call();
        assert.equal(third.destination, 2);
        one!.figures.leaving = false;
        await waitFor("there again", 5000, async () => (await stateOf()) === undefined);
        const fourth = await farm.call();
        assert.equal(fourth.destination, 1);
        await farm.headroom.untilLogged(/is paused, and gets no new calls/);
        for (const call of [held, elsewhere, third, fourth]) await call.hangUp();
        await farm.headroom.untilIdle();
      },
      PLAIN_FORMULA.replace("resources: calls,", "resources: calls, flags: n,"),
    );
  });

  it("stale statistics close a server when that is configured, and the next heartbeat opens it", async () => {
    await withFarm(
      1,
      async (farm) => {
        await farm.beat();
        await waitFor("stale", 8000, () => farm.headroom.log().includes("sends no heartbeats: its statistics are stale"));
        assert.equal((await farm.destination(1)).freeswitch, "stale");
        assert.equal((await farm.call()).status, 503);
        await farm.beat();
        const call = await farm.call();
        assert.equal(call.destination, 1);
        await call.hangUp();
      },
      PLAIN_FORMULA.replace("stale_heartbeats: 0", "stale_heartbeats: 2, heartbeat_interval: 1, stale_action: disable"),
    );
  });
});
