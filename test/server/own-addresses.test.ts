import assert from "node:assert/strict";
import type { NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import { addressesNearby, ownAddresses } from "../../src/server/own-addresses.ts";

type Interfaces = ReturnType<typeof networkInterfaces>;

function info(address: string, internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: "", mac: "", cidr: null, internal };
  return address.includes(":") ? { ...common, family: "IPv6", scopeid: 0 } : { ...common, family: "IPv4" };
}

const LOOPBACK = [info("127.0.0.1", true), info("::1", true)];
const MACHINE: Interfaces = { lo: LOOPBACK, eth0: [info("192.0.2.1"), info("2001:db8::1")], eth1: [info("198.51.100.1")], down: undefined };

function udp(address: string, port = 5060): { transport: "udp"; address: string; port: number } {
  return { transport: "udp", address, port };
}

describe("addresses that a node tells the others", () => {
  const cases: readonly (readonly [name: string, listeners: ReturnType<typeof udp>[], advertised: string | null, wanted: string[]])[] = [
    ["those it is bound to", [udp("192.0.2.1"), udp("192.0.2.1", 5070)], null, ["udp:192.0.2.1:5060", "udp:192.0.2.1:5070"]],
    ["IPv6 in brackets", [udp("2001:db8::1")], null, ["udp:[2001:db8::1]:5060"]],
    ["for a wildcard those of its interfaces, of the same family", [udp("0.0.0.0")], null, ["udp:192.0.2.1:5060", "udp:198.51.100.1:5060"]],
    ["the same for IPv6", [udp("::")], null, ["udp:[2001:db8::1]:5060"]],
    ["one advertised first, with the port of each listener", [udp("192.0.2.1")], "sip.test", ["udp:sip.test:5060", "udp:192.0.2.1:5060"]],
    ["one advertised with the port it has", [udp("192.0.2.1")], "203.0.113.5:5080", ["udp:203.0.113.5:5080", "udp:192.0.2.1:5060"]],
    ["an advertised IPv6 address", [udp("::1")], "[2001:db8::9]", ["udp:[2001:db8::9]:5060", "udp:[::1]:5060"]],
    ["each once", [udp("192.0.2.1"), udp("0.0.0.0")], "192.0.2.1", ["udp:192.0.2.1:5060", "udp:198.51.100.1:5060"]],
    ["none without a listener", [], "sip.test", []],
  ];
  for (const [name, listeners, advertised, wanted] of cases) {
    it(`are ${name}`, () => {
      assert.deepEqual(
        ownAddresses(listeners, advertised, () => MACHINE),
        wanted,
      );
    });
  }

  it("are the loopback one where there is no other", () => {
    assert.deepEqual(
      ownAddresses([udp("0.0.0.0"), udp("::")], null, () => ({ lo: LOOPBACK })),
      ["udp:127.0.0.1:5060", "udp:[::1]:5060"],
    );
  });

  it("are 32 at most, the advertised one among them", () => {
    const many = Array.from({ length: 100 }, (_, i) => info(`10.0.0.${i}`));
    const found = ownAddresses([udp("0.0.0.0")], "sip.test", () => ({ eth0: many }));
    assert.deepEqual([found.length, found[0]], [32, "udp:sip.test:5060"]);
  });
});

describe("where another node is reached", () => {
  const own = ["udp:192.0.2.1:5060", "udp:198.51.100.1:5060", "udp:[2001:db8::1]:5060"];

  it("is what it says", () => {
    assert.deepEqual(addressesNearby(["udp:192.0.2.2:5060"], own), ["udp:192.0.2.2:5060"]);
  });

  it("on this machine is at the loopback addresses too", () => {
    assert.deepEqual(addressesNearby(["udp:192.0.2.1:5070", "udp:198.51.100.1:5070", "udp:[2001:db8::1]:5070"], own), [
      "udp:192.0.2.1:5070",
      "udp:198.51.100.1:5070",
      "udp:[2001:db8::1]:5070",
      "udp:127.0.0.1:5070",
      "udp:[::1]:5070",
    ]);
  });

  it("on another machine with a floating address that is ours now, is not at our loopback address", () => {
    const floating = ["udp:198.51.100.1:5070", "udp:192.0.2.2:5070"];
    assert.deepEqual(addressesNearby(floating, own), floating);
  });
});
