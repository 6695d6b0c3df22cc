import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../src/config/index.ts";
import { targetOfUri } from "../../src/resolution/index.ts";
import { Addresses } from "../../src/server/addresses.ts";
import { parseSipUri } from "../../src/sip/index.ts";
import { DnsServer } from "../support/dns-server.ts";
import { waitFor } from "../support/net.ts";

/** More than may wait. */
const FOREIGN_NAMES = 700;
/** What a name server on loopback takes, generously. */
const MAX_MS = 1_000;

function target(uri: string) {
  return targetOfUri(parseSipUri(uri));
}

describe("Addresses", () => {
  it("finds names of the table at once while callers fill all searches with names of a zone that does not answer", async () => {
    const dns = await DnsServer.open("127.0.21.64");
    let isSlow = true;
    dns.misbehave = ({ name }) => (isSlow && name.endsWith("slow.test") ? "silence" : undefined);
    // Each of these names leads to 16 hosts of the slow zone.
    for (let i = 0; i < FOREIGN_NAMES; i++) {
      const records = Array.from({ length: 16 }, (_, k) => ({ priority: 1, weight: 1, port: 5060, target: `h${k}.n${i}.slow.test` }));
      dns.set(`_sip._udp.n${i}.wide.test`, ...records.map((record) => ({ type: "SRV" as const, ...record })));
    }
    for (const name of ["loaded.test", "held.test"]) dns.set(name, { type: "A", ip: "192.0.2.1" });
    const timers = new Set<NodeJS.Timeout>();
    const addresses = new Addresses({
      config: parseConfig(`sip: { dns_servers: ["${dns.text}"] }`, "headroom.yaml", {}),
      below: (n) => Math.floor(Math.random() * n),
      nowMs: () => performance.now(),
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        timers.add(timer);
        return () => clearTimeout(timer);
      },
    });
    try {
      const foreign = Array.from({ length: FOREIGN_NAMES }, (_, i) => addresses.locate(target(`sip:n${i}.wide.test;transport=udp`)));
      await waitFor("the slow zone is asked by many", 5_000, () => dns.asked.filter(({ name }) => name.endsWith("slow.test")).length >= 64);
      const sinceMs = performance.now();
      const { addresses: found } = await addresses.resolve(target("sip:loaded.test"));
      assert.deepEqual(
        found.map(({ ip }) => ip),
        ["192.0.2.1"],
      );
      const changed = new Promise((resolve) => {
        addresses.onChange = resolve;
      });
      addresses.hold([target("sip:held.test")]);
      await changed;
      const tookMs = performance.now() - sinceMs;
      assert.ok(tookMs < MAX_MS, `it took ${tookMs} ms`);
      assert.ok(addresses.counters["refused"]! >= FOREIGN_NAMES - 516 - 1, "the others are not found now, and counted");
      isSlow = false;
      await Promise.all(foreign);
    } finally {
      isSlow = false;
      addresses.close();
      for (const timer of timers) clearTimeout(timer);
      await dns.close();
    }
  });
});
