import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { freeUdpPort } from "../support/net.ts";

const ADDRESS = "127.0.29.11";

/** The groups that come from what surrounds the core. Panels and alarms know them by these names, so each change of this list is on purpose. */
const NAMES: Record<string, string> = {
  distributor: "lists picks no_node no_list reloads reload_failures modifications",
  events: `published clients clients_refused clients_dropped webhook_delivered webhook_failures webhook_lost webhook_pending alerts
    alerts_raised`,
  health: `calls_alive failures_timeout failures_408 failures_503 failures_transport outcomes_stale breakers_open breaker_openings breaker_trials
    breaker_closings retry_after_obeyed retry_after_capped draining drains_started drains_undone drains_ended drain_calls_ended states_written
    state_write_failures states_lost state_writer_crashes states_pending states_unwritable`,
  overload: `junk_empty junk_binary junk_text junk_endless banned_requests banned_in_calls banned_new_requests over_rate_requests bans bans_begun
    bans_lifted bans_spared bans_refused sources sources_evicted scanners_silenced scanners_forbidden calls_refused_rate calls_refused_lag
    calls_refused_utilization calls_refused_copies overloads overloaded lag_ms utilization_percent`,
  probing: `sent good bad neutral timeouts transport_errors enabled disabled skipped_busy skipped_unreachable overtaken ignored_source
    ignored_branch ignored_stale ignored_malformed ignored_requests`,
  registrar: `active leaving requests accepted challenged stale replays auth_failures bans banned_requests bad_requests forbidden out_of_order
    too_many rows_came rows_renewed rows_returned rows_expired rows_unregistered rows_moved rows_gone natted internal_errors
    registrations_written registration_write_failures`,
  routing: `failover_no_destination failover_max_reached failover_budget_spent failover_after_media denied_targets outbound_calls outbound_refused
    outbound_refused_draining outbound_failed outbound_uncounted`,
};

/** What is not 0 even in a server that does nothing. */
const CURRENT = new Set(["core:timestamp", "overload:lag_ms", "overload:utilization_percent"]);

describe("the statistics of a running server that watches its destinations in every way", () => {
  let folder: string;
  let server: RunningServer;
  let statistics: Record<string, number>;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-statistics-"));
    const text = `
      sip: { listen: ["udp:${ADDRESS}:${await freeUdpPort(ADDRESS)}"] }
      load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 30 }
      registrar: { accounts: [{ user: fs, password: secret, resources: pstn=1 }] }
      health: { retry_after_max: 60, breaker: { window: 10 } }
      routing: { rules: [{ group: 1, resources: pstn }] }
      mi_http: { listen: "127.0.0.1:0" }`;
    server = await startServer(parseConfig(text, "headroom.yaml", {}), pino({ level: "silent" }));
    const response = await fetch(server.managementUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "get_statistics", params: [["all"]] }),
      signal: AbortSignal.timeout(5_000),
    });
    ({ result: statistics } = (await response.json()) as { result: Record<string, number> });
  });

  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  it("have these groups", () => {
    const groups = new Set(Object.keys(statistics).map((key) => key.slice(0, key.indexOf(":"))));
    assert.deepEqual([...groups].sort(), [...Object.keys(NAMES), "core", "dialog", "load_balancer", "net", "tm"].sort());
  });

  for (const [group, names] of Object.entries(NAMES)) {
    it(`have these names in group ${group}`, () => {
      const found = Object.keys(statistics).filter((key) => key.startsWith(`${group}:`));
      assert.deepEqual(
        found.sort(),
        names
          .split(/\s+/)
          .sort()
          .map((name) => `${group}:${name}`),
      );
    });
  }

  it("are all 0 before the first call, apart from the table and the clock", () => {
    const counted = Object.entries(statistics).filter(([key, value]) => value !== 0 && !CURRENT.has(key));
    assert.deepEqual(counted, [["load_balancer:reloads", 1]]);
  });
});
