import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { connect, getCACertificates, setDefaultCACertificates } from "node:tls";
import type { ConnectionLimits } from "../../src/transport/connection-table.ts";
import { SipNetwork } from "../../src/transport/network.ts";
import { MAX_UNSENT_BYTES } from "../../src/transport/peer-connection.ts";
import { TlsSockets } from "../../src/transport/tls.ts";
import { bracketed } from "../../src/transport/udp.ts";
import type { WebSocketListenerOptions } from "../../src/transport/websocket.ts";
import { INVITE } from "../sip/messages.ts";
import { loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { handshakeText, RawWebSocket } from "../support/raw-websocket.ts";
import { listenForWebSockets, type WebSocketBench } from "../support/websocket-bench.ts";
import { WsPeer } from "../support/ws-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const TIMEOUT_MS = 3_000;
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

async function listen(options: Partial<WebSocketListenerOptions> = {}, limits: Partial<ConnectionLimits> = {}): Promise<WebSocketBench> {
  const bench = await listenForWebSockets(options, limits);
  toClose.push(bench.listener);
  return bench;
}

async function connected(url: string): Promise<WsPeer> {
  const peer = await WsPeer.connect(url);
  toClose.push(peer);
  return peer;
}

function tlsSockets(): TlsSockets {
  const [certificate, privateKey] = [join(FIXTURES, "proxy.pem"), join(FIXTURES, "proxy.key")];
  return new TlsSockets({ certificate, privateKey, named: [], ca: null, verifyClient: false, verifyServer: true });
}

describe("WebSocketListener", () => {
  for (const address of loopbacks()) {
    it(`takes a message on ${address} and answers on its connection`, async () => {
      const { url, listener, received, counters } = await listen({ address });
      assert.equal(listener.sentByFor("192.0.2.1"), `${bracketed(address)}:${listener.port}`);
      const peer = await connected(url);
      peer.send(INVITE);
      const { text, source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
      assert.deepEqual([text, source.transport, source.address, source.listener], [INVITE, "ws", address, listener]);
      listener.send(INVITE, source);
      assert.equal(await peer.next("the answer", () => true), INVITE);
      assert.deepEqual([counters.received_messages, counters.sent_messages, peer.socket.protocol], [1, 1, "sip"]);
    });
  }

  it("takes text and binary, and sends text where the message is UTF-8, else binary (RFC 7118 §4.2)", async () => {
    const { url, listener, received } = await listen();
    const peer = await connected(url);
    const latin = Buffer.from(`${INVITE}\xe9`, "latin1");
    peer.send(`${INVITE}é`);
    peer.send(new Uint8Array(latin));
    const { source } = await waitFor("both messages", TIMEOUT_MS, () => received[1]);
    assert.deepEqual(
      received.map(({ text }) => text),
      [`${INVITE}\xc3\xa9`, `${INVITE}\xe9`],
    );
    for (const { text } of received) listener.send(text, source);
    await waitFor("both answers", TIMEOUT_MS, () => peer.received.length === 2);
    assert.deepEqual([peer.kinds, peer.received], [["text", "binary"], received.map(({ text }) => text)]);
  });

  it("answers a double CRLF with one CRLF, and a single one with nothing (RFC 5626 §3.5.1)", async () => {
    const { url, received, counters } = await listen();
    const peer = await connected(url);
    for (const message of ["\r\n\r\n", "\r\n", INVITE]) peer.send(message);
    await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
    await peer.next("the pong", (text) => text === "\r\n");
    assert.deepEqual([peer.received, counters.keepalives], [["\r\n"], 2]);
  });

  it("drops what is no SIP and goes on; ends the connection of a source that is banned meanwhile", async () => {
    let isBanned = false;
    const admitMessage = (bytes: Uint8Array): boolean => bytes[0] === 73 && !isBanned;
    const { url, received, table } = await listen({ admitMessage, admitConnection: () => !isBanned });
    const peer = await connected(url);
    for (const message of ["junk", INVITE]) peer.send(message);
    await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
    isBanned = true;
    peer.send(INVITE);
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    assert.deepEqual([received.length, peer.closed, table.counts["connections_ended_banned"]], [1, { code: 1008, reason: "banned" }, 1]);
  });

  it("asks who is silent for half the idle time-out whether it is there, and goes on with who answers", async () => {
    const { url, table, clock } = await listen({}, { idleMs: 60_000, messageMs: 5_000, firstMessageMs: 1e9 });
    await connected(url);
    const connection = await waitFor("the connection", TIMEOUT_MS, () => (table.seen[0]?.isReady ? table.seen[0] : undefined));
    clock.ms = 30_001;
    table.sweep(clock.ms);
    assert.equal(connection.pingedAtMs, 30_001);
    await waitFor("the pong", TIMEOUT_MS, () => connection.pingedAtMs === undefined);
    clock.ms = 80_000;
    table.sweep(clock.ms);
    assert.equal(table.size, 1, "a pong is a sign of life");
  });

  it("sends nothing to a client whose connection is gone, and tells who sent", async () => {
    const { url, listener, received, table } = await listen();
    const peer = await connected(url);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    assert.equal(listener.connectionFrom(source.address, source.port), source.connection);
    await peer.close();
    await waitFor("the end", TIMEOUT_MS, () => table.size === 0);
    const told: string[] = [];
    const owner = { transportError: (reason: string) => void told.push(reason) };
    listener.send(INVITE, source, owner);
    const { connection: _, ...place } = source;
    listener.send(INVITE, place, owner);
    await waitFor("both errors", TIMEOUT_MS, () => told.length === 2);
    assert.deepEqual(told, ["the connection is closed", "there is no connection to this WebSocket client"]);
    assert.equal(listener.connectionFrom(source.address, source.port), undefined);
    assert.equal(table.counts["connections_ended_closed_by_peer"], 1);
  });

  it("tells who waits for the end of a connection, but not when we stop: then all end alike", async () => {
    const { url, listener, received } = await listen();
    const told: string[] = [];
    const peers = [await connected(url), await connected(url), await connected(url)];
    for (const [at, peer] of peers.entries()) {
      peer.send(INVITE);
      await waitFor("its message", TIMEOUT_MS, () => received.length === at + 1);
    }
    for (const [at, { source }] of received.entries()) source.connection?.watch?.({ connectionEnded: () => told.push(`${at}`) });
    const calm = { connectionEnded: () => told.push("calm") };
    received[0]?.source.connection?.watch?.(calm);
    received[0]?.source.connection?.unwatch?.(calm);
    const gone = received[0]?.source;
    await peers[0]?.close();
    await waitFor("one end", TIMEOUT_MS, () => told.length === 1);
    gone?.connection?.watch?.({ connectionEnded: () => told.push("late") });
    await waitFor("that of who comes late", TIMEOUT_MS, () => told.length === 2);
    await listener.close();
    await waitFor("the others", TIMEOUT_MS, () => peers.every(({ isClosed }) => isClosed));
    assert.deepEqual(told, ["0", "late"]);
  });

  it("gives up on a client that does not read, once too much waits for it", async () => {
    const { url, listener, table, received } = await listen();
    const peer = await connected(url);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    const large = "x".repeat(MAX_UNSENT_BYTES / 4);
    for (let i = 0; i < 200 && table.size === 1; i++) listener.send(large, source); // nobody reads during a call of ours
    assert.deepEqual([table.size, table.counts["connections_ended_not_reading"]], [0, 1]);
  });

  it("survives a fault of what takes the message", async () => {
    const receive = (): void => {
      throw new Error("boom");
    };
    const { url, faults, counters } = await listen({ receive });
    const peer = await connected(url);
    peer.send(INVITE);
    await waitFor("the fault", TIMEOUT_MS, () => faults.length === 1);
    assert.deepEqual([counters.receive_faults, peer.isClosed], [1, false]);
  });

  it("says goodbye when it closes (1001)", async () => {
    const { url, listener } = await listen();
    const peer = await connected(url);
    await listener.close();
    await waitFor("the end", TIMEOUT_MS, () => peer.closed);
    assert.deepEqual(peer.closed, { code: 1001, reason: "stopped" });
  });

  it("refuses a port that is taken, and names it", async () => {
    const { listener } = await listen();
    await assert.rejects(listen({ port: listener.port }), {
      message: `Cannot listen on ws:127.0.0.1:${listener.port}: another program uses this address and port; stop it, or change sip.listen`,
    });
  });

  it("takes only pages of allowed origins, and clients that name none", async () => {
    const origins = ["https://phone.example.com"];
    const { url, listener, table } = await listen({ origins });
    await connected(url); // undici names none
    for (const [origin, status] of [
      ["https://Phone.example.com", 101],
      ["https://phone.example.com.evil.net", 403],
      ["null", 403],
    ] as const) {
      const peer = await RawWebSocket.connect(listener.port);
      toClose.push(peer);
      peer.send(handshakeText({ Origin: origin }));
      await waitFor(`${status} for ${origin}`, TIMEOUT_MS, () => peer.status === status);
    }
    await waitFor("the ends", TIMEOUT_MS, () => table.counts["connections_ended_handshake_failed"] === 2);
  });
});

describe("WebSocketListener over TLS", () => {
  it("takes a message, with the certificates of sip.tls", async () => {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(join(FIXTURES, "ca.pem"), "utf8")]);
    const { url, received, listener } = await listen({ tls: tlsSockets() });
    const peer = await connected(url);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    assert.equal(source.transport, "wss");
    listener.send(INVITE, source);
    assert.equal(await peer.next("the answer", () => true), INVITE);
  });

  it("uses other certificates when they are read again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-wss-"));
    toClose.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
    const [certificate, privateKey] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const use = (name: string): void => {
      copyFileSync(join(FIXTURES, `${name}.pem`), certificate);
      copyFileSync(join(FIXTURES, `${name}.key`), privateKey);
    };
    use("stranger");
    const tls = new TlsSockets({ certificate, privateKey, named: [], ca: null, verifyClient: false, verifyServer: true });
    const { listener } = await listen({ tls });
    const nameOf = async (): Promise<unknown> => {
      const socket = connect({ host: "127.0.0.1", port: listener.port, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      return name;
    };
    assert.equal(await nameOf(), "Headroom test stranger");
    use("proxy");
    tls.reload();
    assert.equal(await nameOf(), "proxy.example.com");
  });

  it("ends plain text where TLS is wanted", async () => {
    const { listener, table } = await listen({ tls: tlsSockets() });
    const peer = new WsPeer(`ws://127.0.0.1:${listener.port}/`);
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    await waitFor("the count", TIMEOUT_MS, () => table.counts["connections_ended_handshake_failed"] === 1);
    assert.equal(table.size, 0);
  });
});

describe("SipNetwork.endpoint() of a WebSocket client", () => {
  it("is there while the client is connected; ws in a URI stands for wss too (RFC 7118 §5.2.2)", async () => {
    const { url, listener, received, table, locals } = await listen({ tls: tlsSockets() });
    const network = new SipNetwork({ locals, advertised: null, locate: () => [], isAllowed: () => true });
    network.add(listener);
    const peer = await connected(url);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    for (const transport of ["ws", "wss"])
      assert.deepEqual(network.endpoint(source.address, source.port, transport, listener)?.connection, source.connection);
    assert.equal(network.endpoint(source.address, 1, "wss", listener), undefined);
    await peer.close();
    await waitFor("the end", TIMEOUT_MS, () => table.size === 0);
    assert.equal(network.endpoint(source.address, source.port, "wss", listener), undefined);
  });
});
