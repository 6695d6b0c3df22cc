import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../src/config/index.ts";

/** What is refused together with several threads: YAML, and the words for it. */
const REFUSED: readonly (readonly [yaml: string, words: RegExp])[] = [
  ["sip: { workers: 2, listen: ['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060'] }", /sip\.listen has other transports than udp/],
  ["{ sip: { workers: 2 }, cluster: { redis_url: 'redis://127.0.0.1' } }", /cluster\.redis_url makes it a node of a cluster/],
  ["{ sip: { workers: 2 }, load_balancer: { fetch_freeswitch_stats: true } }", /fetch_freeswitch_stats/],
  ["{ sip: { workers: 2 }, dispatcher: { list_file: a } }", /dispatcher has sets/],
  ["{ sip: { workers: 2 }, distributor: { lists: { a: [{ name: 1 }] } } }", /distributor has lists/],
  ["{ sip: { workers: 2 }, health: { breaker: { window: 10 } } }", /health\.breaker\.window opens circuit breakers/],
  ["{ sip: { workers: 2 }, health: { max_calls_per_second: 10 } }", /health\.max_calls_per_second/],
  ["{ sip: { workers: 2 }, tracing: { opentelemetry: true } }", /tracing\.opentelemetry/],
];

describe("several threads for SIP", () => {
  for (const [yaml, words] of REFUSED) {
    it(`are refused with ${yaml}`, () => {
      assert.throws(() => parseConfig(yaml, "h.yaml", {}), words);
      assert.throws(() => parseConfig(yaml, "h.yaml", {}), /sip\.workers: found 2, want 1, as /);
      parseConfig(yaml.replace("workers: 2", "workers: 1"), "h.yaml", {});
    });
  }

  it("are taken with what is usual", () => {
    assert.deepEqual(
      parseConfig("sip: { workers: 3, worker_ports: 5081 }\nrouting: { rules: [{ resources: pstn }] }", "h.yaml", {}).notices,
      [],
    );
  });
});
