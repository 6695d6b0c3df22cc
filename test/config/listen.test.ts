import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isLoopback, parseHttpListen, parseListen } from "../../src/config/index.ts";

describe("an address to listen on", () => {
  for (const [text, want] of [
    ["udp:0.0.0.0:5060", { transport: "udp", address: "0.0.0.0", port: 5060 }],
    ["UDP:127.0.0.1:0", { transport: "udp", address: "127.0.0.1", port: 0 }],
    ["udp:[::1]:65535", { transport: "udp", address: "::1", port: 65535 }],
    ["wss:[2001:db8::1]:443", { transport: "wss", address: "2001:db8::1", port: 443 }],
  ] as const) {
    it(`${text} is taken apart`, () => assert.deepEqual(parseListen(text), want));
  }

  for (const text of [
    "",
    "udp",
    "udp:",
    "udp:1.2.3.4",
    "udp:1.2.3.4:",
    "udp:1.2.3.4:-1",
    "udp:1.2.3.4:99999",
    "udp:1.2.3:1",
    "udp:::1:5060",
    "udp:[1.2.3.4]:5060",
    "udp:[::1:5060",
    "udp:localhost:5060",
    "sip:1.2.3.4:5060",
    "1.2.3.4:5060",
    "udp:1.2.3.4:5060 ",
    "udp:1.2.3.4:5060\n",
  ]) {
    it(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(() => parseListen(text), {
        name: "RangeError",
        message: /^Cannot listen on ".*": want a transport, an IP address and a port/s,
      });
    });
  }

  it("of the management interface may be called localhost", () => {
    assert.deepEqual(parseHttpListen("localhost:8888"), { address: "127.0.0.1", port: 8888 });
    assert.deepEqual(parseHttpListen("[::1]:8888"), { address: "::1", port: 8888 });
    assert.throws(() => parseHttpListen("example.net:8888"), /want an IP address and a port/);
  });

  for (const [address, want] of [
    ["127.0.0.1", true],
    ["127.8.9.1", true],
    ["::1", true],
    ["0:0:0:0:0:0:0:1", true],
    ["::ffff:127.0.0.1", true],
    ["0.0.0.0", false],
    ["::", false],
    ["10.0.0.1", false],
    ["::ffff:10.0.0.1", false],
    ["2001:db8::1", false],
    ["fe80::1", false],
  ] as const) {
    it(`${address} is ${want ? "" : "not "}loopback`, () => assert.equal(isLoopback(address), want));
  }
});
