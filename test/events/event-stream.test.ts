import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { EVENT_NAMES } from "../../src/event-names.ts";
import { EventBus, EventStream, MAX_CLIENTS } from "../../src/events/index.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { MAX_CONNECTIONS } from "../../src/management/limits.ts";
import { fakePorts } from "../management/fake-ports.ts";
import { waitFor } from "../support/net.ts";

const TOKEN = "secret-token";

let bus: EventBus;
let stream: EventStream;
let server: ManagementServer;
let beat: () => void;
let clients: Client[];

interface Client {
  readonly response: IncomingMessage;
  text(): string;
  ended(): boolean;
}

beforeEach(async () => {
  clients = [];
  bus = new EventBus({ history: 100, wallMs: () => Date.UTC(2026, 0, 2), run: "abc", onFault: (error) => assert.fail(String(error)) });
  stream = new EventStream({
    bus,
    every: (_ms, run) => {
      beat = run;
      return () => undefined;
    },
    soon: (run) => void setImmediate(run),
    maxClients: 2,
    maxWaiting: 50,
  });
  const ports = fakePorts({ streams: { "/events": (request, response) => stream.handle(request, response) } });
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [TOKEN] });
});

afterEach(async () => {
  for (const { response } of clients) response.destroy();
  stream.close();
  await server.close();
});

function open(path = "/events", headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }, method = "GET"): Promise<Client> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, server.url);
    get(url, { headers, method, agent: false }, (response) => {
      let text = "";
      let ended = false;
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", () => undefined);
      response.on("close", () => {
        ended = true;
      });
      const client = { response, text: () => text, ended: () => ended };
      clients.push(client);
      resolve(client);
    }).on("error", reject);
  });
}

function until(what: string, holds: () => boolean): Promise<unknown> {
  return waitFor(what, 2_000, () => holds() || undefined);
}

const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

describe("GET /events", () => {
  it("is a stream of server-sent events (WHATWG HTML §9.2)", async () => {
    const { response, text } = await open();
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers["content-type"], "text/event-stream");
    assert.equal(response.headers["cache-control"], "no-store");
    bus.publish("E_LOAD_BALANCER_STATUS", { group: 1, uri: "sip:ä@192.0.2.1", status: "disabled", cause: "mi" });
    await until("the event comes", () => text().includes("data:"));
    assert.equal(
      text(),
      'retry: 2000\n\nid: abc-1\nevent: E_LOAD_BALANCER_STATUS\ndata: {"id":"abc-1","event":"E_LOAD_BALANCER_STATUS","at":"2026-01-02T00:00:00.000Z","params":{"group":1,"uri":"sip:ä@192.0.2.1","status":"disabled","cause":"mi"}}\n\n',
    );
    assert.equal(stream.counters.clients, 1);
  });

  it("gives again what a client missed that comes back with Last-Event-ID, and then goes on", async () => {
    for (let i = 1; i <= 3; i++) bus.publish("E_DLG_STATE_CHANGED", { i });
    const { text } = await open("/events", { ...AUTHORIZED, "last-event-id": "abc-1" });
    bus.publish("E_DLG_STATE_CHANGED", { i: 4 });
    await until("the last event comes", () => text().includes("id: abc-4\n"));
    assert.deepEqual(text().match(/^id: .*$/gm), ["id: abc-2", "id: abc-3", "id: abc-4"]);
    assert.doesNotMatch(text(), /E_EVENTS_LOST/);
  });

  it("gives again many events piece by piece, others having their turn in between, and what happens meanwhile after them", async () => {
    const large = new EventBus({ history: 10_000, wallMs: () => 0, run: "abc", onFault: (error) => assert.fail(String(error)) });
    const turns: (() => void)[] = [];
    const slices = new EventStream({ bus: large, every: () => () => undefined, soon: (run) => void turns.push(run), maxWaiting: 5_000 });
    for (let i = 0; i < 10_000; i++) large.publish(EVENT_NAMES[i % EVENT_NAMES.length]!, {});
    const written: string[] = [];
    const response = Object.assign(new EventEmitter(), {
      writeHead: () => response,
      write: (text: string) => written.push(text) > 0,
      destroy: () => response,
    });
    slices.handle({ url: "/events", headers: { "last-event-id": "abc-0" } } as never, response as never);
    assert.equal(written.length, 1, "only retry is written at once");
    let count = 0;
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift(), count++) {
      if (count < 30) for (let i = 0; i < 100; i++) large.publish("E_DLG_STATE_CHANGED", {});
      const before = written.length;
      turn();
      assert.ok(written.length <= before + 1);
      assert.ok((written.at(-1)!.match(/^id: /gm) ?? []).length <= 200);
    }
    assert.deepEqual(
      written.join("").match(/^id: .*$/gm),
      Array.from({ length: 13_000 }, (_, i) => `id: abc-${i + 1}`),
    );
    assert.deepEqual([slices.counters.clients, slices.counters.clients_dropped], [1, 0]);
    slices.close();
  });

  it("says when not everything is kept, and gives what there is", async () => {
    bus.publish("E_DLG_STATE_CHANGED", {});
    const { text } = await open("/events", { ...AUTHORIZED, "last-event-id": "before-77" });
    await until("the event comes", () => text().includes("id: abc-1\n"));
    assert.match(text(), /^retry: 2000\n\nevent: E_EVENTS_LOST\ndata: .*\n\nid: abc-1\n/);
  });

  it("gives nothing old to a client that does not ask for it", async () => {
    bus.publish("E_DLG_STATE_CHANGED", {});
    const { text } = await open();
    bus.publish("E_DLG_STATE_CHANGED", {});
    await until("the event comes", () => text().includes("id: abc-2\n"));
    assert.doesNotMatch(text(), /abc-1/);
  });

  it("sends only the events that are asked for", async () => {
    const { text } = await open("/events?events=E_LOAD_BALANCER_STATUS,E_LOAD_BALANCER_DRAIN");
    bus.publish("E_DLG_STATE_CHANGED", {});
    bus.publish("E_LOAD_BALANCER_STATUS", {});
    await until("the event comes", () => text().includes("abc-2"));
    assert.doesNotMatch(text(), /abc-1/);
  });

  it("refuses names that there are not", async () => {
    const { response, text } = await open("/events?events=E_NONE");
    await until("the answer comes", () => text() !== "");
    assert.equal(response.statusCode, 400);
    assert.match(text(), /^Cannot send events "E_NONE": want some of E_LOAD_BALANCER_STATUS, /);
  });

  it("wants a token as the rest of management does", async () => {
    assert.equal((await open("/events", {})).response.statusCode, 401);
    assert.equal((await open("/events", { authorization: "Bearer wrong" })).response.statusCode, 401);
    assert.equal(stream.counters.clients, 0);
  });

  it("answers nothing but GET", async () => {
    for (const method of ["HEAD", "PUT"]) assert.notEqual((await open("/events", AUTHORIZED, method)).response.statusCode, 200);
    assert.equal(stream.counters.clients, 0);
  });

  it("sends a comment as heartbeat", async () => {
    const { text } = await open();
    beat();
    await until("the heartbeat comes", () => text().includes(": alive\n\n"));
  });

  it("serves a bounded number of clients, and another one when one has left", async () => {
    const first = await open();
    await open();
    assert.equal((await open()).response.statusCode, 503);
    assert.deepEqual([stream.counters.clients, stream.counters.clients_refused], [2, 1]);
    first.response.destroy();
    await until("the place is free", () => stream.counters.clients === 1);
    assert.equal((await open()).response.statusCode, 200);
  });

  it("leaves most connections of management to others", () => {
    assert.ok(MAX_CLIENTS <= MAX_CONNECTIONS / 4);
  });

  it("ends when management ends", async () => {
    const client = await open();
    await server.close();
    await until("the stream ends", client.ended);
    await until("the client is forgotten", () => stream.counters.clients === 0);
  });
});

describe("a client that does not read", () => {
  const padding = "x".repeat(60_000);

  /** Publishes until the connection takes no more and events wait. */
  async function fill(client: Client): Promise<void> {
    client.response.pause();
    for (let i = 0; i < 400; i++) {
      bus.publish("E_DLG_STATE_CHANGED", { padding });
      await new Promise((resolve) => setImmediate(resolve));
      if (stream.counters.clients === 0) return;
    }
  }

  it("is dropped when too many events wait for it", async () => {
    const client = await open();
    await fill(client);
    await until("it is dropped", () => stream.counters.clients_dropped === 1);
    assert.equal(stream.counters.clients, 0);
  });

  it("is dropped when the connection takes nothing over two heartbeats", async () => {
    const client = await open();
    client.response.pause();
    for (let i = 0; i < 49; i++) bus.publish("E_DLG_STATE_CHANGED", { padding: padding.repeat(10) });
    await new Promise((resolve) => setTimeout(resolve, 50));
    beat();
    assert.equal(stream.counters.clients, 1);
    beat();
    assert.deepEqual([stream.counters.clients, stream.counters.clients_dropped], [0, 1]);
  });

  it("gets everything in order when it reads again in time", async () => {
    const client = await open();
    client.response.pause();
    for (let i = 0; i < 49; i++) bus.publish("E_DLG_STATE_CHANGED", { padding: padding.repeat(5) });
    await new Promise((resolve) => setTimeout(resolve, 20));
    bus.publish("E_DLG_STATE_CHANGED", { last: true });
    client.response.resume();
    await until("the last comes", () => client.text().includes("id: abc-50\n"));
    assert.deepEqual(
      client.text().match(/^id: .*$/gm),
      Array.from({ length: 50 }, (_, i) => `id: abc-${i + 1}`),
    );
    assert.equal(stream.counters.clients_dropped, 0);
  });
});
