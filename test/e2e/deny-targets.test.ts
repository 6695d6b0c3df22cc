import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { establish } from "../support/raw-call.ts";
import { responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CONFIG = `
load_balancer: { lb_define_blacklist: "media= 1,2" }
routing: { deny_targets: [media] }
`;

describe("routing.deny_targets inside a call, on sockets", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let media: UdpPeer;

  before(async () => {
    // All at one address: what tells them apart is the port, as the lists do.
    caller = await UdpPeer.open("127.0.0.1");
    callee = await UdpPeer.open("127.0.0.1");
    media = await UdpPeer.open("127.0.0.1");
    headroom = await startHeadroom(CONFIG, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }]);
  });
  after(async () => {
    for (const peer of [caller, callee, media]) await peer.close();
    await headroom.stop();
  });

  it("a call that was allowed opens no way to a destination, by address or by name, also to one that a reload brings", async () => {
    const call = await establish(headroom, caller, callee);
    const attack = (method: string, cseq: number, uri: string): void =>
      caller.send(call.fromCaller(method, cseq).replace(/^(\S+) \S+/, `$1 ${uri}`), headroom);

    attack("INFO", 2, `sip:x@${media.sentBy}`);
    const received = await media.nextRequest("INFO");
    media.send(responseTo(received, 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("INFO")), 200, "it is nobody's yet");

    await headroom.replaceRows([
      { uri: `sip:${callee.sentBy}`, resources: "pstn=10" },
      { group: 2, uri: `sip:${media.sentBy}`, resources: "pstn=10" },
    ]);
    const before = media.received.length;
    let cseq = 3;
    for (const uri of [`sip:x@${media.sentBy}`, `sip:x@localhost:${media.port}`]) {
      for (const method of ["INVITE", "INFO", "REFER"]) {
        attack(method, cseq++, uri);
        const answer = await caller.nextFinal(method);
        assert.match(answer, /^SIP\/2\.0 403 Target Not Allowed\r\n/, `${method} ${uri}`);
      }
    }
    attack("ACK", cseq, `sip:x@${media.sentBy}`);
    assert.ok(await media.staysSilent(200));
    assert.equal(media.received.length, before);
    assert.equal(
      ((await headroom.mi("get_statistics", { statistics: ["routing:denied_targets"] })) as Record<string, number>)[
        "routing:denied_targets"
      ],
      7,
    );
    assert.deepEqual(await headroom.loads(), [1, 0], "the call goes on");

    caller.send(call.fromCaller("BYE", cseq + 1), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });
});
