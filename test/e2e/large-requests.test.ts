import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpServer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const PROXY = "127.0.49.2";
const CALLER = "127.0.49.3";
const CALLEE = "127.0.49.4";
const TIMEOUT_MS = 5_000;
const BODY = "x".repeat(1_500);

let headroom: Headroom;
let caller: UdpPeer;
let callee: UdpPeer;
let port: number;

before(async () => {
  port = await freeUdpPort(PROXY);
  headroom = await startHeadroom(
    `{ sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}"] }, tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [], failover_on: [] }] } }`,
    [],
    PROXY,
  );
});

after(() => headroom.stop());

function invite(uri: string, callId: string, body: string): string {
  const text = request({ sentBy: caller.sentBy, uri, callId, from: `<sip:caller@${caller.sentBy}>;tag=a` });
  return text.replace(/Content-Length: 0/i, `Content-Length: ${body.length}`) + body;
}

/** Sends an INVITE for which the destination is at `params` of the callee's place. */
async function send(params: string, body: string): Promise<string> {
  await headroom.replaceRows([{ uri: `sip:${callee.sentBy}${params}`, resources: "pstn=10" }]);
  const callId = unique("large");
  caller.send(invite(`sip:service@${PROXY}:${port}`, callId, body), { address: PROXY, port });
  return callId;
}

async function statistic(name: string): Promise<number> {
  return Number(((await headroom.mi("get_statistics", [name])) as Record<string, number>)[name]);
}

async function withPeers(run: () => Promise<void>): Promise<void> {
  [caller, callee] = [await UdpPeer.open(CALLER), await UdpPeer.open(CALLEE)];
  try {
    await run();
  } finally {
    await caller.close();
    await callee.close();
  }
}

function isInvite(callId: string): (text: string) => boolean {
  return (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId;
}

describe("a request that is too large for a datagram", () => {
  it("goes over TCP to a destination that takes it, with a Via that says so and a route that does not ask for TCP; so does one inside the call", () =>
    withPeers(async () => {
      const server = await TcpServer.open(CALLEE, Number(callee.sentBy.split(":")[1]));
      try {
        const callId = await send("", BODY);
        const peer = await server.peer();
        const received = await peer.next("INVITE", isInvite(callId));
        assert.ok(received.endsWith(BODY));
        assert.match(headerOf(received, "Via"), new RegExp(`^SIP/2\\.0/TCP ${PROXY}:${port};branch=`));
        assert.match(headersOf(received, "Record-Route").join(), new RegExp(`^<sip:${PROXY}:${port};lr;did=[^;]+>$`));
        const contact = `sip:callee@${callee.sentBy}`;
        peer.send(responseTo(received, 200, { toTag: "b", headers: [`Contact: <${contact}>`] }));
        const ok = await caller.nextFinal("INVITE");
        const routes = headersOf(received, "Record-Route");
        const inDialog = { sentBy: caller.sentBy, uri: contact, callId, from: headerOf(ok, "From"), to: headerOf(ok, "To"), routes };
        caller.send(request({ ...inDialog, method: "ACK" }), { address: PROXY, port });
        await callee.nextRequest("ACK");
        const info = request({ ...inDialog, method: "INFO", cseq: 2 }).replace(/Content-Length: 0/i, `Content-Length: ${BODY.length}`);
        caller.send(info + BODY, { address: PROXY, port });
        peer.send(responseTo(await peer.next("INFO", (text) => text.startsWith("INFO ")), 200));
        assert.equal(statusOf(await caller.nextFinal("INFO")), 200);
        caller.send(request({ ...inDialog, method: "BYE", cseq: 3 }), { address: PROXY, port });
        callee.send(responseTo(await callee.nextRequest("BYE"), 200), { address: PROXY, port });
        assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
        await headroom.untilIdle();
      } finally {
        await server.close();
      }
    }));

  it("goes over UDP at once to one that refuses TCP, which is remembered, and does not count against it", () =>
    withPeers(async () => {
      const before = [
        await statistic("tm:large_over_tcp"),
        await statistic("tm:large_back_to_udp"),
        await statistic("tm:transport_errors"),
      ];
      for (const which of ["first", "second"]) {
        const sinceMs = performance.now();
        const callId = await send("", BODY);
        const received = await callee.next("INVITE", isInvite(callId), TIMEOUT_MS);
        assert.ok(performance.now() - sinceMs < 2_000, which);
        assert.match(headerOf(received, "Via"), /^SIP\/2\.0\/UDP /);
        callee.send(responseTo(received, 486, { toTag: "b" }), { address: PROXY, port });
        assert.equal(statusOf(await caller.nextFinal("INVITE")), 486);
      }
      const now = [await statistic("tm:large_over_tcp"), await statistic("tm:large_back_to_udp"), await statistic("tm:transport_errors")];
      assert.deepEqual(
        now.map((value, i) => value - (before[i] ?? 0)),
        [1, 1, 0],
      );
    }));

  const staying = [
    { what: "when the URI of the destination asks for UDP", params: ";transport=udp", body: BODY },
    { what: "unless it is large", params: "", body: "x".repeat(100) },
  ];
  for (const { what, params, body } of staying) {
    it(`stays on UDP ${what}`, () =>
      withPeers(async () => {
        const server = await TcpServer.open(CALLEE, Number(callee.sentBy.split(":")[1]));
        try {
          const callId = await send(params, body);
          callee.send(responseTo(await callee.next("INVITE", isInvite(callId), TIMEOUT_MS), 486, { toTag: "b" }), { address: PROXY, port });
          assert.equal(statusOf(await caller.nextFinal("INVITE")), 486);
          await waitFor("the end of the call", TIMEOUT_MS, async () => (await headroom.loads())[0] === 0);
          assert.equal(server.peers.length, 0);
        } finally {
          await server.close();
        }
      }));
  }
});
