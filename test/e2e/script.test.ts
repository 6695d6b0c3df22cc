import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Headroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { headerOf, responseTo, statusOf } from "../support/sip-messages.ts";
import { answerAndHangUp, type Bench, finalFor, finalOf, hangUp, inviteAt, openBench, sendInvite } from "../support/two-destinations.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../examples");
const TIMEOUT_MS = 3_000;

/** Loads of each destination as `resource=load`. */
async function loadsByName(headroom: Headroom): Promise<string[]> {
  return (await headroom.list()).map(({ Resources }) => Resources.map(({ name, load }) => `${name}=${load}`).join(";"));
}

/** What happens with each route module of examples/, and the resources of the two destinations for it. */
const SCENARIOS: Record<string, { resources: [string, string]; does: string; config?: object; run(bench: Bench): Promise<void> }> = {
  "blacklist.ts": {
    resources: ["conference=20", "conference=10"],
    config: { load_balancer: { lb_define_blacklist: ["media= 1"] } },
    does: "keeps media servers from those who write their address, and balances conferences",
    async run(bench) {
      const { headroom, one, two } = bench;
      assert.match(await finalOf(bench, `sip:x@${two.sentBy}`), /^SIP\/2\.0 403 Forbidden\r\n/);
      assert.match(await finalOf(bench), /^SIP\/2\.0 404 No route\r\n/);
      const callId = sendInvite(bench, `sip:8000@${headroom.address}:${headroom.port}`);
      await answerAndHangUp(bench, one, await inviteAt(one, callId));
      assert.equal(two.count("INVITE"), 0);
    },
  },
  "dispatcher.ts": {
    resources: ["conference=20", "conference=10"],
    does: "gives calls to the destinations of a set in turn, and to the next one when one fails",
    async run(bench) {
      const { headroom, one, two } = bench;
      // Of destinations with one priority the one that was added last comes first, as in Kamailio.
      for (const peer of [two, one]) await headroom.mi("dispatcher.add", [1, `sip:${peer.sentBy}`]);
      const callId = sendInvite(bench);
      one.send(responseTo(await inviteAt(one, callId), 503, { toTag: "no" }), headroom);
      await answerAndHangUp(bench, two, await inviteAt(two, callId));
      const second = sendInvite(bench);
      await answerAndHangUp(bench, two, await inviteAt(two, second));
      for (const peer of [one, two]) await headroom.mi("dispatcher.set_state", ["d", 1, `sip:${peer.sentBy}`]);
      assert.match(await finalOf(bench), /^SIP\/2\.0 503 No destination\r\n/);
    },
  },
  "distribute.ts": {
    resources: ["conference=20", "conference=10"],
    config: { distributor: { lists: { carriers: [{ name: 1, weight: 2 }, { name: 2 }] } } },
    does: "gives calls to the nodes of a list in turn, and to the next node when one fails",
    async run(bench) {
      const { headroom, one, two } = bench;
      const callId = sendInvite(bench);
      one.send(responseTo(await inviteAt(one, callId), 503, { toTag: "no" }), headroom);
      await answerAndHangUp(bench, two, await inviteAt(two, callId));
      const second = sendInvite(bench); // the turn that one has left of this round
      await answerAndHangUp(bench, one, await inviteAt(one, second));
      for (const id of [1, 2]) await headroom.mi("lb_status", [id, 0]);
      assert.match(await finalOf(bench), /^SIP\/2\.0 503 No carrier\r\n/);
    },
  },
  "outbound.ts": {
    resources: ["conference=2", "conference=1"],
    does: "counts a call that a destination makes, for as long as a carrier may take it",
    async run(bench) {
      const { headroom, caller, one, two } = bench;
      const outgoing = sendInvite({ ...bench, caller: one }, "sip:somebody@carrier.example");
      await waitFor("it is counted", TIMEOUT_MS, async () => (await loadsByName(headroom))[0] === "conference=1");
      assert.ok(statusOf(await finalFor(one, outgoing)) >= 400, "the carriers of the example are addresses for documentation");
      assert.deepEqual(await loadsByName(headroom), ["conference=0", "conference=0"]);
      assert.equal(two.count("INVITE"), 0);
      await hangUp(headroom, await establish(headroom, caller, one), caller, one);
    },
  },
  "lb-start.ts": {
    resources: ["transcoding=1;conference=9", "conference=99"],
    does: "counts a call at the only destination with both resources, and answers 503 when that is full",
    async run(bench) {
      const { headroom, caller, one } = bench;
      const call = await establish(headroom, caller, one);
      assert.deepEqual(await loadsByName(headroom), ["transcoding=1;conference=1", "conference=0"]);
      const refusal = await finalOf(bench);
      assert.match(refusal, /^SIP\/2\.0 503 Service full\r\n/);
      await hangUp(headroom, call, caller, one);
    },
  },
  "lb-next.ts": {
    resources: ["conference=20", "conference=10"],
    does: "moves a call to the next destination after a 5xx, and gives the caller the best answer when none is left",
    async run(bench) {
      const { headroom, one, two } = bench;
      const callId = sendInvite(bench);
      one.send(responseTo(await inviteAt(one, callId), 500, { toTag: "no" }), headroom);
      const delivered = await inviteAt(two, callId);
      assert.deepEqual(await loadsByName(headroom), ["conference=0", "conference=1"]);
      await answerAndHangUp(bench, two, delivered);

      const second = sendInvite(bench);
      one.send(responseTo(await inviteAt(one, second), 500, { toTag: "no" }), headroom);
      two.send(responseTo(await inviteAt(two, second), 580, { toTag: "neither" }), headroom);
      assert.ok([500, 580].includes(statusOf(await finalFor(bench.caller, second))));
      await headroom.untilIdle();
    },
  },
  "lb-reset.ts": {
    resources: ["transcoding=9;conference=9", "conference=50"],
    does: "starts a new session with other resources when a destination stays silent",
    async run(bench) {
      const { headroom, one, two } = bench;
      const callId = sendInvite(bench);
      await inviteAt(one, callId);
      assert.deepEqual(await loadsByName(headroom), ["transcoding=1;conference=1", "conference=0"]);
      const delivered = await inviteAt(two, callId); // after fr_timeout, one second here
      assert.deepEqual(await loadsByName(headroom), ["transcoding=0;conference=0", "conference=1"]);
      await answerAndHangUp(bench, two, delivered);
    },
  },
  "lb-disable-dst.ts": {
    resources: ["conference=20", "conference=10"],
    does: "disables the destination that failed, for later calls too, until it is enabled again",
    async run(bench) {
      const { headroom, caller, one, two } = bench;
      const callId = sendInvite(bench);
      one.send(responseTo(await inviteAt(one, callId), 500, { toTag: "no" }), headroom);
      await answerAndHangUp(bench, two, await inviteAt(two, callId));
      assert.deepEqual(
        (await headroom.list()).map(({ enabled, "auto-reenable": auto }) => [enabled, auto]),
        [
          ["no", "on"],
          ["yes", "on"],
        ],
      );
      await waitFor("the log says so", TIMEOUT_MS, () =>
        headroom.log().includes(`manually disable destination 1 <sip:${one.sentBy}> from script`),
      );
      await hangUp(headroom, await establish(headroom, caller, two), caller, two);
      await headroom.mi("lb_status", [1, 1]);
      await hangUp(headroom, await establish(headroom, caller, one), caller, one);
    },
  },
  "lb-is-destination.ts": {
    resources: ["conference=20", "conference=10"],
    does: "lets a destination call where it asks to, uncounted, and balances the calls of all others",
    async run({ headroom, caller, one }) {
      const outgoing = await establish(headroom, one, caller, { uri: `sip:somebody@${caller.sentBy}` });
      assert.deepEqual(await loadsByName(headroom), ["conference=0", "conference=0"]);
      await waitFor("the log names the destination", TIMEOUT_MS, () => headroom.log().includes("request from destination 1"));
      const incoming = await establish(headroom, caller, one);
      assert.deepEqual(await loadsByName(headroom), ["conference=1", "conference=0"]);
      caller.send(incoming.fromCaller("BYE", 2), headroom);
      one.send(responseTo(await one.nextRequest("BYE"), 200), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
      await hangUp(headroom, outgoing, one, caller);
    },
  },
  "lb-count-call.ts": {
    resources: ["conference=2", "conference=1"],
    does: "counts a call that a destination makes at that destination, and chooses with it in mind",
    async run({ headroom, caller, one, two }) {
      const outgoing = [];
      for (let calls = 1; calls <= 2; calls++) {
        outgoing.push(await establish(headroom, one, caller, { uri: `sip:somebody@${caller.sentBy}` }));
        assert.deepEqual(await loadsByName(headroom), [`conference=${calls}`, "conference=0"]);
      }
      const incoming = await establish(headroom, caller, two); // without the two calls it would be the other one
      assert.deepEqual(await loadsByName(headroom), ["conference=2", "conference=1"]);
      for (const [call, from, to] of [
        [outgoing[0] as RawCall, one, caller],
        [incoming, caller, two],
      ] as const) {
        from.send(call.fromCaller("BYE", 2), headroom);
        to.send(responseTo(await to.nextRequest("BYE"), 200), headroom);
        assert.equal(statusOf(await from.nextFinal("BYE")), 200);
      }
      assert.deepEqual(await loadsByName(headroom), ["conference=1", "conference=0"]);
      caller.send((outgoing[1] as RawCall).fromCallee("BYE", 1), headroom); // the other side may hang up as well
      one.send(responseTo(await one.nextRequest("BYE"), 200), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
      await headroom.untilIdle();
    },
  },
};

describe("routing.script with the examples", () => {
  it("is tried with every route module of examples/", () => {
    const modules = readdirSync(EXAMPLES).filter((name) => name.endsWith(".ts"));
    assert.deepEqual(Object.keys(SCENARIOS).sort(), modules.sort());
  });

  for (const [name, { resources, does, config, run }] of Object.entries(SCENARIOS)) {
    it(`${name} ${does}`, async () => {
      const bench = await openBench(JSON.stringify({ ...config, routing: { script: join(EXAMPLES, name) } }), resources);
      try {
        await run(bench);
        assert.doesNotMatch(bench.headroom.log(), /"level":"(error|fatal)"/);
      } finally {
        await bench.close();
      }
    });
  }
});

const THROWING = `
export function request(call) {
  const { ruriUser } = call;
  if (ruriUser === "throws-first") throw new Error("kaput before start");
  if (!call.lb.start(1, "pstn")) return call.reply(503, "Service full");
  if (ruriUser === "throws") throw new TypeError("kaput after start");
  if (ruriUser === "throws-string") throw "kaput as text";
  if (ruriUser === "rejects") return new Promise((_, reject) => setTimeout(reject, 10, new Error("kaput later")));
  if (ruriUser === "forgets") return;
  call.relay();
}
export function failure(call) {
  if (call.status === 502) throw new Error("kaput in failure");
}
export function reply(call) {
  if (call.status === 183) throw new Error("kaput in reply");
}
`;

describe("a script with faults", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-script-"));
  let bench: Bench;
  before(async () => {
    const script = join(folder, "throwing.mjs");
    writeFileSync(script, THROWING);
    bench = await openBench(JSON.stringify({ routing: { script } }), ["pstn=20", "pstn=10"]);
  });
  after(async () => {
    await bench?.close();
    rmSync(folder, { recursive: true });
  });

  /** The line of the log about this call with `text` in it. */
  async function logged(callId: string, text: string): Promise<void> {
    await waitFor(`the log has "${text}" and the Call-ID\n${bench.headroom.log()}`, TIMEOUT_MS, () =>
      bench.headroom
        .log()
        .split("\n")
        .some((line) => line.includes(callId) && line.includes(text) && line.includes('"level":"error"')),
    );
  }

  for (const [user, text] of [
    ["throws-first", "kaput before start"],
    ["throws", "kaput after start"],
    ["throws-string", "kaput as text"],
    ["rejects", "kaput later"],
  ] as const) {
    it(`"${text}" in request(): 500, nothing sent on, nothing stays counted, and the log has error and Call-ID`, async () => {
      const { address, port } = bench.headroom;
      const answer = await finalOf(bench, `sip:${user}@${address}:${port}`);
      assert.equal(statusOf(answer), 500);
      assert.doesNotMatch(answer, /kaput/, "the caller learns nothing of what is inside");
      await bench.headroom.untilIdle();
      assert.equal(bench.one.count("INVITE") + bench.two.count("INVITE"), 0);
      await logged(headerOf(answer, "Call-ID"), text);
    });
  }

  it("no decision in request(): 500, and nothing stays counted", async () => {
    const { address, port } = bench.headroom;
    assert.equal(statusOf(await finalOf(bench, `sip:forgets@${address}:${port}`)), 500);
    await bench.headroom.untilIdle();
  });

  it("a throw in failure(): 500, and nothing stays counted", async () => {
    const callId = sendInvite(bench);
    bench.one.send(responseTo(await inviteAt(bench.one, callId), 502, { toTag: "no" }), bench.headroom);
    assert.equal(statusOf(await finalFor(bench.caller, callId)), 500);
    await bench.headroom.untilIdle();
    await logged(callId, "kaput in failure");
  });

  it("a throw in reply(): the call goes on, as do those after it", async () => {
    const callId = sendInvite(bench);
    const delivered = await inviteAt(bench.one, callId);
    bench.one.send(responseTo(delivered, 183, { toTag: "answers" }), bench.headroom);
    await bench.caller.next("183", (text) => statusOf(text) === 183);
    await logged(callId, "kaput in reply");
    await answerAndHangUp(bench, bench.one, delivered);
    const call = await establish(bench.headroom, bench.caller, bench.one);
    await hangUp(bench.headroom, call, bench.caller, bench.one);
  });

  it("counts them", async () => {
    const statistics = (await bench.headroom.mi("get_statistics", { statistics: ["core:script_errors"] })) as Record<string, number>;
    assert.ok((statistics["core:script_errors"] ?? 0) >= 5, JSON.stringify(statistics));
  });
});
