import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, getCACertificates, setDefaultCACertificates } from "node:tls";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { decodeHep, type HepChunks, hepText } from "../support/hep.ts";
import { startHepServer } from "../support/kamailio-hep.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";
import { NOWHERE, overWs, WsPeer } from "../support/ws-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const HOST = "127.0.93.1";
const CALLEE = "127.0.93.3";
const PROXY = "127.0.93.4";
/** The certificate is for this address. */
const SECURE = "127.0.0.1";
const RULES = "routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }";
/** Numbers of protocols (IANA). */
const [TCP, UDP] = [6, 17];

describe("a Kamailio with sipcapture as capture server", () => {
  it("reads each message of a call as it was sent: addresses, ports, times, correlation id, text", async () => {
    const server = await startHepServer(HOST);
    const caller = await UdpPeer.open("127.0.93.2");
    const callee = await UdpPeer.open(CALLEE);
    const tracing = `tracing: { hep_url: "udp:${HOST}:${server.port}", hep_capture_id: 2001 }`;
    const rows = [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }];
    const headroom = await startHeadroom(`${tracing}\n${RULES}`, rows, PROXY);
    try {
      const fromMs = Date.now();
      const { callId, invite, delivered } = await establish(headroom, caller, callee);
      // INVITE, 180, 200 and ACK, each in and out, and our 100; without retransmissions.
      await waitFor("all messages", 8_000, () => server.captured(callId).length >= 9);
      const seen = server.captured(callId);
      const own = `${headroom.address}:${headroom.port}`;
      const ways = new Set(seen.map(({ what, from, to }) => `${what} ${from} > ${to}`));
      assert.deepEqual(
        [...ways].sort(),
        [
          `100 ${own} > ${caller.sentBy}`,
          ...["INVITE", "ACK"].flatMap((method) => [`${method} ${caller.sentBy} > ${own}`, `${method} ${own} > ${callee.sentBy}`]),
          ...["180", "200"].flatMap((code) => [`${code} ${callee.sentBy} > ${own}`, `${code} ${own} > ${caller.sentBy}`]),
        ].sort(),
      );
      assert.deepEqual(new Set(seen.filter(({ what }) => what === "INVITE").map(({ text }) => text)), new Set([invite, delivered]));
      for (const { agent, atMs, correlationId } of seen) {
        assert.deepEqual([agent, correlationId], ["2001", callId]);
        assert.ok(Math.abs(atMs - fromMs) < 10_000, `${atMs} is about ${fromMs}`);
      }
    } finally {
      await headroom.stop();
      await Promise.all([caller.close(), callee.close(), server.stop()]);
    }
  });
});

describe("copies of messages over TLS and WebSocket", () => {
  let server: Socket;
  let callee: UdpPeer;
  let headroom: Headroom;
  const ports = { tls: 0, wss: 0 };
  const packets: HepChunks[] = [];

  before(async () => {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(join(FIXTURES, "ca.pem"), "utf8")]);
    server = createSocket("udp4");
    server.bind(0, HOST);
    await once(server, "listening");
    server.on("message", (bytes) => packets.push(decodeHep(bytes)));
    callee = await UdpPeer.open(CALLEE);
    ports.tls = await freeTcpPort(SECURE);
    ports.wss = await freeTcpPort(SECURE);
    headroom = await startHeadroom(
      `
      sip:
        listen: ["udp:${PROXY}:${callee.port}", "tls:${SECURE}:${ports.tls}", "wss:${SECURE}:${ports.wss}"]
        tls: { certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key" }
      tracing: { hep_url: "udp:${HOST}:${server.address().port}", hep_skip_methods: OPTIONS }
      ${RULES}`,
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }],
      PROXY,
    );
  });
  after(async () => {
    await headroom?.stop();
    await callee?.close();
    server?.close();
  });

  const ofCall = (callId: string): HepChunks[] => packets.filter((chunks) => hepText(chunks, 0x11) === callId);
  const placeOf = (chunks: HepChunks, address: number, port: number): string =>
    `${[...(chunks.get(address) ?? [])].join(".")}:${chunks.get(port)?.readUInt16BE()}`;
  /** What each packet says: its message, its protocol, from where to where. */
  const waysOf = (callId: string): string[] =>
    ofCall(callId).map((chunks) => {
      const [line = ""] = (hepText(chunks, 0x0f) ?? "").replace("SIP/2.0 ", "").split(" ");
      return `${line} ${chunks.get(2)?.readUInt8()} ${placeOf(chunks, 3, 7)} > ${placeOf(chunks, 4, 8)}`;
    });

  /** A call that is busy, by what its client sends. */
  async function refused(callId: string, client: TcpPeer | WsPeer, invite: string): Promise<void> {
    client.send(invite);
    const delivered = await callee.next("the INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId);
    callee.send(responseTo(delivered, 486, { toTag: unique("t") }), { address: PROXY, port: callee.port });
    await client.next("the answer", (text) => statusOf(text) === 486);
    await waitFor("all packets", 8_000, () => ofCall(callId).length >= 6);
  }

  it("have the addresses of the connection, TCP as protocol, and the text that was encrypted", async () => {
    const socket = connect({ host: SECURE, port: ports.tls });
    const client = new TcpPeer(socket);
    await once(socket, "secureConnect");
    const place = `${client.address}:${client.port}`;
    const callId = unique("tls");
    const contact = `Contact: <sip:a@${place};transport=tls>`;
    const parts = { callId, sentBy: place, uri: `sip:service@${SECURE}:${ports.tls}`, headers: [contact] };
    await refused(callId, client, request(parts).replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
    const own = `${SECURE}:${ports.tls}`;
    const inner = `${PROXY}:${callee.port}`;
    assert.deepEqual(
      new Set(waysOf(callId)),
      new Set([
        `INVITE ${TCP} ${place} > ${own}`,
        `100 ${TCP} ${own} > ${place}`,
        `INVITE ${UDP} ${inner} > ${callee.sentBy}`,
        `486 ${UDP} ${callee.sentBy} > ${inner}`,
        `ACK ${UDP} ${inner} > ${callee.sentBy}`,
        `486 ${TCP} ${own} > ${place}`,
      ]),
    );
    await client.close();
  });

  it("are those of the frames of a WebSocket, whatever a browser says where it is", async () => {
    const client = await WsPeer.connect(`wss://${SECURE}:${ports.wss}/`);
    const callId = unique("wss");
    const headers = [`Contact: <sip:alice@${NOWHERE};transport=ws>`];
    const parts = { callId, sentBy: NOWHERE, uri: `sip:service@${SECURE}:${ports.wss}`, headers };
    await refused(callId, client, overWs(request(parts), "WSS"));
    const [invite] = waysOf(callId);
    assert.match(invite ?? "", new RegExp(`^INVITE ${TCP} 127\\.0\\.0\\.1:\\d+ > ${SECURE}:${ports.wss}$`));
    await client.close();
  });

  it("leave out the methods that nobody wants there, requests and responses", async () => {
    const caller = await UdpPeer.open("127.0.93.2");
    try {
      const callId = unique("options");
      caller.send(request({ method: "OPTIONS", uri: `sip:${PROXY}:${callee.port}`, sentBy: caller.sentBy, callId }), {
        address: PROXY,
        port: callee.port,
      });
      await caller.next("the answer", (text) => statusOf(text) > 0);
      const { "tracing:written": written } = (await headroom.mi("get_statistics", [["tracing:written"]])) as Record<string, number>;
      const found = (await headroom.mi("capture", [callId])) as { Messages: unknown[] };
      assert.ok((written ?? 0) > 0 && found.Messages.length === 2, "they are remembered all the same");
      assert.deepEqual(ofCall(callId), []);
    } finally {
      await caller.close();
    }
  });
});
