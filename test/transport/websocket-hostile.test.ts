import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { MAX_MESSAGE_BYTES } from "../../src/sip/index.ts";
import type { ConnectionLimits } from "../../src/transport/connection-table.ts";
import type { WebSocketListenerOptions } from "../../src/transport/websocket.ts";
import { INVITE } from "../sip/messages.ts";
import { waitFor } from "../support/net.ts";
import { frame, handshakeText, RawWebSocket } from "../support/raw-websocket.ts";
import { listenForWebSockets, type WebSocketBench } from "../support/websocket-bench.ts";
import { WsPeer } from "../support/ws-peer.ts";

const TIMEOUT_MS = 3_000;
const MIB = 1024 * 1024;
const [CONTINUATION, RESERVED, CLOSE, PING] = [0, 3, 8, 9];
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

async function listen(limits: Partial<ConnectionLimits> = {}, options: Partial<WebSocketListenerOptions> = {}): Promise<WebSocketBench> {
  const bench = await listenForWebSockets(options, limits);
  toClose.push(bench.listener);
  return bench;
}

async function dial({ listener }: WebSocketBench): Promise<RawWebSocket> {
  const peer = await RawWebSocket.connect(listener.port);
  toClose.push(peer);
  return peer;
}

async function opened(bench: WebSocketBench): Promise<RawWebSocket> {
  const peer = await RawWebSocket.open(bench.listener.port);
  toClose.push(peer);
  return peer;
}

/** Waits until a connection has ended for this reason, and none is left. */
async function ended({ table }: WebSocketBench, reason: string, peer: { readonly isClosed: boolean }): Promise<void> {
  await waitFor(`the end: ${reason}`, TIMEOUT_MS, () => peer.isClosed && table.counts[`connections_ended_${reason}`] === 1);
  assert.equal(table.size, 0);
}

describe("a WebSocket handshake that is refused", () => {
  const cases: { name: string; text: string; status: number; says?: RegExp }[] = [
    { name: "without a subprotocol", text: handshakeText({ "Sec-WebSocket-Protocol": undefined }), status: 400, says: /subprotocol "sip"/ },
    { name: "with another subprotocol", text: handshakeText({ "Sec-WebSocket-Protocol": "xmpp, sipx" }), status: 400 },
    { name: "with another version", text: handshakeText({ "Sec-WebSocket-Version": "8" }), status: 426, says: /Sec-WebSocket-Version: 13/ },
    { name: "without a key", text: handshakeText({ "Sec-WebSocket-Key": undefined }), status: 400 },
    { name: "by POST", text: handshakeText({}, "POST"), status: 405 },
    { name: "for another protocol", text: handshakeText({ Upgrade: "h2c" }), status: 426, says: /Upgrade: websocket/ },
    {
      name: "that is plain HTTP",
      text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      status: 426,
      says: /Upgrade: websocket[\s\S]*want a WebSocket/,
    },
    { name: "that is SIP", text: INVITE, status: 400 },
    { name: "with a head that is too large", text: handshakeText({ Cookie: "x".repeat(20_000) }), status: 431 },
  ];
  for (const { name, text, status, says } of cases) {
    it(`${name} is answered ${status}, ends and is counted`, async () => {
      const bench = await listen();
      const peer = await dial(bench);
      peer.send(text);
      await ended(bench, "handshake_failed", peer);
      assert.equal(peer.status, status, peer.received);
      if (says !== undefined) assert.match(peer.received, says);
      assert.equal(bench.received.length, 0);
    });
  }

  it("refuses a browser that offers another subprotocol", async () => {
    const bench = await listen();
    const peer = new WsPeer(bench.url, "xmpp");
    await ended(bench, "handshake_failed", peer);
  });

  for (const [name, text] of [
    ["that sends nothing", ""],
    ["that sends its headers slowly", handshakeText().slice(0, 40)],
  ] as const) {
    it(`ends one ${name}, when its time is over`, async () => {
      const bench = await listen({ connectMs: 4_000 });
      const peer = await dial(bench);
      peer.send(text);
      await waitFor("the connection", TIMEOUT_MS, () => bench.table.size === 1);
      bench.table.sweep(4_000);
      assert.equal(bench.table.size, 1);
      bench.table.sweep(4_001);
      await ended(bench, "connect_timeout", peer);
    });
  }

  it("turns away more connections than one source may have, and banned sources, before a word is read", async () => {
    const bench = await listen({ maxOfSource: 256 });
    const peers = await Promise.all(Array.from({ length: 300 }, () => dial(bench)));
    const { counts } = bench.table;
    await waitFor("those beyond", TIMEOUT_MS, () => counts["connections_ended_too_many_of_source"] === 44);
    await waitFor("their end", TIMEOUT_MS, () => peers.filter(({ isClosed }) => isClosed).length === 44);
    assert.equal(bench.table.size, 256);

    const banning = await listen({}, { admitConnection: () => false });
    const banned = await dial(banning);
    await ended(banning, "banned", banned);
  });
});

describe("a hostile WebSocket client", () => {
  const frames: { name: string; bytes: Buffer; reason: string; code: number }[] = [
    { name: "says that a frame is too large", bytes: frame({ length: MAX_MESSAGE_BYTES + 1 }), reason: "message_too_large", code: 1009 },
    { name: "says that a frame is endless", bytes: frame({ length: Number.MAX_SAFE_INTEGER }), reason: "message_too_large", code: 1009 },
    {
      name: "makes a large message of small frames",
      bytes: Buffer.concat(
        [1, CONTINUATION, CONTINUATION].map((opcode) => frame({ opcode, isLast: false, payload: "x".repeat(MAX_MESSAGE_BYTES / 3 + 1) })),
      ),
      reason: "message_too_large",
      code: 1009,
    },
    {
      name: "sends fragments without an end",
      bytes: Buffer.concat(Array.from({ length: 5_000 }, (_, i) => frame({ opcode: i === 0 ? 1 : CONTINUATION, isLast: false }))),
      reason: "message_too_large",
      code: 1008,
    },
    { name: "masks nothing", bytes: frame({ payload: INVITE, isMasked: false }), reason: "bad_frame", code: 1002 },
    { name: "uses a reserved opcode", bytes: frame({ opcode: RESERVED }), reason: "bad_frame", code: 1002 },
    { name: "continues what it has not begun", bytes: frame({ opcode: CONTINUATION }), reason: "bad_frame", code: 1002 },
    { name: "sends text that is no UTF-8", bytes: frame({ payload: "\xff\xfe" }), reason: "bad_frame", code: 1007 },
    { name: "sends a ping that is too large", bytes: frame({ opcode: PING, payload: "x".repeat(126) }), reason: "bad_frame", code: 1002 },
  ];
  for (const { name, bytes, reason, code } of frames) {
    it(`that ${name} is closed with ${code}: ${reason}`, async () => {
      const bench = await listen();
      const peer = await opened(bench);
      peer.send(bytes);
      await ended(bench, reason, peer);
      assert.deepEqual([peer.closeCode, bench.received.length], [code, 0]);
    });
  }

  it("cannot keep a message unfinished for longer than messages may take, pings between or not", async () => {
    const bench = await listen({ messageMs: 10_000 });
    const peer = await opened(bench);
    peer.send(Buffer.concat([frame({ payload: INVITE }), frame({ isLast: false, payload: "INVITE " })]));
    await waitFor("the message", TIMEOUT_MS, () => bench.received.length === 1);
    await waitFor("the fragment", TIMEOUT_MS, () => bench.table.seen[0]?.partialSinceMs === 0);
    bench.clock.ms = 9_000;
    peer.send(frame({ opcode: PING, payload: "still there" }));
    await waitFor("the ping", TIMEOUT_MS, () => bench.counters.keepalives === 1);
    bench.table.sweep(10_001);
    await ended(bench, "slow_sender", peer);
  });

  it("that sends one byte at a time is slow, too", async () => {
    const bench = await listen({ messageMs: 10_000 });
    const peer = await opened(bench);
    peer.send(frame({ payload: INVITE }).subarray(0, 1));
    await waitFor("the byte", TIMEOUT_MS, () => bench.table.seen[0]?.partialSinceMs === 0);
    bench.table.sweep(10_001);
    await ended(bench, "slow_sender", peer);
  });

  it("that says nothing at all is asked whether it is there when its first message is due, and ended without an answer", async () => {
    const bench = await listen({ firstMessageMs: 30_000, messageMs: 10_000 });
    const nobody = await opened(bench);
    for (const nowMs of [30_001, 40_001]) bench.table.sweep(nowMs);
    assert.equal(bench.table.size, 1);
    bench.table.sweep(40_002);
    await ended(bench, "no_pong", nobody);
  });

  it("that says nothing any more and answers no ping is ended", async () => {
    const bench = await listen({ idleMs: 60_000, messageMs: 10_000 });
    const dead = await opened(bench);
    dead.send(frame({ payload: INVITE }));
    await waitFor("the message", TIMEOUT_MS, () => bench.received.length === 1);
    bench.table.sweep(30_001);
    bench.table.sweep(40_001);
    assert.equal(bench.table.size, 1);
    bench.table.sweep(40_002);
    await ended(bench, "no_pong", dead);
    assert.match(dead.received, /\x89\x00/, "it was asked");
  });

  it("leaves nothing behind, however it comes and goes: the places of its source are free again", async () => {
    const bench = await listen({ maxOfSource: 50 });
    const ways: ((peer: RawWebSocket) => void)[] = [
      (peer) => peer.socket.destroy(),
      (peer) => peer.socket.resetAndDestroy(),
      (peer) => peer.socket.end(),
      (peer) => peer.send(frame({ opcode: CLOSE, payload: "\x03\xe8" })),
      (peer) => peer.send(frame({ isMasked: false })),
    ];
    for (let round = 0; round < 4; round++) {
      const peers = await Promise.all(Array.from({ length: 50 }, () => dial(bench)));
      await waitFor("the connections", TIMEOUT_MS, () => bench.table.size === 50);
      for (const [at, peer] of peers.entries()) if (at % 10 < 5) peer.shakeHands();
      await waitFor("the handshakes", TIMEOUT_MS, () => peers.every(({ status }, at) => at % 10 >= 5 || status === 101));
      for (const [at, peer] of peers.entries()) (at % 10 < 5 ? ways[at % 5] : ways[at % 3])?.(peer);
      await waitFor("their ends", TIMEOUT_MS, () => bench.table.size === 0);
    }
    assert.deepEqual([bench.table.counts["connections_accepted"], bench.table.counts["connections_ended_too_many_of_source"]], [200, 0]);
  });

  it("that floods with pings and does not read gets no queue of pongs", async () => {
    const bench = await listen();
    const peer = await opened(bench);
    peer.socket.pause();
    const flood = Buffer.concat(Array.from({ length: 1_000 }, () => frame({ opcode: PING, payload: "x".repeat(125) })));
    const before = process.memoryUsage().rss;
    for (let sent = 0; sent < 20 * MIB; sent += flood.length) peer.send(flood);
    peer.send(frame({ payload: INVITE }));
    await waitFor("the message behind the flood", 10_000, () => bench.received.length === 1);
    assert.ok(process.memoryUsage().rss - before < 200 * MIB);
    assert.equal(bench.table.size, 1);
  });

  for (const [name, bytes, answer] of [
    ["pings", frame({ opcode: PING, payload: "a" }), "\x8a\x01a"],
    ["double line ends", frame({ payload: "\r\n\r\n" }), "\x81\x02\r\n"],
  ] as const) {
    it(`that puts a thousand ${name} into a packet gets few answers`, async () => {
      const bench = await listen();
      const peer = await opened(bench);
      peer.received = "";
      peer.send(Buffer.concat([...Array.from({ length: 1_000 }, () => bytes), frame({ payload: INVITE })]));
      await waitFor("the message", TIMEOUT_MS, () => bench.received.length === 1);
      await waitFor("an answer", TIMEOUT_MS, () => peer.received !== "");
      assert.equal(bench.counters.keepalives, 1_000);
      const answers = peer.received.split(answer);
      assert.ok(answers.length <= 10 && answers.join("") === "", `${answers.length} of ${JSON.stringify(peer.received.slice(0, 40))}`);
    });
  }
});
