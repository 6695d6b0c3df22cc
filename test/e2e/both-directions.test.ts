import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startHeadroom } from "../support/headroom.ts";
import { headerOf, request, statusOf, unique } from "../support/sip-messages.ts";
import { runCaller, startCallee, startCaller } from "../support/sipp.ts";
import { mostAtATime, tracedCalls } from "../support/sipp-trace.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.26.21";
const MEDIA = "127.0.26.22";
const CARRIER = "127.0.26.23";
const CAPACITY = 5;
const HOLD_MS = 200;

describe("calls to a destination and calls from it", () => {
  it("never exceed its capacity together, and all that were taken end well", async () => {
    const media = await startCallee({ scenario: "callee", address: MEDIA });
    const carrier = await startCallee({ scenario: "callee", address: CARRIER });
    // sipp calls from another port than the one it is called at.
    const outbound = `{ resources: pstn, next_hop: "${carrier.uri}", any_port: true }`;
    const headroom = await startHeadroom(`routing: { outbound: ${outbound}, reject: { no_capacity: 480 } }`, [
      { uri: media.uri, resources: `pstn=${CAPACITY}` },
    ]);
    const target = `${headroom.address}:${headroom.port}`;
    try {
      const load = { scenario: "caller", target, calls: 120, rate: 40, holdMs: HOLD_MS, trace: true };
      const callers = [await startCaller({ ...load, address: CALLER }), await startCaller({ ...load, address: MEDIA })];
      const seen: number[] = [];
      let over = false;
      const watching = (async () => {
        while (!over) {
          const [loads, { Dialogs }] = await Promise.all([headroom.loads(), headroom.mi("dlg_list") as Promise<{ Dialogs: unknown[] }>]);
          seen.push(loads[0] ?? Number.NaN, Dialogs.length);
          await sleep(5);
        }
      })();
      const [inbound, outgoing] = await Promise.all(callers.map(({ ended }) => ended)).finally(() => {
        over = true;
      });
      await watching;
      assert.equal(Math.max(...seen), CAPACITY, "it was full, and never more than that");
      await headroom.untilIdle();
      assert.ok(inbound && outgoing);
      const calls = [inbound, outgoing].flatMap(({ messages }) => tracedCalls(messages));
      assert.equal(calls.filter(({ answeredAtMs }) => answeredAtMs !== undefined).length, inbound.successful + outgoing.successful);
      // As the callers saw it. A call is over for Headroom a moment after it is for its caller; sipp counts its pause in whole milliseconds.
      const together = mostAtATime(calls, HOLD_MS - 10);
      assert.ok(together <= CAPACITY && together > CAPACITY / 2, `${together} calls were up at the same time`);
      assert.deepEqual([inbound.created, outgoing.created], [120, 120]);
      assert.ok(inbound.failed > 0 && outgoing.failed > 0, "both directions met a full destination");
      assert.ok(inbound.successful > 0 && outgoing.successful > 0, "and both got their share");
      assert.deepEqual([(await media.stop()).successful, (await carrier.stop()).successful], [inbound.successful, outgoing.successful]);
      const { "routing:outbound_refused": refused } = (await headroom.mi("get_statistics", [["routing:outbound_refused"]])) as Record<
        string,
        number
      >;
      assert.equal(refused, outgoing.failed);
    } finally {
      await headroom.stop();
      await Promise.all([media.kill(), carrier.kill()]);
    }
  });

  it("what the next hop refuses is not counted any more", async () => {
    const media = await startCallee({ scenario: "callee", address: MEDIA });
    const carrier = await startCallee({ scenario: "callee-rejecting", address: CARRIER, status: 486 });
    const outbound = `{ resources: pstn, next_hop: "${carrier.uri}", any_port: true, limit: false }`;
    const headroom = await startHeadroom(`routing: { outbound: ${outbound} }`, [{ uri: media.uri, resources: "pstn=1" }]);
    const target = `${headroom.address}:${headroom.port}`;
    try {
      const refused = await runCaller({ scenario: "caller-rejected", address: MEDIA, target, calls: 20, rate: 100, status: 486 });
      assert.deepEqual([refused.successful, refused.failed], [20, 0]);
      await headroom.untilIdle();
      const inbound = await runCaller({ scenario: "caller", address: CALLER, target, calls: 1, holdMs: 50 });
      assert.equal(inbound.successful, 1, "the only slot is free");
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await media.stop();
      await carrier.stop();
    }
  });
});

describe("routing.deny_targets", () => {
  it("nobody reaches a destination by writing its address, also after a reload; balanced calls do", async () => {
    const [caller, media, other] = [await UdpPeer.open(CALLER), await UdpPeer.open(MEDIA), await UdpPeer.open(CARRIER)];
    const headroom = await startHeadroom(
      'load_balancer: { lb_define_blacklist: ["media= 7,1", "other= 9"] }\nrouting: { deny_targets: [media] }',
      [
        { uri: `sip:${media.sentBy}`, resources: "pstn=5" },
        { uri: `sip:${other.sentBy}`, resources: "pstn=5", group: 2 },
      ],
    );
    try {
      async function statusTo(uri: string): Promise<number> {
        const callId = unique("call");
        caller.send(request({ uri, sentBy: caller.sentBy, callId }), headroom);
        return statusOf(await caller.next("an answer", (text) => headerOf(text, "Call-ID") === callId && statusOf(text) > 0));
      }
      const [, port] = media.sentBy.split(":");
      for (const uri of [`sip:x@${media.sentBy}`, `sip:x@[::ffff:${MEDIA}]:${port}`, `sip:x@${0x7f_00_1a_16}:${port}`]) {
        assert.equal(await statusTo(uri), 403, uri);
      }
      assert.ok(await media.staysSilent(100));
      assert.equal(await statusTo(`sip:x@${other.sentBy}`), 100, "not in a list that is denied: balanced as any call");
      await media.nextRequest("INVITE");

      await headroom.replaceRows([
        { uri: `sip:${media.sentBy}`, resources: "pstn=5", group: 2 },
        { uri: `sip:${other.sentBy}`, resources: "pstn=5", group: 7 },
      ]);
      assert.equal(await statusTo(`sip:x@${other.sentBy}`), 403);
      assert.notEqual(await statusTo(`sip:x@${media.sentBy}`), 403);
      const statistics = await headroom.mi("get_statistics", [["routing:denied_targets"]]);
      assert.deepEqual(statistics, { "routing:denied_targets": 4 });
    } finally {
      await headroom.stop();
      await Promise.all([caller.close(), media.close(), other.close()]);
    }
  });
});
