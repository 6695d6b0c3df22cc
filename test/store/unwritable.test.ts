import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { type DestinationStateStore, type DestinationStore, openStore, StoreError } from "../../src/store/index.ts";
import { waitFor } from "../support/net.ts";

const VERSION = `CREATE TABLE version (table_name CHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);
  INSERT INTO version VALUES ('load_balancer', 3);`;
const TABLE = `CREATE TABLE load_balancer (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, group_id INTEGER DEFAULT 0 NOT NULL,
  dst_uri CHAR(128) NOT NULL, resources CHAR(255) NOT NULL, probe_mode INTEGER DEFAULT 0 NOT NULL, attrs CHAR(255) DEFAULT NULL,
  description CHAR(128) DEFAULT NULL); INSERT INTO load_balancer (dst_uri, resources) VALUES ('sip:192.0.2.1', 'a=1');`;

let folder = "";
let file = "";
let counter = 0;
let opened: { store: DestinationStore; states?: DestinationStateStore }[] = [];
let logged: string[] = [];
const log = {
  info: (_: object, message: string) => void logged.push(`info ${message}`),
  error: (_: object, message: string) => void logged.push(`error ${message}`),
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-unwritable-"));
});
beforeEach(() => {
  file = join(folder, `${counter++}.db`);
  logged = [];
});
afterEach(async () => {
  for (const { store, states } of opened) {
    await states?.close();
    await store.close();
  }
  opened = [];
});
after(() => rmSync(folder, { recursive: true }));

function make(sql: string): void {
  const database = new Database(file);
  database.exec(sql);
  database.close();
}

/** The format for writing in the header of the file: SQLite opens a file with one that it does not know for reading only, also for root. */
function setWriteFormat(format: 1 | 3): void {
  const handle = openSync(file, "r+");
  writeSync(handle, new Uint8Array([format]), 0, 1, 18);
  closeSync(handle);
}

async function start(): Promise<{ store: DestinationStore; states: DestinationStateStore }> {
  const store = await openStore(`sqlite:${file}`, { table: "load_balancer" });
  const states = store.states(log, { flushMs: 500 });
  opened.push({ store, states });
  return { store, states };
}

describe("a database of destinations that may only be read", () => {
  it("is good enough to start with; the log says what is lost, and what is decided is written once it can be", async () => {
    make(`${VERSION} ${TABLE}`);
    setWriteFormat(3);
    const { store, states } = await start();
    assert.equal((await store.loadDestinations()).rows.length, 1);
    assert.deepEqual(await states.load(), { states: [], problems: [] });
    assert.equal(states.isUnwritable, true);
    assert.deepEqual(logged, [
      `error What operators decide for destinations is lost at a restart: Cannot use database "${file}": this user may not write it`,
    ]);
    const held = { enabled: false, autoReenable: false, draining: false, drainDeadlineMs: 0, drainBye: false };
    states.save({ id: 1, group: 0, uri: "sip:192.0.2.1", ...held, changedAtMs: 1, cause: "mi" });
    await waitFor("a write was tried", 10_000, async () => !(await states.settled()) && states.counters.state_write_failures > 0);
    assert.equal(states.isUnwritable, true);

    setWriteFormat(1);
    await waitFor("it is written", 10_000, () => states.settled());
    assert.deepEqual([states.isUnwritable, states.counters.states_lost], [false, 0]);
    assert.deepEqual(logged.slice(1), ["info States of destinations can be written again"]);
    await opened.pop()?.states?.close();
    await store.close();
    const again = await start();
    assert.equal((await again.states.load()).states.length, 1);
  });

  it("is told at the start also when it has everything, and what was decided before holds", async () => {
    make(`${VERSION} ${TABLE}`);
    const { states: before } = await start();
    const held = { enabled: false, autoReenable: false, draining: false, drainDeadlineMs: 0, drainBye: false };
    before.save({ id: 1, group: 0, uri: "sip:192.0.2.1", ...held, changedAtMs: 1, cause: "mi" });
    await waitFor("it is written", 10_000, () => before.settled());
    await before.close();
    setWriteFormat(3);
    const { states } = await start();
    assert.equal((await states.load()).states.length, 1);
    assert.deepEqual([states.isUnwritable, logged.length], [true, 1]);
  });

  it("is refused when it lacks the table of destinations", async () => {
    make(VERSION.replace("load_balancer", "dialog"));
    setWriteFormat(3);
    await assert.rejects(start(), (error) => error instanceof StoreError && /this user may not write it$/.test(error.message));
  });

  it("is refused when its table of destinations is another", async () => {
    make(`${VERSION.replace("', 3", "', 2")} ${TABLE}`);
    setWriteFormat(3);
    await assert.rejects(start(), (error) => error instanceof StoreError && error.code === "WRONG_VERSION");
  });

  it("refuses a row with the reason", async () => {
    make(`${VERSION} ${TABLE}`);
    setWriteFormat(3);
    const { store } = await start();
    await assert.rejects(store.add({ dst_uri: "sip:192.0.2.2", resources: "a=1" }), /this user may not write it$/);
  });

  it("is not said to be so when it has everything", async () => {
    make(`${VERSION} ${TABLE}`);
    await start();
    assert.deepEqual([opened[0]?.states?.isUnwritable, logged], [false, []]);
  });
});
