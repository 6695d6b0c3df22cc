import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalIp } from "../../src/balancer/index.ts";
import { readSourceKey, type SourceKey, sourceText } from "../../src/overload/source-key.ts";

function textOf(address: string): string | undefined {
  const key: SourceKey = { hi: 0, lo: 0 };
  return readSourceKey(address, key) ? sourceText(key) : undefined;
}

describe("the source that an address belongs to", () => {
  const cases: [address: string, want: string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8::/64"],
    ["2001:DB8:0:1::1", "2001:db8:0:1::/64"],
    ["fe80::1%eth0", "fe80::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b::/64"],
    ["::1", "0.0.0.0"],
    ["256.0.0.1", undefined],
    ["1.2.3", undefined],
    ["1.2.3.4.5", undefined],
    ["1..2.3", undefined],
    ["", undefined],
    [":", undefined],
    ["1::2::3", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1:2:3:4:5:6:7:", undefined],
    ["12345::", undefined],
    ["g::1", undefined],
    ["host.example.com", undefined],
  ];
  for (const [address, want] of cases) it(`of "${address}" is ${want}`, () => assert.equal(textOf(address), want));

  it("is, for every IPv6 address, the first 64 bits of how else it is written", () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const canonical = canonicalIp(address);
        if (canonical === undefined) return;
        const first = canonical.split(":").slice(0, 4);
        const key: SourceKey = { hi: 0, lo: 0 };
        assert.equal(readSourceKey(address, key), true);
        if (canonical.includes(".")) assert.equal(sourceText(key), canonical);
        else
          assert.deepEqual(
            [key.hi, key.lo],
            [
              Number(`0x${first[0]!.padStart(4, "0")}${first[1]!.padStart(4, "0")}`),
              Number(`0x${first[2]!.padStart(4, "0")}${first[3]!.padStart(4, "0")}`),
            ],
          );
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes any text without a fault", () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom("1", "f", ":", ".", "%", "x"), maxLength: 50 }), (text) => void textOf(text)));
  });
});
