import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createServer, type Server } from "node:tls";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.45.2";
const CALLER = "127.0.45.3";
const CALLEE = "127.0.45.4";

/** A destination over TLS. */
async function startDestination(): Promise<{ server: Server; port: number; peers: TcpPeer[] }> {
  const peers: TcpPeer[] = [];
  const server = createServer(
    { cert: readFileSync(join(FIXTURES, "proxy.pem")), key: readFileSync(join(FIXTURES, "proxy.key")) },
    (socket) => void peers.push(new TcpPeer(socket)),
  );
  server.on("tlsClientError", () => undefined);
  server.listen(0, CALLEE);
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port, peers };
}

/** A machine that is busy must not look like a destination that is dead, nor like one call too many. */
async function startProxy(udp: number, port: number): Promise<Headroom> {
  const tls = `{ certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key", ca: "${FIXTURES}/ca.pem" }`;
  return startHeadroom(
    `
    sip: { listen: ["udp:${PROXY}:${udp}", "tls:${PROXY}:${udp}"], tls: ${tls}, connections: { connect_timeout: 20 } }
    tm: { fr_timeout: 20 }
    overload: { max_lag: 0, max_utilization: 0 }
    `,
    [{ uri: `sip:${CALLEE}:${port};transport=tls`, resources: "pstn=10" }],
    PROXY,
  );
}

/** Values of Record-Route as a caller has them in its route set, the other way round for a callee. */
function routesOf(message: string): string[] {
  return headersOf(message, "Record-Route").flatMap((value) => value.split(/,\s*/));
}

describe("a call from UDP to TLS", () => {
  let destination: Awaited<ReturnType<typeof startDestination>>;
  let headroom: Headroom;
  let udp = 0;

  before(async () => {
    destination = await startDestination();
    udp = await freeUdpPort(PROXY);
    headroom = await startProxy(udp, destination.port);
  });
  after(async () => {
    await headroom?.stop();
    for (const peer of destination.peers) await peer.close();
    destination.server.close();
  });

  for (const hangsUp of ["caller", "callee"] as const) {
    it(`is bridged by two Record-Routes, and ended by the ${hangsUp}`, async () => {
      const caller = await UdpPeer.open(CALLER);
      const to = { address: PROXY, port: udp };
      try {
        const callId = unique("tls");
        const isOf = (start: string) => (text: string) => text.startsWith(start) && headerOf(text, "Call-ID") === callId;
        const from = `<sip:caller@${caller.sentBy}>;tag=a`;
        caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}:${udp}`, callId, from }), to);
        const callee = await waitFor("the connection", MESSAGE_TIMEOUT_MS, () => destination.peers[0]);
        const invite = await callee.next("INVITE", isOf("INVITE "));
        assert.match(headerOf(invite, "Via"), new RegExp(`^SIP/2\\.0/TLS ${PROXY}:${udp};`));
        const [inside = "", outside = ""] = routesOf(invite);
        assert.match(inside, new RegExp(`^<sip:${PROXY}:${udp};transport=tls;lr;did=[^;]+;r2=on>$`));
        assert.match(outside, new RegExp(`^<sip:${PROXY}:${udp};lr;did=[^;]+;r2=on>$`));

        const contact = `sip:callee@${CALLEE}:${destination.port};transport=tls`;
        callee.send(responseTo(invite, 200, { toTag: "b", headers: [`Contact: <${contact}>`] }));
        const ok = await caller.nextFinal("INVITE");
        const callerSide = { sentBy: caller.sentBy, uri: contact, callId, from, to: headerOf(ok, "To"), routes: routesOf(ok).reverse() };
        caller.send(request({ ...callerSide, method: "ACK" }), to);
        const ack = await callee.next("ACK", isOf("ACK "));
        assert.deepEqual([ack.split(" ", 2)[1], headersOf(ack, "Route")], [contact, []]);

        if (hangsUp === "caller") {
          caller.send(request({ ...callerSide, method: "BYE", cseq: 2 }), to);
          callee.send(responseTo(await callee.next("BYE", isOf("BYE ")), 200));
          assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
        } else {
          const bye = request({
            ...{ method: "BYE", uri: `sip:caller@${caller.sentBy}`, callId, routes: routesOf(invite), cseq: 1 },
            ...{ sentBy: `${CALLEE}:${destination.port}`, from: headerOf(ok, "To"), to: from },
          });
          callee.send(bye.replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
          const received = await caller.nextRequest("BYE");
          assert.match(headerOf(received, "Via"), /^SIP\/2\.0\/UDP /);
          assert.deepEqual(headersOf(received, "Route"), []);
          caller.send(responseTo(received, 200), to);
          await callee.next("200", isOf("SIP/2.0 200"));
        }
        await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
        assert.equal(destination.peers.length, 1, "all went over one connection");
      } finally {
        await caller.close();
      }
    });
  }
});
