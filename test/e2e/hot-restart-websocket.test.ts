import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";
import { routesOf } from "../support/raw-call.ts";
import { headerOf, type RequestParts, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";
import { NOWHERE, overWs, WsPeer } from "../support/ws-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.46.3";
const CALLEE = "127.0.46.5";
/** The certificate is for this address. */
const SECURE = "127.0.0.1";
const CONTACT = `sip:alice@${NOWHERE};transport=ws`;

const isOf = (callId: string, start: string) => (text: string) => text.startsWith(start) && headerOf(text, "Call-ID") === callId;

describe("WebSocket clients at a restart without a stop", () => {
  const open: { close(): Promise<void> }[] = [];
  let headroom: Headroom | undefined;
  after(async () => {
    for (const part of open) await part.close();
    await headroom?.stop();
  });

  it("are reached on their connections, over TLS too; new ones are taken by the new process, and the others end with the one before", async () => {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(join(FIXTURES, "ca.pem"), "utf8")]);
    const callee = await UdpPeer.open(CALLEE);
    open.push(callee);
    const places = { WS: `${PROXY}:${await freeTcpPort(PROXY)}`, WSS: `${SECURE}:${await freeTcpPort(SECURE)}` };
    const running = await startHeadroom(
      `
      sip:
        listen: ["udp:${PROXY}:${callee.port}", "ws:${places.WS}", "wss:${places.WSS}"]
        tls: { certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key" }
        restart_timeout: 6
      tm: { fr_timeout: 10 }
      `,
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }],
      PROXY,
    );
    headroom = running;
    const proxy = { address: PROXY, port: callee.port };

    async function connect(kind: "WS" | "WSS"): Promise<WsPeer> {
      const client = await WsPeer.connect(`${kind.toLowerCase()}://${places[kind]}/`);
      open.push(client);
      return client;
    }

    /** A call that is up, and how its callee hangs it up. */
    async function call(client: WsPeer, kind: "WS" | "WSS"): Promise<() => Promise<void>> {
      const callId = unique(kind);
      const parts = { sentBy: NOWHERE, callId, from: `<sip:alice@example.com>;tag=${callId}`, headers: [`Contact: <${CONTACT}>`] };
      const send = (message: RequestParts): void => client.send(overWs(request({ ...parts, ...message }), kind));
      send({ uri: `sip:service@${places[kind]}` });
      const invite = await callee.next("the INVITE", isOf(callId, "INVITE "));
      callee.send(responseTo(invite, 200, { toTag: "b", headers: [`Contact: <sip:callee@${callee.sentBy}>`] }), proxy);
      const ok = await client.next("the 200", (text) => statusOf(text) === 200 && headerOf(text, "Call-ID") === callId);
      send({ method: "ACK", uri: `sip:callee@${callee.sentBy}`, to: headerOf(ok, "To"), routes: routesOf(ok).reverse() });
      await callee.next("the ACK", isOf(callId, "ACK "));
      return async () => {
        const inside = { sentBy: callee.sentBy, from: headerOf(ok, "To"), to: parts.from, callId, cseq: 1, routes: routesOf(invite) };
        callee.send(request({ method: "BYE", uri: CONTACT, ...inside }), proxy);
        client.send(responseTo(await client.next("the BYE", isOf(callId, "BYE ")), 200));
        await callee.next("its 200", (text) => statusOf(text) === 200 && headerOf(text, "Call-ID") === callId);
      };
    }

    const [plain, secure] = [await connect("WS"), await connect("WSS")];
    const hangUps = [await call(plain, "WS"), await call(secure, "WSS")];
    await running.restartHot();
    hangUps.push(await call(plain, "WS"), await call(secure, "WSS"));
    for (const kind of ["WS", "WSS"] as const) hangUps.push(await call(await connect(kind), kind));
    assert.deepEqual(await running.loads(), [6]);
    for (const hangUp of hangUps) await hangUp();
    await running.untilIdle();
    await waitFor("the connections of the former process end", MESSAGE_TIMEOUT_MS, () => plain.isClosed && secure.isClosed);
  });
});
