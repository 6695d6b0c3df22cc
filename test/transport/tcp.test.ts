import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import type { Endpoint } from "../../src/transaction/index.ts";
import { type ConnectionLimits, ConnectionTable, DEFAULT_CONNECTION_LIMITS } from "../../src/transport/connection-table.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { MAX_UNSENT_BYTES } from "../../src/transport/peer-connection.ts";
import { StreamListener, type StreamListenerOptions } from "../../src/transport/stream-listener.ts";
import { TCP_SOCKETS } from "../../src/transport/tcp.ts";
import { bracketed, TransportCounters } from "../../src/transport/udp.ts";
import { INVITE } from "../sip/messages.ts";
import { loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

const TIMEOUT_MS = 3_000;

interface Bench {
  readonly listener: StreamListener;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly received: { readonly text: string; readonly source: Endpoint }[];
  readonly faults: string[];
}

const toClose: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

async function listen(options: Partial<StreamListenerOptions> = {}, limits: Partial<ConnectionLimits> = {}): Promise<Bench> {
  const counters = new TransportCounters();
  const received: Bench["received"] = [];
  const faults: string[] = [];
  const table = new ConnectionTable({ ...DEFAULT_CONNECTION_LIMITS, ...limits });
  const listener = await StreamListener.open({
    ...{ sockets: TCP_SOCKETS, address: "127.0.0.1", port: 0, advertised: null, locals: new LocalAddresses(() => 0), table, counters },
    nowMs: () => 0,
    receive: (text, source) => received.push({ text, source }),
    fault: (error, action) => faults.push(`${action}: ${String(error)}`),
    ...options,
  });
  toClose.push(listener);
  return { listener, table, counters, received, faults };
}

async function connected(to: { readonly address: string; readonly port: number }): Promise<TcpPeer> {
  const peer = await TcpPeer.connect(to);
  toClose.push(peer);
  return peer;
}

async function served(): Promise<TcpServer> {
  const server = await TcpServer.open("127.0.0.1");
  toClose.push(server);
  return server;
}

/** Remembers what it is told. */
function owner(): { told: string[]; transportError(reason: string): void } {
  const told: string[] = [];
  return { told, transportError: (reason) => void told.push(reason) };
}

describe("StreamListener over TCP", () => {
  for (const address of loopbacks()) {
    it(`takes messages on ${address} and answers on their connection`, async () => {
      const { listener, table, received, counters } = await listen({ address });
      assert.equal(listener.sentByFor("192.0.2.1"), `${bracketed(address)}:${listener.port}`);
      const peer = await connected(listener);
      peer.send(INVITE + INVITE.slice(0, 50));
      const { text, source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
      assert.equal(text, INVITE);
      assert.deepEqual([source.transport, source.address, source.port, source.listener], ["tcp", address, peer.port, listener]);
      listener.send(INVITE, source);
      assert.equal(await peer.next("the answer", () => true), INVITE);
      peer.send(INVITE.slice(50));
      await waitFor("the second message", TIMEOUT_MS, () => received.length === 2);
      assert.deepEqual([counters.received_messages, counters.sent_messages, table.size], [2, 1, 1]);
    });
  }

  it("answers a keep-alive with one CRLF, and no pong with anything", async () => {
    const { listener, received, counters } = await listen();
    const peer = await connected(listener);
    peer.send(`\r\n\r\n${INVITE}`);
    await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
    peer.send(`\r\n${INVITE}`);
    await waitFor("the message behind the pong", TIMEOUT_MS, () => received.length === 2);
    await waitFor("the pong", TIMEOUT_MS, () => peer.raw === "\r\n");
    assert.equal(counters.keepalives, 1);
  });

  it("refuses a port that is taken, names it and says what to do", async () => {
    const { listener } = await listen();
    await assert.rejects(listen({ port: listener.port }), {
      message: `Cannot listen on tcp:127.0.0.1:${listener.port}: another program uses this address and port; stop it, or change sip.listen`,
    });
  });

  it("opens one connection to a peer and sends everything on it", async () => {
    const { listener, table } = await listen();
    const server = await served();
    const to: Endpoint = { transport: "tcp", address: server.address, port: server.port, listener };
    listener.send(INVITE, to);
    listener.send(INVITE, to);
    const peer = await server.peer();
    await waitFor("both messages", TIMEOUT_MS, () => peer.received.length === 2);
    assert.deepEqual([server.peers.length, table.size, table.counts["connections_opened"]], [1, 1, 1]);
  });

  it("sends to the port that a connection came from on that connection, and to any other on one of its own", async () => {
    const { listener, received } = await listen();
    const server = await served();
    const peer = await connected(listener);
    peer.send(INVITE);
    await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
    listener.send(INVITE, { transport: "tcp", address: peer.address, port: peer.port, listener });
    await peer.next("the request", () => true);
    listener.send(INVITE, { transport: "tcp", address: peer.address, port: server.port, listener });
    await (await server.peer()).next("the other request", () => true);
  });

  it("answers at the port of sent-by when the connection of the request is closed", async () => {
    const { listener, table, received } = await listen();
    const server = await served();
    const peer = await connected(listener);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    await peer.close();
    await waitFor("the end of the connection", TIMEOUT_MS, () => table.size === 0);
    listener.send(INVITE, { ...source, port: server.port });
    await (await server.peer()).next("the answer", () => true);
  });

  it("tells who sent a request that nobody takes a connection for", async () => {
    const { listener, table } = await listen();
    const sender = owner();
    const port = await freeTcpPort("127.0.0.1");
    listener.send(INVITE, { transport: "tcp", address: "127.0.0.1", port, listener }, sender);
    assert.deepEqual(sender.told, [], "not during the call");
    await waitFor("the error", TIMEOUT_MS, () => sender.told.length === 1);
    const reason = `the connection ended: connect-failed: connect ECONNREFUSED 127.0.0.1:${port}`;
    assert.deepEqual([sender.told, table.counts["connections_ended_connect_failed"]], [[reason], 1]);
  });

  it("tells who sent a request when the connection breaks before the answer", async () => {
    const { listener, table } = await listen();
    const server = await served();
    const sender = owner();
    listener.send(INVITE, { transport: "tcp", address: server.address, port: server.port, listener }, sender);
    const peer = await server.peer();
    await peer.next("the request", () => true);
    peer.socket.resetAndDestroy();
    await waitFor("the error", TIMEOUT_MS, () => sender.told.length === 1);
    assert.equal(table.size, 0);
  });

  it("ends a connection that cannot be read, with the reason counted, after the messages before it", async () => {
    const { listener, table, received } = await listen();
    const peer = await connected(listener);
    peer.send(`${INVITE}GET / HTTP/1.1\r\n`);
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    assert.deepEqual([received.length, table.size, table.counts["connections_ended_not_sip"]], [1, 0, 1]);
  });

  it("turns away more connections than one source may have, and banned sources, and counts both", async () => {
    const full = await listen({}, { maxOfSource: 1 });
    await connected(full.listener);
    await waitFor("the first connection", TIMEOUT_MS, () => full.table.size === 1);
    const second = await connected(full.listener);
    await waitFor("the end of the second", TIMEOUT_MS, () => second.isClosed);
    assert.deepEqual([full.table.size, full.table.counts["connections_ended_too_many_of_source"]], [1, 1]);

    const banning = await listen({ admitConnection: () => false });
    const banned = await connected(banning.listener);
    await waitFor("the end of the banned one", TIMEOUT_MS, () => banned.isClosed);
    assert.equal(banning.table.counts["connections_ended_banned"], 1);
  });

  it("ends the connection of a source that is banned meanwhile; a response is never counted for it", async () => {
    const { listener, received } = await listen({ admitRequest: () => false });
    const peer = await connected(listener);
    peer.send(INVITE.replace(/^.*\r\n/, "SIP/2.0 200 OK\r\n"));
    await waitFor("the response", TIMEOUT_MS, () => received.length === 1);
    peer.send(INVITE);
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    assert.equal(received.length, 1);
  });

  it("gives up on a peer that does not read, once too much waits for it", async () => {
    const { listener, table, received } = await listen();
    const peer = await connected(listener);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    peer.socket.pause();
    const large = "x".repeat(MAX_UNSENT_BYTES / 4);
    for (let i = 0; i < 200 && table.size === 1; i++) listener.send(large, source);
    assert.deepEqual([table.size, table.counts["connections_ended_not_reading"]], [0, 1]);
  });

  it("survives a fault of what takes the message", async () => {
    const { listener, faults, counters } = await listen({
      receive: () => {
        throw new Error("boom");
      },
    });
    const peer = await connected(listener);
    peer.send(INVITE);
    await waitFor("the fault", TIMEOUT_MS, () => faults.length === 1);
    assert.equal(counters.receive_faults, 1);
    assert.equal(peer.isClosed, false);
  });
});
