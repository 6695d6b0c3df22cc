import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { type DestinationStore, openStore, type RegistrationTable } from "../../src/store/index.ts";

const LOG = { info() {}, error() {} };

let folder: string;
let open: DestinationStore[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-registrations-"));
  open = [];
});
afterEach(async () => {
  for (const store of open) await store.close();
  rmSync(folder, { recursive: true });
});

async function start(table = "load_balancer", url = `sqlite:${join(folder, "farm.db")}`): Promise<RegistrationTable> {
  const store = await openStore(url, { table });
  open.push(store);
  return store.registrations(LOG);
}

const one = { id: 1_000_000_001, binding: '{"user":"é \'"}' };
const two = { id: 2_000_000_002, binding: "{}" };

describe("registrations", () => {
  for (const [name, url] of [
    ["a file", undefined],
    ["memory", "sqlite::memory:"],
  ] as const) {
    it(`are read as they were written, in ${name}`, async () => {
      const table = await start("load_balancer", url);
      assert.deepEqual(await table.read(), []);
      await table.write({ saved: [two, one], removed: [] });
      assert.deepEqual(await table.read(), [one, two]);
      await table.write({ saved: [{ ...one, binding: "new" }], removed: [two.id, 77] });
      assert.deepEqual(await table.read(), [{ ...one, binding: "new" }]);
      await table.write({ saved: [], removed: [] });
    });
  }

  it("survive the end of the program", async () => {
    await (await start()).write({ saved: [one], removed: [] });
    await open.pop()?.close();
    assert.deepEqual(await (await start()).read(), [one]);
  });

  it("have a table for each table of destinations", async () => {
    await (await start("other")).write({ saved: [one], removed: [] });
    assert.deepEqual(await (await start()).read(), []);
    assert.deepEqual(await (await start("other")).read(), [one]);
  });

  it("get their table with the first one when somebody has taken it away meanwhile", async () => {
    const table = await start();
    const database = new Database(join(folder, "farm.db"));
    database.exec("DROP TABLE headroom_registration");
    database.close();
    assert.deepEqual(await table.read(), []);
    await table.write({ saved: [one], removed: [] });
    assert.deepEqual(await table.read(), [one]);
  });

  it("are written by hundreds, all or none", async () => {
    const table = await start();
    const saved = Array.from({ length: 500 }, (_, i) => ({ id: 1_000_000_000 + i, binding: "x" }));
    await table.write({ saved, removed: saved.map(({ id }) => id + 1000) });
    await assert.rejects(table.write({ saved: [{ id: 1, binding: null as unknown as string }], removed: saved.map(({ id }) => id) }));
    assert.equal((await table.read()).length, 500);
  });

  it("cannot be kept in the table of destinations", async () => {
    await assert.rejects(openStore(`sqlite:${join(folder, "farm.db")}`, { table: "headroom_registration" }), { code: "BAD_TABLE" });
  });
});
