import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Headroom, type Row, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { runCaller, startCallee, startCaller } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.21";
const CALLEE = "127.0.21.22";

/** Starts what a test needs and ends it in reverse order. */
async function withHeadroom(
  config: string,
  rows: readonly Row[],
  use: (headroom: Headroom, target: string) => Promise<void>,
): Promise<void> {
  const headroom = await startHeadroom(config, rows);
  try {
    await use(headroom, `${headroom.address}:${headroom.port}`);
  } finally {
    await headroom.stop();
  }
}

describe("failover to the next destination", () => {
  it("when one does not answer: after fr_timeout the next is tried and the dead one is disabled", async () => {
    const dead = await UdpPeer.open(CALLEE);
    const callee = await startCallee({ scenario: "callee", address: CALLEE });
    const rows = [
      { uri: `sip:${dead.sentBy}`, resources: "pstn=40" },
      { uri: callee.uri, resources: "pstn=10" },
    ];
    await withHeadroom("", rows, async (headroom, target) => {
      const first = await startCaller({ scenario: "caller", address: CALLER, target, calls: 1, holdMs: 1_500 });
      await waitFor("the call is counted on the second destination only", 5_000, async () => (await headroom.loads()).join() === "0,1");
      assert.deepEqual([(await first.ended).successful, (await first.ended).failed], [1, 0]);
      const [disabled, other] = await headroom.list();
      assert.deepEqual([disabled?.enabled, disabled?.["auto-reenable"], other?.enabled], ["no", "on", "yes"]);

      const invites = dead.count("INVITE ");
      assert.ok(invites >= 2, `the INVITE came ${invites} times: want it repeated while nobody answers`);
      assert.equal(new Set(dead.received.filter((message) => message.startsWith("INVITE "))).size, 1);
      const later = await runCaller({ scenario: "caller", address: CALLER, target, calls: 5, rate: 50, holdMs: 50 });
      assert.equal(later.successful, 5);
      assert.equal(dead.count("INVITE "), invites);
      await headroom.untilIdle();
    });
    assert.equal((await callee.stop()).successful, 6);
    await dead.close();
  });

  it("when one is not there at all: its port is closed", async () => {
    const gone = await UdpPeer.open(CALLEE);
    const goneAt = gone.sentBy;
    await gone.close();
    const callee = await startCallee({ scenario: "callee", address: CALLEE });
    const rows = [
      { uri: `sip:${goneAt}`, resources: "pstn=40" },
      { uri: callee.uri, resources: "pstn=10" },
    ];
    await withHeadroom("", rows, async (headroom, target) => {
      const caller = await runCaller({ scenario: "caller", address: CALLER, target, calls: 3, rate: 20, holdMs: 50 });
      assert.deepEqual([caller.successful, caller.failed], [3, 0]);
      await headroom.untilIdle();
    });
    await callee.stop();
  });

  for (const status of [500, 503, 504]) {
    it(`when one answers ${status}: the next is tried at once, and nobody is disabled`, async () => {
      const refusing = await startCallee({ scenario: "callee-rejecting", address: CALLEE, status });
      const callee = await startCallee({ scenario: "callee", address: CALLEE });
      const rows = [
        { uri: refusing.uri, resources: "pstn=40" },
        { uri: callee.uri, resources: "pstn=20" },
      ];
      await withHeadroom("", rows, async (headroom, target) => {
        const caller = await startCaller({ scenario: "caller", address: CALLER, target, calls: 10, rate: 50, holdMs: 1_000 });
        await waitFor(
          "ten calls on the second destination, none on the first",
          4_000,
          async () => (await headroom.loads()).join() === "0,10",
        );
        assert.deepEqual([(await caller.ended).successful, (await caller.ended).failed], [10, 0]);
        assert.deepEqual(
          (await headroom.list()).map(({ enabled }) => enabled),
          ["yes", "yes"],
        );
        await headroom.untilIdle();
      });
      assert.equal((await refusing.stop()).successful, 10); // each INVITE answered, each answer acknowledged
      assert.equal((await callee.stop()).successful, 10);
    });
  }

  it("not when one answers 486: the caller hears it", async () => {
    const busy = await startCallee({ scenario: "callee-rejecting", address: CALLEE, status: 486 });
    const other = await UdpPeer.open(CALLEE);
    const rows = [
      { uri: busy.uri, resources: "pstn=40" },
      { uri: `sip:${other.sentBy}`, resources: "pstn=10" },
    ];
    await withHeadroom("", rows, async (headroom, target) => {
      const caller = await runCaller({ scenario: "caller-rejected", address: CALLER, target, calls: 5, rate: 50, status: 486 });
      assert.deepEqual([caller.successful, caller.errors], [5, ""]);
      assert.deepEqual(other.received, []);
      await headroom.untilIdle();
    });
    assert.equal((await busy.stop()).successful, 5);
    await other.close();
  });

  it("not more often than max_failovers; then the caller hears the last answer", async () => {
    const refusing = await Promise.all([1, 2, 3].map(() => startCallee({ scenario: "callee-rejecting", address: CALLEE, status: 500 })));
    const config = 'routing: { rules: [{ group: 1, resources: pstn, failover_on: ["5xx"], max_failovers: 1 }] }';
    const rows = refusing.map(({ uri }, index) => ({ uri, resources: `pstn=${30 - index}` }));
    await withHeadroom(config, rows, async (headroom, target) => {
      const caller = await runCaller({ scenario: "caller-rejected", address: CALLER, target, calls: 1, status: 500 });
      assert.deepEqual([caller.successful, caller.errors], [1, ""]);
      await headroom.untilIdle();
    });
    const tried = await Promise.all(refusing.map((callee) => callee.stop()));
    assert.deepEqual(
      tried.map(({ created }) => created),
      [1, 1, 0],
    );
  });

  it("until none is left: no answer from anybody is 408 for the caller, or what routing.reject says", async () => {
    const silent = await Promise.all([UdpPeer.open(CALLEE), UdpPeer.open(CALLEE)]);
    const rows = silent.map(({ sentBy }) => ({ uri: `sip:${sentBy}`, resources: "pstn=5" }));
    await withHeadroom("routing: { reject: { no_destination: 408 } }", rows, async (headroom, target) => {
      const caller = await runCaller({ scenario: "caller-rejected", address: CALLER, target, calls: 1, status: 408 });
      assert.deepEqual([caller.successful, caller.errors], [1, ""]);
      for (const peer of silent) assert.ok(peer.count("INVITE ") > 0);
      assert.deepEqual(
        (await headroom.list()).map(({ enabled }) => enabled),
        ["no", "no"],
      );
      await headroom.untilIdle();
    });
    for (const peer of silent) await peer.close();
  });
});

describe("a destination that dies during a call", () => {
  it("costs no load: the caller's BYE ends the call though nobody answers it", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    await withHeadroom("", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }], async (headroom) => {
      const call = await establish(headroom, caller, callee);
      assert.deepEqual(await headroom.loads(), [1]);
      caller.send(call.fromCaller("BYE", 2), headroom);
      await headroom.untilIdle();
      assert.ok(await caller.staysSilent(1_500), "a request other than INVITE is never answered 408 by a proxy (RFC 4320 §4.1)");
    });
    await caller.close();
    await callee.close();
  });
});
