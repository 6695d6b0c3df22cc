import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { openStore } from "../../src/store/index.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.29.1";
const LOG = pino({ level: "silent" });

interface Told {
  readonly id: string;
  readonly event: string;
  readonly params: Record<string, unknown>;
}

let folder: string;
let port: number;
let caller: UdpPeer;
let callee: UdpPeer;
let server: RunningServer;
let closes: (() => unknown)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "headroom-announcer-"));
  port = await freeUdpPort(ADDRESS);
  caller = await UdpPeer.open("127.0.29.2");
  callee = await UdpPeer.open("127.0.29.3");
  closes = [];
});

afterEach(async () => {
  for (const close of closes) close();
  await server.stop();
  await Promise.all([caller, callee].map((peer) => peer.close()));
  rmSync(folder, { recursive: true });
});

async function start(more: string): Promise<void> {
  const text = `
    sip: { listen: ["udp:${ADDRESS}:${port}"] }
    load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 0 }
    routing: { rules: [{ group: 1, resources: pstn }] }
    mi_http: { listen: "127.0.0.1:0" }
    ${more}`;
  const store = await openStore(`sqlite:${join(folder, "headroom.db")}`, { table: "load_balancer" });
  await store.add({ group_id: 1, dst_uri: `sip:${callee.sentBy}`, resources: "pstn=10" });
  await store.close();
  server = await startServer(parseConfig(text, "headroom.yaml", {}), LOG);
}

function change(sql: string): void {
  const database = new Database(join(folder, "headroom.db"));
  database.exec(sql);
  database.close();
}

async function mi(method: string, ...params: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const headers = { "content-type": "application/json" };
  const response = await fetch(server.managementUrl, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) });
  const answer = (await response.json()) as { result?: unknown; error?: { code: number; message: string } };
  if (answer.error !== undefined) throw new Error(`${answer.error.code} ${answer.error.message}`);
  return answer.result;
}

/** Listens to events from now on, or from after an id. */
async function listen(lastId?: string): Promise<{ told: Told[]; leave: () => void }> {
  const leaving = new AbortController();
  const response = await fetch(new URL("/events", server.managementUrl), {
    headers: lastId === undefined ? {} : { "last-event-id": lastId },
    signal: leaving.signal,
  });
  assert.equal(response.status, 200);
  const told: Told[] = [];
  async function read(): Promise<void> {
    let text = "";
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        const [, data] = /^data: (.*)$/m.exec(message) ?? [];
        if (data === undefined) continue;
        const one = JSON.parse(data) as Told;
        if (one.event !== "E_MANAGEMENT_CHANGE") told.push(one);
      }
    }
  }
  void read().catch(() => undefined);
  const leave = (): void => leaving.abort();
  closes.push(leave);
  return { told, leave };
}

async function hangUp(call: RawCall): Promise<void> {
  caller.send(call.fromCaller("BYE", 2), { address: ADDRESS, port });
  callee.send(responseTo(await callee.nextRequest("BYE"), 200), { address: ADDRESS, port });
  assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
}

function until(told: readonly Told[], count: number): Promise<unknown> {
  return waitFor(`${count} events come`, 3_000, () => told.length >= count || undefined);
}

function texts(told: readonly Told[]): string[] {
  return told.map(({ event, params }) => `${event} ${Object.values(params).join(" ")}`);
}

describe("events of a running server", () => {
  it("tell of changes of status with their cause, and only of real ones", async () => {
    await start("");
    const { told } = await listen();
    for (const status of [0, 0, 1, 1]) await mi("lb_status", 1, status);
    const statuses = () => told.filter(({ event }) => event === "E_LOAD_BALANCER_STATUS").map(({ params }) => params);
    await waitFor("two events", 3_000, () => statuses().length >= 2 || undefined);
    const uri = `sip:${callee.sentBy}`;
    assert.deepEqual(statuses(), [
      { group: 1, uri, status: "disabled", cause: "mi", id: 1 },
      { group: 1, uri, status: "enabled", cause: "mi", id: 1 },
    ]);
  });

  it("say last what holds: one that is enabled while its breaker is open is out all the same", async () => {
    await start("health: { breaker: { window: 30, min_calls: 1, open_for: 60 } }");
    const { told } = await listen();
    const invite = request({ uri: `sip:service@${ADDRESS}:${port}`, sentBy: caller.sentBy });
    caller.send(invite, { address: ADDRESS, port });
    callee.send(responseTo(await callee.nextRequest("INVITE"), 503, { toTag: "sick" }), { address: ADDRESS, port });
    for (const method of ["lb_drain", "lb_undrain"]) await mi(method, 1);
    const statuses = (): string[] =>
      told.filter(({ event }) => event === "E_LOAD_BALANCER_STATUS").map(({ params }) => `${params["status"]} ${params["cause"]}`);
    await waitFor("four events", 3_000, () => statuses().length >= 4 || undefined);
    assert.deepEqual(statuses(), ["disabled breaker", "disabled drain", "enabled mi", "disabled breaker"]);
    await mi("lb_status", 1, 1);
    await waitFor("the operator overrules the breaker", 3_000, () => statuses().length === 5 || undefined);
    assert.equal(statuses().at(-1), "enabled mi");
    const closed = told.filter(({ event }) => event === "E_LOAD_BALANCER_BREAKER").at(-1);
    assert.deepEqual([closed?.params["old_state"], closed?.params["state"]], ["open", "closed"]);
  });

  it("say that an operator who enables a destination ends its rest and its breaker, in this order", async () => {
    await start("health: { retry_after_max: 60, breaker: { window: 30, min_calls: 1, open_for: 60 } }");
    const { told } = await listen();
    caller.send(request({ uri: `sip:service@${ADDRESS}:${port}`, sentBy: caller.sentBy }), { address: ADDRESS, port });
    const headers = ["Retry-After: 20"];
    callee.send(responseTo(await callee.nextRequest("INVITE"), 503, { toTag: "sick", headers }), { address: ADDRESS, port });
    const texts = (): string[] =>
      told.map(
        ({ event, params }) => `${event.slice("E_LOAD_BALANCER_".length)} ${params["status"] ?? params["state"] ?? params["seconds"]}`,
      );
    await waitFor("the rest", 3_000, () => texts().includes("REST 20") || undefined);
    for (const status of [0, 1, 1]) await mi("lb_status", 1, status);
    await waitFor("it is enabled", 3_000, () => texts().includes("STATUS enabled") || undefined);
    const held = texts().filter((text) => /^(?:REST|BREAKER|STATUS)/.test(text));
    assert.deepEqual(held.slice(-4), ["STATUS disabled", "BREAKER closed", "REST 0", "STATUS enabled"]);
    const { Destinations } = (await mi("lb_list")) as { Destinations: Record<string, unknown>[] };
    assert.deepEqual([Destinations[0]?.["breaker"], Destinations[0]?.["resting"]], [undefined, undefined]);
  });

  it("tell of the states of a call, and what was missed is given again", async () => {
    await start("");
    const first = await listen();
    const call = await establish({ address: ADDRESS, port }, caller, callee);
    await until(first.told, 2);
    first.leave();
    await hangUp(call);
    const second = await listen(first.told.at(-1)!.id);
    await until(second.told, 1);
    const states = [...first.told, ...second.told].map(({ params }) => [params["old_state"], params["new_state"]].join(">"));
    assert.equal(states.at(0)?.startsWith("1>"), true);
    assert.deepEqual(states.slice(-2), ["3>4", "4>5"]);
    const { event, params } = second.told.at(-1)!;
    assert.deepEqual([event, params["callid"], params["reason"]], ["E_DLG_STATE_CHANGED", call.callId, "Downstream BYE"]);
    assert.equal(new Set([...first.told, ...second.told].map((told) => told.params["id"])).size, 1);
  });

  it("tell of drains, and of a group that has nobody left and gets somebody again", async () => {
    await start("");
    const { told } = await listen();
    await mi("lb_drain", 1);
    const name = `1 1 sip:${callee.sentBy}`;
    await until(told, 4);
    assert.deepEqual(texts(told), [
      `E_LOAD_BALANCER_DRAIN ${name} started 0`,
      `E_LOAD_BALANCER_STATUS 1 sip:${callee.sentBy} disabled drain 1`,
      `E_LOAD_BALANCER_DRAIN ${name} ended 0 idle`,
      "E_LOAD_BALANCER_GROUP 1 no destination raised 1",
    ]);
    await mi("lb_undrain", 1);
    await until(told, 7);
    assert.deepEqual(texts(told).slice(4), [
      `E_LOAD_BALANCER_STATUS 1 sip:${callee.sentBy} enabled mi 1`,
      `E_LOAD_BALANCER_DRAIN ${name} undone 0`,
      "E_LOAD_BALANCER_GROUP 1 no destination recovered 1",
    ]);
  });

  it("tell when a group loses its last row, and when it has one again", async () => {
    await start("");
    const { told } = await listen();
    change("UPDATE load_balancer SET group_id = 2");
    await mi("lb_reload");
    await until(told, 1);
    change("UPDATE load_balancer SET group_id = 1");
    await mi("lb_reload");
    await until(told, 2);
    assert.deepEqual(texts(told), [
      "E_LOAD_BALANCER_GROUP 1 no destination raised 0",
      "E_LOAD_BALANCER_GROUP 1 no destination recovered 1",
    ]);
  });

  it("tell when calls of a group go to a destination that is down, as it fails open", async () => {
    await start("health: { fail_open: true, breaker: { window: 30, min_calls: 1, open_for: 60 } }");
    const { told } = await listen();
    caller.send(request({ uri: `sip:service@${ADDRESS}:${port}`, sentBy: caller.sentBy }), { address: ADDRESS, port });
    callee.send(responseTo(await callee.nextRequest("INVITE"), 503, { toTag: "sick" }), { address: ADDRESS, port });
    const alert = await waitFor("the alert", 3_000, () => told.find(({ event }) => event === "E_LOAD_BALANCER_GROUP"));
    assert.deepEqual(alert.params, { group: 1, alert: "no destination", state: "raised", destinations: 1, failed_open: true });
  });

  it("tell when a group is low on headroom", async () => {
    await start("events: { low_headroom_percent: 95 }");
    const { told } = await listen();
    const call = await establish({ address: ADDRESS, port }, caller, callee);
    await waitFor("the alert comes", 3_000, () => texts(told).includes("E_LOAD_BALANCER_HEADROOM 1 pstn raised 9 10 90") || undefined);
    await hangUp(call);
    await waitFor("it recovers", 3_000, () => texts(told).includes("E_LOAD_BALANCER_HEADROOM 1 pstn recovered 10 10 100") || undefined);
    const statistics = await mi("get_statistics", ["events:"]);
    assert.deepEqual(
      ["alerts", "alerts_raised", "clients"].map((key) => (statistics as Record<string, number>)[`events:${key}`]),
      [1, 0, 1],
    );
  });

  it("go to webhooks, and one that never answers holds up no call", async () => {
    const bodies: string[] = [];
    function collect(request: IncomingMessage): void {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      request.on("end", () => bodies.push(body));
    }
    const receiver = createServer((request, response) => {
      collect(request);
      if (request.url === "/good") response.writeHead(204).end();
    }).listen(0, "127.0.0.1");
    closes.push(() => {
      receiver.closeAllConnections();
      receiver.close();
    });
    await once(receiver, "listening");
    const base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    await start(`events: { webhooks: [{ url: "${base}/silent" }, { url: "${base}/good", events: [E_LOAD_BALANCER_STATUS] }] }`);
    await hangUp(await establish({ address: ADDRESS, port }, caller, callee));
    await mi("lb_status", 1, 0);
    await waitFor("the event comes", 3_000, () => bodies.some((body) => body.includes('"status":"disabled"')) || undefined);
  });
});

describe("lb_explain and lb_what_if of a running server", () => {
  it("tell for an ongoing call and for one that has ended why it went where it went", async () => {
    await start("");
    const call = await establish({ address: ADDRESS, port }, caller, callee);
    const during = await mi("lb_explain", call.callId);
    await hangUp(call);
    assert.deepEqual(await mi("lb_explain", call.callId), during);
    const { Decisions } = during as { Decisions: Record<string, unknown>[] };
    assert.deepEqual([Decisions.length, Decisions[0]?.["chosen"], Decisions[0]?.["code"]], [1, 1, 1]);
    await assert.rejects(mi("lb_explain", "nobody@nowhere"), /404 Call-ID not found/);
  });

  it("tell what would be decided, and count nothing", async () => {
    await start("");
    const answer = (await mi("lb_what_if", 1, "pstn")) as Record<string, unknown>;
    assert.deepEqual([answer["code"], answer["chosen"]], [1, 1]);
    assert.deepEqual(await mi("get_statistics", ["load_balancer:starts"]), { "load_balancer:starts": 0 });
  });

  it("are off with explain.calls: 0, as far as they remember calls", async () => {
    await start("explain: { calls: 0 }");
    await assert.rejects(mi("lb_explain", "x"), /Method not found/);
    assert.equal(((await mi("lb_what_if", 1, "pstn")) as Record<string, unknown>)["code"], 1);
  });
});
