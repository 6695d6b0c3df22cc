import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createServer } from "node:tls";
import { startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.47.2";
const CALLER = "127.0.47.3";
const FAILING = "127.0.47.4";
const SECURE = "127.0.47.5";
const TIMEOUT_MS = 15_000;

/** Answers every OPTIONS that comes on these connections, those to come included. */
function answerProbes(peers: readonly TcpPeer[]): { stop(): void; probes: string[] } {
  const probes: string[] = [];
  const seen = new Map<TcpPeer, number>();
  const timer = setInterval(() => {
    for (const peer of peers) {
      for (const text of peer.received.slice(seen.get(peer) ?? 0)) {
        if (!text.startsWith("OPTIONS ")) continue;
        probes.push(text);
        peer.send(responseTo(text, 200, { toTag: "alive" }));
      }
      seen.set(peer, peer.received.length);
    }
  }, 5);
  return { stop: () => clearInterval(timer), probes };
}

/** A destination over TLS. */
async function startSecure(): Promise<{ port: number; peers: TcpPeer[]; close(): void }> {
  const peers: TcpPeer[] = [];
  const [cert, key] = ["proxy.pem", "proxy.key"].map((name) => readFileSync(join(FIXTURES, name)));
  const server = createServer({ cert, key }, (socket) => void peers.push(new TcpPeer(socket)));
  server.on("tlsClientError", () => undefined);
  server.listen(0, SECURE);
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    peers,
    close: () => {
      for (const { socket } of peers) socket.destroy();
      server.close();
    },
  };
}

describe("probes over TCP and TLS", () => {
  it("bring back a destination that a failed call has disabled, and go on one connection that stays open", async () => {
    const [failing, secure] = [await TcpServer.open(FAILING), await startSecure()];
    const port = await freeUdpPort(PROXY);
    const caller = await UdpPeer.open(CALLER);
    const tls = `{ certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key", ca: "${FIXTURES}/ca.pem" }`;
    const headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}", "tls:${PROXY}:${port + 1}"], tls: ${tls} }, tm: { fr_timeout: 3 }, load_balancer: { probing_interval: 1 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [transport] }] } }`,
      [
        { uri: `sip:${FAILING}:${failing.port};transport=tcp`, resources: "pstn=100", probeMode: 1 },
        { uri: `sip:${SECURE}:${secure.port};transport=tls`, resources: "pstn=1", probeMode: 2, group: 2 },
      ],
      PROXY,
    );
    const [plain, overTls] = [answerProbes(failing.peers), answerProbes(secure.peers)];
    const isEnabled = async (): Promise<boolean> => (await headroom.list())[0]?.enabled === "yes";
    try {
      const callId = unique("probe");
      caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}:${port}`, callId }), { address: PROXY, port });
      const victim = await failing.peer();
      await victim.next("INVITE", (text) => text.startsWith("INVITE "));
      assert.equal(plain.probes.length, 0, "nobody probes what is enabled, with mode 1");
      victim.socket.resetAndDestroy();
      assert.ok(statusOf(await caller.nextFinal("INVITE")) >= 500);
      await waitFor("the log says that it is disabled", TIMEOUT_MS, () => /disable destination 1 /.test(headroom.log()));
      await waitFor("it comes back", TIMEOUT_MS, isEnabled);
      assert.match(headerOf(plain.probes[0] ?? "", "Via"), new RegExp(`^SIP/2\\.0/TCP ${PROXY}:${port};rport;branch=z9hG4bK`));
      assert.equal(failing.peers.length, 2, "that of the call, which broke, and another one");

      await waitFor("three probes over TLS", TIMEOUT_MS, () => overTls.probes.length >= 3);
      assert.match(headerOf(overTls.probes[0] ?? "", "Via"), new RegExp(`^SIP/2\\.0/TLS ${PROXY}:${port + 1};`));
      assert.equal(secure.peers.length, 1);
      const statistics = (await headroom.mi("get_statistics", [["probing:"]])) as Record<string, number>;
      assert.deepEqual([statistics["probing:bad"], statistics["probing:skipped_unreachable"]], [0, 0], JSON.stringify(statistics));

      await failing.close();
      caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}:${port}`, callId: unique("probe") }), {
        address: PROXY,
        port,
      });
      await waitFor("it is disabled again", TIMEOUT_MS, async () => !(await isEnabled()));
      await waitFor("probes that nobody takes are bad", TIMEOUT_MS, async () => {
        const { "probing:transport_errors": errors } = (await headroom.mi("get_statistics", [["probing:"]])) as Record<string, number>;
        return (errors ?? 0) > 0;
      });
      assert.equal(await isEnabled(), false);
    } finally {
      plain.stop();
      overTls.stop();
      await headroom.stop();
      await caller.close();
      await failing.close().catch(() => undefined);
      secure.close();
    }
  });
});
