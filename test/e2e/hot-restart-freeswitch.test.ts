import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { FakeFreeswitch } from "../support/fake-freeswitch.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";

describe("what FreeSWITCHes have told", () => {
  let headroom: Headroom | undefined;
  const servers: FakeFreeswitch[] = [];
  after(async () => {
    await headroom?.stop();
    for (const server of servers) await server.stop();
  });

  it("holds through a restart without a stop, until the new process hears it: capacities, and that one is paused", async () => {
    const [freeswitch, paused] = [await FakeFreeswitch.start(), await FakeFreeswitch.start()];
    servers.push(freeswitch, paused);
    freeswitch.figures.maxSessions = 10;
    paused.figures.maxSessions = 20;
    const running = await startHeadroom("{ load_balancer: { fetch_freeswitch_stats: true }, freeswitch: { status_interval: 1 } }", [
      { uri: "sip:127.0.0.1:9", resources: `pstn=${freeswitch.url}` },
      { uri: "sip:127.0.0.1:7", resources: `pstn=${paused.url}` },
    ]);
    headroom = running;
    const capacities = async (): Promise<(number | undefined)[]> => (await running.list()).map(({ Resources }) => Resources[0]?.max);
    const become = (...wanted: readonly number[]): Promise<unknown> =>
      waitFor(`capacities of ${wanted}`, MESSAGE_TIMEOUT_MS, async () => {
        for (const server of servers) server.beat();
        return (await capacities()).join() === wanted.join();
      });
    await become(10, 20);
    paused.figures.pausedInbound = true;
    await become(10, 0);
    await running.restartHot();
    assert.deepEqual(await capacities(), [10, 0]);
    freeswitch.figures.maxSessions = 8;
    await waitFor("the new process hears of one", MESSAGE_TIMEOUT_MS, async () => {
      for (const server of servers) server.beat();
      const [first, second] = await capacities();
      assert.equal(second, 0, "at no moment does the one that is paused get calls");
      return first === 8;
    });
    paused.figures.pausedInbound = false;
    await become(8, 20);
  });
});
