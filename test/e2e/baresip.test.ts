import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Baresip } from "../support/baresip.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";

const PROXY = "127.0.47.2";
const CALLER = "127.0.47.3";
const CALLEE = "127.0.47.4";

describe("baresip calls baresip through Headroom", () => {
  let headroom: Headroom;
  let target: string;
  before(async () => {
    target = `${PROXY}:${await freeUdpPort(PROXY)}`;
    headroom = await startHeadroom(`{ sip: { listen: ["udp:${target}", "tcp:${target}"] }, tm: { fr_timeout: 5 } }`, [], PROXY);
  });
  after(() => headroom?.stop());

  for (const transport of ["udp", "tcp"] as const) {
    describe(`over ${transport.toUpperCase()}`, () => {
      let caller: Baresip;
      let callee: Baresip;
      before(async () => {
        callee = await Baresip.start({ address: CALLEE, transport });
        caller = await Baresip.start({ address: CALLER, transport, outbound: target });
        await headroom.replaceRows([{ uri: callee.uri, resources: "pstn=5" }]);
      });
      after(async () => {
        await caller?.stop();
        await callee?.stop();
      });

      async function dial(): Promise<void> {
        caller.command("dial", `sip:phone@${target}${transport === "tcp" ? ";transport=tcp" : ""}`);
        await callee
          .next("CALL_INCOMING")
          .catch((error: unknown) => assert.fail(`${String(error)}\nits caller: ${caller.log}\n${headroom.log()}`));
        await caller.next("CALL_RINGING");
        assert.deepEqual(await headroom.loads(), [1], "it counts while it rings");
      }

      async function establish(): Promise<void> {
        await dial();
        callee.command("accept");
        const [{ id: callId }] = await Promise.all([caller.next("CALL_ESTABLISHED"), callee.next("CALL_ESTABLISHED")]);
        await waitFor("the caller hears the callee", 5_000, () =>
          caller.events.some(({ type, id }) => type === "CALL_RTPESTAB" && id === callId),
        );
        assert.deepEqual(await headroom.loads(), [1]);
      }

      for (const hangsUp of ["caller", "callee"] as const) {
        it(`a call that is answered, and ended by the ${hangsUp}`, async () => {
          await establish();
          (hangsUp === "caller" ? caller : callee).command("hangup");
          await Promise.all([caller.next("CALL_CLOSED"), callee.next("CALL_CLOSED")]);
          await headroom.untilIdle();
        });
      }

      it("a call that is held and taken up again", async () => {
        await establish();
        const acknowledged = (): number => callee.log.split("\nACK sip:").length - 1;
        const before = acknowledged();
        caller.command("hold");
        await waitFor("the callee is put on hold", 5_000, () => callee.log.includes("\na=sendonly") && acknowledged() === before + 1);
        caller.command("resume");
        await waitFor("the callee is taken up again", 5_000, () => acknowledged() === before + 2);
        assert.deepEqual(await headroom.loads(), [1], "it counts once");
        callee.command("hangup");
        await caller.next("CALL_CLOSED");
        await headroom.untilIdle();
      });

      it("a call that is given up while it rings", async () => {
        await dial();
        caller.command("hangup");
        await callee.next("CALL_CLOSED");
        await headroom.untilIdle();
      });

      it("a call that is refused", async () => {
        await dial();
        callee.command("hangup");
        await caller.next("CALL_CLOSED");
        await headroom.untilIdle();
      });
    });
  }
});
