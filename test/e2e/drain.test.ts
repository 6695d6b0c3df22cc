import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, type ListedDestination, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { responseTo } from "../support/sip-messages.ts";
import { runCaller, startCallee, startCaller } from "../support/sipp.ts";
import { tracedCalls } from "../support/sipp-trace.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.29.2";
const CALLER = "127.0.29.21";
const CALLEE = "127.0.29.22";
const OTHER = "127.0.29.23";
const CALLS_A_SECOND = 60;
const HOLD_MS = 1_000;
/** The load is stopped once all is seen, long before. */
const MAX_CALLS = 3_000;

/** A destination as lb_list shows it while it is drained. */
interface DrainedDestination extends ListedDestination {
  readonly draining?: "yes";
  readonly drain_load?: number;
}

/** `enabled`, `draining` or `disabled` for each destination, in the order of their ids; `(held)` when probes may not enable it. */
async function statuses(headroom: Headroom): Promise<string> {
  const destinations: DrainedDestination[] = await headroom.list();
  const words = destinations.map(({ enabled, draining, "auto-reenable": reenable }) => {
    const word = draining === "yes" ? "draining" : enabled === "yes" ? "enabled" : "disabled";
    return reenable === "on" ? word : `${word} (held)`;
  });
  return words.join(", ");
}

describe("a drain under load", () => {
  it("ends with load 0 and the destination disabled, cuts no call and lets no new one in; undone, calls come again", async () => {
    const drained = await startCallee({ scenario: "callee", address: CALLEE });
    const other = await startCallee({ scenario: "callee", address: OTHER });
    const rows = [drained, other].map(({ uri }) => ({ uri, resources: "pstn=500" }));
    const headroom = await startHeadroom("", rows, ADDRESS);
    try {
      const load = { calls: MAX_CALLS, rate: CALLS_A_SECOND, holdMs: HOLD_MS, trace: true, timeoutMs: 40_000 };
      const target = `${headroom.address}:${headroom.port}`;
      const caller = await startCaller({ scenario: "caller", address: CALLER, target, ...load });
      await waitFor("many calls on both", 8_000, async () => (await headroom.loads()).every((calls) => calls >= 15));
      /** Wall clock, from the answer to a drain until it was asked to undo it. */
      const closed: { fromMs: number; toMs: number }[] = [];

      await headroom.mi("lb_drain", [1]);
      let fromMs = Date.now();
      const left: number[] = [];
      await waitFor("it is disabled", 15_000, async () => {
        const [destination]: DrainedDestination[] = await headroom.list();
        if (destination?.enabled === "no") return true;
        assert.deepEqual([destination?.draining, destination?.drain_load], ["yes", destination?.Resources[0]?.load]);
        left.push(destination?.drain_load ?? Number.NaN);
        return false;
      });
      assert.ok(left[0]! >= 10, `its calls stayed: ${left.join(" ")}`);
      assert.deepEqual(
        left,
        left.toSorted((a, b) => b - a),
        "its load only fell",
      );
      assert.equal((await headroom.loads())[0], 0);
      assert.equal(await statuses(headroom), "disabled (held), enabled");
      await sleep(500);
      assert.equal((await headroom.loads())[0], 0);
      closed.push({ fromMs, toMs: Date.now() });

      await headroom.mi("lb_undrain", [1]);
      assert.equal(await statuses(headroom), "enabled, enabled");
      await waitFor("it has calls again", 5_000, async () => (await headroom.loads())[0]! >= 10);

      await headroom.mi("lb_drain", [1]);
      fromMs = Date.now();
      await sleep(300);
      assert.equal(await statuses(headroom), "draining, enabled");
      closed.push({ fromMs, toMs: Date.now() });
      await headroom.mi("lb_undrain", [1]);
      const undoneAtMs = Date.now();
      assert.equal(await statuses(headroom), "enabled, enabled");
      await sleep(1_000);

      const { created, successful, failed, errors, messages } = await caller.stop();
      await headroom.untilIdle();
      assert.deepEqual([failed, errors], [0, ""]);
      assert.equal(successful, created);
      const onDrained = tracedCalls(messages).filter(({ answeredBy }) => answeredBy === `${CALLEE}:${drained.port}`);
      const intruders = onDrained.filter(({ startedAtMs, answeredAtMs }) => {
        return closed.some(({ fromMs, toMs }) => startedAtMs > fromMs && answeredAtMs !== undefined && answeredAtMs < toMs);
      });
      assert.deepEqual(intruders, [], "calls that came while it was drained");
      assert.ok(onDrained.some(({ startedAtMs }) => startedAtMs > undoneAtMs));
      const [first, second] = [await drained.stop(), await other.stop()];
      assert.equal(first.successful, onDrained.length);
      assert.deepEqual([first.failed, second.failed, first.successful + second.successful], [0, 0, created]);
    } finally {
      await headroom.stop();
      await Promise.all([drained.kill(), other.kill()]);
    }
  });
});

describe("a drain and a status that an operator set", () => {
  it("survive the end of the program, also a sudden one, and so does their undo", async () => {
    const caller = await UdpPeer.open(CALLER);
    const drained = await UdpPeer.open(CALLEE);
    const disabled = await UdpPeer.open(CALLEE);
    const open = await startCallee({ scenario: "callee", address: OTHER });
    const rows = [
      { uri: `sip:${drained.sentBy}`, resources: "pstn=90" },
      { uri: `sip:${disabled.sentBy}`, resources: "pstn=80", probeMode: 2 as const },
      { uri: open.uri, resources: "pstn=20" },
    ];
    const headroom = await startHeadroom("load_balancer: { probing_interval: 1 }", rows, ADDRESS);

    /** What was decided is written down behind the back of the calls, a moment later. */
    async function untilWritten(): Promise<void> {
      const name = "health:states_pending";
      await waitFor("the states are written", 5_000, async () => {
        return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] === 0;
      });
    }
    async function tenCallsGoToTheOpenOne(): Promise<void> {
      const target = `${headroom.address}:${headroom.port}`;
      const ten = await runCaller({ scenario: "caller", address: CALLER, target, calls: 10, rate: 50, holdMs: 50 });
      assert.deepEqual([ten.successful, ten.failed], [10, 0]);
    }

    try {
      const call = await establish(headroom, caller, drained);
      await headroom.mi("lb_drain", [1]);
      await headroom.mi("lb_status", [2, 0]);
      assert.equal(await statuses(headroom), "draining, disabled (held), enabled");
      await untilWritten();
      await headroom.restart("SIGKILL");

      const probes = disabled.count("OPTIONS ");
      assert.equal(await statuses(headroom), "draining, disabled (held), enabled");
      await tenCallsGoToTheOpenOne();
      // The call from before is known, and the drain ends with it.
      caller.send(call.fromCaller("BYE", 2), headroom);
      drained.send(responseTo(await drained.nextRequest("BYE"), 200), headroom);
      await waitFor("the drain ends", 5_000, async () => (await statuses(headroom)) === "disabled (held), disabled (held), enabled");

      await headroom.restart("SIGTERM");
      assert.equal(await statuses(headroom), "disabled (held), disabled (held), enabled");
      await tenCallsGoToTheOpenOne();
      assert.equal(drained.count("INVITE "), 1);
      assert.equal(disabled.count("INVITE "), 0);
      assert.equal(disabled.count("OPTIONS "), probes, "what an operator disabled is not probed");

      await headroom.mi("lb_undrain", [1]);
      await headroom.mi("lb_status", [2, 1]);
      await untilWritten();
      await headroom.restart("SIGKILL");
      assert.match(await statuses(headroom), /^enabled, (enabled|disabled), enabled$/); // the second is probed again, and silent
      await establish(headroom, caller, drained);
    } finally {
      await headroom.stop();
      await open.kill();
      for (const peer of [caller, drained, disabled]) await peer.close();
    }
  });
});
