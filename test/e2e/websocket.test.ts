import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "../support/net.ts";
import { frame, RawWebSocket } from "../support/raw-websocket.ts";
import { headerOf, headersOf, type RequestParts, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";
import { NOWHERE, overWs, WsPeer } from "../support/ws-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.46.2";
const CALLEE = "127.0.46.4";
/** The certificate is for this address. */
const SECURE = "127.0.0.1";
const CONTACT = `sip:alice@${NOWHERE};transport=ws`;
const KINDS = { ws: "WS", wss: "WSS" } as const;
type Kind = keyof typeof KINDS;

const isOf = (callId: string, start: string) => (text: string) => text.startsWith(start) && headerOf(text, "Call-ID") === callId;

describe("SIP over WebSocket", () => {
  let headroom: Headroom;
  let callee: UdpPeer;
  const places = { ws: "", wss: "" };
  const toClose: { close(): Promise<void> }[] = [];
  let hasStopped = false;

  before(async () => {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(join(FIXTURES, "ca.pem"), "utf8")]);
    callee = await UdpPeer.open(CALLEE);
    places.ws = `${PROXY}:${await freeTcpPort(PROXY)}`;
    places.wss = `${SECURE}:${await freeTcpPort(SECURE)}`;
    headroom = await startHeadroom(
      `
      sip:
        listen: ["udp:${PROXY}:${callee.port}", "ws:${places.ws}", "wss:${places.wss}"]
        tls: { certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key" }
        connections: { connect_timeout: 20 }
      tm: { fr_timeout: 5 }
      overload: { max_lag: 0, max_utilization: 0 }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }
      `,
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }],
      PROXY,
    );
  });
  afterEach(async () => {
    for (const open of toClose.splice(0)) await open.close();
    if (hasStopped) return;
    await waitFor("the end of all connections", MESSAGE_TIMEOUT_MS, async () => (await connections()) === 0);
  });
  after(async () => {
    if (!hasStopped) await headroom?.stop();
    await callee?.close();
  });

  async function connect(kind: Kind): Promise<WsPeer> {
    const peer = await WsPeer.connect(`${kind}://${places[kind]}/`);
    toClose.push(peer);
    return peer;
  }

  /** The INVITE of a WebSocket client, at its callee. */
  async function invited(kind: Kind) {
    const client = await connect(kind);
    const callId = unique(kind);
    const from = `<sip:alice@example.com>;tag=${unique("f")}`;
    const parts = { sentBy: NOWHERE, callId, from, headers: [`Contact: <${CONTACT}>`] };
    const send = (message: RequestParts): void => client.send(overWs(request({ ...parts, ...message }), KINDS[kind]));
    send({ uri: `sip:service@${places[kind]}` });
    const invite = await callee.next("the INVITE", isOf(callId, "INVITE "));
    return { client, callId, from, send, invite };
  }

  /** A call from a WebSocket client that is up: what each side needs to go on with it. */
  async function call(kind: Kind) {
    const { client, callId, from, send, invite } = await invited(kind);
    const contact = `sip:callee@${callee.sentBy}`;
    callee.send(responseTo(invite, 200, { toTag: "b", headers: [`Contact: <${contact}>`] }), { address: PROXY, port: callee.port });
    const ok = await client.next("the 200", (text) => statusOf(text) === 200);
    const to = headerOf(ok, "To");
    const inside = { uri: contact, to, routes: routesOf(ok).reverse() };
    send({ method: "ACK", ...inside });
    const ack = await callee.next("the ACK", (text) => text.startsWith("ACK ") && headerOf(text, "Call-ID") === callId);
    assert.deepEqual([ack.split(" ", 2)[1], headersOf(ack, "Route")], [contact, []]);
    const fromCallee = (method: string, cseq: number): void => {
      const message = request({ method, uri: CONTACT, sentBy: callee.sentBy, from: to, to: from, callId, cseq, routes: routesOf(invite) });
      callee.send(message, { address: PROXY, port: callee.port });
    };
    return { client, callId, invite, ok, send, inside, fromCallee };
  }

  for (const kind of ["ws", "wss"] as const) {
    it(`${kind}: a call to UDP is bridged by two Record-Routes and ended by the client`, async () => {
      const { client, callId, invite, ok, send, inside } = await call(kind);
      assert.match(headerOf(invite, "Via"), new RegExp(`^SIP/2\\.0/UDP ${PROXY}:`));
      assert.match(headersOf(invite, "Via")[1] ?? "", new RegExp(`^SIP/2\\.0/${KINDS[kind]} ${NOWHERE};.*received=127\\.0\\.0\\.1`));
      const [inner = "", outer = ""] = routesOf(invite);
      assert.match(inner, new RegExp(`^<sip:${PROXY}:${callee.port};lr;did=[^;]+;r2=on>$`));
      assert.match(outer, new RegExp(`^<sip:${places[kind]};transport=ws;lr;did=[^;]+;r2=on>$`));
      assert.deepEqual(routesOf(ok), [inner, outer]);
      send({ method: "BYE", cseq: 2, ...inside });
      const bye = await callee.next("the BYE", isOf(callId, "BYE "));
      callee.send(responseTo(bye, 200), { address: PROXY, port: callee.port });
      await client.next("its 200", (text) => statusOf(text) === 200 && headerOf(text, "CSeq") === "2 BYE");
      await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
    });

    it(`${kind}: a re-INVITE and the BYE of the UDP side arrive on the WebSocket`, async () => {
      const { client, callId, send, fromCallee, inside } = await call(kind);
      fromCallee("INVITE", 1);
      const again = await client.next("the re-INVITE", isOf(callId, "INVITE "));
      assert.equal(again.split(" ", 2)[1], CONTACT);
      client.send(responseTo(again, 200, { headers: [`Contact: <${CONTACT}>`] }));
      await callee.next("its 200", (text) => statusOf(text) === 200 && headerOf(text, "Call-ID") === callId);
      fromCallee("ACK", 1);
      await client.next("the ACK", isOf(callId, "ACK "));
      send({ method: "INFO", cseq: 2, ...inside });
      callee.send(responseTo(await callee.next("the INFO", isOf(callId, "INFO ")), 200), { address: PROXY, port: callee.port });
      fromCallee("BYE", 2);
      client.send(responseTo(await client.next("the BYE", isOf(callId, "BYE ")), 200));
      await callee.next("its 200", (text) => statusOf(text) === 200 && headerOf(text, "CSeq") === "2 BYE");
      await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
    });
  }

  it("a client that is gone: what is for it is answered 430, and the BYE gives its place back", async () => {
    const { client, callId, fromCallee } = await call("ws");
    await client.close();
    await waitFor("the end of the connection", MESSAGE_TIMEOUT_MS, async () => (await connections()) === 0);
    fromCallee("INFO", 1);
    const isAnswer = (text: string): boolean => statusOf(text) === 430 && headerOf(text, "Call-ID") === callId;
    assert.match(await callee.next("the 430", isAnswer), /^SIP\/2\.0 430 Flow Failed\r\n/);
    assert.deepEqual(await headroom.loads(), [1]);
    fromCallee("BYE", 2);
    await callee.next("the 430 of the BYE", isAnswer);
    await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
  });

  for (const isOrderly of [true, false])
    it(`a client that ${isOrderly ? "closes" : "breaks"} its connection while its call rings: the destination gets CANCEL`, async () => {
      const raw = await RawWebSocket.open(Number(places.ws.split(":")[1]), PROXY);
      toClose.push(raw);
      const callId = unique("gone");
      const headers = [`Contact: <${CONTACT}>`];
      raw.send(frame({ payload: overWs(request({ uri: `sip:service@${places.ws}`, sentBy: NOWHERE, callId, headers })) }));
      const invite = await callee.next("the INVITE", isOf(callId, "INVITE "));
      const answer = (text: string): void => callee.send(text, { address: PROXY, port: callee.port });
      answer(responseTo(invite, 180, { toTag: "b" }));
      await waitFor("the 180", MESSAGE_TIMEOUT_MS, () => raw.received.includes("SIP/2.0 180"));
      if (isOrderly) raw.send(frame({ opcode: 8, payload: "\x03\xe8" }));
      else raw.socket.resetAndDestroy();
      const cancel = await callee.next("the CANCEL", isOf(callId, "CANCEL "));
      assert.equal(headerOf(cancel, "Reason"), 'SIP;cause=430;text="Flow Failed"');
      answer(responseTo(cancel, 200));
      answer(responseTo(invite, 487, { toTag: "b" }));
      await callee.next("the ACK", isOf(callId, "ACK "));
      await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
    });

  it("passes every byte on: UTF-8 as text, everything else as binary", async () => {
    const { client, callId, inside, send, fromCallee } = await call("ws");
    const name = '"Zoë 東京 🎉" <sip:zoe@example.com>';
    const bytes = Buffer.from(name).toString("latin1");
    const answers = [
      { body: bytes, kind: "text" },
      { body: "\xff\x00\r\n\r\n\xe9", kind: "binary" },
    ];
    for (const [at, { body, kind }] of answers.entries()) {
      send({ method: "INFO", cseq: 2 + at, ...inside, headers: [`X-Name: ${name}`] });
      const info = await callee.next("the INFO", isOf(callId, "INFO "));
      assert.equal(headerOf(info, "X-Name"), bytes);
      callee.send(responseTo(info, 200, { headers: [`X-Name: ${bytes}`], body }), { address: PROXY, port: callee.port });
      const ok = await client.next("its 200", (text) => headerOf(text, "CSeq") === `${2 + at} INFO`);
      assert.deepEqual([headerOf(ok, "X-Name"), ok.slice(ok.indexOf("\r\n\r\n") + 4), client.kinds.at(-1)], [bytes, body, kind]);
    }
    fromCallee("BYE", 1);
    client.send(responseTo(await client.next("the BYE", isOf(callId, "BYE ")), 200));
    await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
  });

  it("a client that asks whether we are there is answered", async () => {
    const client = await connect("wss");
    client.send("\r\n\r\n");
    await client.next("the pong", (text) => text === "\r\n");
    client.send(overWs(request({ method: "OPTIONS", uri: `sip:${places.wss}`, sentBy: NOWHERE }), "WSS"));
    await client.next("the 200", (text) => statusOf(text) === 200);
    await client.close();
  });

  it("300 connections of one source that send junk take no call from another one", async () => {
    const source = "127.0.46.9";
    const [address = "", port = ""] = places.ws.split(":");
    const peers = await Promise.all(Array.from({ length: 300 }, () => RawWebSocket.connect(Number(port), address, source)));
    toClose.push(...peers);
    await waitFor("those that are too many", MESSAGE_TIMEOUT_MS, () => peers.filter(({ isClosed }) => isClosed).length === 44);
    const taken = peers.filter(({ isClosed }) => !isClosed);
    for (const peer of taken) peer.shakeHands();
    await waitFor("the handshakes", MESSAGE_TIMEOUT_MS, () => taken.every(({ status }) => status === 101));
    for (const peer of taken) for (let i = 0; i < 20; i++) peer.send(frame({ payload: "no SIP at all\r\n\r\n" }));
    const { client, callId, fromCallee } = await call("ws");
    fromCallee("BYE", 1);
    client.send(responseTo(await client.next("the BYE", isOf(callId, "BYE ")), 200));
    await headroom.untilIdle(MESSAGE_TIMEOUT_MS);
    const { "net:connections_ended_too_many_of_source": refused, "overload:junk_text": junk } = await statistics();
    assert.deepEqual([refused, junk], [44, 256 * 20]);
    assert.ok(taken.every(({ isClosed }) => !isClosed));
  });

  it("a stop says goodbye to whoever is connected, and waits for nobody", async () => {
    const clients = [await connect("ws"), await connect("wss")];
    const [address = "", port = ""] = places.ws.split(":");
    const [deaf, unready] = [await RawWebSocket.open(Number(port), address), await RawWebSocket.connect(Number(port), address)];
    toClose.push(deaf, unready);
    unready.send("GET / HT");
    deaf.socket.pause();
    await headroom.stop(); // it fails when that takes 10 s
    await waitFor("their ends", MESSAGE_TIMEOUT_MS, () => clients.every(({ isClosed }) => isClosed) && unready.isClosed);
    assert.deepEqual(
      clients.map(({ closed }) => closed?.code),
      [1001, 1001],
    );
    hasStopped = true;
  });

  async function statistics(): Promise<Record<string, number>> {
    return (await headroom.mi("get_statistics", { statistics: ["net:", "overload:"] })) as Record<string, number>;
  }

  async function connections(): Promise<number> {
    return (await statistics())["net:open_connections"] ?? Number.NaN;
  }
});

/** Values of Record-Route as a caller has them in its route set, the other way round for a callee. */
function routesOf(message: string): string[] {
  return headersOf(message, "Record-Route").flatMap((value) => value.split(/,\s*/));
}
