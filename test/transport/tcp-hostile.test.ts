import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Endpoint } from "../../src/transaction/index.ts";
import { type ConnectionLimits, ConnectionTable, DEFAULT_CONNECTION_LIMITS } from "../../src/transport/connection-table.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { StreamListener, type StreamListenerOptions } from "../../src/transport/stream-listener.ts";
import { TCP_SOCKETS } from "../../src/transport/tcp.ts";
import { TransportCounters } from "../../src/transport/udp.ts";
import { INVITE } from "../sip/messages.ts";
import { waitFor } from "../support/net.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

const TIMEOUT_MS = 5_000;
const CONNECTIONS = 2_000;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const toClose: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

interface Bench {
  readonly listener: StreamListener;
  readonly table: ConnectionTable;
  readonly counters: TransportCounters;
  readonly received: { readonly text: string; readonly source: Endpoint }[];
  /** The clock, ms. */
  readonly clock: { nowMs: number };
}

async function listen(limits: Partial<ConnectionLimits> = {}, options: Partial<StreamListenerOptions> = {}): Promise<Bench> {
  const received: Bench["received"] = [];
  const clock = { nowMs: 0 };
  const counters = new TransportCounters();
  const table = new ConnectionTable({ ...DEFAULT_CONNECTION_LIMITS, ...limits });
  const listener = await StreamListener.open({
    ...{ sockets: TCP_SOCKETS, address: "127.0.0.1", port: 0, advertised: null, locals: new LocalAddresses(() => 0), table },
    counters,
    nowMs: () => clock.nowMs,
    receive: (text, source) => received.push({ text, source }),
    fault: (error) => assert.fail(String(error)),
    ...options,
  });
  toClose.push(listener);
  return { listener, table, counters, received, clock };
}

async function connected(to: { readonly address: string; readonly port: number }): Promise<TcpPeer> {
  const peer = await TcpPeer.connect(to);
  toClose.push(peer);
  return peer;
}

describe("peers that do not behave", () => {
  it("100 messages in one chunk, with bytes of every value, are 100 messages with the same bytes", async () => {
    const { listener, received } = await listen();
    const body = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
    const message = `MESSAGE sip:a@127.0.0.1 SIP/2.0\r\nSubject: caf\u00e9 \u00ff\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const peer = await connected(listener);
    peer.send(message.repeat(100));
    await waitFor("all messages", TIMEOUT_MS, () => received.length === 100);
    assert.ok(received.every(({ text }) => text === message));
    for (const { source } of received) listener.send(message, source);
    await waitFor("the same bytes back", TIMEOUT_MS, () => peer.received.length === 100);
    assert.ok(peer.received.every((text) => text === message));
  });

  it("one that ends, or resets, in the middle of a message leaves nothing, and half a message is none", async () => {
    const { listener, table, received } = await listen();
    for (const end of ["end", "resetAndDestroy"] as const) {
      const peer = await connected(listener);
      await waitFor("the connection", TIMEOUT_MS, () => table.size === 1);
      peer.send(INVITE.slice(0, -1));
      peer.socket[end]();
      await waitFor("its end", TIMEOUT_MS, () => table.size === 0);
    }
    assert.deepEqual([received.length, table.counts["open_connections"]], [0, 0]);
  });

  it("one that sends a byte now and then is ended when its message takes too long, keep-alives or not", async () => {
    const { listener, table, counters, clock } = await listen({ messageMs: 10_000 });
    const peer = await connected(listener);
    for (let i = 0; i <= 10; i++) {
      clock.nowMs = i * 1_000;
      peer.send(INVITE[i] ?? "");
      await waitFor("the byte", TIMEOUT_MS, () => counters.received_bytes === i + 1);
      table.sweep(clock.nowMs);
      assert.equal(table.size, 1);
    }
    table.sweep(10_001);
    assert.deepEqual([table.size, table.counts["connections_ended_slow_sender"]], [0, 1]);
  });

  it("one that has gone without a word is not sent to again and again: the next request after the bound goes on a new connection", async () => {
    const { listener, table, counters, clock } = await listen({ answerMs: 10_000 });
    const server = await TcpServer.open("127.0.0.1");
    toClose.push(server);
    const told: string[] = [];
    const owner = { transportError: (reason: string) => void told.push(reason) };
    const to: Endpoint = { transport: "tcp", address: server.address, port: server.port, listener };
    listener.send(INVITE, to, owner);
    const first = await server.peer();
    await first.next("the request", () => true);
    clock.nowMs = 5_000;
    first.send(INVITE.replace(/^.*\r\n/, "SIP/2.0 100 Trying\r\n"));
    await waitFor("the answer", TIMEOUT_MS, () => counters.received_messages === 1);
    table.sweep(12_000);
    assert.equal(table.size, 1, "it has answered");
    clock.nowMs = 20_000;
    listener.send(INVITE, to, owner);
    table.sweep(29_000);
    assert.equal(table.size, 1, "the time is not over");
    table.sweep(31_000);
    assert.deepEqual([table.size, table.counts["connections_ended_unresponsive"]], [0, 1]);
    await waitFor("the word to its sender", TIMEOUT_MS, () => told.length === 1);
    listener.send(INVITE, to);
    await (await server.peer(1)).next("the request on another connection", () => true);
  });

  it("one behind a filter is waited for no longer than half a second when the message can go over UDP as well", async () => {
    const { listener, table } = await listen(
      {},
      { sockets: { ...TCP_SOCKETS, connect: () => connect({ host: "filtered.invalid", port: 9, lookup: () => undefined }) } },
    );
    const told: string[] = [];
    const to: Endpoint = { transport: "tcp", address: "127.0.0.1", port: 9, listener };
    const sinceMs = performance.now();
    listener.send(INVITE, { ...to, insteadOf: { ...to, transport: "udp" } }, { transportError: (reason) => void told.push(reason) });
    await waitFor("the word", TIMEOUT_MS, () => told.length === 1);
    assert.ok(performance.now() - sinceMs < 2_000);
    assert.deepEqual([told, table.size], [["the connection ended: connect-timeout"], 0]);
  });

  it("a response to a connection that is closed and whose sender takes none ends as an error, once, and harms nothing", async () => {
    const { listener, table, received } = await listen();
    const peer = await connected(listener);
    peer.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    await peer.close();
    await waitFor("the end", TIMEOUT_MS, () => table.size === 0);
    for (let i = 0; i < 3; i++) listener.send(INVITE, source);
    await waitFor("one connection that nobody takes", TIMEOUT_MS, () => table.counts["connections_ended_connect_failed"] === 1);
    assert.equal(table.size, 0);
  });

  it("both sides that open a connection at once have two, and each is used for what it leads to", async () => {
    const [one, other] = [await listen(), await listen()];
    const toOther: Endpoint = { transport: "tcp", address: "127.0.0.1", port: other.listener.port, listener: one.listener };
    const toOne: Endpoint = { transport: "tcp", address: "127.0.0.1", port: one.listener.port, listener: other.listener };
    for (let i = 0; i < 3; i++) {
      one.listener.send(INVITE, toOther);
      other.listener.send(INVITE, toOne);
    }
    await waitFor("all messages", TIMEOUT_MS, () => one.received.length === 3 && other.received.length === 3);
    assert.deepEqual([one.table.size, other.table.size], [2, 2]);
  });

  it("a listener closes at once though peers neither read nor end", async () => {
    const { listener, received } = await listen();
    const [silent, deaf] = [await connected(listener), await connected(listener)];
    deaf.send(INVITE);
    const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    deaf.socket.pause();
    silent.socket.pause();
    for (let i = 0; i < 10; i++) listener.send("x".repeat(90_000), source);
    const sinceMs = performance.now();
    await listener.close();
    assert.ok(performance.now() - sinceMs < 2_000);
    assert.equal(source.connection?.isOpen, false);
    listener.send(INVITE, source);
  });

  it("thousands of connections that came and went leave no memory behind", async () => {
    const { listener, table, received } = await listen();
    const open = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 50) {
        await Promise.all(
          Array.from({ length: 50 }, async () => {
            const socket = connect({ host: "127.0.0.1", port: listener.port });
            socket.on("error", () => undefined);
            await once(socket, "connect");
            socket.write(`${INVITE}${INVITE.slice(0, 20)}`);
            socket.resetAndDestroy();
          }),
        );
        received.length = 0;
      }
      await waitFor("all ended", TIMEOUT_MS, () => table.size === 0);
      received.length = 0;
    };
    await open(500);
    collect();
    const beforeBytes = process.memoryUsage().heapUsed;
    await open(CONNECTIONS);
    collect();
    const grownBytes = process.memoryUsage().heapUsed - beforeBytes;
    assert.deepEqual([table.size, table.counts["open_connections"]], [0, 0]);
    assert.ok(grownBytes < CONNECTIONS * 200, `${grownBytes} bytes more`); // a connection alone has more
  });
});
