import assert from "node:assert/strict";
import { isIPv4 } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ipv4 } from "../../src/transport/socket-memory.ts";
import { SourceTable } from "../../src/transport/source-table.ts";
import { silentListener } from "../support/silent-listener.ts";

/** Reads the words themselves: a place that is as good as any. */
const spell = (words: Uint32Array) => (at: number) => ({ address: [...words.subarray(at + 1, at + 7)].join("."), port: words[at]! >>> 16 });

describe("SourceTable.find()", () => {
  for (const address of ["127.0.0.1", "::1"]) {
    const count = address.includes(":") ? 7 : 2;
    it(`gives one frozen object for a place, and the right one for each of 100,000, of the family of ${address}`, () => {
      const table = new SourceTable(silentListener(address));
      const words = new Uint32Array(3 + count);
      const read = spell(words.subarray(0, 3 + count));
      const first = table.find(words, 3, read);
      assert.ok(Object.isFrozen(first));
      assert.equal(table.find(words, 3, read), first);
      for (let i = 0; i < 100_000; i++) {
        for (let w = 0; w < count; w++) words[3 + w] = Math.imul(i + 1, 0x1000193 + 2 * w) >>> 0;
        const { address: found, port } = table.find(words, 3, read);
        assert.deepEqual({ address: found, port }, read(3));
      }
    });
  }

  it("tells places of IPv6 apart by each word but the flow label", () => {
    for (let w = 0; w < 7; w++) {
      const table = new SourceTable(silentListener("::1"));
      const words = new Uint32Array(7).fill(1);
      const first = table.find(words, 0, spell(words));
      words[w] = 2;
      assert.equal(table.find(words, 0, spell(words)) === first, w === 1, `word ${w}`);
    }
  });
});

describe("ipv4()", () => {
  it("takes what Node.js takes for an IPv4 address, and nothing else", () => {
    const part = fc.oneof(fc.nat(300).map(String), fc.constantFrom("", "00", "01", "255", "256", " 1", "1 ", "-1", "1e1", "0x1"));
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const text = parts.join(".");
        assert.equal(ipv4(text) >= 0, isIPv4(text), text);
        if (isIPv4(text))
          assert.equal(
            ipv4(text),
            parts.reduceRight((value, each) => value * 256 + Number(each), 0),
          );
      }),
    );
  });
});
