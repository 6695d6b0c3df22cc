import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Baresip } from "../support/baresip.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";

const PROXY = "127.0.83.2";
const CALLER = "127.0.83.3";
const CALLEE = "127.0.83.4";
const INTERVAL_MS = 1_000;
const FR_MS = 2_000;

describe("pings of real telephones (baresip)", () => {
  let headroom: Headroom;
  let caller: Baresip;
  let callee: Baresip;
  let target: string;

  async function begin(transport: "udp" | "tcp", flags: string): Promise<void> {
    target = `${PROXY}:${await freeUdpPort(PROXY)}`;
    callee = await Baresip.start({ address: CALLEE, transport, answers: true });
    caller = await Baresip.start({ address: CALLER, transport, outbound: target });
    const config = `
      sip: { listen: ["udp:${target}", "tcp:${target}"] }
      tm: { fr_timeout: ${FR_MS / 1000} }
      dialog: { options_ping_interval: ${INTERVAL_MS / 1000}, reinvite_ping_interval: ${INTERVAL_MS / 1000} }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "${flags}" }] }`;
    headroom = await startHeadroom(config, [{ uri: callee.uri, resources: "pstn=5" }], PROXY);
    caller.command("dial", `sip:phone@${target}${transport === "tcp" ? ";transport=tcp" : ""}`);
    await Promise.all([caller.next("CALL_ESTABLISHED"), callee.next("CALL_ESTABLISHED")]);
    assert.deepEqual(await headroom.loads(), [1]);
  }

  afterEach(async () => {
    for (const open of [caller, callee, headroom]) await open?.stop();
  });

  const statistics = async (): Promise<Record<string, number>> =>
    (await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>;

  for (const [transport, signal] of [
    ["udp", "SIGSTOP"],
    ["tcp", "SIGKILL"],
  ] as const) {
    const over = transport.toUpperCase();

    it(`over ${over} they answer OPTIONS and re-INVITE, the call goes on, and ends as ever`, async () => {
      await begin(transport, "Pr");
      await waitFor("three pings of each kind", 15_000, async () => {
        const { "dialog:options_pings": options = 0, "dialog:reinvite_pings": reinvites = 0 } = await statistics();
        return options >= 3 && reinvites >= 3;
      });
      await sleep(200); // for the answer of the last one
      assert.deepEqual(await headroom.loads(), [1], headroom.log());
      for (const phone of [caller, callee]) assert.equal(phone.events.filter(({ type }) => type === "CALL_CLOSED").length, 0);
      const answered = callee.log.match(/CSeq: \d+ INVITE\r?\nServer: baresip/g)?.length ?? 0;
      assert.ok(answered >= 3, callee.log);
      caller.command("hangup");
      await Promise.all([caller.next("CALL_CLOSED"), callee.next("CALL_CLOSED")]);
      await headroom.untilIdle();
      assert.equal((await statistics())["dialog:ping_timeouts"], 0);
    });

    it(`a caller over ${over} that vanishes (${signal}) is noticed within two intervals and the time of two answers: the callee gets BYE, and the slot is free`, async () => {
      await begin(transport, "Pp");
      caller.vanish(signal);
      const beganMs = performance.now();
      await callee.next("CALL_CLOSED", 10_000);
      const tookMs = performance.now() - beganMs;
      assert.ok(tookMs < 2 * INTERVAL_MS + 2 * FR_MS + 500, `it took ${tookMs} ms`);
      await headroom.untilIdle(10_000);
    });
  }
});
