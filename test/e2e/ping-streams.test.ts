import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";
import { NOWHERE, WsPeer } from "../support/ws-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
/** The certificate is for this address. */
const PROXY = "127.0.0.1";
const CALLEE = "127.0.84.4";
const INTERVAL_MS = 1_000;
const FR_MS = 2_000;

type Kind = "tcp" | "tls" | "ws";
type Client = TcpPeer | WsPeer;

describe("pings of a caller that is reached by its own connection only", () => {
  let headroom: Headroom;
  let callee: UdpPeer;
  let callees: Promise<void>;
  const ports = { tcp: 0, tls: 0, ws: 0 };
  let isOver = false;
  const byes: string[] = [];

  before(async () => {
    callee = await UdpPeer.open(CALLEE);
    for (const kind of ["tcp", "tls", "ws"] as const) ports[kind] = await freeTcpPort(PROXY);
    const listen = (["tcp", "tls", "ws"] as const).map((kind) => `"${kind}:${PROXY}:${ports[kind]}"`);
    const udp = await freeTcpPort(PROXY);
    headroom = await startHeadroom(
      `
      sip:
        listen: ["udp:${PROXY}:${udp}", ${listen.join(", ")}]
        tls: { certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key" }
      tm: { fr_timeout: ${FR_MS / 1000} }
      dialog: { options_ping_interval: ${INTERVAL_MS / 1000} }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "Pp" }] }
      `,
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }],
      PROXY,
    );
    callees = answerAll({ address: PROXY, port: udp });
  });
  after(async () => {
    isOver = true;
    await callees;
    await headroom?.stop();
    await callee?.close();
  });

  /** The callee answers everything. */
  async function answerAll(proxy: { address: string; port: number }): Promise<void> {
    const headers = [`Contact: <sip:callee@${callee.sentBy}>`];
    while (!isOver) {
      const text = await callee.next("a request", (message) => /^(?:INVITE|OPTIONS|BYE) /.test(message), 300).catch(() => undefined);
      if (text === undefined) continue;
      if (text.startsWith("BYE ")) byes.push(headerOf(text, "Call-ID"));
      callee.send(responseTo(text, 200, { toTag: unique("t"), headers }), proxy);
    }
  }

  async function open(kind: Kind): Promise<Client> {
    if (kind === "ws") return WsPeer.connect(`ws://${PROXY}:${ports.ws}/`);
    if (kind === "tcp") return TcpPeer.connect({ address: PROXY, port: ports.tcp });
    const socket = connectTls({ host: PROXY, port: ports.tls, ca: readFileSync(join(FIXTURES, "ca.pem")) });
    await once(socket, "secureConnect");
    return new TcpPeer(socket);
  }

  for (const kind of ["tcp", "tls", "ws"] as const) {
    it(`${kind.toUpperCase()}: it is asked there, and when it has gone that is noticed within two intervals`, async () => {
      const client = await open(kind);
      const over = (text: string): string => text.replace("Via: SIP/2.0/UDP", `Via: SIP/2.0/${kind.toUpperCase()}`);
      const contact = `sip:alice@${NOWHERE};transport=${kind}`;
      const uri = `sip:service@${PROXY}:${ports[kind]};transport=${kind}`;
      const invite = request({ uri, sentBy: NOWHERE, headers: [`Contact: <${contact}>`] });
      const callId = headerOf(invite, "Call-ID");
      client.send(over(invite));
      const answer = await client.next("200", (text) => statusOf(text) === 200);
      const inside = {
        uri: `sip:callee@${callee.sentBy}`,
        callId,
        from: headerOf(answer, "From"),
        to: headerOf(answer, "To"),
        sentBy: NOWHERE,
      };
      const routes = headersOf(answer, "Record-Route")
        .flatMap((line) => line.split(/,\s*(?=<)/))
        .reverse();
      client.send(over(request({ method: "ACK", ...inside, routes })));
      for (let round = 0; round < 2; round++) {
        const ping = await client.next("a ping", (text) => text.startsWith("OPTIONS "));
        assert.deepEqual([headerOf(ping, "Call-ID"), ping.split(" ", 2)[1]], [callId, contact]);
        client.send(responseTo(ping, 200));
      }
      assert.deepEqual(await headroom.loads(), [1]);
      await client.close();
      const beganMs = performance.now();
      await waitFor("BYE for the callee", 10_000, () => byes.includes(callId));
      const tookMs = performance.now() - beganMs;
      assert.ok(tookMs < 2 * INTERVAL_MS + 500, `it took ${tookMs} ms`);
      await headroom.untilIdle();
    });
  }
});
