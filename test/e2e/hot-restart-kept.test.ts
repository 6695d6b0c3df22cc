import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Headroom, type ListedDestination, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { RegisteringPeer } from "../support/registering-peer.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.47.2";
const SERVER = "127.0.47.11";
const CALLER = "127.0.47.3";

describe("what is decided before a restart without a stop", () => {
  const open: { close(): Promise<void> }[] = [];
  let headroom: Headroom | undefined;
  after(async () => {
    for (const part of open) await part.close();
    await headroom?.stop();
  });

  it("holds after it: registrations, a drain, statuses, capacities; and listeners are those of the new configuration", async () => {
    const [staying, leaving, coming] = [await freeUdpPort(ADDRESS), await freeUdpPort(ADDRESS), await freeUdpPort(ADDRESS)];
    const running = await startHeadroom(
      `
      sip: { listen: ["udp:${ADDRESS}:${staying}", "udp:${ADDRESS}:${leaving}"], restart_timeout: 0.2 }
      tm: { fr_timeout: 5 }
      registrar: { accounts: [{ user: fs, password: secret word, group: 1, resources: "pstn=10" }] }
      `,
      [
        { uri: `sip:${CALLER}:9`, resources: "pstn=10" },
        { uri: `sip:${CALLER}:7`, resources: "pstn=10" },
        { uri: `sip:${CALLER}:13`, resources: "pstn=10" },
      ],
      ADDRESS,
    );
    headroom = running;
    const proxy = { address: ADDRESS, port: staying };
    const server = await RegisteringPeer.open(SERVER, proxy);
    const caller = await UdpPeer.open(CALLER);
    open.push(server, caller);

    assert.equal(statusOf(await server.register(60)), 200);
    const registered = await waitFor("it is a destination", MESSAGE_TIMEOUT_MS, async () =>
      (await running.list()).find(({ uri }) => uri.includes(SERVER)),
    );
    await running.mi("lb_drain", ["1"]);
    await running.mi("lb_status", ["2", "0"]);
    await running.mi("lb_resize", ["3", "pstn", "0"]);
    // The call can only go to the server that has registered.
    const call = await establish(proxy, caller, server.peer);
    const shown = async (): Promise<unknown[]> =>
      (await running.list()).map((row: ListedDestination & { drain?: unknown; registered?: string }) => {
        const { id, enabled, "auto-reenable": auto, Resources, registered: state } = row;
        return [id, enabled, auto, Resources[0]?.max, Resources[0]?.load, state, "drain" in row];
      });
    const before = await shown();
    assert.equal(before.length, 4);

    const file = join(running.folder, "headroom.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(`udp:${ADDRESS}:${leaving}`, `udp:${ADDRESS}:${coming}`));
    await running.restartHot();
    assert.deepEqual(await shown(), before);
    const again = await establish(proxy, caller, server.peer);
    assert.match((await running.mi("lb_registrations").then(JSON.stringify)) as string, new RegExp(SERVER.replaceAll(".", "\\.")));
    assert.equal(statusOf(await server.register(60)), 200, "with the challenge from before, or another one");
    assert.equal((await running.list()).find(({ id }) => id === registered.id)?.enabled, "yes");

    async function answers(port: number): Promise<boolean> {
      const options = request({ method: "OPTIONS", uri: `sip:${ADDRESS}:${port}`, sentBy: caller.sentBy });
      caller.send(options, { address: ADDRESS, port });
      const isAnswer = (text: string): boolean => statusOf(text) > 0 && headerOf(text, "Call-ID") === headerOf(options, "Call-ID");
      return caller.next(`an answer of ${port}`, isAnswer, 700).then(
        () => true,
        () => false,
      );
    }
    assert.deepEqual([await answers(staying), await answers(leaving), await answers(coming)], [true, false, true]);

    for (const each of [call, again]) {
      caller.send(each.fromCaller("BYE", 2), proxy);
      server.peer.send(responseTo(await server.peer.nextRequest("BYE"), 200), proxy);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    }
    await running.untilIdle();
    assert.doesNotMatch(running.log(), /"level":(50|60)|internal error/);
  });
});
