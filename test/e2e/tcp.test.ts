import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort } from "../support/net.ts";
import { runCaller, type Sipp, startCallee } from "../support/sipp.ts";

const PROXY = "127.0.44.2";
const CALLER = "127.0.44.3";
const CALLEE = "127.0.44.4";

/** The program on one port over UDP and TCP, with a callee as its only destination. */
async function startAll(callee: Sipp, transport: "udp" | "tcp"): Promise<{ headroom: Headroom; target: string }> {
  const port = await freeUdpPort(PROXY);
  const uri = transport === "udp" ? callee.uri : `${callee.uri};transport=tcp`;
  const headroom = await startHeadroom(
    `sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}"] }`,
    [{ uri, resources: "pstn=1000" }],
    PROXY,
  );
  return { headroom, target: `${PROXY}:${port}` };
}

async function netStatistics(headroom: Headroom): Promise<Record<string, number>> {
  return (await headroom.mi("get_statistics", [["net:"]])) as Record<string, number>;
}

describe("calls over TCP", () => {
  const cases = [
    { from: "tcp", to: "tcp", calls: 500, rate: 100 },
    { from: "udp", to: "tcp", calls: 50, rate: 50 },
    { from: "tcp", to: "udp", calls: 50, rate: 50 },
  ] as const;
  for (const { from, to, calls, rate } of cases) {
    for (const hangsUp of ["caller", "callee"] as const) {
      if (calls > 50 && hangsUp === "callee") continue;
      it(`${calls} calls from ${from} to ${to}, ended by the ${hangsUp}, none fails`, async () => {
        const callee = await startCallee({
          scenario: hangsUp === "caller" ? "callee" : "callee-hanging-up",
          address: CALLEE,
          transport: to,
          trace: true,
        });
        const { headroom, target } = await startAll(callee, to);
        try {
          const scenario = hangsUp === "caller" ? "caller" : "caller-hung-up-on";
          const done = await runCaller({ scenario, address: CALLER, transport: from, target, calls, rate, trace: true });
          await headroom.untilIdle();
          const answered = await callee.stop();
          assert.deepEqual(
            [done.successful, done.failed, answered.successful, answered.failed],
            [calls, 0, calls, 0],
            done.errors + answered.errors + headroom.log(),
          );
          const routes = /Record-Route: (.*)/i.exec(answered.messages)?.[1] ?? "";
          assert.equal(routes.includes("r2=on"), from !== to, routes);
          const net = await netStatistics(headroom);
          assert.equal(net["net:connections_opened"], to === "tcp" ? 1 : 0, JSON.stringify(net));
        } finally {
          await headroom.stop();
          await callee.stop();
        }
      });
    }
  }
});
