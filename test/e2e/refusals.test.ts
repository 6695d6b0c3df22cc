import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { headerOf, request, statusOf, unique } from "../support/sip-messages.ts";
import { runCaller } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.11";
const CALLEE = "127.0.21.12";

describe("a call that cannot be placed is refused as routing.reject says", () => {
  const cases = [
    { name: "-2, every destination is full: no_capacity", resources: "pstn", rowResources: "pstn=0", disabled: false, status: 503 },
    { name: "-3, no destination is enabled: no_destination", resources: "pstn", rowResources: "pstn=5", disabled: true, status: 404 },
    {
      name: "-3, the group has no destination: no_destination",
      resources: "pstn",
      rowResources: "pstn=5",
      disabled: false,
      group: 7,
      status: 404,
    },
    {
      name: "-4, no destination knows the resource: bad_resource",
      resources: "video",
      rowResources: "pstn=5",
      disabled: false,
      status: 500,
    },
  ];
  for (const { name, resources, rowResources, disabled, group = 1, status } of cases) {
    it(`${name}, here ${status}`, async () => {
      const callee = await UdpPeer.open(CALLEE);
      const config = { routing: { rules: [{ group, resources }], reject: { no_capacity: 503, no_destination: 404, bad_resource: 500 } } };
      const headroom = await startHeadroom(JSON.stringify(config), [{ uri: `sip:${callee.sentBy}`, resources: rowResources }]);
      try {
        if (disabled) await headroom.mi("lb_status", [1, 0]);
        const target = `${headroom.address}:${headroom.port}`;
        const caller = await runCaller({ scenario: "caller-rejected", address: CALLER, target, calls: 3, status });
        assert.deepEqual([caller.successful, caller.failed, caller.errors], [3, 0, ""]);
        assert.deepEqual(callee.received, []);
        await headroom.untilIdle();
      } finally {
        await headroom.stop();
        await callee.close();
      }
    });
  }
});

describe("requests that are no call to place", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  before(async () => {
    caller = await UdpPeer.open(CALLER);
    callee = await UdpPeer.open(CALLEE);
    headroom = await startHeadroom("", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
  });
  after(async () => {
    await headroom?.stop();
    await caller.close();
    await callee.close();
  });

  const ours = (): string => `sip:${headroom.address}:${headroom.port}`;

  async function answerTo(message: string, method: string): Promise<string> {
    caller.send(message, headroom);
    const callId = headerOf(message, "Call-ID");
    const final = (answer: string): boolean => statusOf(answer) >= 200 && headerOf(answer, "Call-ID") === callId;
    return caller.next(`final response to ${method}`, final);
  }

  it("answers OPTIONS to itself with 200", async () => {
    const options = request({ method: "OPTIONS", uri: ours(), sentBy: caller.sentBy });
    const answer = await answerTo(options, "OPTIONS");
    assert.equal(statusOf(answer), 200);
    assert.match(headerOf(answer, "To"), /;tag=./);
    assert.equal(headerOf(answer, "Via").split(";")[0], headerOf(options, "Via").split(";")[0]);
  });

  for (const method of ["MESSAGE", "SUBSCRIBE", "REGISTER", "INFO", "PUBLISH"]) {
    it(`answers ${method} outside a dialog with 405 and an Allow header: no rule names it`, async () => {
      const answer = await answerTo(
        request({ method, uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }),
        method,
      );
      assert.equal(statusOf(answer), 405);
      assert.match(headerOf(answer, "Allow"), /\bINVITE\b/);
    });
  }

  for (const method of ["INVITE", "OPTIONS", "MESSAGE"]) {
    it(`refuses ${method} with a Route to somebody else: 403, it is no open relay`, async () => {
      const foreign = request({ method, uri: `sip:victim@${callee.sentBy}`, sentBy: caller.sentBy, routes: [`<sip:${callee.sentBy};lr>`] });
      assert.equal(statusOf(await answerTo(foreign, method)), 403);
    });
  }

  it("refuses INVITE with a Route to itself and then to somebody else: 403", async () => {
    const routes = [`<${ours()};lr>`, `<sip:${callee.sentBy};lr>`];
    assert.equal(statusOf(await answerTo(request({ uri: "sip:victim@example.org", sentBy: caller.sentBy, routes }), "INVITE")), 403);
  });

  for (const method of ["BYE", "INVITE", "UPDATE", "INFO", "REFER"]) {
    it(`answers ${method} inside a dialog that it does not know with 481`, async () => {
      const to = `<sip:service@${callee.sentBy}>;tag=${unique("t")}`;
      const unknown = request({
        method,
        uri: `sip:${callee.sentBy}`,
        sentBy: caller.sentBy,
        to,
        routes: [`<${ours()};lr;did=7f.1234abcd>`],
      });
      assert.equal(statusOf(await answerTo(unknown, method)), 481);
    });
  }

  it("answers BYE without a Route inside a dialog that it does not know with 481", async () => {
    const to = `<sip:service@${callee.sentBy}>;tag=${unique("t")}`;
    assert.equal(statusOf(await answerTo(request({ method: "BYE", uri: ours(), sentBy: caller.sentBy, to }), "BYE")), 481);
  });

  it("says nothing to an ACK of no known call, and does not pass it on", async () => {
    const to = `<sip:service@${callee.sentBy}>;tag=${unique("t")}`;
    const ack = request({
      method: "ACK",
      uri: `sip:${callee.sentBy}`,
      sentBy: caller.sentBy,
      to,
      routes: [`<${ours()};lr;did=7f.1234abcd>`],
    });
    caller.send(ack, headroom);
    await sleep(300);
    // Only what belongs to this ACK counts: refused INVITEs of other tests were not acknowledged, so their answers are repeated.
    assert.deepEqual(
      caller.received.filter((message) => headerOf(message, "Call-ID") === headerOf(ack, "Call-ID")),
      [],
    );
  });

  it("answers CANCEL of no known INVITE with 481", async () => {
    const cancel = request({ method: "CANCEL", uri: ours(), sentBy: caller.sentBy });
    assert.equal(statusOf(await answerTo(cancel, "CANCEL")), 481);
  });

  it("answers a request with Max-Forwards 0 with 483", async () => {
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, maxForwards: 0 });
    assert.equal(statusOf(await answerTo(invite, "INVITE")), 483);
  });

  it("answers an unknown Proxy-Require with 420 and names it", async () => {
    const invite = request({
      uri: `sip:service@${headroom.address}:${headroom.port}`,
      sentBy: caller.sentBy,
      headers: ["Proxy-Require: teleport"],
    });
    const answer = await answerTo(invite, "INVITE");
    assert.equal(statusOf(answer), 420);
    assert.equal(headerOf(answer, "Unsupported"), "teleport");
  });

  it("answers a malformed INVITE with 400 and goes on, also after garbage", async () => {
    const good = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    const answer = await answerTo(good.replace("CSeq: 1 INVITE", "CSeq: one INVITE"), "INVITE");
    assert.equal(statusOf(answer), 400);
    for (const garbage of [
      "",
      "\r\n\r\n",
      "\0\0\0\0",
      "INVITE",
      "SIP/2.0 200 OK\r\n\r\n",
      "INVITE sip:a SIP/2.0\r\n\r\n",
      "ÿþ".repeat(500),
    ])
      caller.send(garbage, headroom);
    assert.equal(statusOf(await answerTo(request({ method: "OPTIONS", uri: ours(), sentBy: caller.sentBy }), "OPTIONS")), 200);
  });

  it("passed none of all this on, and counts nothing", async () => {
    assert.deepEqual(callee.received, []);
    await headroom.untilIdle();
  });
});
