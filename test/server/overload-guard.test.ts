import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { describe, it } from "node:test";
import { Balancer, parseResources } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { SAMPLE_MS } from "../../src/overload/index.ts";
import { OverloadGuard } from "../../src/server/overload-guard.ts";
import { FakeClock } from "../support/fake-clock.ts";

const LIMIT = "sampling_time_unit: 1, reqs_density_per_unit: 5, remove_latency: 60";

/** The limits at work, beside a table with one destination; to be closed. */
function guarded(text: string) {
  const balancer = new Balancer({ below: () => 0 });
  const addresses = [{ ip: "203.0.113.1", port: 5060, transport: "udp" }] as const;
  balancer.replaceTable([
    {
      id: 1,
      group: 1,
      uri: "sip:203.0.113.1",
      resources: parseResources("pstn=1"),
      probeMode: 0,
      attrs: undefined,
      description: undefined,
      addresses,
    },
  ]);
  const told: string[] = [];
  const clock = new FakeClock(1_000);
  const guard = new OverloadGuard({
    config: parseConfig(text, "headroom.yaml", {}),
    balancer,
    announcer: { banChanged: ({ kind, source }) => void told.push(`${kind} ${source}`), overloadChanged: () => {} },
    nowMs: clock.now,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  const isBanned = (address: string): boolean => {
    for (let n = 0; n < 20; n++) guard.overload.admitRequest(address);
    return !guard.overload.admitRequest(address);
  };
  return { guard, told, isBanned };
}

describe("the limits of the configuration at work", () => {
  const cases: [name: string, address: string, banned: boolean][] = [
    ["bans a stranger", "198.51.100.1", true],
    ["never bans a destination", "203.0.113.1", false],
    ["never bans what sip.allow names", "192.0.2.77", false],
    ["never bans what overload.exempt names", "2001:db8:5::1", false],
    ["bans a stranger with IPv6", "2001:db8:6::1", true],
  ];
  for (const [name, address, banned] of cases) {
    it(name, () => {
      const { guard, isBanned, told } = guarded(`{ sip: { allow: [192.0.2.0/24] }, overload: { ${LIMIT}, exempt: ["2001:db8:5::/48"] } }`);
      try {
        assert.equal(isBanned(address), banned);
        assert.equal(told.length, banned ? 1 : 0);
        assert.equal(guard.management.bans?.list().length, banned ? 1 : 0);
      } finally {
        guard.close();
      }
    });
  }

  it("looks at the event loop once it is told to begin, and not at what a start keeps it busy with", async () => {
    const { guard } = guarded("overload: { max_lag: 0.01 }");
    try {
      await standStill();
      assert.equal(guard.overload.counters.overloads, 0);
      guard.begin();
      await standStill();
      assert.equal(guard.overload.counters.overloads, 1);
    } finally {
      guard.close();
    }
  });

  it("takes a new section: who is named now is let go, and sip.allow still holds", () => {
    const { guard, isBanned, told } = guarded(`{ sip: { allow: [192.0.2.0/24] }, overload: { ${LIMIT} } }`);
    try {
      assert.equal(isBanned("198.51.100.1"), true);
      guard.use(parseConfig(`overload: { ${LIMIT}, exempt: 198.51.100.0/24 }`, "headroom.yaml", {}).overload);
      guard.overload.sweep();
      assert.deepEqual(told, ["began 198.51.100.1", "ended 198.51.100.1"]);
      assert.equal(isBanned("192.0.2.1"), false);
      assert.equal(isBanned("198.51.100.1"), false);
    } finally {
      guard.close();
    }
  });
});

/** For some samples. */
async function standStill(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    const untilMs = performance.now() + SAMPLE_MS;
    while (performance.now() < untilMs);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
