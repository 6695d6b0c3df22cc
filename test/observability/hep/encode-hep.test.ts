import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeHep, type HepPacket, MAX_HEP_BYTES } from "../../../src/observability/hep/encode-hep.ts";
import { decodeHep } from "../../support/hep.ts";

const PACKET: HepPacket = {
  source: { address: "192.0.2.1", port: 5060 },
  target: { address: "198.51.100.200", port: 65_535 },
  isDatagram: true,
  seconds: 1_790_000_000,
  microseconds: 123_456,
  correlationId: "a@b",
  text: "BYE\xff",
};

function hex(packet: HepPacket, agent = { captureId: 2001, authKey: undefined as string | undefined }): Record<string, string> {
  const bytes = encodeHep(packet, agent);
  assert.ok(bytes);
  return Object.fromEntries([...decodeHep(bytes)].map(([type, value]) => [type.toString(16), value.toString("hex")]));
}

describe("HEP version 3", () => {
  it("carries a message over IPv4 in the chunks of the specification, numbers in network order", () => {
    assert.deepEqual(hex(PACKET, { captureId: 2001, authKey: "key" }), {
      1: "02", // AF_INET
      2: "11", // UDP
      3: "c0000201",
      4: "c63364c8",
      7: "13c4",
      8: "ffff",
      9: "6ab13b80",
      a: "0001e240",
      b: "01", // SIP
      c: "000007d1",
      e: "6b6579",
      f: "425945ff",
      11: "614062",
    });
  });

  it("carries IPv6, also beside an IPv4 address, and streams", () => {
    const {
      1: family,
      2: protocol,
      3: ipv4,
      5: source,
      6: target,
    } = hex({
      ...PACKET,
      source: { address: "2001:db8::1", port: 1 },
      isDatagram: false,
    });
    assert.deepEqual(
      { family, protocol, ipv4, source, target },
      {
        family: "0a",
        protocol: "06",
        ipv4: undefined,
        source: "20010db8000000000000000000000001",
        target: "00000000000000000000ffffc63364c8",
      },
    );
  });

  it("leaves out the key and the Call-ID where there are none", () => {
    const chunks = hex({ ...PACKET, correlationId: undefined });
    assert.deepEqual([chunks["e"], chunks["11"]], [undefined, undefined]);
  });

  it("is refused where the length has no room for it, and where an address is none", () => {
    const overhead = encodeHep({ ...PACKET, text: "" }, { captureId: 1, authKey: undefined })?.length ?? 0;
    const largest = encodeHep({ ...PACKET, text: "x".repeat(MAX_HEP_BYTES - overhead) }, { captureId: 1, authKey: undefined });
    assert.equal(largest?.length, MAX_HEP_BYTES);
    assert.equal(encodeHep({ ...PACKET, text: "x".repeat(MAX_HEP_BYTES - overhead + 1) }, { captureId: 1, authKey: undefined }), undefined);
    assert.equal(encodeHep({ ...PACKET, source: { address: "name", port: 1 } }, { captureId: 1, authKey: undefined }), undefined);
  });
});
