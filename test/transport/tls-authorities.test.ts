import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, describe, it } from "node:test";
import { connect, createServer, setDefaultCACertificates } from "node:tls";
import type { Endpoint } from "../../src/transaction/index.ts";
import { ConnectionTable } from "../../src/transport/connection-table.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { StreamListener } from "../../src/transport/stream-listener.ts";
import { TlsSockets } from "../../src/transport/tls.ts";
import { TransportCounters } from "../../src/transport/udp.ts";
import { INVITE } from "../sip/messages.ts";
import { waitFor } from "../support/net.ts";
import { TcpPeer } from "../support/tcp-peer.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const KEYS = { cert: readFileSync(join(FIXTURES, "proxy.pem")), key: readFileSync(join(FIXTURES, "proxy.key")) };
const NAME = "proxy.example.com";
/** An address that the certificate does not name, as it does 127.0.0.1. */
const UNNAMED = "127.0.0.2";
const TIMEOUT_MS = 3_000;
const toClose: { close(): unknown }[] = [];

// As if a public authority had given that certificate, to whoever has that name.
before(() => setDefaultCACertificates([readFileSync(join(FIXTURES, "ca.pem"), "utf8")]));
afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

async function listen(): Promise<{ listener: StreamListener; table: ConnectionTable; received: Endpoint[] }> {
  const [certificate, privateKey] = [join(FIXTURES, "proxy.pem"), join(FIXTURES, "proxy.key")];
  const table = new ConnectionTable();
  const received: Endpoint[] = [];
  const listener = await StreamListener.open({
    sockets: new TlsSockets({ certificate, privateKey, named: [], ca: null, verifyClient: true, verifyServer: true }),
    ...{ address: "127.0.0.1", port: 0, advertised: null, locals: new LocalAddresses(() => 0), table, nowMs: () => 0 },
    counters: new TransportCounters(),
    receive: (_text, source) => received.push(source),
    fault: (error) => assert.fail(String(error)),
  });
  toClose.push(listener);
  return { listener, table, received };
}

async function serve(): Promise<{ port: number; peers: TcpPeer[] }> {
  const peers: TcpPeer[] = [];
  const server = createServer(KEYS, (socket) => {
    const peer = new TcpPeer(socket);
    peers.push(peer);
    toClose.push(peer);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, UNNAMED);
  await once(server, "listening");
  toClose.push(server);
  return { port: (server.address() as { port: number }).port, peers };
}

describe("a certificate of a public authority, for a name", () => {
  it("says nothing of the address that the name leads to: what is for that address does not go on its connection", async () => {
    const { listener, table } = await listen();
    const { port, peers } = await serve();
    const there: Endpoint = { transport: "tls", address: UNNAMED, port, listener };
    listener.send(INVITE, { ...there, name: NAME });
    await waitFor("what is for the name", TIMEOUT_MS, () => peers[0]?.received.length === 1);
    const told: string[] = [];
    listener.send(INVITE, there, { transportError: (reason) => void told.push(reason) });
    await waitFor("the error", TIMEOUT_MS, () => told.length === 1);
    assert.match(told[0] ?? "", /its certificate does not name 127\.0\.0\.2/);
    listener.send(INVITE, { ...there, name: NAME });
    await waitFor("what is for the name", TIMEOUT_MS, () => peers[0]?.received.length === 2);
    assert.equal(table.size, 1);
  });

  for (const [address, taken] of [
    ["127.0.0.1", true],
    [UNNAMED, false],
  ] as const) {
    it(`${taken ? "lets" : "does not let"} requests to ${address} go on the connection that was opened from there with it`, async () => {
      const { listener, received } = await listen();
      const socket = connect({ ...KEYS, ...{ host: "127.0.0.1", port: listener.port, localAddress: address } });
      const peer = new TcpPeer(socket);
      toClose.push(peer);
      peer.send(INVITE);
      const source = await waitFor("the message", TIMEOUT_MS, () => received[0]);
      const told: string[] = [];
      const { connection: _, ...place } = source;
      listener.send(INVITE, place, { transportError: (reason) => void told.push(reason) });
      await waitFor("the request, or its error", TIMEOUT_MS, () => peer.received.length + told.length === 1);
      assert.equal(peer.received.length, taken ? 1 : 0);
    });
  }
});
