// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what the configuration file holds
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Config } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, "h.yaml", environment);
}

describe("a notice", () => {
  const cases: [text: string, want: RegExp | undefined][] = [
    ["load_balancer: { fetch_freeswitch_stats: true }", undefined],
    [
      "load_balancer: { initial_freeswitch_load: 5 }",
      /load_balancer\.initial_freeswitch_load has no effect: .*fetch_freeswitch_stats is false/,
    ],
    [
      "{ load_balancer: { fetch_freeswitch_stats: true }, freeswitch: { stale_heartbeats: 0, stale_action: disable } }",
      /freeswitch\.stale_action has no effect: freeswitch\.stale_heartbeats is 0/,
    ],
    ["{ load_balancer: { fetch_freeswitch_stats: true }, freeswitch: { sessions_per_call: measured, predict: false } }", undefined],
    ["load_balancer: { probing_interval: 30, probing_verbose: true, lb_define_blacklist: 'a=1' }", undefined],
    ["load_balancer: { probing_interval: 0 }", undefined],
    ["load_balancer: { probing_method: OPTIONS, cluster_id: 0, fetch_freeswitch_stats: false }", undefined],
    ["load_balancer: { db_url: 'mysql://u:secret@h/d', local_db_url: 'sqlite:own.db' }", undefined],
    ["load_balancer: { local_db_url: 'sqlite:own.db' }", /local_db_url has no effect: load_balancer\.db_url is an SQLite file/],
    [
      "{ dialog: { persistence: sqlite }, load_balancer: { db_url: 'postgres://u@h/d', local_db_url: 'sqlite::memory:' } }",
      /dialog\.persistence has no effect: load_balancer\.local_db_url is in memory/,
    ],
    ["sip: { worker_ports: 5080 }", /sip\.worker_ports has no effect: sip\.workers is 1/],
    ["sip: { workers: 4 }\ntracing: { ring_size: 3 }", /tracing\.ring_size has no effect: sip\.workers is above 1/],
    ["sip: { listen: [udp:0.0.0.0:5060, ws:0.0.0.0:5080], websocket: { origins: 'https://a.example' } }", undefined],
    ["sip: { websocket: { origins: 'https://a.example' } }", /sip\.websocket\.origins has no effect: sip\.listen has no ws and no wss/],
    ["sip: { tls: { certificate: a.pem } }", /sip\.tls\.certificate has no effect/],
    ["dialog: { persistence: sqlite }", undefined],
    [
      "{ dialog: { persistence: sqlite }, load_balancer: { db_url: 'sqlite::memory:' } }",
      /dialog\.persistence has no effect: .* in memory/,
    ],
    ["{ dialog: { persistence: sqlite }, cluster: { redis_url: 'redis://127.0.0.1' } }", undefined],
    ["dispatcher: { list_file: a }", undefined],
    ["dispatcher: { ds_ping_method: INFO }", /dispatcher\.ds_ping_method has no effect: dispatcher\.ds_ping_interval is 0/],
    ["dispatcher: { ds_ping_method: INFO, ds_ping_interval: 5 }", undefined],
    ["dispatcher: { table_name: gateways }", /table_name has no effect: dispatcher\.db_url names no database/],
    ["dispatcher: { db_url: 'mysql://u:secret@h/d' }", undefined],
    [
      "routing: { rules: [{ dispatch: { set: 1 }, disable_on: [408] }] }",
      /disable_on takes destinations out until somebody sets their state/,
    ],
    ["{ dispatcher: { ds_ping_interval: 9 }, routing: { rules: [{ dispatch: {}, disable_on: [408] }] } }", undefined],
    ["distributor: { list_file: a }", undefined],
    ["freeswitch: { event_heartbeat_interval: 5 }", /freeswitch\.event_heartbeat_interval has no effect/],
    ["routing: { script: a.ts, rules: [{}] }", /routing\.rules has no effect: routing\.script decides/],
    ["routing: { script: a.ts }", undefined],
    ["routing: { rules: [] }", /every call is refused/],
    ["routing: { rules: [{ dispatch: { set: 1 } }, {}] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{ distribute: a, resources: pstn, match: { source: 10.0.0.1 } }, {}] }", undefined],
    ["routing: { rules: [{ distribute: a }, {}] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{}, { match: { source: 10.0.0.1 } }] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{}, { match: { method: MESSAGE } }] }", undefined],
  ];
  for (const [text, want] of cases) {
    it(want ? `is given for ${text}` : `is not given for ${text}`, () => {
      const { notices } = parse(text);
      assert.equal(notices.length, want ? 1 : 0, notices.join("\n"));
      if (want) assert.match(notices[0] ?? "", want);
      assert.doesNotMatch(notices.join("\n"), /secret/);
    });
  }
});
