import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { parse } from "yaml";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { namedMetrics, readMetrics, type ScrapedMetrics } from "../support/metrics.ts";
import { freeUdpPort } from "../support/net.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const ADDRESS = "127.0.29.14";
const EXAMPLES = resolve(import.meta.dirname, "../../examples/monitoring");
const TOKEN = "a-token-for-prometheus";
/** Prometheus itself puts these on each value. */
const OF_A_TARGET = new Set(["job", "instance"]);
/** Which kinds of messages there were depends on what came: such a metric may have no value yet. */
const LABELS_OF_EMPTY: Readonly<Record<string, readonly string[]>> = {
  headroom_load: ["group", "destination", "uri", "resource"],
  headroom_foreign_load: ["group", "destination", "uri", "resource"],
  headroom_remote_load: ["group", "destination", "uri", "resource"],
  headroom_max_load: ["group", "destination", "uri", "resource"],
  headroom_destination_up: ["group", "destination", "uri"],
  headroom_destination_draining: ["group", "destination", "uri"],
  headroom_destination_breaker_open: ["group", "destination", "uri"],
  headroom_probe_latency_seconds: ["group", "destination", "uri"],
  headroom_drain_calls: ["group", "destination", "uri"],
  headroom_breaker_window_calls: ["group", "destination", "uri"],
  headroom_breaker_window_failures: ["group", "destination", "uri"],
  headroom_distributor_node_picks_total: ["list", "node"],
  headroom_decisions_total: ["group", "code"],
  headroom_requests_total: ["direction", "transport", "method"],
  headroom_responses_total: ["direction", "transport", "method", "code"],
  headroom_freeswitch_up: ["server"],
  headroom_freeswitch_idle_cpu_ratio: ["server"],
};

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What the dashboard asks for. */
function readPanels(): { readonly title: string; readonly expr: string }[] {
  const { panels } = JSON.parse(readFileSync(join(EXAMPLES, "dashboard.json"), "utf8")) as { panels: Panel[] };
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
}

function readRules(): AlertRule[] {
  const { groups } = parse(readFileSync(join(EXAMPLES, "alerts.yaml"), "utf8")) as { groups: { rules: AlertRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

describe("/metrics of a running server that does everything", () => {
  let folder: string;
  let redis: RedisServer;
  let server: RunningServer;
  let url: string;
  let text: string;
  let scraped: ScrapedMetrics;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-metrics-"));
    redis = await startRedis();
    const config = `
      sip: { listen: ["udp:${ADDRESS}:${await freeUdpPort(ADDRESS)}"] }
      load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 30 }
      registrar: { accounts: [{ user: fs, password: secret, resources: pstn=1 }] }
      health: { retry_after_max: 60, breaker: { window: 10 } }
      routing: { rules: [{ group: 1, resources: pstn }] }
      cluster: { redis_url: "${redis.url}" }
      mi_http: { listen: "127.0.0.1:0", auth: { tokens: [{ name: prometheus, token: "${TOKEN}" }] } }`;
    server = await startServer(parseConfig(config, "headroom.yaml", {}), pino({ level: "silent" }));
    url = new URL("/metrics", server.managementUrl).href;
    const response = await scrape({ authorization: `Bearer ${TOKEN}` });
    assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/plain; version=0.0.4; charset=utf-8"]);
    text = await response.text();
    scraped = readMetrics(text);
  });

  after(async () => {
    await server.stop();
    await redis.close();
    rmSync(folder, { recursive: true });
  });

  function scrape(headers: Record<string, string> = {}): Promise<Response> {
    return fetch(url, { headers, signal: AbortSignal.timeout(5_000) });
  }

  /** Asserts that all that an expression names is exported, with the labels that it asks for. */
  function assertKnown(expression: string, where: string): void {
    const named = namedMetrics(expression);
    assert.ok(named.length > 0 || /\bup\{/.test(expression), `${where} names no metric`);
    for (const { name, labels } of named) {
      const stem = name.replace(/_(bucket|sum|count)$/, "");
      const family = scraped.types.get(stem) === "histogram" ? stem : name;
      assert.ok(scraped.types.has(family), `${where} names ${name}, which is not exported`);
      const known = scraped.labels.get(name) ?? new Set(LABELS_OF_EMPTY[name]);
      for (const label of labels) assert.ok(known.has(label) || OF_A_TARGET.has(label), `${where} asks ${name} for label ${label}`);
    }
  }

  it("asks for a token as management does, and that of a viewer is enough", async () => {
    assert.equal((await scrape()).status, 401);
    assert.equal((await scrape({ authorization: "Bearer another" })).status, 401);
  });

  it("tells what is running, and that Redis is reached", () => {
    assert.match(text, /^headroom_build_info\{version="\d+\.\d+\.\d+",node="v\d+\.\d+\.\d+"\} 1$/m);
    assert.equal(scraped.values.get("headroom_redis_up"), 1);
    assert.equal(scraped.types.get("headroom_event_loop_lag_seconds"), "histogram");
  });

  it("has no metric of a destination's id in its name, and few enough for any Prometheus", () => {
    for (const name of scraped.types.keys()) assert.match(name, /^(headroom|process|nodejs)_[a-z0-9_]*[a-z][a-z0-9_]*$/);
    assert.ok(scraped.values.size < 600, `${scraped.values.size} values of an idle server`);
  });

  it("is what promtool wants it to be", () => {
    const { error, status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    assert.ifError(error);
    assert.deepEqual({ status, output: stdout + stderr }, { status: 0, output: "" });
  });

  it("exports all that the dashboard shows", () => {
    const shown = readPanels();
    assert.ok(shown.length > 20);
    for (const { title, expr } of shown) assertKnown(expr, `panel "${title}"`);
  });

  it("exports all that the alert rules look at", () => {
    const rules = readRules();
    assert.ok(rules.length > 10);
    for (const { alert, expr, annotations } of rules) {
      assertKnown(expr, `rule ${alert}`);
      assert.ok(annotations["summary"] && annotations["description"], `rule ${alert} says what it is and what to do`);
    }
  });

  it("is explained: the guide names what the examples use", () => {
    const guide = readFileSync(resolve(EXAMPLES, "../../docs/monitoring.md"), "utf8");
    const labelled = [...scraped.types.keys()].filter((name) => new RegExp(`^# HELP ${name} (?!Statistic )`, "m").test(text));
    for (const name of labelled) assert.ok(guide.includes(name), `docs/monitoring.md does not name ${name}`);
    for (const { alert } of readRules()) assert.ok(guide.includes(alert), `docs/monitoring.md does not name ${alert}`);
  });
});

describe("the examples of monitoring", () => {
  it("are rules and a configuration that promtool takes", () => {
    for (const args of [
      ["check", "rules", "alerts.yaml"],
      ["check", "config", "prometheus.yaml"],
    ]) {
      const { error, status, stdout, stderr } = spawnSync("promtool", args, { cwd: EXAMPLES, encoding: "utf8" });
      assert.ifError(error);
      assert.equal(status, 0, stdout + stderr);
    }
  });

  it("ask in the dashboard what Prometheus understands", () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-dashboard-"));
    try {
      const rules = readPanels().map(({ expr }, i) => ({ record: `panel:${i}`, expr: expr.replaceAll("$__rate_interval", "1m") }));
      writeFileSync(join(folder, "panels.yaml"), JSON.stringify({ groups: [{ name: "panels", rules }] }));
      const { error, status, stdout, stderr } = spawnSync("promtool", ["check", "rules", "panels.yaml"], { cwd: folder, encoding: "utf8" });
      assert.ifError(error);
      assert.equal(status, 0, stdout + stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("raise their alerts when they should", () => {
    const { error, status, stdout, stderr } = spawnSync("promtool", ["test", "rules", "alerts.test.yaml"], {
      cwd: EXAMPLES,
      encoding: "utf8",
    });
    assert.ifError(error);
    assert.equal(status, 0, stdout + stderr);
  });
});
