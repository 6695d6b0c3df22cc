import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { startHeadroom } from "../support/headroom.ts";
import { freeUdpPort } from "../support/net.ts";
import { runCaller, startCallee } from "../support/sipp.ts";
import { TlsRelay } from "../support/tls-relay.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.50.2";
const CALLER = "127.0.50.3";
/** Where the caller's relay takes TCP, and where that of the callee takes TLS; sipp itself is at the address behind it, of the same length. */
const CALLER_RELAY = "127.0.50.6";
const CALLEE_RELAY = "127.0.50.4";
const CALLEE = "127.0.50.5";
const CALLS = 500;

describe("calls over TLS", () => {
  it(`${CALLS} calls from TLS to TLS, none fails, over one connection on each side`, async () => {
    const callee = await startCallee({ scenario: "callee", address: CALLEE, transport: "tcp" });
    const port = await freeUdpPort(PROXY);
    const tls = `{ certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key", ca: "${FIXTURES}/ca.pem" }`;
    const headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tls:${PROXY}:${port}"], tls: ${tls} }, tm: { fr_timeout: 5 } }`,
      [{ uri: `sip:${CALLEE_RELAY}:${callee.port};transport=tls`, resources: "pstn=1000" }],
      PROXY,
    );
    const entry = { address: CALLER_RELAY, port: await freeTcpPort(CALLER_RELAY) };
    const [inside, outside] = [`${CALLEE}:${callee.port};transport=tcp`, `${CALLEE_RELAY}:${callee.port};transport=tls`];
    const relays = [
      await TlsRelay.toTls({ listen: entry, target: { address: PROXY, port } }),
      await TlsRelay.fromTls({
        listen: { address: CALLEE_RELAY, port: callee.port },
        target: callee,
        rewrite: (message, direction) =>
          direction === "to-tls" ? message.replaceAll(inside, outside) : message.replaceAll(outside, inside),
      }),
    ];
    try {
      const target = `${entry.address}:${entry.port}`;
      const done = await runCaller({ scenario: "caller", address: CALLER, transport: "tcp", target, calls: CALLS, rate: 100 });
      await headroom.untilIdle();
      const answered = await callee.stop();
      assert.deepEqual(
        [done.successful, done.failed, answered.successful, answered.failed],
        [CALLS, 0, CALLS, 0],
        done.errors + answered.errors + headroom.log(),
      );
      const net = (await headroom.mi("get_statistics", [["net:"]])) as Record<string, number>;
      assert.deepEqual([net["net:connections_opened"], net["net:connections_accepted"]], [1, 1], JSON.stringify(net));
    } finally {
      await headroom.stop();
      await callee.stop();
      for (const relay of relays) await relay.close();
    }
  });
});
