import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { FakeFreeswitch } from "../support/fake-freeswitch.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";

describe("capacities that a FreeSWITCH has told", () => {
  let headroom: Headroom | undefined;
  let esl: FakeFreeswitch | undefined;
  after(async () => {
    await headroom?.stop();
    await esl?.stop();
  });

  it("hold through a restart without a stop, and until the new process hears a heartbeat", async () => {
    const freeswitch = await FakeFreeswitch.start();
    esl = freeswitch;
    freeswitch.figures.maxSessions = 10;
    const running = await startHeadroom("{ load_balancer: { fetch_freeswitch_stats: true } }", [
      { uri: "sip:127.0.0.1:9", resources: `pstn=${freeswitch.url}` },
    ]);
    headroom = running;
    const capacity = async (): Promise<number | undefined> => (await running.list())[0]?.Resources[0]?.max;
    const becomes = (wanted: number): Promise<unknown> =>
      waitFor(`a capacity of ${wanted}`, MESSAGE_TIMEOUT_MS, async () => {
        freeswitch.beat();
        return (await capacity()) === wanted;
      });
    await becomes(10);
    await running.restartHot();
    assert.equal(await capacity(), 10);
    freeswitch.figures.maxSessions = 8;
    await becomes(8);
  });
});
