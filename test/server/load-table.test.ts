import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Balancer, type TableChange } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/index.ts";
import type { DynamicRow } from "../../src/registrar/index.ts";
import { TableLoader } from "../../src/server/load-table.ts";
import { type DestinationStore, openStore } from "../../src/store/index.ts";

const CONFIG = parseConfig("routing: { rules: [] }", "headroom.yaml", {});

let store: DestinationStore;
let balancer: Balancer;
let live: DynamicRow[];
let changes: TableChange[];
let logged: string[];
/** Fields of "destinations loaded". */
let loaded: object[];
/** Answers of the resolver that wait for the test. */
let waiting: ((addresses: string[]) => void)[];

beforeEach(async () => {
  waiting = [];
  store = await openStore("sqlite::memory:", {
    table: "load_balancer",
    resolve: () => new Promise<string[]>((resolve) => waiting.push(resolve)),
  });
  balancer = new Balancer({ below: () => 0 });
  [live, changes, logged, loaded] = [[], [], [], []];
});
afterEach(() => store.close());

function dynamic(id: number, over: Partial<DynamicRow> = {}): DynamicRow {
  const uri = `sip:192.0.2.${id % 1000}:5060`;
  const row = { id, key: `fs ${uri}`, group: 1, uri, resources: "pstn=10", attrs: undefined, probeMode: 0, description: "d" } as const;
  return { ...row, state: "active", cause: undefined, ...over };
}

function newLoader(mayRegister = true, from = store): TableLoader {
  const registered = mayRegister ? () => live : undefined;
  const note = (fields: object, message: string): void => {
    logged.push(message);
    if (message === "destinations loaded") loaded.push(fields);
  };
  const log = { debug: note, info: note, warn: note, error: note };
  return new TableLoader({ store: from, balancer, listeners: [(change) => void changes.push(change)], registered, log });
}

const uris = (): string[] => balancer.destinations().map(({ uri }) => uri);
const warnings = (): string[] => logged.filter((message) => message !== "destinations loaded");

describe("the table of destinations", () => {
  it("has the rows of the database and those that have registered, and tells of it once", async () => {
    await store.add({ dst_uri: "sip:198.51.100.1", resources: "pstn=5", group_id: 1 });
    live = [dynamic(1_000_000_001)];
    await newLoader().load(CONFIG);
    assert.deepEqual(uris(), ["sip:198.51.100.1", "sip:192.0.2.1:5060"]);
    assert.deepEqual(
      changes.map(({ added }) => added),
      [[1, 1_000_000_001]],
    );
  });

  it("counts loads that fail, and tells of a table of an earlier run until another one is loaded", async () => {
    const copy = { savedAtMs: 1, reason: "nobody listens there" };
    const answers = [
      async () => ({ ...(await store.loadDestinations()), copy }),
      () => Promise.reject(new Error("away")),
      () => store.loadDestinations(),
    ];
    const from = { loadDestinations: () => answers.shift()?.(), check: store.check.bind(store) } as unknown as DestinationStore;
    const loader = newLoader(false, from);
    await loader.load(CONFIG, "copy");
    assert.deepEqual(loader.counters, { stale_table: 1, failed_loads: 0 });
    await assert.rejects(loader.load(CONFIG), /away/);
    assert.deepEqual(loader.counters, { stale_table: 1, failed_loads: 1 });
    await loader.load(CONFIG);
    assert.deepEqual(loader.counters, { stale_table: 0, failed_loads: 1 });
  });

  it("takes in who registers without reading the database, and lets go who is gone", async () => {
    const loader = newLoader();
    await loader.load(CONFIG);
    await store.add({ dst_uri: "sip:198.51.100.1", resources: "pstn=5" });
    live = [dynamic(1_000_000_001)];
    assert.equal(await loader.prepare(live[0]!), true);
    assert.equal(await loader.prepare(live[0]!), false, "it is known");
    loader.apply();
    assert.deepEqual(uris(), ["sip:192.0.2.1:5060"]);
    live = [];
    loader.apply();
    assert.deepEqual(uris(), []);
  });

  it("keeps calls from those that leave, after a reload as well", async () => {
    live = [dynamic(1_000_000_001, { state: "leaving", cause: "expired" })];
    const loader = newLoader();
    await loader.load(CONFIG);
    await loader.load(CONFIG);
    assert.deepEqual(
      balancer.destinations().map((destination) => balancer.isLeaving(destination)),
      [true],
    );
    live = [dynamic(1_000_000_001)];
    loader.apply();
    assert.deepEqual(
      balancer.destinations().map((destination) => balancer.isLeaving(destination)),
      [false],
    );
  });

  it("passes over a registered row whose id a row of the database has, and says so once", async () => {
    await store.add({ id: 1_000_000_001, dst_uri: "sip:198.51.100.1", resources: "pstn=5" });
    live = [dynamic(1_000_000_001, { state: "leaving", cause: "expired" })];
    const loader = newLoader();
    await loader.load(CONFIG);
    loader.apply();
    assert.deepEqual(uris(), ["sip:198.51.100.1"]);
    assert.equal(balancer.isLeaving(balancer.destinations()[0]!), false);
    assert.deepEqual(warnings(), ["Registered <sip:192.0.2.1:5060> is skipped: row 1000000001 of the database has its id"]);
    assert.equal(loader.isStored(1_000_000_001), true);
  });

  it("passes over what cannot be used, with a reason and without the password in it; the next renewal tries again", async () => {
    const loader = newLoader();
    await loader.load(CONFIG);
    live = [dynamic(1_000_000_001, { resources: "pstn=fs://:ClueCon@192.0.2.1:8021" }), dynamic(1_000_000_002)];
    for (const row of live) await loader.prepare(row);
    loader.apply();
    assert.deepEqual(uris(), ["sip:192.0.2.2:5060"]);
    assert.match(warnings()[0] ?? "", /^A server has registered and gets no calls: Row 1000000001 is skipped: resources: /);
    assert.doesNotMatch(warnings().join(), /ClueCon/);
    assert.equal(await loader.prepare(live[0]!), true);
    assert.equal(warnings().length, 2);
  });

  it("makes nobody wait for a host name that is slow to resolve", async () => {
    const loader = newLoader();
    await loader.load(CONFIG);
    live = [dynamic(1_000_000_001, { uri: "sip:fs1.example:5060" }), dynamic(1_000_000_002)];
    const slow = loader.prepare(live[0]!);
    assert.equal(await loader.prepare(live[1]!), true);
    assert.equal(await loader.prepare(live[0]!), false, "it is being resolved");
    loader.apply();
    assert.deepEqual(uris(), ["sip:192.0.2.2:5060"]);
    for (const answer of waiting.splice(0)) answer(["192.0.2.99"]);
    assert.equal(await slow, true);
    loader.apply();
    assert.deepEqual(uris(), ["sip:fs1.example:5060", "sip:192.0.2.2:5060"]);
    const reload = loader.load(CONFIG);
    await new Promise(setImmediate);
    loader.apply();
    assert.deepEqual(uris(), ["sip:fs1.example:5060", "sip:192.0.2.2:5060"], "it stays while it is resolved again");
    for (const answer of waiting.splice(0)) answer(["192.0.2.98"]);
    await reload;
    assert.deepEqual(balancer.destinations()[0]?.addresses[0]?.ip, "192.0.2.98");
  });

  it("keeps the addresses of both sources while the name servers are down, whoever registers meanwhile", async () => {
    let hosts: Record<string, string[]> = { "db.example": ["192.0.2.1"], "fs.example": ["192.0.2.2"] };
    const names = await openStore("sqlite::memory:", {
      table: "load_balancer",
      resolve: async (host) => hosts[host] ?? Promise.reject(Object.assign(new Error("down"), { code: "EAI_AGAIN" })),
    });
    try {
      await names.add({ dst_uri: "sip:db.example", resources: "pstn=5" });
      const loader = newLoader(true, names);
      live = [dynamic(1_000_000_001, { uri: "sip:fs.example:5060" })];
      await loader.load(CONFIG);
      const before = ["sip:db.example", "sip:fs.example:5060"];
      assert.deepEqual(uris(), before);
      live.push(dynamic(1_000_000_003));
      await loader.prepare(live[1]!);
      hosts = {};
      for (let i = 0; i < 2; i++) {
        logged.length = 0;
        await loader.load(CONFIG);
        assert.deepEqual(uris(), [...before, "sip:192.0.2.3:5060"]);
        assert.deepEqual(
          warnings()
            .map((text) => text.replace(/: dst_uri.*/, ""))
            .sort(),
          [
            "A server that has registered cannot be resolved: Row 1000000001 keeps the addresses from before, 192.0.2.2",
            "Row 1 keeps the addresses from before, 192.0.2.1",
          ],
        );
      }
      live = [];
      await loader.load(CONFIG);
      live = [dynamic(1_000_000_001, { uri: "sip:fs.example:5060" })];
      await loader.load(CONFIG);
      assert.deepEqual(uris(), ["sip:db.example"], "a load without its row forgot it");
    } finally {
      await names.close();
    }
  });

  it("says at each load how many rows are of the database, and how many have registered", async () => {
    await store.add({ dst_uri: "sip:198.51.100.1", resources: "pstn=5" });
    live = [dynamic(1_000_000_001), dynamic(1_000_000_002)];
    await newLoader().load(CONFIG);
    const { destinations, registered } = loaded.at(-1) as { destinations: number; registered: number };
    assert.deepEqual([destinations, registered], [1, 2]);
  });

  it("tells once of an option that cannot be used, however many register, and again after a reload", async () => {
    await store.add({ dst_uri: "sip:198.51.100.1", resources: "pstn=5", attrs: "weight=heavy" });
    const loader = newLoader();
    await loader.load(CONFIG);
    for (const id of [1_000_000_001, 1_000_000_002]) {
      live.push(dynamic(id));
      await loader.prepare(dynamic(id));
      loader.apply();
    }
    assert.equal(warnings().length, 1);
    await loader.load(CONFIG);
    assert.equal(warnings().length, 2);
  });

  it("says what to do when it is empty, unless servers may register or all calls go to lists", async () => {
    await newLoader().load(CONFIG);
    assert.deepEqual(warnings(), []);
    await newLoader(false).load(CONFIG);
    assert.match(warnings()[0] ?? "", /^no destination to send calls to/);
    logged.length = 0;
    const distributed = "distributor: { lists: { l: [{ name: 'sip:192.0.2.1' }] } }\nrouting: { rules: [{ distribute: l }] }";
    await newLoader(false).load(parseConfig(distributed, "headroom.yaml", {}));
    assert.deepEqual(warnings(), [], "nodes of lists need not be in the table");
  });

  it("stays as it is when the database cannot be read", async () => {
    const loader = newLoader();
    live = [dynamic(1_000_000_001)];
    await loader.load(CONFIG);
    await store.close();
    await assert.rejects(loader.load(CONFIG));
    loader.apply();
    assert.deepEqual(uris(), ["sip:192.0.2.1:5060"]);
    store = await openStore("sqlite::memory:", { table: "load_balancer" });
  });
});
