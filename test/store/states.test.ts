import assert from "node:assert/strict";
import { mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import type { DestinationState } from "../../src/health/index.ts";
import { type DestinationStateStore, type DestinationStore, openStore, StoreError } from "../../src/store/index.ts";

let folder = "";
let file = "";
let counter = 0;
let running: { store: DestinationStore; states: DestinationStateStore }[] = [];
let logged: string[] = [];
const log = {
  info: (_: object, message: string) => void logged.push(`info ${message}`),
  error: (_: object, message: string) => void logged.push(`error ${message}`),
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-states-"));
});
beforeEach(async () => {
  await stopAll();
  file = join(folder, `${counter++}.db`);
  logged = [];
});
after(async () => {
  await stopAll();
  rmSync(folder, { recursive: true });
});

async function start(table = "load_balancer", flushMs = 5_000): Promise<DestinationStateStore> {
  const store = await openStore(`sqlite:${file}`, { table });
  const states = store.states(log, { flushMs });
  running.push({ store, states });
  return states;
}

/** As the program stops: states first. */
async function stopAll(): Promise<void> {
  for (const { store, states } of running) {
    await states.close();
    await store.close();
  }
  running = [];
}

async function restart(): Promise<DestinationStateStore> {
  await stopAll();
  return start();
}

/** Runs SQL on the file through a connection of its own, as another program would. */
function sql<Row = Record<string, unknown>>(text: string): Row[] {
  const database = new Database(file);
  try {
    if (/^(?:SELECT|PRAGMA)/.test(text)) return database.prepare(text).all() as Row[];
    database.exec(text);
    return [];
  } finally {
    database.close();
  }
}

function state(changes: Partial<DestinationState> = {}): DestinationState {
  return {
    id: 1,
    group: 1,
    uri: "sip:192.0.2.1",
    enabled: false,
    autoReenable: false,
    draining: false,
    drainDeadlineMs: 0,
    drainBye: false,
    changedAtMs: 1_700_000_000_000,
    cause: "mi",
    ...changes,
  };
}

const untouched = { enabled: true, autoReenable: true };
const byId = (a: DestinationState, b: DestinationState) => a.id - b.id;

describe("states of destinations", () => {
  it("survive a restart to the letter", async () => {
    const all = [
      state(),
      state({ id: 2, ...untouched, draining: true, drainDeadlineMs: 1_700_000_060_123, drainBye: true }),
      state({ id: 3, cause: "drain", group: 2_147_483_647, uri: "sip:[2001:db8::1]:5070;x=ä'\"" }),
      state({ id: 4, autoReenable: true }),
    ];
    const first = await start();
    for (const one of all) first.save(one);
    const second = await restart();
    const { states, problems } = await second.load();
    assert.deepEqual([...states].sort(byId), all);
    assert.deepEqual(problems, []);
    assert.deepEqual(logged, []);
  });

  it("are none in a new database", async () => {
    assert.deepEqual(await (await start()).load(), { states: [], problems: [] });
  });

  it("are the latest of each destination, whose URI is the same in upper and lower case", async () => {
    const states = await start();
    states.save(state({ uri: "sip:Media.Example" }));
    await states.flush();
    states.save(state({ uri: "SIP:MEDIA.example", cause: "drain" }));
    states.save(state({ uri: "sip:media.example", cause: "drain", changedAtMs: 5 }));
    assert.equal(states.pending, 1);
    const { states: found } = await (await restart()).load();
    assert.deepEqual(
      found.map(({ cause, changedAtMs }) => [cause, changedAtMs]),
      [["drain", 5]],
    );
  });

  it("belong to id, group and URI together", async () => {
    const states = await start();
    const all = [state(), state({ group: 2 }), state({ uri: "sip:192.0.2.2" }), state({ id: 2 })];
    for (const one of all) states.save(one);
    assert.equal((await (await restart()).load()).states.length, all.length);
  });

  it("leave the table when nobody holds the destination any more", async () => {
    const states = await start();
    states.save(state({ uri: "sip:a.example" }));
    states.save(state({ id: 2 }));
    await states.flush();
    states.save(state({ uri: "sip:A.example", ...untouched }));
    await states.flush();
    assert.deepEqual(sql("SELECT id FROM headroom_destination_state"), [{ id: 2 }]);
  });

  it("that wait to be written are loaded too", async () => {
    const states = await start();
    states.save(state());
    await states.flush();
    states.save(state({ cause: "drain" }));
    states.save(state({ id: 2 }));
    const { states: found } = await states.load();
    assert.deepEqual(
      [...found].sort(byId).map(({ id, cause }) => [id, cause]),
      [
        [1, "drain"],
        [2, "mi"],
      ],
    );
  });

  it("are written in batches, thousands too", async () => {
    const states = await start();
    for (let id = 0; id < 2_345; id++) states.save(state({ id }));
    assert.equal(states.pending, 2_345);
    await states.flush();
    assert.equal(states.pending, 0);
    assert.equal(states.counters.states_written, 2_345);
    assert.deepEqual(sql("SELECT count(*) AS n FROM headroom_destination_state"), [{ n: 2_345 }]);
  });

  it("have a table for each table of destinations", async () => {
    const [a, b] = [await start("lb_a"), await start("lb_b")];
    a.save(state({ id: 1 }));
    b.save(state({ id: 2 }));
    await Promise.all([a.flush(), b.flush()]);
    assert.deepEqual(
      (await a.load()).states.map(({ id }) => id),
      [1],
    );
    assert.deepEqual(
      (await b.load()).states.map(({ id }) => id),
      [2],
    );
  });

  it("live in memory with a database in memory", async () => {
    const store = await openStore("sqlite::memory:", { table: "load_balancer" });
    const states = store.states(log);
    running.push({ store, states });
    states.save(state());
    await states.flush();
    assert.deepEqual((await states.load()).states, [state()]);
  });

  it("touch nothing of OpenSIPS's", async () => {
    await start();
    const theirs = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'headroom_%' AND sql IS NOT NULL ORDER BY name";
    const earlier = [sql(theirs), sql("SELECT * FROM version")];
    const states = await restart();
    states.save(state());
    await states.flush();
    assert.deepEqual([sql(theirs), sql("SELECT * FROM version")], earlier);
  });
});

describe("a database without the table of states", () => {
  it("gets it at start when an earlier version has made the database", async () => {
    await start();
    sql(`DROP TABLE headroom_destination_state; DROP TABLE headroom_registration; DELETE FROM headroom_migration WHERE name > '002'`);
    const states = await restart();
    assert.deepEqual(sql("SELECT name FROM sqlite_master WHERE name = 'headroom_destination_state'"), [
      { name: "headroom_destination_state" },
    ]);
    assert.deepEqual((await states.load()).states, []);
  });

  it("gets it with the first state when OpenSIPS's file was put in its place meanwhile", async () => {
    const states = await start();
    const old = file;
    file = `${old}.new`;
    sql(`CREATE TABLE version (table_name CHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL, CONSTRAINT version_t_name_idx UNIQUE (table_name));
      INSERT INTO version VALUES ('load_balancer', 3);
      CREATE TABLE load_balancer (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, group_id INTEGER DEFAULT 0 NOT NULL, dst_uri CHAR(128) NOT NULL,
        resources CHAR(255) NOT NULL, probe_mode INTEGER DEFAULT 0 NOT NULL, attrs CHAR(255) DEFAULT NULL, description CHAR(128) DEFAULT NULL)`);
    renameSync(file, old);
    file = old;
    assert.deepEqual(await states.load(), { states: [], problems: [] });
    states.save(state());
    await states.flush();
    assert.deepEqual((await (await restart()).load()).states, [state()]);
    assert.deepEqual(logged, []);
  });

  it("may be opened by several at once, and so may a new one", async () => {
    const [a, b] = await Promise.all(Array.from({ length: 5 }, () => start("load_balancer", 20_000)));
    assert.ok(a !== undefined && b !== undefined);
    a.save(state({ id: 1 }));
    b.save(state({ id: 2 }));
    await Promise.all([a.flush(), b.flush()]);
    assert.equal((await a.load()).states.length, 2);
  });
});

describe("a database that cannot be used", () => {
  it("is read with an error when the table of states has other columns", async () => {
    const states = await start();
    sql("DROP TABLE headroom_destination_state; CREATE TABLE headroom_destination_state (id)");
    await assert.rejects(states.load(), (error) => error instanceof StoreError && /no such column/.test(error.message));
  });

  it("is read with an error when the file is damaged", async () => {
    const states = await start();
    writeFileSync(file, "this was a database once, and it is long enough that SQLite looks at all of its header before it gives up on it");
    await assert.rejects(states.load(), (error) => error instanceof StoreError && error.code === "CANNOT_OPEN");
  });

  it("that another program writes is written when that is over; meanwhile reading goes on and nobody waits", async () => {
    const states = await start();
    const other = new Database(file);
    try {
      other.exec("BEGIN IMMEDIATE");
      states.save(state());
      assert.equal(await states.settled(), false);
      assert.deepEqual((await states.load()).states, [state()]);
      other.exec("COMMIT");
      await states.flush();
    } finally {
      other.close();
    }
    assert.deepEqual([states.pending, await states.settled()], [0, true]);
    assert.deepEqual(sql("SELECT id FROM headroom_destination_state"), [{ id: 1 }]);
  });

  it("that may not be written loses nothing as long as the program runs, and says at the stop what it loses", async () => {
    const states = await start("load_balancer", 1_000);
    states.save(state());
    await states.flush();
    sql("PRAGMA journal_mode = DELETE");
    // A database file that says it was written by a later kind of SQLite may be read only, also for root.
    const handle = openSync(file, "r+");
    writeSync(handle, new Uint8Array([3]), 0, 1, 18);
    states.save(state({ cause: "drain" }));
    states.save(state({ id: 2 }));
    const { states: found } = await states.load();
    assert.equal(found.length, 2);
    await states.close();
    assert.match(logged[0] ?? "", /^error Cannot write states of destinations, trying again: .*this user may not write it$/);
    assert.match(logged[1] ?? "", /^error States of 2 destinations are lost at the stop: .*this user may not write it$/);
    assert.equal(logged.length, 2);
    assert.deepEqual([states.counters.states_lost, states.pending], [2, 0]);
  });

  it("that is gone is not made anew by a state", async () => {
    const states = await start("load_balancer", 5_000);
    rmSync(file);
    states.save(state());
    await states.close();
    assert.match(logged[0] ?? "", /there is no such file/);
    assert.throws(() => new Database(file, { fileMustExist: true }));
  });

  it("takes states no more once it is closed", async () => {
    const states = await start();
    await states.close();
    states.save(state());
    assert.deepEqual([states.pending, states.counters.states_lost], [0, 1]);
    assert.match(logged[0] ?? "", /^error State of destination 1 <sip:192\.0\.2\.1> is lost: the store is closed$/);
  });
});
