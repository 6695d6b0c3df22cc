import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { hangUp } from "../support/two-destinations.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const CONFIG = `
routing: { rules: [{ group: 1, resources: pstn, failover_on: ["503"], disable_on: [] }] }
tm: { fr_timeout: 5 }
`;

describe("the command line beside real calls", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let small: UdpPeer;
  let large: UdpPeer;

  before(async () => {
    caller = await UdpPeer.open("127.0.0.1");
    small = await UdpPeer.open("127.0.0.1");
    large = await UdpPeer.open("127.0.0.1");
    headroom = await startHeadroom(CONFIG);
    await headroom.replaceRows([
      { uri: `sip:${small.sentBy}`, resources: "pstn=4" },
      { uri: `sip:${large.sentBy}`, resources: "pstn=9" },
    ]);
  });
  after(async () => {
    for (const peer of [caller, small, large]) await peer.close();
    await headroom.stop();
  });

  async function run(...words: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...words, "--url", headroom.miUrl]);
    return stdout;
  }

  it("top shows the call that is up, and what an operator has done", { timeout: 60_000 }, async () => {
    const call = await establish(headroom, caller, large);
    await headroom.mi("lb_status", [1, 0]);
    const view = JSON.parse(await run("top", "--once", "--json"));
    assert.equal(view.totals.calls, 1);
    assert.equal(view.totals.decisions.selected, 1);
    assert.deepEqual(
      view.destinations.map(({ status, resources: [{ load, free }] }: { status: string; resources: [{ load: number; free: number }] }) => [
        status,
        load,
        free,
      ]),
      [
        ["disabled", 0, 4],
        ["up", 1, 8],
      ],
    );
    const table = await run("top", "--once");
    assert.match(table, / 1 call, [\d.]+ a second, 1 of 2 destinations take calls\n/);
    assert.match(table, /\n 2 sip:127\.0\.0\.1:\d+ pstn █+░+ +1\/9 +8 up/);
    await headroom.mi("lb_status", [1, 1]);
    await hangUp(headroom, call, caller, large);
  });

  it("explain tells of a call that failed over, by its Call-ID", { timeout: 60_000 }, async () => {
    const callId = unique("call");
    caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, callId }), headroom);
    for (const [peer, status] of [
      [large, 503],
      [small, 486],
    ] as const) {
      const invite = await peer.next("the INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId);
      peer.send(responseTo(invite, status, { toTag: unique("t") }), headroom);
    }
    await caller.next("486", (text) => statusOf(text) === 486 && headerOf(text, "Call-ID") === callId);
    const text = await run("explain", callId);
    assert.ok(text.startsWith(`Call ${callId}: 2 decisions; it went to destination 1 in the end\n`), text);
    assert.match(text, /\n {3}> {2}2 +sip:127\.0\.0\.1:\d+ +pstn 0\/9 +9 +9 +chosen\n/);
    assert.match(text, /\n2\. [\d.]+ s later, attempt 2: the destination before did not take it\n/);
    assert.match(text, /this call has tried it before/);
    assert.doesNotMatch(text, /\u001b/);
    assert.equal(JSON.parse(await run("explain", callId, "--json")).Decisions.length, 2);
    assert.match(await run("explain", "--group", "1", "--resources", "pstn"), /^A call now:\n[\s\S]*chosen\n$/);
  });
});
