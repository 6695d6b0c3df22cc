import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { uriPort } from "../../src/proxy/core.ts";
import { transportOf } from "../../src/proxy/next-hop.ts";
import { mayHaveMParam, mayNeedRepair, namesPlace } from "../../src/proxy/uri-look.ts";
import { asRequestUri, tryParseSipUri, uriParam } from "../../src/sip/index.ts";
import type { Endpoint, Listener } from "../../src/transaction/index.ts";
import { uriText } from "../sip/arbitrary.ts";

const RUNS = { numRuns: 3_000, seed: 10 };
const listener: Listener = { transport: "udp", address: "192.0.2.1", port: 5060, family: 4, sentByFor: () => "192.0.2.1:5060" };

const piece = fc.constantFrom(
  ...[
    "sip:",
    "sip:",
    "sips:",
    "a@",
    "a:b@",
    ":@",
    "192.0.2.7",
    "192.0.2.7",
    "192.0.2.77",
    ":",
    ":5080",
    ":5080",
    ":05080",
    ":508",
    ":50800",
    "@",
  ],
  ...[";transport=udp", ";transport=tcp", ";lr", ";method=BYE", ";x; Maddr=192.0.2.1", "?a=b"],
);
const text = fc.oneof(
  uriText,
  fc.array(piece, { maxLength: 6 }).map((parts) => parts.join("")),
  fc
    .tuple(fc.constantFrom("", "a@", "a;b@", "a:b@"), fc.array(piece, { maxLength: 1 }))
    .map(([user, [rest = ""]]) => `sip:${user}192.0.2.7:5080${rest}`),
);

describe("a look at a URI", () => {
  it("finds a place only where the URI says it, read in full, and nothing else", () => {
    const place: Endpoint = { transport: "udp", address: "192.0.2.7", port: 5080, listener };
    let found = 0;
    fc.assert(
      fc.property(text, (uri) => {
        if (!namesPlace(uri, place)) return;
        found++;
        const read = tryParseSipUri(uri);
        assert.ok(read !== undefined);
        assert.deepEqual([read.scheme, read.host, uriPort(read), transportOf(read)], ["sip", "192.0.2.7", 5080, "udp"]);
        assert.ok(["", ";transport=udp"].includes(read.params + read.headers));
      }),
      RUNS,
    );
    assert.ok(found > 100);
  });

  it("finds no place for a stream, nor one of IPv6", () => {
    assert.equal(namesPlace("sip:192.0.2.7:5080", { transport: "udp", address: "192.0.2.7", port: 5080, listener }), true);
    assert.equal(namesPlace("sip:192.0.2.7:5080", { transport: "tcp", address: "192.0.2.7", port: 5080, listener }), false);
    assert.equal(namesPlace("sip:::1:5080", { transport: "udp", address: "::1", port: 5080, listener }), false);
  });

  it("misses no maddr, and nothing that must not stand in a Request-URI", () => {
    fc.assert(
      fc.property(text, (uri) => {
        if (!mayNeedRepair(uri)) assert.equal(asRequestUri(uri), uri);
        const read = tryParseSipUri(uri);
        if (!mayHaveMParam(uri) && read !== undefined) assert.equal(uriParam(read, "maddr"), undefined);
      }),
      RUNS,
    );
  });
});
