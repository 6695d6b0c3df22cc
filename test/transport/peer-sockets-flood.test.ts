import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { IDLE_MS } from "../../src/transport/peer-sockets.ts";
import { TransportCounters, UdpListener } from "../../src/transport/udp.ts";
import { allSockets } from "../support/datagram-sockets.ts";
import { flood } from "../support/flood.ts";
import { hasIpv6Loopback, loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";

const PEERS = 500;
const SOURCES = 1_000;
const FLOOD_MS = 1_500;
const RATE_PER_S = 4_000;
/** Sends in one go, so that the listener reads what comes meanwhile. */
const BURST = 5;

const bindings = [
  ...loopbacks().map((address) => ({
    address,
    from: address,
    known: address,
    unreachable: address === "::1" ? "2001:db8::1" : "192.0.2.1",
  })),
  { address: "0.0.0.0", from: "127.0.0.1", known: "127.0.0.9", unreachable: "255.255.255.255" },
  ...(hasIpv6Loopback() ? [{ address: "::", from: "::1", known: "::1", unreachable: "::1" }] : []),
];

const cases = (await allSockets()).flatMap((form) => bindings.map((binding) => ({ ...form, ...binding })));

describe(`datagrams of strangers from ${SOURCES} ports, while sockets of peers come and go`, () => {
  for (const { name, sockets, address, from, known, unreachable } of cases) {
    it(`all arrive on ${address} with ${name}`, async () => {
      const counters = new TransportCounters();
      const clock = { aheadMs: 0 };
      const sources = new Set<number>();
      const listener = await UdpListener.open({
        ...{ address, port: 0, sockets, advertised: null, counters, locals: new LocalAddresses(() => 0) },
        peers: { isLasting: () => true, nowMs: () => performance.now() + clock.aheadMs },
        receive: (_text, source) => sources.add(source.port),
        fault: (error, action) => assert.fail(`${action}: ${String(error)}`),
      });
      try {
        let isOver = false;
        const end = flood({
          ...{ to: { address: from, port: listener.port }, from, sources: SOURCES, ratePerS: RATE_PER_S, durationMs: FLOOD_MS },
          datagrams: ["OPTIONS sip:stranger"],
        }).finally(() => {
          isOver = true;
        });
        const owner = { transportError: () => undefined };
        const send = (peer: string, port: number): void =>
          listener.send("a request", { transport: "udp", address: peer, port, listener }, owner);
        let [opened, swept] = [0, 0];
        while (!isOver) {
          for (let i = 0; i < PEERS && !isOver; i++) {
            send(known, 20_000 + i);
            send(unreachable, 20_000 + i);
            if (i % BURST === 0) await sleep(1);
          }
          opened = Math.max(opened, counters.peer_sockets);
          clock.aheadMs += 2 * IDLE_MS;
          await waitFor("the sweep", 5_000, () => isOver || counters.peer_sockets === 0);
          swept++;
        }
        const { sent, failed } = await end;
        await waitFor(`all of ${sent} datagrams`, 2_000, () => counters.received_messages >= sent);
        assert.deepEqual([counters.received_messages, failed], [sent, 0]);
        assert.equal(sources.size, SOURCES);
        assert.ok(
          swept >= 1 && (process.platform !== "linux" || opened >= PEERS),
          `${opened} sockets were open, and closed ${swept} times`,
        );
      } finally {
        await listener.close();
      }
    });
  }
});
