import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { countSockets, openListeningSocket } from "../../src/transport/udp-socket.ts";
import { allSockets } from "../support/datagram-sockets.ts";
import { loopbacks } from "../support/loopback.ts";

const LINUX = process.platform === "linux";
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) await socket.close();
});

async function bindOther(address: string, port: number, how: { reuseAddr?: boolean; reusePort?: boolean }): Promise<number> {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", ipv6Only: address.includes(":"), ...how });
  socket.bind({ address, port, exclusive: true });
  try {
    await once(socket, "listening");
  } catch (error) {
    socket.close();
    throw error;
  }
  open.push(socket);
  return socket.address().port;
}

for (const { name, sockets } of await allSockets()) {
  describe(`openListeningSocket() with ${name}`, () => {
    async function listen(address: string, port = 0): Promise<number> {
      const { socket, isShared } = await openListeningSocket(sockets, address, port, true);
      open.push(socket);
      assert.equal(isShared, LINUX);
      return socket.address().port;
    }

    const hows = LINUX ? [{}, { reuseAddr: true }, { reusePort: true }] : [{}];
    for (const address of loopbacks()) {
      for (const how of hows) {
        it(`refuses a port of ${address} that another socket has, bound with ${JSON.stringify(how)}`, async () => {
          const port = await bindOther(address, 0, how);
          await assert.rejects(listen(address, port), { code: "EADDRINUSE" });
        });
      }
      it(`refuses a port of ${address} that another listener has`, async () => {
        const port = await listen(address);
        await assert.rejects(listen(address, port), { code: "EADDRINUSE" });
      });
    }

    it("keeps out others, also those that set SO_REUSEADDR", async () => {
      const port = await listen("127.0.0.1");
      for (const address of ["127.0.0.1", "0.0.0.0"]) {
        for (const how of [{}, { reuseAddr: true }]) await assert.rejects(bindOther(address, port, how), { code: "EADDRINUSE" });
      }
    });

    it("finds a port of its own for each of many that take any, at the same moment as others", async () => {
      const others = Promise.all(Array.from({ length: 200 }, () => bindOther("127.0.0.1", 0, {})));
      const ports = await Promise.all(Array.from({ length: 200 }, () => listen("127.0.0.1")));
      assert.equal(new Set([...ports, ...(await others)]).size, 400);
    });

    it("lets one of many that start at the same moment have the port, or none, but never two", async () => {
      const port = await listen("127.0.0.1");
      await open.pop()?.close();
      for (let round = 0; round < 20; round++) {
        const addresses = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? "127.0.0.1" : "0.0.0.0"));
        const results = await Promise.allSettled(addresses.map((address) => openListeningSocket(sockets, address, port, true)));
        const winners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.socket] : []));
        for (const socket of winners) await socket.close();
        assert.ok(winners.length <= 1, `${winners.length} listeners share a port`);
      }
    });

    it("leaves other addresses with the same port to others", async () => {
      const port = await listen("127.0.0.1");
      assert.equal(await listen("127.0.0.2", port), port);
    });
  });
}

describe("countSockets()", () => {
  const v4 = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 0
  101: 0100007F:13C4 0900007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 2 0000000000000000 0
  102: 00000000:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 3 2 0000000000000000 0
  103: 0200007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4 2 0000000000000000 0
  104: 0100007F:13C5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5 2 0000000000000000 0
`;
  const v6 = `  sl  local_address                         remote_address                        st
  21: 00000000000000000000000001000000:13C4 00000000000000000000000000000000:0000 07 00000000:00000000
  22: B80D0120000000000000000001000000:13C4 00000000000000000000000000000000:0000 07 00000000:00000000
`;
  const cases = [
    { name: "an IPv4 address and the wildcard", table: v4, words: [0x7f000001], port: 5060, want: 3 },
    { name: "all addresses for a wildcard", table: v4, words: [0], port: 5060, want: 4 },
    { name: "another port by itself", table: v4, words: [0x7f000001], port: 5061, want: 1 },
    { name: "nothing on a free port", table: v4, words: [0], port: 5062, want: 0 },
    { name: "an IPv6 address", table: v6, words: [0, 0, 0, 1], port: 5060, want: 1 },
    { name: "an IPv6 address of a network", table: v6, words: [0x20010db8, 0, 0, 1], port: 5060, want: 1 },
    { name: "nothing in what is no table", table: "no table\n".repeat(3), words: [0], port: 5060, want: 0 },
  ];
  for (const { name, table, words, port, want } of cases) {
    it(`counts ${name}`, () => assert.equal(countSockets(table, words, port, true), want));
  }

  it("reads the words as a big-endian machine writes them", () => {
    assert.equal(countSockets("  1: 7F000001:13C4 00000000:0000 07 0\n", [0x7f000001], 5060, false), 1);
  });
});
