import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../support/call-storm.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { RingingCallee } from "../support/ringing-callee.ts";

/** Short, so that one restart can follow another. */
const CONFIG =
  "{ sip: { restart_timeout: 3 }, tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }";

describe("a restart without a stop", () => {
  const open: { close(): Promise<void> }[] = [];
  let headroom: Headroom | undefined;
  after(async () => {
    for (const part of open) await part.close();
    await headroom?.stop();
  });

  it("loses none of 50 calls a second that ring for up to two seconds, through three restarts", async () => {
    const callees = [
      await RingingCallee.open("127.0.0.1", () => 1_000 + Math.random() * 1_000),
      await RingingCallee.open("127.0.0.1", () => Math.random() * 2_000),
    ];
    open.push(...callees);
    headroom = await startHeadroom(
      CONFIG,
      callees.map(({ uri }) => ({ uri, resources: "pstn=1000" })),
    );
    const running = headroom;
    const storm = await CallStorm.open("127.0.0.1");
    open.push(storm);
    const traffic = storm.storm(running, 50, 13_000, 1_500, 0.5);
    for (let restart = 0; restart < 3; restart++) {
      await sleep(1_000);
      await running.restartHot();
      const held = (): string => callees.map((callee) => callee.held).join();
      let seen = "";
      await waitFor("the loads are the calls that the destinations have", 5_000, async () => {
        const before = held();
        const loads = (await running.loads()).join();
        seen = `loads ${loads}, held ${before}`;
        return loads === before && held() === before; // nothing was on its way
      }).catch((error: unknown) => assert.fail(`${String(error)}: ${seen}`));
      await sleep(2_600);
    }
    await traffic;
    await storm.untilQuiet();
    const { counts } = storm;
    assert.deepEqual([...counts.refused], []);
    assert.deepEqual([...counts.byesRefused], []);
    assert.equal(counts.silent, 0);
    assert.equal(counts.byesAnswered, counts.begun);
    assert.equal(
      callees.reduce((sum, { answered }) => sum + answered, 0),
      counts.begun,
    );
    for (const callee of callees) assert.deepEqual([callee.held, callee.unacknowledged, callee.strangeByes], [0, 0, 0]);
    await running.untilIdle();
    const audit = (await running.mi("lb_audit")) as { Differences: unknown[] };
    assert.deepEqual(audit.Differences, []);
    assert.doesNotMatch(running.log(), /"level":(50|60)|internal error/);
  });
});
