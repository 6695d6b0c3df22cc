import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { describe, it } from "node:test";
import { LocalAddresses } from "../../src/transport/local-address.ts";

/** An address of an interface as the system describes it: `192.0.2.2/24`. */
function info(cidr: string, internal = false): NetworkInterfaceInfo {
  const address = cidr.slice(0, cidr.indexOf("/"));
  const common = { address, netmask: "", mac: "02:00:00:00:00:01", internal, cidr };
  return address.includes(":") ? { ...common, family: "IPv6", scopeid: 0 } : { ...common, family: "IPv4" };
}

const LOOPBACK = [info("127.0.0.1/8", true), info("::1/128", true)];

function locals(...interfaces: NetworkInterfaceInfo[][]): LocalAddresses {
  return new LocalAddresses(
    () => 0,
    () => Object.fromEntries(interfaces.map((addresses, i) => [`if${i}`, addresses])),
  );
}

describe("LocalAddresses.towards()", () => {
  const machine = locals(
    LOOPBACK,
    [info("192.0.2.2/24"), info("2001:db8::2/64")],
    [info("10.1.0.1/16"), info("10.1.2.1/24")],
    [info("2001:db8:1::2/48"), info("fe80::2/64")],
  );
  const cases = [
    { peer: "192.0.2.77", want: "192.0.2.2", why: "its subnet" },
    { peer: "10.1.255.254", want: "10.1.0.1", why: "its subnet, on another interface" },
    { peer: "203.0.113.9", want: "192.0.2.2", why: "no subnet: the first address that is not internal" },
    { peer: "127.0.0.1", want: "127.0.0.1", why: "loopback" },
    { peer: "127.200.0.7", want: "127.0.0.1", why: "the whole of 127.0.0.0/8 is loopback" },
    { peer: "2001:db8::77", want: "2001:db8::2", why: "its subnet" },
    { peer: "2001:db8:1:ffff::1", want: "2001:db8:1::2", why: "its subnet, on another interface" },
    { peer: "2001:db8:ffff::1", want: "2001:db8::2", why: "no subnet: the first address that is not internal" },
    { peer: "::1", want: "::1", why: "loopback" },
    { peer: "fe80::99%if3", want: "fe80::2", why: "a link-local peer, with its zone" },
  ];
  for (const { peer, want, why } of cases) {
    it(`towards ${peer} is ${want}: ${why}`, () => {
      assert.equal(machine.towards(peer), want);
      assert.equal(machine.towards(peer), want, "the choice that is remembered is the same");
    });
  }

  it("takes an internal address of the family when there is no other", () => {
    assert.equal(locals(LOOPBACK).towards("203.0.113.9"), "127.0.0.1");
    assert.equal(locals([info("127.0.0.53/8", true)]).towards("203.0.113.9"), "127.0.0.53");
  });

  it("falls back to loopback on a machine without any address of the family", () => {
    assert.equal(locals().towards("203.0.113.9"), "127.0.0.1");
    assert.equal(locals([info("192.0.2.2/24")]).towards("2001:db8::1"), "::1");
  });

  it("takes an interface without a prefix for a subnet of one address", () => {
    const machine = locals([{ ...info("192.0.2.2/24"), cidr: null }, info("192.0.2.3/24")], [{ ...info("2001:db8::2/64"), cidr: null }]);
    assert.equal(machine.towards("192.0.2.77"), "192.0.2.3");
    assert.equal(machine.towards("192.0.2.2"), "192.0.2.2");
    assert.equal(machine.towards("2001:db8::77"), "2001:db8::2");
  });

  it("answers for any number of peers", () => {
    for (let i = 0; i < 20_000; i++) assert.equal(machine.towards(`10.1.${i >> 8}.${i & 255}`), "10.1.0.1");
  });
});

describe("LocalAddresses.has()", () => {
  const machine = locals(LOOPBACK, [info("192.0.2.2/24"), info("2001:db8::2/64")]);
  const cases: [string, boolean][] = [
    ["192.0.2.2", true],
    ["2001:db8::2", true],
    ["::1", true],
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["192.0.2.3", false],
    ["192.0.2.22", false],
    ["2001:db8::3", false],
    ["sip.example.net", false],
    ["", false],
  ];
  for (const [address, want] of cases)
    it(`${want ? "knows" : "does not know"} "${address}"`, () => {
      assert.equal(machine.has(address), want);
    });
});

describe("LocalAddresses", () => {
  it("reads the interfaces once in 5 seconds, or 250 ms for an address that it does not know, and sees a floating address come and go", () => {
    let nowMs = 1_000;
    let reads = 0;
    let floating = false;
    const machine = new LocalAddresses(
      () => nowMs,
      () => {
        reads += 1;
        return { lo: LOOPBACK, eth0: floating ? [info("192.0.2.2/24"), info("198.51.100.9/24")] : [info("192.0.2.2/24")] };
      },
    );
    assert.equal(machine.towards("198.51.100.77"), "192.0.2.2");
    floating = true;
    nowMs += 249;
    assert.equal(machine.has("198.51.100.9"), false);
    nowMs += 4_750;
    for (const known of ["192.0.2.2", "127.0.0.9", "sip.example.net", ""]) machine.has(known);
    assert.equal(reads, 1);
    assert.equal(machine.has("198.51.100.9"), true);
    assert.equal(machine.towards("198.51.100.77"), "198.51.100.9", "the earlier choice is forgotten");
    assert.equal(reads, 2);
    for (let i = 0; i < 1_000; i++) assert.equal(machine.has("203.0.113.9"), false);
    assert.equal(reads, 2, "unknown addresses are no reason to read again and again");
    floating = false;
    nowMs += 5_000;
    assert.equal(machine.has("198.51.100.9"), false);
    assert.equal(machine.towards("198.51.100.77"), "192.0.2.2");
  });

  it("survives an interface without addresses", () => {
    const machine = new LocalAddresses(
      () => 0,
      () => ({ down0: undefined, eth0: [info("192.0.2.2/24")] }),
    );
    assert.equal(machine.towards("203.0.113.9"), "192.0.2.2");
  });

  it("reads the interfaces of this machine when it is given no others", () => {
    const machine = new LocalAddresses(() => 0);
    assert.equal(machine.has("127.0.0.1"), true);
    assert.equal(machine.towards("127.0.0.1"), "127.0.0.1");
  });
});
