import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { after, before, describe, it } from "node:test";
import { DnsServer } from "./dns-server.ts";

describe("the name server of the tests, as Node's resolver reads it", () => {
  let server: DnsServer;
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });
  before(async () => {
    server = await DnsServer.open();
    resolver.setServers([server.text]);
    server.set("a.test", { type: "A", ip: "192.0.2.1", ttlS: 77 }, { type: "AAAA", hex: "20010db8000000000000000000000001" });
    server.set("alias.test", { type: "CNAME", target: "a.test" });
    server.set("_sip._udp.test", { type: "SRV", priority: 1, weight: 2, port: 5070, target: "a.test" });
    server.set("test", {
      type: "NAPTR",
      order: 10,
      preference: 20,
      flags: "s",
      service: "SIP+D2U",
      regexp: "",
      replacement: "_sip._udp.test",
    });
    server.set("many.test", ...Array.from({ length: 60 }, (_, i) => ({ type: "A", ip: `192.0.2.${i}` }) as const));
  });
  after(() => server.close());

  it("answers addresses with their time to live, and through an alias", async () => {
    assert.deepEqual(await resolver.resolve4("a.test", { ttl: true }), [{ address: "192.0.2.1", ttl: 77 }]);
    assert.deepEqual(await resolver.resolve6("alias.test"), ["2001:db8::1"]);
  });
  it("answers SRV and NAPTR records", async () => {
    assert.deepEqual(
      (await resolver.resolveSrv("_sip._udp.test")).map(({ priority, weight, port, name }) => [priority, weight, port, name]),
      [[1, 2, 5070, "a.test"]],
    );
    assert.deepEqual(
      (await resolver.resolveNaptr("test")).map((record) => [
        record.order,
        record.preference,
        record.flags,
        record.service,
        record.replacement,
      ]),
      [[10, 20, "s", "SIP+D2U", "_sip._udp.test"]],
    );
  });
  it("cuts what is too long for UDP and answers it over TCP", async () => {
    assert.equal((await resolver.resolve4("many.test")).length, 60);
    assert.equal(server.asked.at(-1)?.transport, "tcp");
  });
  it("says what does not exist", async () => {
    await assert.rejects(resolver.resolve4("nobody.test"), { code: "ENOTFOUND" });
    await assert.rejects(resolver.resolveSrv("a.test"), { code: "ENODATA" });
  });
});
