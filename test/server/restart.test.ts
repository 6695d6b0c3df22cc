import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.27.1";

/** One running program, with what its log says. */
interface Started {
  readonly server: RunningServer;
  readonly log: () => string;
  mi(method: string, ...params: unknown[]): Promise<unknown>;
  /** `enabled`, `draining N` or `disabled` and whether probes may enable it, by id. */
  statuses(): Promise<string[]>;
}

let folder: string;
let port: number;
let caller: UdpPeer;
let callees: UdpPeer[];
let running: Started | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "headroom-restart-"));
  port = await freeUdpPort(ADDRESS);
  caller = await UdpPeer.open("127.0.27.2");
  callees = [await UdpPeer.open("127.0.27.3"), await UdpPeer.open("127.0.27.4")];
});

afterEach(async () => {
  await stop();
  await Promise.all([caller, ...callees].map((peer) => peer.close()));
  rmSync(folder, { recursive: true });
});

async function start(): Promise<Started> {
  const text = `
    sip: { listen: ["udp:${ADDRESS}:${port}"] }
    load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 0 }
    routing: { rules: [{ group: 1, resources: pstn }] }
    mi_http: { listen: "127.0.0.1:0" }`;
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  const server = await startServer(parseConfig(text, "headroom.yaml", {}), log);
  async function mi(method: string, ...params: unknown[]): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json" };
    const response = await fetch(server.managementUrl, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) });
    const answer = (await response.json()) as { result?: unknown; error?: { code: number; message: string } };
    if (answer.error !== undefined) throw new Error(`${answer.error.code} ${answer.error.message}`);
    return answer.result;
  }
  async function statuses(): Promise<string[]> {
    const { Destinations } = (await mi("lb_list")) as { Destinations: Record<string, unknown>[] };
    return Destinations.map((destination) => {
      const status = destination["enabled"] === "yes" ? "enabled" : `disabled ${destination["auto-reenable"]}`;
      return destination["draining"] === "yes" ? `draining ${destination["drain_load"]}, ${status}` : status;
    });
  }
  running = { server, log: () => lines.join(""), mi, statuses };
  return running;
}

async function stop(): Promise<void> {
  const ending = running;
  running = undefined;
  await ending?.server.stop();
}

async function restart(): Promise<Started> {
  await stop();
  return start();
}

/** Fills the table: the first destination has room for 10 calls, the second for 5, so that calls go to the first. */
async function fill(): Promise<Started> {
  await (await start()).server.stop();
  sql(
    ...callees.map(
      ({ sentBy }, i) => `INSERT INTO load_balancer (group_id, dst_uri, resources) VALUES (1, 'sip:${sentBy}', 'pstn=${10 - 5 * i}')`,
    ),
  );
  return start();
}

function sql(...statements: string[]): unknown[] {
  const database = new Database(join(folder, "headroom.db"));
  try {
    return statements.map((text) => {
      const statement = database.prepare(text);
      return statement.reader ? statement.all() : statement.run();
    });
  } finally {
    database.close();
  }
}

function call(callee: number): Promise<RawCall> {
  return establish({ address: ADDRESS, port }, caller, callees[callee]!);
}

async function hangUp(established: RawCall, callee: number): Promise<void> {
  caller.send(established.fromCaller("BYE", 2), { address: ADDRESS, port });
  callees[callee]!.send(responseTo(await callees[callee]!.nextRequest("BYE"), 200), { address: ADDRESS, port });
  assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
}

describe("a restart", () => {
  it("keeps a destination disabled that an operator disabled, before the first call, and enabled that one enabled again", async () => {
    const first = await fill();
    await hangUp(await call(0), 0);
    assert.equal(await first.mi("lb_status", 1, 0), "OK");

    const second = await restart();
    const established = await call(1);
    assert.deepEqual(await second.statuses(), ["disabled off", "enabled"]);
    assert.match(second.log(), /destination 1 <sip:127\.0\.27\.3:\d+> stays disabled, as it was at 20/);
    assert.doesNotMatch(second.log(), /manually disable/);
    await hangUp(established, 1);
    assert.equal(await second.mi("lb_status", 1, 1), "OK");

    const third = await restart();
    assert.deepEqual(await third.statuses(), ["enabled", "enabled"]);
    await hangUp(await call(0), 0);
  });

  it("goes on with a drain and its call, and ends it when that is over", async () => {
    const first = await fill();
    const draining = await call(0);
    assert.equal(await first.mi("lb_drain", 1, 3600), "OK");
    assert.deepEqual(await first.statuses(), ["draining 1, enabled", "enabled"]);

    const second = await restart();
    assert.match(second.log(), /destination 1 <[^>]*> stays draining/);
    await hangUp(await call(1), 1);
    assert.deepEqual(await second.statuses(), ["draining 1, enabled", "enabled"]);
    await hangUp(draining, 0);
    await waitFor("the drain ends", 3_000, async () => (await second.statuses())[0] === "disabled off");
    assert.match(second.log(), /destination 1 <[^>]*> is drained/);

    const third = await restart();
    assert.deepEqual(await third.statuses(), ["disabled off", "enabled"]);
    assert.equal(await third.mi("lb_undrain", 1), "OK");
    assert.deepEqual(await (await restart()).statuses(), ["enabled", "enabled"]);
  });

  it("keeps a capacity that lb_resize has set", async () => {
    const first = await fill();
    assert.equal(await first.mi("lb_resize", 1, "pstn", 3), "OK");
    const second = await restart();
    const { Destinations } = (await second.mi("lb_list")) as { Destinations: { Resources: { max: number }[] }[] };
    assert.deepEqual(
      Destinations.map(({ Resources }) => Resources[0]?.max),
      [3, 5],
    );
  });

  it("that nobody asked for finds what was decided: it is in the database at once", async () => {
    const first = await fill();
    await call(0);
    await first.mi("lb_drain", 1, 60, "bye");
    await first.mi("lb_status", 2, 0);
    const rows = await waitFor("two states are written", 2_000, () => {
      const [found] = sql("SELECT id, enabled, auto_reenable, draining, drain_bye, cause FROM headroom_destination_state ORDER BY id");
      return Array.isArray(found) && found.length === 2 ? found : undefined;
    });
    assert.deepEqual(rows, [
      { id: 1, enabled: 1, auto_reenable: 1, draining: 1, drain_bye: 1, cause: "mi" },
      { id: 2, enabled: 0, auto_reenable: 0, draining: 0, drain_bye: 0, cause: "mi" },
    ]);
  });
});

describe("a drain", () => {
  it("ends when its calls have ended, and cuts none", async () => {
    const { mi, statuses } = await fill();
    const calls = [await call(0), await call(0)];
    await mi("lb_drain", 1);
    assert.deepEqual(await statuses(), ["draining 2, enabled", "enabled"]);
    const elsewhere = await call(1);
    for (const established of calls) await hangUp(established, 0);
    await waitFor("the drain ends", 3_000, async () => (await statuses())[0] === "disabled off");
    await hangUp(elsewhere, 1);
    assert.deepEqual([caller.count("BYE"), callees[0]!.count("BYE")], [0, 2]);
  });

  it("sends BYE to both sides of the calls that are left at its deadline, and to no others", async () => {
    const { mi, statuses } = await fill();
    const left = await call(0);
    await mi("lb_drain", 1, 1, 1);
    const elsewhere = await call(1);
    for (const peer of [caller, callees[0]!]) {
      const bye = await peer.nextRequest("BYE");
      assert.equal(headerOf(bye, "Call-ID"), left.callId);
      peer.send(responseTo(bye, 200), { address: ADDRESS, port });
    }
    await waitFor("the drain ends", 3_000, async () => (await statuses())[0] === "disabled off");
    await hangUp(elsewhere, 1);
    assert.equal(callees[1]!.count("BYE"), 1);
  });

  it("ends a call that still rings at its deadline", async () => {
    const { mi, statuses } = await fill();
    caller.send(request({ uri: `sip:service@${ADDRESS}:${port}`, sentBy: caller.sentBy }), { address: ADDRESS, port });
    const invite = await callees[0]!.nextRequest("INVITE");
    callees[0]!.send(responseTo(invite, 180, { toTag: "rings" }), { address: ADDRESS, port });
    await caller.next("180", (message) => statusOf(message) === 180);
    await mi("lb_drain", 1, 1, 1);
    assert.equal(statusOf(await caller.nextFinal("INVITE")), 487);
    await callees[0]!.nextRequest("CANCEL");
    await waitFor("the drain ends", 3_000, async () => (await statuses())[0] === "disabled off");
  });

  it("is counted in the statistics", async () => {
    const { mi } = await fill();
    await call(0);
    await mi("lb_drain", 1);
    await mi("lb_drain", 2);
    const counted = (await mi("get_statistics", ["health:"])) as Record<string, number>;
    assert.deepEqual([counted["health:draining"], counted["health:drains_started"], counted["health:drains_ended"]], [1, 2, 1]);
    const kinds = (await mi("list_statistics", ["health:"])) as Record<string, string>;
    assert.deepEqual([kinds["health:draining"], kinds["health:drains_started"]], ["non-incremental", "incremental"]);
  });
});
