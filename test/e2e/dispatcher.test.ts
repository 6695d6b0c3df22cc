import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const BALANCER = "127.0.81.1";
const TIMEOUT_MS = 5_000;

/** Value of a statistic of the group. */
async function figure(headroom: Headroom, name: string): Promise<number> {
  const key = `dispatcher:${name}`;
  return ((await headroom.mi("get_statistics", [[key]])) as Record<string, number>)[key] ?? Number.NaN;
}

function untilCounted(headroom: Headroom, calls: number): Promise<unknown> {
  return waitFor(`${calls} calls count`, TIMEOUT_MS, async () => (await figure(headroom, "counted_calls")) === calls);
}

describe("calls by sets of the dispatcher", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-sets-"));
  const listFile = join(folder, "dispatcher.list");
  let headroom: Headroom;
  let caller: UdpPeer;
  let [one, two, three]: UdpPeer[] = [];
  const all = (): UdpPeer[] => [one!, two!, three!];

  before(async () => {
    caller = await UdpPeer.open("127.0.81.2");
    [one, two, three] = await Promise.all([3, 4, 5].map((n) => UdpPeer.open(`127.0.81.${n}`)));
    writeFileSync(
      listFile,
      [
        "# equal priorities: the last one first",
        `1 sip:${three!.sentBy} 0 0`,
        `1 sip:${two!.sentBy} 0 0`,
        `1 sip:${one!.sentBy} 0 0`,
        `2 sip:${one!.sentBy} 0 9 duid=one;maxload=2`,
        `2 sip:${two!.sentBy} 0 5 duid=two`,
        `3 sip:${two!.sentBy};transport=udp 0 5`,
        `5 sip:${one!.sentBy}`,
        "",
      ].join("\n"),
    );
    const bySubject = (subject: string) => ({ match: { header: { Subject: `^${subject}$` } }, failover_on: ["5xx", "408"] });
    const config = {
      tm: { fr_timeout: 2 },
      dispatcher: {
        list_file: listFile,
        sets: [
          {
            id: 4,
            destinations: [
              { uri: `sip:${one!.sentBy}`, priority: 2 },
              { uri: `sip:${two!.sentBy}`, priority: 1 },
            ],
          },
        ],
      },
      routing: {
        rules: [
          { ...bySubject("turns"), dispatch: { set: 1, algorithm: "round-robin" } },
          { ...bySubject("load"), dispatch: { set: 2, algorithm: 10 } },
          { ...bySubject("domain"), dispatch: { set: 3, algorithm: 8, domain: true } },
          { ...bySubject("bounded"), dispatch: { set: 4, algorithm: 8 }, resources: "pstn" },
          { ...bySubject("marked"), dispatch: { routes: "5=8;3=8", mark: "ip" }, disable_on: ["503"] },
          { ...bySubject("missing"), dispatch: { set: 77 } },
        ],
      },
    };
    headroom = await startHeadroom(stringify(config), [{ uri: `sip:${one!.sentBy}`, resources: "pstn=1" }], BALANCER);
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all([caller, ...all()].map((peer) => peer?.close()));
    rmSync(folder, { recursive: true });
  });

  /** Sends an INVITE with this subject. @returns its Call-ID */
  function send(subject: string): { callId: string; invite: string } {
    const invite = request({
      uri: `sip:service@${headroom.address}:${headroom.port}`,
      sentBy: caller.sentBy,
      headers: [`Subject: ${subject}`],
    });
    caller.send(invite, headroom);
    return { callId: headerOf(invite, "Call-ID"), invite };
  }

  async function inviteAt(callId: string, among: readonly UdpPeer[] = all()): Promise<{ peer: UdpPeer; text: string }> {
    return waitFor("somebody gets the call", TIMEOUT_MS, () => {
      for (const peer of among) {
        const text = peer.received.find((message) => message.startsWith("INVITE ") && headerOf(message, "Call-ID") === callId);
        if (text !== undefined) return { peer, text };
      }
      return undefined;
    });
  }

  async function finalOf(callId: string): Promise<string> {
    return waitFor("the final answer", TIMEOUT_MS, () =>
      caller.received.find(
        (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId && headerOf(text, "CSeq").endsWith("INVITE"),
      ),
    );
  }

  function answer(peer: UdpPeer, text: string, status: number): void {
    peer.send(responseTo(text, status, { toTag: "there", headers: [`Contact: <sip:callee@${peer.sentBy}>`] }), headroom);
  }

  async function hangUp(callee: UdpPeer, call: RawCall): Promise<void> {
    caller.send(call.fromCaller("BYE", 2), headroom);
    const bye = await callee.next("BYE", (text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === call.callId);
    callee.send(responseTo(bye, 200), headroom);
  }

  it("go to one destination after the other, in the order of Kamailio, and to the next one when one fails", async () => {
    const takers: UdpPeer[] = [];
    for (let call = 0; call < 4; call++) {
      const { callId } = send("turns");
      const { peer, text } = await inviteAt(callId);
      takers.push(peer);
      answer(peer, text, 486);
      assert.equal(statusOf(await finalOf(callId)), 486);
    }
    assert.deepEqual(takers, [one, two, three, one]);
    const { callId } = send("turns");
    const first = await inviteAt(callId);
    assert.equal(first.peer, two);
    answer(first.peer, first.text, 500);
    const second = await inviteAt(callId, [one!, three!]);
    assert.equal(second.peer, three, "the failover list goes round");
    answer(second.peer, second.text, 486);
    await finalOf(callId);
  });

  it("count with algorithm 10 from the selection until they end: BYE, CANCEL, failure, failover, silence", async () => {
    const calls: RawCall[] = [];
    for (const callee of [one!, two!, one!]) calls.push(await establish(headroom, caller, callee, { headers: ["Subject: load"] }));
    await untilCounted(headroom, 3);
    calls.push(await establish(headroom, caller, two!, { headers: ["Subject: load"] })); // the first one is full
    await untilCounted(headroom, 4);

    const { callId, invite } = send("load");
    const ringing = await inviteAt(callId, [two!]);
    answer(ringing.peer, ringing.text, 180);
    await untilCounted(headroom, 5);
    await waitFor("the caller hears it ring", TIMEOUT_MS, () =>
      caller.received.some((text) => statusOf(text) === 180 && headerOf(text, "Call-ID") === callId),
    );
    caller.send(invite.replace(/^INVITE /, "CANCEL ").replace(/(\r\nCSeq: *\d+) INVITE/i, "$1 CANCEL"), headroom);
    await waitFor("CANCEL arrives", TIMEOUT_MS, () =>
      two!.received.some((text) => text.startsWith("CANCEL ") && headerOf(text, "Call-ID") === callId),
    );
    answer(ringing.peer, ringing.text, 487);
    assert.equal(statusOf(await finalOf(callId)), 487);
    await untilCounted(headroom, 4);

    for (const call of calls.slice(0, 1)) await hangUp(one!, call);
    await untilCounted(headroom, 3);
    const failing = send("load");
    const atOne = await inviteAt(failing.callId, [one!]);
    answer(atOne.peer, atOne.text, 503);
    const atTwo = await inviteAt(failing.callId, [two!]);
    await untilCounted(headroom, 4);
    answer(atTwo.peer, atTwo.text, 503);
    await finalOf(failing.callId);
    await untilCounted(headroom, 3);
    const silent = send("load");
    await inviteAt(silent.callId, [one!]);
    assert.equal(statusOf(await finalOf(silent.callId)), 408);
    await untilCounted(headroom, 3);
    await hangUp(two!, calls[1]!);
    await hangUp(one!, calls[2]!);
    await hangUp(two!, calls[3]!);
    await untilCounted(headroom, 0);
  });

  it("keep their counts through a reload that changes the sets, and through kill -9", async () => {
    const first = await establish(headroom, caller, one!, { headers: ["Subject: load"] });
    const second = await establish(headroom, caller, two!, { headers: ["Subject: load"] });
    const third = await establish(headroom, caller, one!, { headers: ["Subject: load"] }); // it is full now
    await waitFor("all is written", TIMEOUT_MS, async () => {
      const key = "dialog:persist_pending";
      return ((await headroom.mi("get_statistics", [[key]])) as Record<string, number>)[key] === 0;
    });
    await headroom.mi("lb_reload");
    await untilCounted(headroom, 3);
    await headroom.restart("SIGKILL");
    assert.equal(await figure(headroom, "counted_calls"), 3);
    const fourth = await establish(headroom, caller, two!, { headers: ["Subject: load"] });
    await hangUp(one!, first);
    await hangUp(two!, second);
    await hangUp(one!, third);
    await hangUp(two!, fourth);
    await untilCounted(headroom, 0);
  });

  it("have host and port of the destination in their Request-URI when the rule says so", async () => {
    const { callId } = send("domain");
    const { peer, text } = await inviteAt(callId);
    assert.equal(peer, two);
    assert.match(text, new RegExp(`^INVITE sip:service@${two!.sentBy.replaceAll(".", "\\.")};transport=udp SIP/2\\.0\r\n`));
    answer(peer, text, 486);
    await finalOf(callId);
  });

  it("pass over a destination whose row of the table is full, and count there", async () => {
    const { callId } = send("bounded");
    const held = await inviteAt(callId);
    assert.equal(held.peer, one);
    assert.deepEqual(await headroom.loads(), [1]);
    const other = send("bounded");
    const passed = await inviteAt(other.callId);
    assert.equal(passed.peer, two);
    for (const [{ peer, text }, id] of [
      [held, callId],
      [passed, other.callId],
    ] as const) {
      answer(peer, text, 486);
      await finalOf(id);
    }
    await headroom.untilIdle();
  });

  it("leave a destination that disable_on names, and go on to the next set", async () => {
    const { callId } = send("marked");
    const first = await inviteAt(callId, [one!]);
    answer(first.peer, first.text, 503);
    const second = await inviteAt(callId, [two!]);
    answer(second.peer, second.text, 486);
    await finalOf(callId);
    await headroom.untilLogged(/of set 5 is down: IP \(script\)/);
    const next = send("marked");
    const only = await inviteAt(next.callId);
    assert.equal(only.peer, two);
    answer(only.peer, only.text, 486);
    await finalOf(next.callId);
  });

  it("are refused with the status for what is not there when there is no such set", async () => {
    assert.match(await finalOf(send("missing").callId), /^SIP\/2\.0 500 No such set\r\n/);
  });
});
