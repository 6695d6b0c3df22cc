import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CONFIG = `
tm: { fr_timeout: 3 }
load_balancer: { probing_interval: 1 }
routing: { rules: [{ group: 1, resources: pstn, failover_on: [timeout], disable_on: [timeout] }] }
`;
/** Between two calls to a destination that is silent: the second one times out as long after the first, and by then it is enabled again. */
const APART_MS = 2_500;
const DISABLED_MS = 5_000;

interface Setup {
  readonly headroom: Headroom;
  readonly caller: UdpPeer;
  /** It has most room, and answers no call. */
  readonly silent: UdpPeer;
}

async function withSilent(probeMode: 0 | 1, use: (setup: Setup) => Promise<void>): Promise<void> {
  const caller = await UdpPeer.open("127.0.0.1");
  const silent = await UdpPeer.open("127.0.0.1");
  const sound = await UdpPeer.open("127.0.0.1");
  const headroom = await startHeadroom(CONFIG, [
    { uri: `sip:${silent.sentBy}`, resources: "pstn=90", probeMode },
    { uri: `sip:${sound.sentBy}`, resources: "pstn=10" },
  ]);
  try {
    await use({ headroom, caller, silent });
  } finally {
    await headroom.stop();
    for (const peer of [caller, silent, sound]) await peer.close();
  }
}

async function call({ headroom, caller, silent }: Setup): Promise<void> {
  const callId = unique("late");
  caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, callId }), headroom);
  await silent.next("INVITE", (text) => text.startsWith("INVITE ") && text.includes(callId));
}

async function isEnabled(headroom: Headroom): Promise<boolean> {
  return (await headroom.list())[0]?.enabled === "yes";
}

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", { statistics: [name] })) as Record<string, number>)[name] ?? Number.NaN;
}

/** Two calls, of which the first disables the destination; `enable` has done its work before the second times out. */
async function outlive(setup: Setup, enable: () => Promise<void>): Promise<void> {
  const { headroom } = setup;
  await call(setup);
  await sleep(APART_MS);
  await call(setup);
  await waitFor("it is disabled", DISABLED_MS, async () => !(await isEnabled(headroom)));
  await enable();
  assert.ok(await isEnabled(headroom));
  await waitFor("the second call has timed out", DISABLED_MS, async () => (await statistic(headroom, "tm:failovers")) === 2);
  assert.ok(await isEnabled(headroom), "the call was sent before it was enabled");
  assert.equal(await statistic(headroom, "load_balancer:disables_stale"), 1);
  await headroom.untilLogged(/Destination disabled after a failed call/);
  assert.equal(headroom.log().match(/Destination disabled after a failed call/g)?.length, 1);
}

describe("a call that times out after its destination was enabled again", () => {
  it("does not undo what a good probe has found", async () => {
    await withSilent(1, async (setup) => {
      const { headroom, silent } = setup;
      await outlive(setup, async () => {
        const probe = await silent.nextRequest("OPTIONS");
        const [, address = "", port = ""] = /([\d.]+):(\d+)/.exec(headerOf(probe, "Via").replace("SIP/2.0", "")) ?? [];
        silent.send(responseTo(probe, 200), { address, port: Number(port) });
        await waitFor("the probe enables it", 1_000, () => isEnabled(headroom));
      });
    });
  });

  it("does not undo what an operator decided; one that was sent since does", async () => {
    await withSilent(0, async (setup) => {
      const { headroom } = setup;
      await outlive(setup, async () => void (await headroom.mi("lb_status", [1, 1])));
      await call(setup);
      await waitFor("it is disabled again", DISABLED_MS, async () => !(await isEnabled(headroom)));
    });
  });
});
