import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { openStore } from "../../src/store/index.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.60.1";

let folder: string;
let port: number;
let caller: UdpPeer;
let callee: UdpPeer;
let server: RunningServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "headroom-audit-"));
  port = await freeUdpPort(ADDRESS);
  caller = await UdpPeer.open("127.0.60.2");
  callee = await UdpPeer.open("127.0.60.3");
  const db = `sqlite:${join(folder, "headroom.db")}`;
  const text = `
    sip: { listen: ["udp:${ADDRESS}:${port}"] }
    load_balancer: { db_url: "${db}", probing_interval: 0 }
    dialog: { audit_interval: 1 }
    routing: { rules: [{ group: 1, resources: pstn }] }
    mi_http: { listen: "127.0.0.1:0" }`;
  const store = await openStore(db, { table: "load_balancer" });
  await store.add({ group_id: 1, dst_uri: `sip:${callee.sentBy}`, resources: "pstn=10" });
  await store.close();
  server = await startServer(parseConfig(text, "headroom.yaml", {}), pino({ level: "silent" }));
});

afterEach(async () => {
  await server.stop();
  await Promise.all([caller, callee].map((peer) => peer.close()));
  rmSync(folder, { recursive: true });
});

async function mi(method: string, ...params: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const headers = { "content-type": "application/json" };
  const response = await fetch(server.managementUrl, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) });
  return ((await response.json()) as { result?: unknown }).result;
}

describe("an audit of a running server", () => {
  it("goes through its calls, when asked and by itself, and finds no difference", async () => {
    await establish({ address: ADDRESS, port }, caller, callee);
    const { milliseconds, ...answer } = (await mi("lb_audit")) as Record<string, unknown>;
    assert.deepEqual([answer, typeof milliseconds], [{ calls: 1, Differences: [] }, "number"]);
    const statistics = await waitFor("audits by itself", 5_000, async () => {
      const values = (await mi("get_statistics", ["load_balancer:"])) as Record<string, number>;
      return values["load_balancer:audits"]! >= 2 && values;
    });
    assert.equal(statistics["load_balancer:audit_differences"], 0);
  });
});
