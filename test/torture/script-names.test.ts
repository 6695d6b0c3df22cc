import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { profileOf } from "../../src/management/profiles.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { openStore } from "../../src/store/index.ts";
import { freeUdpPort } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";
import { SCRIPT_NAMES } from "./mutations.ts";

const ADDRESS = "127.0.47.1";
const NAMES = SCRIPT_NAMES;
/** Given to every method, as JSON. */
const SWEPT = ['"__proto__"', '"constructor"', '"toString"'];

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

describe("names that mean something to JavaScript, in the running program", () => {
  const prototype = Object.getOwnPropertyNames(Object.prototype).sort();
  const folder = mkdtempSync(join(tmpdir(), "headroom-names-"));
  const faults: string[] = [];
  let port: number;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let server: RunningServer;

  before(async () => {
    port = await freeUdpPort(ADDRESS);
    caller = await UdpPeer.open("127.0.47.2");
    callee = await UdpPeer.open("127.0.47.3");
    const dbUrl = `sqlite:${join(folder, "headroom.db")}`;
    const resources = NAMES.map((name, i) => `${name}=${i + 2}`).join(";");
    const store = await openStore(dbUrl, { table: "load_balancer" });
    await store.import([{ group_id: 1, dst_uri: `sip:${callee.sentBy}`, resources, attrs: "__proto__=1;constructor=2" }]);
    await store.close();
    const text = `
      sip: { listen: ["udp:${ADDRESS}:${port}"] }
      load_balancer: { db_url: "${dbUrl}", probing_interval: 0 }
      routing: { rules: [{ group: 1, resources: "${NAMES.join(";")}" }] }
      mi_http: { listen: "127.0.0.1:0" }`;
    const log = pino({ level: "warn" }, { write: (line: string) => void faults.push(line) });
    server = await startServer(parseConfig(text, "headroom.yaml", {}), log);
  });
  after(async () => {
    await server?.stop();
    await Promise.all([caller?.close(), callee?.close()]);
    rmSync(folder, { recursive: true });
  });

  async function mi(method: string, params?: string): Promise<Answer> {
    const body = `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method)}${params === undefined ? "" : `,"params":${params}`}}`;
    const headers = { "content-type": "application/json" };
    const response = await fetch(server.managementUrl, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) });
    assert.equal(response.status, 200, `${method} ${params}`);
    return (await response.json()) as Answer;
  }

  /** Load and capacity of each resource. */
  async function loads(): Promise<[string, number, number][]> {
    const { Destinations } = (await mi("lb_list")).result as {
      Destinations: { Resources: { name: string; max: number; load: number }[] }[];
    };
    return Destinations[0]!.Resources.map(({ name, load, max }) => [name, load, max]);
  }

  it("are resources like any others: counted, listed as profiles, resized", async () => {
    const call = await establish({ address: ADDRESS, port }, caller, callee);
    assert.deepEqual(
      await loads(),
      NAMES.map((name, i) => [name, 1, i + 2]),
    );
    assert.deepEqual(await mi("lb_resize", '[1,"__proto__",77]'), { jsonrpc: "2.0", result: "OK", id: 1 });
    for (const name of NAMES) {
      const { result } = await mi("profile_get_size", `["${profileOf(name)}"]`);
      assert.ok(JSON.stringify(result).includes('"count":1'), `${name}: ${JSON.stringify(result)}`);
    }
    caller.send(call.fromCaller("BYE", 2), { address: ADDRESS, port });
    await callee.next("BYE", (text) => text.startsWith("BYE "));
    assert.deepEqual(
      await loads(),
      NAMES.map((name, i) => [name, 0, name === "__proto__" ? 77 : i + 2]),
    );
  });

  it("are header names, parameters and user parts like any others: they pass, and mean nothing", async () => {
    const headers = NAMES.map((name) => `${name}: constructor=__proto__;__proto__`);
    const uri = `sip:__proto__:constructor@${ADDRESS}:${port};__proto__=1;constructor;toString=x?__proto__=1`;
    const callId = "__proto__";
    const text = request({
      method: "MESSAGE",
      uri,
      sentBy: caller.sentBy,
      from: "<sip:a@b;__proto__>;tag=constructor;__proto__=1",
      callId,
      headers,
    });
    caller.send(text, { address: ADDRESS, port });
    const answer = await caller.next("its answer", (each) => statusOf(each) >= 200 && headerOf(each, "Call-ID") === callId);
    assert.ok(statusOf(answer) >= 400, answer);
    const call = await establish({ address: ADDRESS, port }, caller, callee, { uri: `sip:__proto__@${ADDRESS}:${port};constructor` });
    assert.ok(call.delivered.startsWith("INVITE sip:"));
    caller.send(call.fromCaller("BYE", 2), { address: ADDRESS, port });
    await callee.next("BYE", (each) => each.startsWith("BYE ") && headerOf(each, "Call-ID") === call.callId);
  });

  it("are parameters that no management method falls for, by place or by name", async () => {
    const methods = (await mi("which")).result as string[];
    assert.ok(methods.length > 30);
    for (const method of methods.filter((name) => !/reload|reset_statistics/.test(name))) {
      const calls = SWEPT.flatMap((quoted) => [`[${quoted}]`, `{${quoted}:${quoted}}`, `{"id":1,${quoted}:{${quoted}:1}}`]);
      for (const [i, { error }] of (await Promise.all(calls.map((params) => mi(method, params)))).entries())
        assert.notEqual(error?.code, -32603, `${method} ${calls[i]} failed within: ${error?.message}`);
    }
    for (const name of NAMES) assert.equal((await mi(name)).error?.code, -32601);
  });

  it("leave no trace: the prototype is as it was, and nothing went wrong within", async () => {
    assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), prototype);
    assert.deepEqual(Object.keys({}), []);
    assert.deepEqual(
      faults.filter((line) => /internal|unexpected|TypeError/.test(line)),
      [],
    );
    assert.equal(
      (await loads()).every(([, load]) => load === 0),
      true,
    );
  });
});
