import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compileCidr, parseIp } from "../../src/routing/cidr.ts";

function isIn(block: string, address: string): boolean {
  const words = parseIp(address);
  assert.ok(words, `${address} is an address`);
  return compileCidr(block)(words);
}

describe("source blocks", () => {
  const cases = [
    { block: "10.0.0.0/8", address: "10.255.1.2", want: true },
    { block: "10.0.0.0/8", address: "11.0.0.0", want: false },
    { block: "192.0.2.1", address: "192.0.2.1", want: true },
    { block: "192.0.2.1", address: "192.0.2.2", want: false },
    { block: "192.0.2.129/25", address: "192.0.2.200", want: true },
    { block: "192.0.2.129/25", address: "192.0.2.100", want: false },
    { block: "0.0.0.0/0", address: "203.0.113.9", want: true },
    { block: "0.0.0.0/0", address: "2001:db8::1", want: false },
    { block: "::/0", address: "2001:db8::1", want: true },
    { block: "::/0", address: "192.0.2.1", want: true },
    { block: "10.0.0.0/8", address: "::ffff:10.1.2.3", want: true },
    { block: "::ffff:10.0.0.0/104", address: "10.1.2.3", want: true },
    { block: "2001:db8::/32", address: "2001:db8:ffff::1", want: true },
    { block: "2001:db8::/32", address: "2001:db9::1", want: false },
    { block: "2001:db8::/33", address: "2001:db8:8000::", want: false },
    { block: "2001:DB8::a", address: "2001:db8:0:0:0:0:0:A", want: true },
    { block: "fe80::/10", address: "fe80::1%eth0", want: true },
    { block: "[2001:db8::1]", address: "2001:db8::1", want: true },
    { block: "255.255.255.255/32", address: "255.255.255.255", want: true },
  ];
  for (const { block, address, want } of cases) {
    it(`${block} ${want ? "holds" : "does not hold"} ${address}`, () => assert.equal(isIn(block, address), want));
  }

  const refused = [
    "",
    "10.0.0.0/33",
    "10.0.0/8",
    "10.0.0.256",
    "2001:db8::/129",
    "1::2::3",
    ":1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "example.net",
    "1:2:3:4:5:6:7::8",
    "::1.2.3.4.5",
    "1.2.3.4::",
  ];
  for (const block of refused) {
    it(`refuses ${JSON.stringify(block)} and says what is wanted`, () => {
      assert.throws(() => compileCidr(block), {
        name: "RoutingError",
        message: /^Cannot use source ".*": want an address or a CIDR block/,
      });
    });
  }

  it("a block of n bits holds what agrees in the first n bits, whatever the rest", () => {
    const word = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word, word, word), fc.integer({ min: 0, max: 32 }), (a, b, bits) => {
        const binary = (octets: readonly number[]) => octets.map((octet) => octet.toString(2).padStart(8, "0")).join("");
        const want = binary(a).slice(0, bits) === binary(b).slice(0, bits);
        assert.equal(isIn(`${a.join(".")}/${bits}`, b.join(".")), want);
      }),
      { numRuns: 500 },
    );
  });

  it("no text makes the address parser throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789abcdef:.%[]/") }), (text) => {
        parseIp(text);
      }),
      { numRuns: 1000 },
    );
  });
});
