import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import Database from "better-sqlite3";
import { parseConfig } from "../../src/config/index.ts";
import { Dispatching } from "../../src/server/dispatching.ts";
import type { Listener } from "../../src/transaction/index.ts";
import { FakeLog } from "../routing/fake-call.ts";

const folder = mkdtempSync(join(tmpdir(), "headroom-dispatching-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "dispatcher.list");
const database = join(folder, "kamailio.db");

function listener(transport: "udp" | "tcp", address: string, port: number): Listener {
  return { transport, address, port, family: address.includes(":") ? 6 : 4, sentByFor: () => address };
}

const LISTENERS = [listener("udp", "192.0.2.1", 5060), listener("udp", "2001:db8::1", 5060), listener("tcp", "192.0.2.1", 5060)];

function bench() {
  const log = new FakeLog();
  const held: string[] = [];
  const found = { addresses: [{ ip: "192.0.2.50", port: 5060, transport: "udp" }] } as never;
  const dispatching = new Dispatching({
    ...{ below: () => 0, nowMs: () => 0, listeners: () => LISTENERS, resolveWaitMs: 5, log },
    addresses: {
      find: () => found,
      resolve: ({ host }) => (host === "slow.example.net" ? new Promise(() => undefined) : found),
      hold: (targets) => {
        held.length = 0;
        for (const { host } of targets) held.push(host);
      },
    },
  });
  return { dispatching, log, held };
}

function config(text: string) {
  return parseConfig(text, "test.yaml", {});
}

const urisOf = ({ dispatcher }: Dispatching, set: number) => dispatcher.set(set)?.destinations.map(({ uri }) => uri);

describe("the dispatcher of the program", () => {
  it("has the sets of list file, table and configuration, in this order", async () => {
    const { dispatching, held } = bench();
    writeFileSync(file, "1 sip:192.0.2.11\n2 sip:gw.example.net\n");
    const db = new Database(database);
    db.exec("CREATE TABLE gateways (id INTEGER PRIMARY KEY, setid, destination, flags, priority, attrs, description, socket)");
    db.exec("INSERT INTO gateways VALUES (1, 1, 'sip:192.0.2.12', 0, 0, 'duid=x', '', 'udp:192.0.2.1:5060')");
    db.close();
    await dispatching.load(
      config(`dispatcher:
  list_file: ${file}
  db_url: sqlite:${database}
  table_name: gateways
  ds_db_extra_attrs: socket
  use_default: 1
  sets: [{ id: 1, destinations: [{ uri: "sip:192.0.2.13", weight: 7, attrs: "a=b" }] }]`),
    );
    // of equal priorities the last one is the first
    assert.deepEqual(urisOf(dispatching, 1), ["sip:192.0.2.13", "sip:192.0.2.12", "sip:192.0.2.11"]);
    const [first, second] = dispatching.dispatcher.set(1)?.destinations ?? [];
    assert.deepEqual(
      [first?.attributes.body, first?.attributes.weight, dispatching.dispatcher.options.useDefault],
      ["weight=7;a=b", 7, true],
    );
    assert.equal(dispatching.socketOf(second!), LISTENERS[0]);
    assert.deepEqual([held, dispatching.dispatcher.set(2)?.destinations[0]?.addresses], [["gw.example.net"], ["192.0.2.50"]]);
  });

  it("keeps what is in force when a reload cannot be used, and says why", async () => {
    const { dispatching } = bench();
    writeFileSync(file, "1 sip:192.0.2.11\n");
    await dispatching.load(config(`dispatcher: { list_file: ${file} }`));
    await assert.rejects(dispatching.load(config("dispatcher: { list_file: /nowhere/at/all }")), /no such file, want Kamailio's list/);
    const strict = config(
      `dispatcher: { ds_load_mode: 1, sets: [{ id: 5, destinations: [{ uri: "sip:192.0.2.5" }, { uri: "mailto:x" }] }] }`,
    );
    await assert.rejects(
      dispatching.load(strict),
      /nothing is loaded, as ds_load_mode is 1: Cannot use the destination "mailto:x" of set 5, destination 2/,
    );
    assert.deepEqual([urisOf(dispatching, 1), urisOf(dispatching, 5)], [["sip:192.0.2.11"], undefined]);
    writeFileSync(file, "1 sip:192.0.2.11\n1 sip:192.0.2.14\n");
    await dispatching.reload();
    assert.deepEqual(urisOf(dispatching, 1), ["sip:192.0.2.14", "sip:192.0.2.11"]);
    assert.deepEqual([dispatching.counters["reloads"], dispatching.counters["reload_failures"]], [1, 2]);
  });

  it("says in the log what it leaves out, with the place, and what rules name in vain", async () => {
    const { dispatching, log } = bench();
    writeFileSync(file, "1 sip:192.0.2.11\nx sip:192.0.2.12\n1 sip:192.0.2.13 0 0 socket=udp:192.0.2.9:5060\n");
    await dispatching.load(config(`{ dispatcher: { list_file: ${file} }, routing: { rules: [{ dispatch: { routes: "1=4;7=8" } }] } }`));
    const texts = log.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
    assert.equal(texts.length, 3, texts.join("\n"));
    assert.match(texts[0] ?? "", /dispatcher: .*dispatcher\.list: Cannot use line 2: want the id of a set/);
    assert.match(texts[1] ?? "", /socket "udp:192\.0\.2\.9:5060" of <sip:192\.0\.2\.13> in set 1 is no listener of sip\.listen/);
    assert.match(texts[2] ?? "", /routing\.rules\[0\]\.dispatch passes over some of its sets: the dispatcher has no set 7/);
  });

  it("does not wait without an end for a name that nobody knows", async () => {
    const { dispatching } = bench();
    await dispatching.load(config('dispatcher: { sets: [{ id: 1, destinations: [{ uri: "sip:slow.example.net" }] }] }'));
    assert.deepEqual(dispatching.dispatcher.set(1)?.destinations[0]?.addresses, []);
  });

  it("finds listeners by what destinations call them", async () => {
    const { dispatching } = bench();
    const sets = ["udp:192.0.2.1:5060", "192.0.2.1:5060", "TCP:192.0.2.1:5060", "udp:[2001:DB8:0::1]:5060", "udp:192.0.2.1:5070"];
    const destinations = sets.map((socket, i) => `{ uri: "sip:192.0.2.${i}", priority: ${9 - i}, socket: "${socket}" }`);
    await dispatching.load(
      config(`dispatcher: { ds_default_socket: "tcp:192.0.2.1:5060", sets: [{ id: 1, destinations: [${destinations.join(", ")}] }] }`),
    );
    const found = dispatching.dispatcher.set(1)?.destinations.map((destination) => LISTENERS.indexOf(dispatching.socketOf(destination)!));
    assert.deepEqual(found, [0, 0, 2, 1, 2], "the last one is nowhere, so the default is used");
  });

  it("tells what a call counts in a form that a record keeps, and counts it again in another process", async () => {
    const [one, other] = [bench().dispatching, bench().dispatching];
    const setup = config('dispatcher: { sets: [{ id: 1, destinations: [{ uri: "sip:192.0.2.1", duid: a }] }] }');
    await one.load(setup);
    const call = {};
    const selection = one.dispatcher.select(1, 10, { keyOf: () => undefined, isCall: true, owner: call });
    assert.ok(typeof selection !== "string");
    const held = [...one.held(call), { key: "1 1 sip:192.0.2.1", resource: "pstn", picked: true }];
    assert.equal(other.adopt(call, held), 1, "before there are sets");
    assert.equal(other.adopt({}, []), 0);
    await other.load(setup);
    assert.deepEqual([other.dispatcher.set(1)?.destinations[0]?.load, other.counters["counted_calls"]], [1, 1]);
    other.release(call);
    assert.equal(other.dispatcher.set(1)?.destinations[0]?.load, 0);
  });
});
