import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHepUrl } from "../../src/config/checks.ts";
import { parseHepUrl } from "../../src/config/schema-tracing.ts";

describe("tracing.hep_url", () => {
  const right: [string, ReturnType<typeof parseHepUrl>][] = [
    ["udp:homer.example.net:9060", { transport: "udp", host: "homer.example.net", port: 9060 }],
    ["tcp://192.0.2.9:9061", { transport: "tcp", host: "192.0.2.9", port: 9061 }],
    ["tcp:[2001:db8::1]:9061", { transport: "tcp", host: "2001:db8::1", port: 9061 }],
    ["udp:[::ffff:192.0.2.9]:9060", { transport: "udp", host: "::ffff:192.0.2.9", port: 9060 }],
    ["udp:[fe80::1%eth0]:9060", { transport: "udp", host: "fe80::1%eth0", port: 9060 }],
    ["udp:homer_1.:1", { transport: "udp", host: "homer_1.", port: 1 }],
  ];
  for (const [text, parts] of right) {
    it(`takes ${text}, and reads from it what it says`, () => {
      assert.equal(checkHepUrl(text), undefined);
      assert.deepEqual(parseHepUrl(text), parts);
    });
  }

  for (const text of [
    "homer:9060",
    "udp:homer",
    "udp:homer:0",
    "udp:homer:65536",
    "tls:homer:9060",
    "udp:[fe80::1%]:1",
    "udp:a b:1",
    "udp::9060",
  ]) {
    it(`refuses ${text}`, () => assert.match(checkHepUrl(text) ?? "", /^a transport, a host and a port/));
  }
});
