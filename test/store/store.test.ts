import assert from "node:assert/strict";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { type DestinationStore, faultsOf, openStore, StoreError, type StoreErrorCode, type StoreOptions } from "../../src/store/index.ts";

/** What OpenSIPS's own scripts make: `standard-create.sql` and `load_balancer-create.sql` for SQLite, table version 3. */
const OPENSIPS_TABLES = `
  CREATE TABLE version (table_name CHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL, CONSTRAINT version_t_name_idx UNIQUE (table_name));
  INSERT INTO version (table_name, table_version) values ('dialog','12');
  INSERT INTO version (table_name, table_version) values ('load_balancer','3');
  CREATE TABLE load_balancer (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, group_id INTEGER DEFAULT 0 NOT NULL, dst_uri CHAR(128) NOT NULL,
    resources CHAR(255) NOT NULL, probe_mode INTEGER DEFAULT 0 NOT NULL, attrs CHAR(255) DEFAULT NULL, description CHAR(128) DEFAULT NULL);
  CREATE INDEX load_balancer_dsturi_idx ON load_balancer (dst_uri);
`;

let folder = "";
let file = "";
let opened: DestinationStore[] = [];
before(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-store-"));
});
let counter = 0;
beforeEach(async () => {
  await Promise.all(opened.map((store) => store.close()));
  opened = [];
  file = join(folder, `${counter++}.db`);
});
after(async () => {
  await Promise.all(opened.map((store) => store.close()));
  rmSync(folder, { recursive: true });
});

async function open(options: Partial<StoreOptions> = {}): Promise<DestinationStore> {
  const store = await openStore(`sqlite:${file}`, { table: "load_balancer", ...options });
  opened.push(store);
  return store;
}

/** Runs SQL on the file through a connection of its own, as an administrator's tool would. */
function sql<Row = Record<string, unknown>>(text: string): Row[] {
  const database = new Database(file);
  try {
    const statements = text.split(";").filter((statement) => statement.trim() !== "");
    if (statements.length !== 1) database.exec(text);
    else {
      const statement = database.prepare(text);
      if (statement.reader) return statement.all() as Row[];
      statement.run();
    }
    return [];
  } finally {
    database.close();
  }
}

function storeError(code: StoreErrorCode, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\.$/);
    return true;
  };
}

describe("a new database", () => {
  it("gets OpenSIPS's table version 3 to the letter", async () => {
    await open();
    const columns = sql("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('load_balancer')");
    assert.deepEqual(columns, [
      { name: "id", type: "INTEGER", notnull: 1, dflt_value: null, pk: 1 },
      { name: "group_id", type: "INTEGER", notnull: 1, dflt_value: "0", pk: 0 },
      { name: "dst_uri", type: "char(128)", notnull: 1, dflt_value: null, pk: 0 },
      { name: "resources", type: "char(255)", notnull: 1, dflt_value: null, pk: 0 },
      { name: "probe_mode", type: "INTEGER", notnull: 1, dflt_value: "0", pk: 0 },
      { name: "attrs", type: "char(255)", notnull: 0, dflt_value: "null", pk: 0 },
      { name: "description", type: "char(128)", notnull: 0, dflt_value: "null", pk: 0 },
    ]);
    assert.deepEqual(sql("SELECT name FROM pragma_index_info('load_balancer_dsturi_idx')"), [{ name: "dst_uri" }]);
    assert.deepEqual(sql("SELECT * FROM version"), [{ table_name: "load_balancer", table_version: 3 }]);
  });

  it("never gives an id twice, as OpenSIPS's AUTOINCREMENT", async () => {
    const store = await open();
    const first = await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    await store.remove(first);
    assert.equal(await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" }), first + 1);
  });

  it("has a write-ahead log", async () => {
    await open();
    assert.deepEqual(sql("PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
  });

  it("may be opened again and again, by several at once", async () => {
    const first = await open();
    const [second] = await Promise.all([open(), open()]);
    await first.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    assert.equal((await second.list()).length, 1);
  });

  it("may have another table name, and several tables of destinations", async () => {
    const a = await open({ table: "lb_a" });
    const b = await open({ table: "lb_b" });
    const plain = await open();
    await a.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    assert.deepEqual([(await a.list()).length, (await b.list()).length, (await plain.list()).length], [1, 0, 0]);
    assert.deepEqual(sql("SELECT table_name FROM version ORDER BY table_name"), [
      { table_name: "lb_a" },
      { table_name: "lb_b" },
      { table_name: "load_balancer" },
    ]);
  });

  it("may live in memory", async () => {
    const store = await openStore("sqlite::memory:", { table: "load_balancer" });
    opened.push(store);
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    assert.equal((await store.loadDestinations()).rows.length, 1);
  });
});

describe("a database that an OpenSIPS administrator made", () => {
  it("is used as it is: no table, index or version row is changed", async () => {
    sql(OPENSIPS_TABLES);
    sql("INSERT INTO load_balancer (group_id, dst_uri, resources, attrs) VALUES (1, 'sip:192.0.2.1', 'transc=32; conf=20', 'a=b')");
    const schema = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'headroom_%' AND sql IS NOT NULL ORDER BY name";
    const earlier = [sql(schema), sql("SELECT * FROM version")];
    const store = await open();
    assert.deepEqual((await store.loadDestinations()).rows, [
      {
        id: 1,
        group: 1,
        uri: "sip:192.0.2.1",
        resources: [
          { name: "transc", capacity: 32 },
          { name: "conf", capacity: 20 },
        ],
        probeMode: 0,
        attrs: "a=b",
        description: undefined,
        addresses: [{ ip: "192.0.2.1", port: 5060, transport: "udp" }],
      },
    ]);
    assert.deepEqual([sql(schema), sql("SELECT * FROM version")], earlier);
  });

  it("may have a view in the place of the table", async () => {
    sql(`${OPENSIPS_TABLES} ALTER TABLE load_balancer RENAME TO mine; INSERT INTO mine (dst_uri, resources) VALUES ('sip:192.0.2.1', 'a=1');
         CREATE VIEW load_balancer AS SELECT * FROM mine UNION ALL SELECT * FROM mine`);
    const { rows, skipped } = await (await open()).loadDestinations();
    assert.deepEqual(
      rows.map(({ id }) => id),
      [1],
    );
    assert.deepEqual(skipped, [{ id: 1, reason: "Row 1 is skipped: the id stands twice: want each id once" }]);
  });

  it("gets the table when it has only others", async () => {
    sql(`${OPENSIPS_TABLES} DROP TABLE load_balancer; DELETE FROM version WHERE table_name = 'load_balancer'`);
    assert.deepEqual(await (await open()).list(), []);
    assert.deepEqual(sql("SELECT * FROM version ORDER BY table_name"), [
      { table_name: "dialog", table_version: 12 },
      { table_name: "load_balancer", table_version: 3 },
    ]);
  });

  for (const version of ["2", "4"]) {
    it(`is refused with table version ${version}, and not touched`, async () => {
      sql(`${OPENSIPS_TABLES} UPDATE version SET table_version = ${version} WHERE table_name = 'load_balancer'`);
      await assert.rejects(
        open(),
        storeError("WRONG_VERSION", new RegExp(`the "version" table names version ${version} of it, want version 3`)),
      );
      assert.deepEqual(sql("SELECT count(*) AS n FROM sqlite_master WHERE name LIKE 'headroom%'"), [{ n: 0 }]);
    });
  }

  it("is refused when a version of another number stands there without a table", async () => {
    sql(`${OPENSIPS_TABLES} DROP TABLE load_balancer; UPDATE version SET table_version = 2 WHERE table_name = 'load_balancer'`);
    await assert.rejects(open(), storeError("WRONG_VERSION", /names version 2 of it/));
  });

  it("is refused without a version of the table", async () => {
    sql(`${OPENSIPS_TABLES} DELETE FROM version WHERE table_name = 'load_balancer'`);
    await assert.rejects(open(), storeError("WRONG_VERSION", /names no version of it, want version 3/));
  });

  it("is refused without a version table", async () => {
    sql(`${OPENSIPS_TABLES} DROP TABLE version`);
    await assert.rejects(open(), storeError("WRONG_VERSION", /names no version of it, want version 3/));
  });

  it("is refused when a column is missing", async () => {
    sql(`${OPENSIPS_TABLES} ALTER TABLE load_balancer DROP COLUMN attrs`);
    await assert.rejects(open(), storeError("BAD_TABLE", /it has no column attrs/));
  });

  it("may be written by others between two loads", async () => {
    sql(OPENSIPS_TABLES);
    const store = await open();
    assert.equal((await store.loadDestinations()).rows.length, 0);
    sql("INSERT INTO load_balancer (dst_uri, resources) VALUES ('sip:192.0.2.1', 'a=1')");
    assert.equal((await store.loadDestinations()).rows.length, 1);
  });

  it("may be replaced by another file, which the next load reads", async () => {
    const store = await open();
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    const old = file;
    file = `${old}.new`;
    sql(`${OPENSIPS_TABLES} INSERT INTO load_balancer (id, dst_uri, resources) VALUES (77, 'sip:192.0.2.77', 'a=1')`);
    renameSync(file, old);
    file = old;
    const loads = await Promise.all([store.loadDestinations(), store.loadDestinations()]);
    assert.deepEqual(
      loads.map(({ rows }) => rows.map(({ id }) => id)),
      [[77], [77]],
    );
  });

  it("that is gone fails the load, and the table that is loaded can stay", async () => {
    const store = await open();
    rmSync(file);
    await assert.rejects(store.loadDestinations(), storeError("NO_DATABASE", /there is no such file/));
    assert.equal(existsSync(file), false);
  });
});

describe("a database that cannot be opened", () => {
  const refused = (dbUrl: string, code: StoreErrorCode, message: RegExp, table = "load_balancer") =>
    assert.rejects(openStore(dbUrl, { table }), storeError(code, message));

  it("is no database", async () => {
    writeFileSync(file, "this is a text file, and a longer one than SQLite's header is, so that it is looked at all the way");
    await refused(`sqlite:${file}`, "CANNOT_OPEN", /it is not an SQLite database/);
  });
  it("is a directory", () => refused(`sqlite:${folder}`, "CANNOT_OPEN", /it is a directory, want a file/));
  it("is in no directory", () => refused(`sqlite:${folder}/none/x.db`, "CANNOT_OPEN", /its directory does not exist/));
  it("is on a server, and its password is not repeated", async () => {
    for (const scheme of ["mysql", "postgres", "postgresql"]) {
      await refused(
        `${scheme}://u:pw@127.0.0.1:1/d`,
        "CANNOT_OPEN",
        /^Cannot use database "(?:mysql|postgres):\/\/u@127\.0\.0\.1:1\/d": nobody listens there$/,
      );
    }
  });
  it("has an address in no known form", async () => {
    for (const url of ["", "x.db", "sqlite:", "sqlite://host/x.db", "sqlite:a\0b"]) await refused(url, "BAD_URL", /want sqlite:FILE/);
  });
  it("has a table name that is taken or no name", async () => {
    for (const table of ["version", "VERSION", "sqlite_master", "headroom_migration", "", "a b", "a;b", 'a"b', "x".repeat(65)]) {
      await refused("sqlite::memory:", "BAD_TABLE", /as the table of destinations: want a table name/, table);
    }
  });
  it("is not made by looking into it", async () => {
    await assert.rejects(open({ mode: "inspect" }), storeError("NO_DATABASE", /there is no such file/));
    assert.equal(existsSync(file), false);
  });
  it("has no table to look into", async () => {
    sql("CREATE TABLE other (a)");
    await assert.rejects(open({ mode: "inspect" }), storeError("NO_TABLE", /it has no table "load_balancer"/));
    assert.deepEqual(sql("SELECT name FROM sqlite_master"), [{ name: "other" }]);
  });
  it("may be given by OpenSIPS's address of an absolute path", async () => {
    opened.push(await openStore(`sqlite://${file}`, { table: "load_balancer" }));
    assert.ok(existsSync(file));
  });
});

describe("a row that is to be added", () => {
  it("is refused with everything that is wrong with it", () => {
    const faults = faultsOf({ group_id: -1, dst_uri: "tel:1", resources: "a", probe_mode: 9, attrs: "x".repeat(256) });
    assert.equal(faults.length, 5, faults.join("\n"));
    assert.match(
      faults.join("\n"),
      /group_id -1: want[\s\S]*dst_uri "tel:1": want a URI[\s\S]*resources "a": [\s\S]*probe_mode 9: want[\s\S]*attrs has 256 characters: want at most 255/,
    );
  });

  it("is written with all the others or not at all", async () => {
    const store = await open();
    const good = { dst_uri: "sip:192.0.2.1", resources: "a=1" };
    await assert.rejects(
      store.import([good, { ...good, resources: "a" }]),
      storeError("BAD_ROW", /^Cannot add destination 2 of 2: resources/),
    );
    await assert.rejects(
      store.import([
        { ...good, id: 5 },
        { ...good, id: 5 },
      ]),
      storeError("BAD_ROW", /id 5 is taken by "sip:192.0.2.1"/),
    );
    assert.deepEqual(await store.list(), []);
    assert.deepEqual(await store.import([{ ...good, id: 5 }, good]), [5, 6]);
  });

  it("has the column's defaults where nothing is said", async () => {
    const store = await open();
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" });
    const row = { id: 1, group_id: 0, dst_uri: "sip:192.0.2.1", resources: "a=1", probe_mode: 0, attrs: null, description: null };
    assert.deepEqual(await store.list(), [row]);
    assert.deepEqual(await store.remove(1), row);
    assert.equal(await store.remove(1), undefined);
  });

  it("waits for another program's write no longer than it should, and says so", async () => {
    const store = await open();
    const other = new Database(file);
    other.exec("BEGIN IMMEDIATE");
    try {
      await assert.rejects(
        store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1" }),
        storeError("FAILED", /another program is writing it/),
      );
      assert.deepEqual((await store.loadDestinations()).rows, []); // reading goes on meanwhile
    } finally {
      other.close();
    }
  });
});
