import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FreeswitchFarm, PLAIN_FORMULA } from "../support/freeswitch-farm.ts";
import { waitFor } from "../support/net.ts";

async function withFarm(size: number, run: (farm: FreeswitchFarm) => Promise<void>): Promise<void> {
  const farm = await FreeswitchFarm.start(size, PLAIN_FORMULA);
  try {
    await farm.untilConnected();
    await run(farm);
  } finally {
    await farm.stop();
  }
}

describe("rows that name FreeSWITCHes", () => {
  it("a row that goes while its connection is up takes the connection along, and its calls go on", async () => {
    await withFarm(2, async (farm) => {
      const [one, two] = farm.media;
      two!.esl.figures.idleCpu = 1;
      await farm.beat();
      const call = await farm.call();
      assert.equal(call.destination, 1);
      await farm.headroom.replaceRows([{ uri: two!.sip.uri, resources: `calls=${two!.esl.url}` }]);
      one!.esl.beat(); // it may cross the end of the connection
      await waitFor("the connection ends", 5000, () => one!.esl.openConnections === 0);
      assert.equal(one!.esl.commands.at(-1), "exit");
      assert.equal((await farm.freeswitches()).length, 1);
      await call.hangUp();
      await farm.headroom.untilIdle();
      assert.equal(await farm.statistic("load_balancer:faults"), 0);
      // The counters of the connection that is no more stay counted.
      assert.ok((await farm.statistic("freeswitch:ready")) >= 2);
      assert.equal(two!.esl.connections, 1, "the other one noticed nothing");
    });
  });

  it("a row that comes back is connected anew, and has its initial load until a heartbeat comes", async () => {
    await withFarm(1, async (farm) => {
      const { esl, sip } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [30]);
      await farm.headroom.replaceRows([{ uri: sip.uri, resources: "calls=7" }]);
      assert.deepEqual(await farm.capacities(), [7]);
      await farm.headroom.replaceRows([{ uri: sip.uri, resources: `calls=${esl.url}` }]);
      assert.deepEqual(await farm.capacities(), [1000]);
      await farm.untilConnected();
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [30]);
      // The same number as the initial load, and no feed: what was told before does not stay.
      await farm.headroom.replaceRows([{ uri: sip.uri, resources: "calls=1000" }]);
      assert.deepEqual(await farm.capacities(), [1000]);
    });
  });

  it("a changed password connects anew, and what is known of the server stays", async () => {
    await withFarm(1, async (farm) => {
      const { esl, sip } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.beat();
      esl.password = "another";
      await farm.headroom.replaceRows([{ uri: sip.uri, resources: `calls=${esl.url}` }]);
      assert.deepEqual(await farm.capacities(), [30]);
      await waitFor("the new password", 5000, () => esl.commands.includes("auth another"));
      await waitFor("one connection", 5000, () => esl.openConnections === 1 && esl.subscribers === 1);
      esl.figures.maxSessions = 20;
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [20]);
    });
  });

  it("two rows with the same FreeSWITCH share one connection, and see each other's calls", async () => {
    await withFarm(1, async (farm) => {
      const { esl, sip } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.headroom.replaceRows([
        { uri: sip.uri, resources: `calls=${esl.url};conf=3` },
        { group: 2, uri: sip.uri, resources: `calls=${esl.url};video=${esl.url}` },
      ]);
      await farm.beat();
      assert.equal(esl.connections, 1);
      const rows = (await farm.headroom.list()).map(({ Resources }) => Resources.map(({ name, max }) => `${name}=${max}`).join(" "));
      assert.deepEqual(rows, ["calls=30 conf=3", "calls=30 video=30"]);
      const [call, other] = [await farm.call(), await farm.call()];
      esl.figures.sessions = 2;
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [30, 28], "to the other row they are calls of others");
      assert.equal((await farm.freeswitches())[0]?.["destinations"], "1,2");
      for (const one of [call, other]) await one.hangUp();
    });
  });

  it("rows of a pool have one capacity", async () => {
    await withFarm(1, async (farm) => {
      const { esl, sip } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.headroom.replaceRows([
        { uri: sip.uri, resources: `calls=${esl.url}`, attrs: "shared=fs1" },
        { group: 2, uri: sip.uri, resources: `calls=${esl.url}`, attrs: "shared=fs1" },
      ]);
      const call = await farm.call();
      esl.figures.sessions = 1;
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [30, 30]);
      assert.deepEqual(await farm.headroom.loads(), [1, 1]);
      assert.equal((await farm.freeswitches())[0]?.["calls"], 1);
      await call.hangUp();
      await farm.headroom.untilIdle();
    });
  });

  it("lb_resize holds until the next heartbeat, whatever is computed in between", async () => {
    await withFarm(1, async (farm) => {
      const { esl } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.beat();
      await farm.headroom.mi("lb_resize", [1, "calls", 5]);
      const call = await farm.call();
      await new Promise((resolve) => setTimeout(resolve, 1500)); // longer than event_heartbeat_interval
      await farm.headroom.mi("lb_reload");
      assert.deepEqual(await farm.capacities(), [5]);
      esl.figures.sessions = 1;
      await farm.beat();
      assert.deepEqual(await farm.capacities(), [30]);
      await call.hangUp();
    });
  });
});
