import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { type ConnectionOptions, connect, createServer, type TLSSocket } from "node:tls";
import type { Endpoint } from "../../src/transaction/index.ts";
import { type ConnectionLimits, ConnectionTable, DEFAULT_CONNECTION_LIMITS } from "../../src/transport/connection-table.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { StreamListener, type StreamListenerOptions } from "../../src/transport/stream-listener.ts";
import { type TlsSettings, TlsSockets } from "../../src/transport/tls.ts";
import { TransportCounters } from "../../src/transport/udp.ts";
import { INVITE } from "../sip/messages.ts";
import { waitFor } from "../support/net.ts";
import { TcpPeer } from "../support/tcp-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const CA = readFileSync(join(FIXTURES, "ca.pem"));
const TIMEOUT_MS = 3_000;
const folder = mkdtempSync(join(tmpdir(), "headroom-tls-"));
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});
after(() => rmSync(folder, { recursive: true, force: true }));

function pem(name: string): string {
  return join(FIXTURES, name);
}

function settings(over: Partial<TlsSettings> = {}): TlsSettings {
  return {
    certificate: pem("proxy.pem"),
    privateKey: pem("proxy.key"),
    named: [],
    ca: pem("ca.pem"),
    verifyClient: false,
    verifyServer: true,
    ...over,
  };
}

async function listen(
  tls: Partial<TlsSettings> = {},
  options: Partial<StreamListenerOptions> = {},
  limits: Partial<ConnectionLimits> = {},
) {
  const sockets = new TlsSockets(settings(tls));
  const received: { text: string; source: Endpoint }[] = [];
  const table = new ConnectionTable({ ...DEFAULT_CONNECTION_LIMITS, ...limits });
  const listener = await StreamListener.open({
    ...{ sockets, address: "127.0.0.1", port: 0, advertised: null, locals: new LocalAddresses(() => 0), table, nowMs: () => 0 },
    counters: new TransportCounters(),
    receive: (text, source) => received.push({ text, source }),
    fault: (error) => assert.fail(String(error)),
    ...options,
  });
  toClose.push(listener);
  return { sockets, listener, table, received };
}

/** A peer over TLS; it may have been turned away already. */
function dial(listener: StreamListener, options: ConnectionOptions = {}): { socket: TLSSocket; peer: TcpPeer } {
  const socket = connect({ host: "127.0.0.1", port: listener.port, ca: CA, ...options });
  const peer = new TcpPeer(socket);
  toClose.push(peer);
  return { socket, peer };
}

/** A server over TLS with this certificate, and its connections. */
async function serve(name: string): Promise<{ port: number; peers: TcpPeer[] }> {
  const peers: TcpPeer[] = [];
  const server = createServer({ cert: readFileSync(pem(`${name}.pem`)), key: readFileSync(pem(`${name}.key`)) }, (socket) => {
    const peer = new TcpPeer(socket);
    peers.push(peer);
    toClose.push(peer);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  toClose.push(server);
  return { port: (server.address() as { port: number }).port, peers };
}

describe("StreamListener over TLS", () => {
  it("takes messages and answers on their connection, with a certificate that holds", async () => {
    const { listener, received, table } = await listen();
    const { socket, peer } = dial(listener);
    peer.send(INVITE);
    const { text, source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
    assert.deepEqual([text, source.transport, source.address, source.port], [INVITE, "tls", "127.0.0.1", socket.localPort]);
    listener.send(INVITE, source);
    assert.equal(await peer.next("the answer", () => true), INVITE);
    assert.ok(socket.authorized);
    assert.deepEqual([table.size, table.counts["connections_accepted"]], [1, 1]);
  });

  it("refuses TLS before 1.2, and plain text, and counts both", async () => {
    const { listener, table } = await listen();
    const { peer } = dial(listener, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" });
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    const plain = await TcpPeer.connect(listener);
    plain.send(INVITE);
    await waitFor("the end of plain text", TIMEOUT_MS, () => plain.isClosed);
    await waitFor("both counted", TIMEOUT_MS, () => table.counts["connections_ended_handshake_failed"] === 2);
    assert.equal(table.size, 0);
  });

  it("ends a handshake that takes too long", async () => {
    const { listener, table } = await listen({}, {}, { connectMs: 100 });
    const silent = await TcpPeer.connect(listener);
    await waitFor("the connection", TIMEOUT_MS, () => table.size === 1);
    table.sweep(101);
    await waitFor("the end", TIMEOUT_MS, () => silent.isClosed);
    assert.deepEqual([table.size, table.counts["connections_ended_connect_timeout"]], [0, 1]);
  });

  it("turns away banned sources before the handshake", async () => {
    const { listener, table } = await listen({}, { admitConnection: () => false });
    const { peer } = dial(listener);
    await waitFor("the end", TIMEOUT_MS, () => peer.isClosed);
    assert.deepEqual([table.size, table.counts["connections_ended_banned"]], [0, 1]);
  });

  const clients = [
    { name: "none", options: {}, taken: false },
    {
      name: "one of a stranger",
      options: { cert: readFileSync(pem("stranger.pem")), key: readFileSync(pem("stranger.key")) },
      taken: false,
    },
    { name: "a good one", options: { cert: readFileSync(pem("proxy.pem")), key: readFileSync(pem("proxy.key")) }, taken: true },
  ];
  for (const { name, options, taken } of clients) {
    it(`asks clients for a certificate when told to: with ${name} a client is ${taken ? "taken" : "refused"}`, async () => {
      const { listener, received, table } = await listen({ verifyClient: true });
      const { peer } = dial(listener, options);
      peer.send(INVITE);
      if (taken) await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
      else await waitFor("the end", TIMEOUT_MS, () => peer.isClosed && table.counts["connections_ended_handshake_failed"] === 1);
      assert.equal(received.length, taken ? 1 : 0);
    });
  }

  const named = "proxy.example.com";
  const servers = [
    { name: "proxy", over: {}, host: undefined, why: "" },
    { name: "proxy", over: {}, host: named, why: "" },
    { name: "proxy", over: {}, host: "other.example.com", why: "its certificate does not name other.example.com" },
    { name: "proxy", over: { verifyServer: false }, host: "other.example.com", why: "" },
    { name: "stranger", over: {}, host: undefined, why: "self-signed certificate" },
    { name: "stranger", over: { verifyServer: false }, host: undefined, why: "" },
    { name: "proxy", over: { ca: null }, host: named, why: "unable to verify the first certificate" },
  ];
  for (const { name, over, host, why } of servers) {
    const taken = why === "";
    it(`sends ${taken ? "" : "nothing "}to a server with the certificate of ${name}, found as ${host ?? "an address"} (${JSON.stringify(over)})`, async () => {
      const { listener } = await listen(over);
      const { port, peers } = await serve(name);
      const told: string[] = [];
      const owner = { transportError: (reason: string) => void told.push(reason) };
      listener.send(INVITE, { transport: "tls", address: "127.0.0.1", port, listener, ...(host && { name: host }) }, owner);
      if (taken) await waitFor("the message", TIMEOUT_MS, () => peers[0]?.received[0] === INVITE);
      else await waitFor("the error", TIMEOUT_MS, () => told.length === 1);
      assert.equal(told.length, taken ? 0 : 1);
      if (!taken) assert.ok(told[0]?.startsWith(`the connection ended: connect-failed: ${why}`), told[0]);
      assert.equal(peers.flatMap(({ received }) => received).length, taken ? 1 : 0);
    });
  }
});

describe("connections to names", () => {
  it("are one for each name, with the name said to the server; what is for the address alone goes on any of them", async () => {
    const { listener, table } = await listen({ verifyServer: false });
    const { port, peers } = await serve("proxy");
    const to: Endpoint = { transport: "tls", address: "127.0.0.1", port, listener };
    const [one, other] = [
      { ...to, name: "one.example.com" },
      { ...to, name: "other.example.com" },
    ];
    for (const target of [one, one, other, other, to]) listener.send(INVITE, target);
    await waitFor("all messages", TIMEOUT_MS, () => peers.flatMap(({ received }) => received).length === 5);
    const asked = peers.map(({ socket }) => (socket as TLSSocket).servername).sort();
    assert.deepEqual([asked, table.size], [["one.example.com", "other.example.com"], 2]);
  });
});

describe("requests over TLS", () => {
  for (const verifyServer of [true, false]) {
    it(`${verifyServer ? "never go" : "go"} on a connection whose peer showed no certificate, when servers ${verifyServer ? "must" : "need not"} show one; answers do`, async () => {
      const { listener, received, table } = await listen({ verifyServer });
      const { peer } = dial(listener);
      peer.send(INVITE);
      const { source } = await waitFor("the message", TIMEOUT_MS, () => received[0]);
      listener.send(INVITE, source);
      await peer.next("the answer", () => true);
      const { connection: _, ...place } = source;
      listener.send(INVITE, place);
      if (verifyServer)
        await waitFor("the connection that nobody takes", TIMEOUT_MS, () => table.counts["connections_ended_connect_failed"] === 1);
      else await peer.next("the request", () => true);
      assert.equal(peer.received.length, verifyServer ? 1 : 2);
    });
  }
});

describe("TlsSockets", () => {
  it("uses other certificates after reload(), and keeps the old ones when the new are of no use", async () => {
    const [certificate, privateKey] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const use = (name: string): void => {
      copyFileSync(pem(`${name}.pem`), certificate);
      copyFileSync(pem(`${name}.key`), privateKey);
    };
    use("stranger");
    const { listener, sockets } = await listen({ certificate, privateKey });
    const names = async (): Promise<string | string[] | undefined> => {
      const { socket } = dial(listener, { rejectUnauthorized: false });
      await once(socket, "secureConnect");
      return socket.getPeerCertificate().subject.CN;
    };
    assert.equal(await names(), "Headroom test stranger");
    use("proxy");
    sockets.reload();
    assert.equal(await names(), "proxy.example.com");
    writeFileSync(certificate, "nonsense");
    assert.throws(
      () => sockets.reload(),
      /^Error: Cannot use the certificate ".*cert\.pem" with the private key ".*key\.pem": [^\n]*[^.\n]$/,
    );
    assert.equal(await names(), "proxy.example.com");
  });

  it("has the certificate of the name that a client asks for, by a wildcard too, and the usual one for all others; also after reload()", async () => {
    const [certificate, privateKey] = [join(folder, "named.pem"), join(folder, "named.key")];
    const use = (name: string): void => {
      copyFileSync(pem(`${name}.pem`), certificate);
      copyFileSync(pem(`${name}.key`), privateKey);
    };
    use("stranger");
    const serverNames = ["one.example.com", "*.example.net"];
    const { listener, sockets } = await listen({ named: [{ serverNames, certificate, privateKey }] });
    const subject = async (servername?: string): Promise<string | string[] | undefined> => {
      const { socket } = dial(listener, { rejectUnauthorized: false, ...(servername && { servername }) });
      await once(socket, "secureConnect");
      return socket.getPeerCertificate().subject.CN;
    };
    const [usual, other] = ["proxy.example.com", "Headroom test stranger"];
    for (const name of ["ONE.example.com", "a.example.net"]) assert.equal(await subject(name), other);
    for (const name of [undefined, "two.example.com", "a.b.example.net", "example.net", "localhost"])
      assert.equal(await subject(name), usual);
    writeFileSync(privateKey, "nonsense");
    assert.throws(() => sockets.reload(), /^Error: Cannot use the certificate /);
    assert.equal(await subject("one.example.com"), other);
    use("proxy");
    sockets.reload();
    assert.equal(await subject("one.example.com"), usual);
    const nowhere = { serverNames, certificate: "/nowhere", privateKey };
    assert.throws(() => new TlsSockets(settings({ named: [nowhere] })), /"\/nowhere" of sip\.tls\.sni\[0\]\.certificate: /);
  });

  it("names a file that cannot be read", () => {
    assert.throws(
      () => new TlsSockets(settings({ certificate: "/nowhere/cert.pem" })),
      /^Error: Cannot read "\/nowhere\/cert\.pem" of sip\.tls\.certificate: /,
    );
  });
});
