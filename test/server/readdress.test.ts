import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/index.ts";
import type { DynamicRow } from "../../src/registrar/index.ts";
import { type AddressChange, type Found, type SipTarget, targetKey } from "../../src/resolution/index.ts";
import { TableLoader } from "../../src/server/load-table.ts";
import { openStore } from "../../src/store/index.ts";

const CONFIG = parseConfig("routing: { rules: [] }", "headroom.yaml", {});

/** A loader on a table in memory and names that are where the test says. */
async function withLoader(use: (bench: Bench) => Promise<void>): Promise<void> {
  const names = new Map<string, Found>();
  const find = ({ host }: SipTarget): Found => names.get(host) ?? { addresses: [], reason: "it has no address" };
  const store = await openStore("sqlite::memory:", { table: "load_balancer", locate: find });
  const balancer = new Balancer({ below: () => 0 });
  const [logged, held, live]: [string[], string[], DynamicRow[]] = [[], [], []];
  const note = (_fields: object, message: string): void => void logged.push(message);
  const addresses = { find, hold: (targets: Iterable<SipTarget>) => held.splice(0, held.length, ...[...targets].map(targetKey)) };
  const log = { debug: note, info: note, warn: note, error: note };
  const loader = new TableLoader({ store, balancer, listeners: [], registered: () => live, addresses, log });
  function move(host: string, ...ips: string[]): AddressChange {
    const before = names.get(host)?.addresses ?? [];
    const found: Found = { addresses: ips.map((ip) => ({ ip, port: 5060, transport: "udp" })), reason: undefined };
    names.set(host, found);
    return { target: { host, port: undefined, transport: undefined, isSecure: false }, before, ...found };
  }
  try {
    await use({ store, balancer, loader, logged, held, live, move });
  } finally {
    await store.close();
  }
}

interface Bench {
  readonly store: Awaited<ReturnType<typeof openStore>>;
  readonly balancer: Balancer;
  readonly loader: TableLoader;
  readonly logged: string[];
  readonly held: string[];
  readonly live: DynamicRow[];
  readonly move: (host: string, ...ips: string[]) => AddressChange;
}

describe("TableLoader.readdress()", () => {
  it("puts other addresses into use; load, status and identity stay", () =>
    withLoader(async ({ store, balancer, loader, logged, held, move }) => {
      move("a.test", "192.0.2.1");
      await store.add({ dst_uri: "sip:a.test", resources: "pstn=5", group_id: 1 });
      await loader.load(CONFIG);
      const call = new CallLoad();
      balancer.start(call, 1, "pstn");
      balancer.setStatus(1, false, "mi");
      await loader.readdress([move("a.test", "192.0.2.7", "2001:db8::7")]);
      assert.equal(balancer.isDestination("192.0.2.7", 5060)?.id, 1);
      assert.equal(balancer.isDestination("2001:db8::7", 5060)?.id, 1);
      assert.equal(balancer.isDestination("192.0.2.1", 5060), undefined);
      assert.equal(balancer.isEnabled(balancer.destination(1)!), false);
      assert.equal(balancer.load(balancer.destination(1)!.resources[0]!.cell), 1);
      assert.deepEqual(held, ["sip a.test  "]);
      assert.ok(
        logged.includes('Addresses of "a.test" have changed from 192.0.2.1:5060 to 192.0.2.7:5060, [2001:db8::7]:5060'),
        logged.join("\n"),
      );
    }));

  it("takes in what could not be resolved before, of the database and of servers that have registered", () =>
    withLoader(async ({ store, balancer, loader, live, held, move }) => {
      await store.add({ dst_uri: "sip:a.test", resources: "pstn=5", group_id: 1 });
      await store.add({ dst_uri: "sip:192.0.2.9", resources: "pstn=5", group_id: 1 });
      const uri = "sip:fs.test";
      const row = {
        id: 1_000_000_001,
        key: uri,
        group: 1,
        uri,
        resources: "pstn=1",
        attrs: undefined,
        probeMode: 0,
        description: "d",
      } as const;
      live.push({ ...row, state: "active", cause: undefined });
      await loader.load(CONFIG);
      assert.deepEqual(
        balancer.destinations().map(({ id }) => id),
        [2],
      );
      assert.deepEqual(held, ["sip a.test  ", "sip fs.test  "]);
      await loader.readdress([move("a.test", "192.0.2.1"), move("fs.test", "192.0.2.2")]);
      assert.deepEqual(
        balancer.destinations().map(({ id }) => id),
        [1, 2, 1_000_000_001],
      );
      await loader.readdress([move("fs.test", "192.0.2.3")]);
      assert.equal(balancer.isDestination("192.0.2.3", 5060)?.id, 1_000_000_001);
    }));

  it("is not undone by a load that had read the addresses before", () =>
    withLoader(async ({ store, balancer, loader, move }) => {
      move("a.test", "192.0.2.1");
      await store.add({ dst_uri: "sip:a.test", resources: "pstn=5", group_id: 1 });
      const loading = loader.load(CONFIG);
      await new Promise(setImmediate);
      const change = move("a.test", "192.0.2.2");
      await loader.readdress([change]);
      await loading;
      await new Promise(setImmediate);
      assert.equal(balancer.isDestination("192.0.2.2", 5060)?.id, 1);
    }));
});
