import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { type Kamailio, startKamailio } from "../support/kamailio.ts";
import { runCaller, type SippStatistics, startCallee } from "../support/sipp.ts";

const PROXY = "127.0.86.2";
const CALLER = "127.0.86.3";
const CALLEE = "127.0.86.4";
const BEFORE = "127.0.86.5";
const BEHIND = "127.0.86.6";
const CALLS = 50;
const HOLD_MS = 4_000;
const INTERVAL_S = 1;

describe("pings of sipp, with Kamailio before Headroom and behind it", () => {
  it(`${CALLS} calls of ${HOLD_MS / 1000} s: each side answers its pings by the route sets, and none fails`, async () => {
    const callee = await startCallee({ scenario: "callee-patient", address: CALLEE, answersProbes: true, trace: true });
    const kamailios: Kamailio[] = [];
    let headroom: Headroom | undefined;
    try {
      const behind = await startKamailio(BEHIND, `${callee.address}:${callee.port}`);
      kamailios.push(behind);
      headroom = await startHeadroom(
        `
        tm: { fr_timeout: 5 }
        dialog: { options_ping_interval: ${INTERVAL_S} }
        routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "Pp" }] }`,
        [{ uri: behind.uri, resources: "pstn=1000" }],
        PROXY,
      );
      const before = await startKamailio(BEFORE, `${headroom.address}:${headroom.port}`);
      kamailios.push(before);
      const target = `${before.address}:${before.port}`;
      const done: SippStatistics = await runCaller({
        ...{ scenario: "caller", address: CALLER, target, calls: CALLS, rate: 50, holdMs: HOLD_MS, answersProbes: true },
      });
      await headroom.untilIdle();
      const { failed, messages, errors } = callee.statistics();
      const logs = kamailios.map((kamailio) => kamailio.log()).join("\n") + headroom.log();
      assert.deepEqual([done.successful, done.failed, failed], [CALLS, 0, 0], done.errors + errors + logs);
      const values = (await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>;
      const rounds = HOLD_MS / 1000 / INTERVAL_S - 1;
      assert.ok(values["dialog:options_pings"]! >= CALLS * 2 * rounds, JSON.stringify(values));
      assert.equal(values["dialog:ping_timeouts"], 0);
      const ping = /OPTIONS sip:[\s\S]*?\r?\n\r?\n/.exec(messages)?.[0] ?? "";
      const vias = [...ping.matchAll(/^Via: SIP\/2.0\/UDP ([\d.]+)/gm)].map(([, host]) => host);
      assert.deepEqual(vias, [BEHIND, PROXY]);
    } finally {
      await headroom?.stop();
      for (const kamailio of kamailios) await kamailio.stop();
      await callee.kill();
    }
  });
});
