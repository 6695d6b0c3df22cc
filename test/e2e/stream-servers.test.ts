import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { RegisteringPeer } from "../support/registering-peer.ts";
import { request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const PROXY = "127.0.48.2";
const CALLER = "127.0.48.3";
const SERVER = "127.0.48.4";
const CARRIER = "127.0.48.5";
const TIMEOUT_MS = 5_000;

function overTcp(text: string): string {
  return text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
}

describe("a server that registers to be reached over TCP", () => {
  it("gets calls over TCP, and those that it makes over a connection of its own are counted on it and go to the next hop over TCP", async () => {
    const [server, carrier] = [await TcpServer.open(SERVER), await TcpServer.open(CARRIER)];
    const port = await freeUdpPort(PROXY);
    const proxy = { address: PROXY, port };
    const headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}"] }, tm: { fr_timeout: 5 },
         registrar: { accounts: [{ user: fs, password: "secret word", group: 1, resources: "pstn=10" }] },
         routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }], outbound: { next_hop: "sip:${CARRIER}:${carrier.port};transport=tcp" } } }`,
      [],
      PROXY,
    );
    const contact = `sip:fs@${SERVER}:${server.port};transport=tcp`;
    const registering = await RegisteringPeer.open(SERVER, proxy, { contact });
    const caller = await UdpPeer.open(CALLER);
    const own = await TcpPeer.connect(proxy, SERVER);
    try {
      assert.equal(statusOf(await registering.register(600)), 200);
      const uri = `sip:${SERVER}:${server.port};transport=tcp`;
      await waitFor("the row", TIMEOUT_MS, async () => (await headroom.list())[0]?.uri === uri);

      caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}:${port}`, callId: unique("to") }), proxy);
      const callee = await server.peer();
      callee.send(responseTo(await callee.next("INVITE", (text) => text.startsWith("INVITE ")), 486, { toTag: "b" }));
      assert.equal(statusOf(await caller.nextFinal("INVITE")), 486);

      const invite = request({ sentBy: `${SERVER}:${server.port}`, uri: "sip:0049@carrier.example", callId: unique("from") });
      own.send(overTcp(invite));
      const next = await carrier.peer();
      const sent = await next.next("INVITE", (text) => text.startsWith("INVITE sip:0049@carrier.example "));
      await waitFor("the call is counted on its sender", TIMEOUT_MS, async () => (await headroom.loads())[0] === 1);
      next.send(responseTo(sent, 486, { toTag: "c" }));
      await own.next("486", (text) => statusOf(text) === 486);
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await registering.close();
      await caller.close();
      await own.close();
      await server.close();
      await carrier.close();
    }
  });
});
