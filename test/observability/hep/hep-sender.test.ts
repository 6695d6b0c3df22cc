import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { HepSender, MAX_WAITING_BYTES } from "../../../src/observability/hep/hep-sender.ts";
import { decodeHep, type HepChunks, hepText, splitHep } from "../../support/hep.ts";
import { waitFor } from "../../support/net.ts";

const HOST = "127.0.91.1";
const SILENT = { info() {}, warn() {} };
const AGENT = { captureId: 7, authKey: "key" };

function packet(text: string) {
  const place = { address: "192.0.2.1", port: 5060 };
  return { source: place, target: place, isDatagram: true, seconds: 1, microseconds: 2, correlationId: "a@b", text };
}

/** A capture server over TCP, and what came to it. */
async function tcpServer(port = 0): Promise<{ port: number; packets: HepChunks[]; sockets: Socket[]; close(): Promise<void> }> {
  const packets: HepChunks[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const split = splitHep(Buffer.concat([rest, bytes]));
      packets.push(...split.packets);
      rest = split.rest;
    });
  });
  server.listen(port, HOST);
  await once(server, "listening");
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, packets, sockets, close };
}

describe("HepSender", () => {
  it("sends each packet as a datagram, also those that came before the name was looked up", async () => {
    const server = createSocket("udp4");
    server.bind(0, HOST);
    await once(server, "listening");
    const got: string[] = [];
    server.on("message", (bytes) => got.push(hepText(decodeHep(bytes), 0x0f) ?? ""));
    const sender = new HepSender({ server: { transport: "udp", host: HOST, port: server.address().port }, agent: AGENT, log: SILENT });
    try {
      sender.send(packet("one"));
      await waitFor("the first", 8_000, () => got.length === 1);
      sender.send(packet("two"));
      sender.send(packet("x".repeat(70_000)));
      await waitFor("both", 8_000, () => got.length === 2 && sender.counters.hep_sent === 2);
      assert.deepEqual(got, ["one", "two"]);
      assert.equal(sender.counters.hep_too_long, 1);
      assert.equal(sender.waitingBytes, 0);
    } finally {
      await sender.close();
      server.close();
    }
  });

  it("sends packets over a stream, and finds a server again that was gone", async () => {
    const first = await tcpServer();
    const sender = new HepSender({ server: { transport: "tcp", host: HOST, port: first.port }, agent: AGENT, log: SILENT });
    let second: Awaited<ReturnType<typeof tcpServer>> | undefined;
    try {
      for (const text of ["one", "two"]) sender.send(packet(text));
      await waitFor("both", 8_000, () => first.packets.length === 2);
      assert.deepEqual(
        first.packets.map((chunks) => [hepText(chunks, 0x0f), hepText(chunks, 0x11), hepText(chunks, 0x0e)]),
        [
          ["one", "a@b", "key"],
          ["two", "a@b", "key"],
        ],
      );
      await first.close();
      await waitFor("the end of the connection", 8_000, () => sender.counters.hep_errors > 0);
      sender.send(packet("three"));
      second = await tcpServer(first.port);
      await waitFor("what has waited", 8_000, () => second?.packets.length === 1);
      assert.equal(hepText(second.packets[0], 0x0f), "three");
    } finally {
      await sender.close();
      await first.close();
      await second?.close();
    }
  });

  it("keeps a bounded number of bytes for a server that is not there or does not read, and counts the others", async () => {
    const server = await tcpServer();
    const sender = new HepSender({ server: { transport: "tcp", host: HOST, port: server.port }, agent: AGENT, log: SILENT });
    try {
      sender.send(packet("one"));
      await waitFor("the connection", 8_000, () => server.packets.length === 1);
      server.sockets[0]?.pause();
      for (let i = 0; i < 1_000; i++) sender.send(packet("x".repeat(50_000)));
      assert.ok(sender.waitingBytes <= MAX_WAITING_BYTES, `${sender.waitingBytes}`);
      assert.ok(sender.counters.hep_dropped > 100);
    } finally {
      await sender.close();
      await server.close();
    }
    sender.send(packet("late"));
    assert.equal(sender.waitingBytes <= MAX_WAITING_BYTES, true);
  });

  it("waits, and tries again, where no datagram can go to", async () => {
    const warnings: string[] = [];
    const log = { info: () => assert.fail("it was never reached"), warn: (_: object, text: string) => void warnings.push(text) };
    const sender = new HepSender({ server: { transport: "udp", host: "255.255.255.255", port: 9060 }, agent: AGENT, log });
    try {
      await waitFor("a second failure", 8_000, () => sender.counters.hep_errors >= 2);
      sender.send(packet("one"));
      assert.ok(sender.waitingBytes > 0);
      assert.deepEqual([warnings.length, sender.counters.hep_sent], [1, 0]);
    } finally {
      await sender.close();
    }
    assert.equal(sender.counters.hep_dropped, 1);
  });

  it("tells once of a server that refuses datagrams, however often it is tried", async () => {
    const warnings: string[] = [];
    const log = {
      info: () => assert.fail("nobody has said that it is reached"),
      warn: (_: object, text: string) => void warnings.push(text),
    };
    const sender = new HepSender({ server: { transport: "udp", host: HOST, port: 9 }, agent: AGENT, log });
    const repeat = setInterval(() => sender.send(packet("one")), 20);
    try {
      await waitFor("three refusals", 8_000, () => sender.counters.hep_errors >= 3);
      assert.equal(warnings.length, 1);
    } finally {
      clearInterval(repeat);
      await sender.close();
    }
  });

  it("sends what has waited in order, and what comes meanwhile behind it", async () => {
    const server = await tcpServer();
    const sender = new HepSender({ server: { transport: "tcp", host: HOST, port: server.port }, agent: AGENT, log: SILENT });
    const texts = Array.from({ length: 300 }, (_, i) => `${i}`);
    try {
      for (const text of texts.slice(0, 200)) sender.send(packet(text));
      await waitFor("the first", 8_000, () => sender.counters.hep_sent > 0);
      for (const text of texts.slice(200)) sender.send(packet(text));
      await waitFor("all", 8_000, () => server.packets.length === texts.length);
      assert.deepEqual(
        server.packets.map((chunks) => hepText(chunks, 0x0f)),
        texts,
      );
      await waitFor("nothing to wait", 8_000, () => sender.waitingBytes === 0);
    } finally {
      await sender.close();
      await server.close();
    }
  });
});
