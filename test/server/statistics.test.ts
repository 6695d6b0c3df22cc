import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { freeUdpPort } from "../support/net.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const ADDRESS = "127.0.29.11";

/** What is a current value in a cluster, or has happened by the end of a start. */
const OF_A_CLUSTER: Record<string, "gauge" | "counter"> = {
  lease_calls: "gauge",
  lease_unreturned: "gauge",
  load_kept: "gauge",
  load_unknown_slots: "gauge",
  nodes_alive: "gauge",
  nodes_known: "gauge",
  redis_connected: "gauge",
  redis_rtt_ms: "gauge",
  status_records: "gauge",
  tags_active: "gauge",
  unsynced_dialogs: "gauge",
  unsynced_statuses: "gauge",
  beats: "counter",
  beats_skipped: "counter",
  dialog_comparisons: "counter",
  load_whole_writes: "counter",
  redis_commands: "counter",
  redis_connects: "counter",
  redis_messages_received: "counter",
  status_syncs: "counter",
  // What a start on a machine that is busy with other things may bring: Redis answers late.
  beats_failed: "counter",
  late_beats: "counter",
  redis_failed_attempts: "counter",
  redis_losses: "counter",
  redis_timed_out: "counter",
};

/** The groups that come from what surrounds the core. Panels and alarms know them by these names, so each change of this list is on purpose. */
const NAMES: Record<string, string> = {
  clusterer: `nodes_alive nodes_known redis_connected redis_rtt_ms tags_active unsynced_statuses unsynced_dialogs redis_connects redis_losses
    redis_failed_attempts redis_commands redis_refused_down redis_refused_full redis_timed_out redis_publishes_lost redis_messages_received
    message_refused_version message_refused_malformed message_refused_too_long beats beats_failed beats_skipped beats_stale beats_refused
    extra_beats_refused foreign_records clock_jumps late_beats foreign_nodes tags_gained tags_lost tags_refused hooks_run hooks_failed hooks_killed
    status_set status_applied status_old status_lost status_refused_ahead status_fenced status_overflows status_restamped status_syncs status_gaps
    status_records load_published load_changes load_whole_writes load_write_failures load_received load_late load_gaps load_strangers load_reads
    load_read_failures load_malformed load_dropped_nodes load_kept load_unknown_slots load_refused lease_reserved lease_refused_full
    lease_failed_open lease_failed_closed lease_late_answers lease_unready lease_forced lease_renewed lease_released lease_owed
    lease_owed_forgotten lease_overflows lease_refreshes lease_malformed lease_calls lease_unreturned dialog_records_written dialog_records_removed
    dialog_records_spared dialog_records_refused dialog_ends_dropped dialogs_adopted dialogs_taken dialogs_reclaimed dialogs_surrendered
    dialog_lookups dialog_lookups_timed_out dialog_messages_missed dialog_comparisons mi_asked mi_timeouts mi_run mi_answers_ignored
    mi_answers_too_long mi_not_for_this_node mi_refused_too_long mi_refused_stranger mi_refused_late mi_refused_twice mi_refused_method
    mi_refused_busy`,
  dispatcher:
    "sets destinations counted_calls reloads reload_failures active trying inactive disabled dst_down dst_up probes_unresolved states_written state_write_failures states_pending",
  distributor: "lists picks no_node no_list reloads reload_failures modifications",
  events: `published clients clients_refused clients_dropped webhook_delivered webhook_failures webhook_lost webhook_pending alerts
    alerts_raised`,
  health: `calls_alive failures_timeout failures_408 failures_503 failures_transport outcomes_stale breakers_open breaker_openings breaker_trials
    breaker_closings retry_after_obeyed retry_after_capped draining drains_started drains_undone drains_ended drain_calls_ended states_written
    state_write_failures states_lost state_writer_crashes states_pending states_unwritable`,
  overload: `junk_empty junk_binary junk_text junk_endless banned_requests banned_in_calls banned_new_requests over_rate_requests bans bans_begun
    bans_lifted bans_spared bans_refused sources sources_evicted scanners_silenced scanners_forbidden calls_refused_rate calls_refused_lag
    calls_refused_utilization calls_refused_backlog calls_refused_copies overloads overloaded lag_ms utilization_percent`,
  management: "requests unauthorized forbidden too_many changes_done changes_failed changes_forbidden",
  probing: `sent good bad neutral timeouts transport_errors enabled disabled skipped_busy skipped_unreachable overtaken ignored_source
    ignored_branch ignored_stale ignored_malformed ignored_requests`,
  registrar: `active leaving requests accepted challenged stale replays auth_failures bans banned_requests bad_requests forbidden out_of_order
    too_many rows_came rows_renewed rows_returned rows_expired rows_unregistered rows_moved rows_gone natted internal_errors
    registrations_written registration_write_failures`,
  resolution: `questions tcp_questions unanswered strange_answers refused_questions cache_hits cache_misses refreshes stale_used failures negative_answers
    address_changes refused`,
  routing: `failover_no_destination failover_max_reached failover_budget_spent failover_after_media denied_targets outbound_calls outbound_refused
    outbound_refused_draining outbound_failed outbound_uncounted`,
  tracing: "written too_large messages hep_sent hep_dropped hep_too_long hep_errors hep_waiting_bytes",
};

/** What is not 0 even in a server that does nothing. */
const CURRENT = new Set(["core:timestamp", "management:requests", "overload:lag_ms", "overload:utilization_percent"]);

describe("the statistics of a running server that watches its destinations in every way", () => {
  let folder: string;
  let redis: RedisServer;
  let server: RunningServer;
  let statistics: Record<string, number>;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-statistics-"));
    redis = await startRedis();
    const text = `
      sip: { listen: ["udp:${ADDRESS}:${await freeUdpPort(ADDRESS)}"] }
      load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 30 }
      registrar: { accounts: [{ user: fs, password: secret, resources: pstn=1 }] }
      health: { retry_after_max: 60, breaker: { window: 10 } }
      routing: { rules: [{ group: 1, resources: pstn }] }
      overload: { max_lag: 0, max_utilization: 0 }
      cluster: { redis_url: "${redis.url}" }
      tracing: { hep_url: "udp:${ADDRESS}:9060" }
      mi_http: { listen: "127.0.0.1:0" }`;
    server = await startServer(parseConfig(text, "headroom.yaml", {}), pino({ level: "silent" }));
    statistics = await mi("get_statistics", [["all"]]);
  });

  async function mi<T>(method: string, params: unknown[]): Promise<T> {
    const response = await fetch(server.managementUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(5_000),
    });
    return ((await response.json()) as { result: T }).result;
  }

  after(async () => {
    await server.stop();
    await redis.close();
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
    const counted = Object.entries(statistics).filter(([key, value]) => {
      const [group = "", name = ""] = key.split(":");
      if (CURRENT.has(key) || key === "events:published") return false; // Redis is reached, and is slow while a machine is busy
      if (key === "dialog:persist_batches") return false; // in a cluster the file says when its node was last there
      return value !== 0 && !(group === "clusterer" && name in OF_A_CLUSTER);
    });
    assert.deepEqual(counted, [["load_balancer:reloads", 1]]);
  });

  it("tell of a cluster which are current values: nobody sets these back", async () => {
    const types = await mi<Record<string, string>>("list_statistics", [["clusterer:"]]);
    const gauges = Object.keys(types).filter((key) => types[key] === "non-incremental");
    const wanted = Object.keys(OF_A_CLUSTER).filter((name) => OF_A_CLUSTER[name] === "gauge");
    assert.deepEqual(gauges.sort(), wanted.map((name) => `clusterer:${name}`).sort());
    await mi("reset_statistics", [["clusterer:"]]);
    const after = await mi<Record<string, number>>("get_statistics", [["clusterer:"]]);
    assert.deepEqual([after["clusterer:nodes_alive"], after["clusterer:redis_connects"]], [1, 0]);
  });
});
