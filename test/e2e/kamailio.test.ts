import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { type Kamailio, startKamailio } from "../support/kamailio.ts";
import { runCaller, type Sipp, startCallee } from "../support/sipp.ts";

const PROXY = "127.0.48.2";
const CALLER = "127.0.48.3";
const CALLEE = "127.0.48.4";
const BEFORE = "127.0.48.5";
const BEHIND = "127.0.48.6";
const CALLS = 100;

const HOPS = [
  { where: "as the hop before Headroom", before: true, behind: false, route: [PROXY, BEFORE] },
  { where: "as the hop behind Headroom", before: false, behind: true, route: [BEHIND, PROXY] },
  { where: "on both sides of Headroom", before: true, behind: true, route: [BEHIND, PROXY, BEFORE] },
] as const;

/** Hops that the INVITE has Record-Routes of, the last one first. */
function recordRoutes(trace: string): string[] {
  const invite = trace.slice(trace.indexOf("INVITE sip:"));
  const head = invite.slice(0, invite.search(/\r?\n\r?\n/));
  return [...head.matchAll(/^Record-Route:.*$/gim)].flatMap(([line]) => [...line.matchAll(/<sip:([\d.]+)/g)].map(([, host = ""]) => host));
}

describe("calls with Kamailio in the path", () => {
  let headroom: Headroom;
  const kamailios: Kamailio[] = [];
  before(async () => {
    headroom = await startHeadroom(
      "{ tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }",
      [],
      PROXY,
    );
  });
  after(() => headroom?.stop());
  afterEach(async () => {
    for (const kamailio of kamailios.splice(0)) await kamailio.stop();
  });

  /** Puts the hops into the path to a callee. @returns where the caller sends its calls */
  async function build(callee: Sipp, hops: { readonly before: boolean; readonly behind: boolean }): Promise<string> {
    const add = async (address: string, target: string): Promise<Kamailio> => {
      const kamailio = await startKamailio(address, target);
      kamailios.push(kamailio);
      return kamailio;
    };
    const destination = hops.behind ? (await add(BEHIND, `${callee.address}:${callee.port}`)).uri : callee.uri;
    await headroom.replaceRows([{ uri: destination, resources: "pstn=1000" }]);
    const own = `${headroom.address}:${headroom.port}`;
    if (!hops.before) return own;
    const { address, port } = await add(BEFORE, own);
    return `${address}:${port}`;
  }

  const logs = (): string => kamailios.map((kamailio) => kamailio.log()).join("\n") + headroom.log();

  for (const { where, route, ...hops } of HOPS) {
    for (const [hangsUp, calling, answering] of [
      ["caller", "caller", "callee-patient"],
      ["callee", "caller-hung-up-on", "callee-hanging-up-patient"],
    ] as const) {
      if (hops.before && hops.behind && hangsUp === "caller") continue;
      it(`${CALLS} calls, ${where}, ended by the ${hangsUp}: none fails`, async () => {
        const callee = await startCallee({ scenario: answering, address: CALLEE, trace: true });
        try {
          const target = await build(callee, hops);
          const done = await runCaller({ scenario: calling, address: CALLER, target, calls: CALLS, rate: 50, holdMs: 100 });
          await headroom.untilIdle();
          const { failed, messages, errors } = callee.statistics();
          assert.deepEqual([done.successful, done.failed, failed], [CALLS, 0, 0], done.errors + errors + logs());
          assert.deepEqual(recordRoutes(messages), route);
        } finally {
          await callee.kill();
        }
      });
    }
  }

  it("calls that are refused, and calls that are given up while they ring, with it on both sides: nothing is left", async () => {
    for (const [calling, answering, status] of [
      ["caller-rejected", "callee-rejecting", 486],
      ["caller-cancelling", "callee-ringing", 487],
    ] as const) {
      const callee = await startCallee({ scenario: answering, address: CALLEE, status });
      try {
        const target = await build(callee, { before: true, behind: true });
        const done = await runCaller({ scenario: calling, address: CALLER, target, calls: 20, rate: 50, holdMs: 300, status });
        assert.deepEqual([done.successful, done.errors], [20, ""], logs());
        await headroom.untilIdle();
        for (const kamailio of kamailios.splice(0)) await kamailio.stop();
      } finally {
        await callee.kill();
      }
    }
  });
});
