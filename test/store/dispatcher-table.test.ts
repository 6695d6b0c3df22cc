import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import Database from "better-sqlite3";
import { DispatcherTableReader, inspectDispatcherTable, type StoreError } from "../../src/store/index.ts";

const folder = mkdtempSync(join(tmpdir(), "headroom-ds-table-"));
after(() => rmSync(folder, { recursive: true }));
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
let count = 0;

function place(sql = ""): { dbUrl: string; table: string; columns: string[]; file: string } {
  const file = join(folder, `${++count}.db`);
  if (sql !== "") {
    const db = new Database(file);
    db.exec(sql);
    db.close();
  }
  return { dbUrl: `sqlite:${file}`, table: "dispatcher", columns: [], file };
}

const KAMAILIO = `CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);
  INSERT INTO version VALUES ('dispatcher', 4);
  CREATE TABLE dispatcher (id INTEGER PRIMARY KEY NOT NULL, setid INTEGER DEFAULT 0 NOT NULL, destination VARCHAR(192) DEFAULT '' NOT NULL,
    flags INTEGER DEFAULT 0 NOT NULL, priority INTEGER DEFAULT 0 NOT NULL, attrs VARCHAR(128) DEFAULT '' NOT NULL, description VARCHAR(64) DEFAULT '' NOT NULL,
    socket VARCHAR(128) DEFAULT '' NOT NULL);
  INSERT INTO dispatcher VALUES (7, 1, 'sip:10.0.0.1', 8, 5, 'duid=a', 'first', 'udp:10.0.0.9:5060'), (3, 2, 'sip:10.0.0.2', 0, 0, '', '', '');`;

describe("the table dispatcher", () => {
  it("is read as Kamailio's scripts make it, by its ids, with the columns that are wanted", async () => {
    const there = { ...place(KAMAILIO), columns: ["socket"] };
    const rows = await new DispatcherTableReader(LOG).read(there, true);
    assert.deepEqual(
      rows.map(({ id, setid, destination, flags, priority, attrs, socket }) => [id, setid, destination, flags, priority, attrs, socket]),
      [
        [3, 2, "sip:10.0.0.2", 0, 0, "", ""],
        [7, 1, "sip:10.0.0.1", 8, 5, "duid=a", "udp:10.0.0.9:5060"],
      ],
    );
  });

  it("is made when it is missing, once, and read again by a thread", async () => {
    const there = place();
    const reader = new DispatcherTableReader(LOG);
    assert.deepEqual(await reader.read(there, true), []);
    const db = new Database(there.file);
    db.exec("INSERT INTO dispatcher (setid, destination) VALUES (4, 'sip:10.0.0.4')");
    assert.deepEqual(db.prepare("SELECT table_version FROM version WHERE table_name = 'dispatcher'").pluck().all(), [4]);
    db.close();
    assert.deepEqual(
      (await reader.read(there, false)).map(({ id, setid, destination }) => [id, setid, destination]),
      [[1, 4, "sip:10.0.0.4"]],
    );
  });

  it("that a reload names first is made and read without holding up the program, also while another program has the lock", async () => {
    const reader = new DispatcherTableReader(LOG);
    await reader.read(place(KAMAILIO), true);
    const there = place("CREATE TABLE other (id)");
    const other = new Database(there.file);
    other.exec("BEGIN EXCLUSIVE");
    const reading = reader.read(there, false);
    let turns = 0;
    const timer = setInterval(() => {
      if (++turns === 3) other.exec("COMMIT");
    }, 20);
    try {
      assert.deepEqual(await reading, []);
      assert.ok(turns >= 3, "timers ran while the lock was held");
      other.exec("DROP TABLE dispatcher");
      await assert.rejects(reader.read(there, false), { code: "NO_TABLE" }, "one that was there is not made anew, empty");
    } finally {
      clearInterval(timer);
      other.close();
    }
  });

  const bad: [name: string, sql: string, wanted: RegExp, code: string][] = [
    [
      "of another version",
      KAMAILIO.replace("'dispatcher', 4", "'dispatcher', 8"),
      /names version 8 of it, want version 4/,
      "WRONG_VERSION",
    ],
    ["without a column", "CREATE TABLE dispatcher (id, setid)", /has no column destination, flags, priority/, "BAD_TABLE"],
  ];
  for (const [name, sql, wanted, code] of bad) {
    it(`${name} is refused with a sentence`, async () => {
      const there = place(sql);
      await assert.rejects(
        new DispatcherTableReader(LOG).read(there, true),
        (error: StoreError) => error.code === code && wanted.test(error.message),
      );
    });
  }

  it("that is not there is told by a look, which makes nothing", async () => {
    await assert.rejects(inspectDispatcherTable(place()), { name: "StoreError", code: "NO_DATABASE" });
    await assert.rejects(inspectDispatcherTable(place("CREATE TABLE other (id)")), { name: "StoreError", code: "NO_TABLE" });
  });
});
