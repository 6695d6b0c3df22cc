import assert from "node:assert/strict";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { type DialogStore, openDialogStore, type StoreError } from "../../src/store/index.ts";

let folder: string;
let file: string;
let lines: string[];
let open: DialogStore | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-calls-"));
  file = join(folder, "headroom.db.calls");
  lines = [];
});

afterEach(async () => {
  await open?.close();
  open = undefined;
  rmSync(folder, { recursive: true });
});

async function start(forceEmpty = false): Promise<DialogStore | undefined> {
  const tell = (_: object, text: string) => void lines.push(text);
  open = await openDialogStore(`sqlite:${join(folder, "headroom.db")}`, { forceEmpty, wallMs: () => 0, log: { info: tell, error: tell } });
  return open;
}

async function restart(forceEmpty = false): Promise<DialogStore> {
  await open?.close();
  return (await start(forceEmpty))!;
}

function sql<T>(work: (database: Database.Database) => T): T {
  const database = new Database(file);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => (error as StoreError).code === code;
}

describe("a file of calls", () => {
  it("has what was written last, and not what was removed", async () => {
    assert.deepEqual((await start())?.found, []);
    const saved = ["one", "two", "thrée\u0000"].map((text, i) => [`${i + 1}.a`, text] as const);
    await open?.write({ saved, removed: [] });
    await open?.write({ saved: [], removed: [], capacities: [["1 1 sip:a", "pstn", 7, 10]] });
    await open?.write({ saved: [["1.a", "one again"]], removed: ["2.a", "never written"] });
    const { found, capacities } = await restart();
    assert.deepEqual(capacities, [["1 1 sip:a", "pstn", 7, 10]]);
    assert.deepEqual([...found].sort(), [
      ["1.a", "one again"],
      ["3.a", "thrée\u0000"],
    ]);
  });

  it("is none for a database in memory", async () => {
    const log = { info: () => undefined, error: () => undefined };
    assert.equal(await openDialogStore("sqlite::memory:", { forceEmpty: false, wallMs: () => 0, log }), undefined);
  });

  it("of a newer version is refused, with --force-empty too", async () => {
    sql((database) => database.pragma("user_version = 3"));
    for (const forceEmpty of [false, true]) {
      await assert.rejects(() => start(forceEmpty), {
        message: /they are of version 3, which a newer Headroom has written, want version 2/,
      });
    }
  });

  it("that is no database is refused, and moved aside when that is asked for", async () => {
    writeFileSync(file, "no database at all, ".repeat(100));
    await assert.rejects(() => start(), hasCode("DAMAGED"));
    await assert.rejects(() => start(), { message: /--force-empty/ });
    assert.deepEqual((await start(true))?.found, []);
    assert.match(lines.join(), /was moved aside/);
    assert.equal(readdirSync(folder).filter((name) => name === "headroom.db.calls.damaged-1970-01-01T00-00-00-000Z").length, 1);
  });

  it("with damage inside is refused", async () => {
    await start();
    await open?.write({ saved: Array.from({ length: 200 }, (_, i) => [`${i}`, "x".repeat(1_000)] as const), removed: [] });
    await open?.close();
    open = undefined;
    const { size } = statSync(file);
    sql((database) => database.pragma("wal_checkpoint(TRUNCATE)"));
    const bytes = Buffer.alloc(size - 8_192, 0xff);
    const handle = openSync(file, "r+");
    writeSync(handle, bytes, 0, bytes.length, 8_192);
    closeSync(handle);
    await assert.rejects(() => start(), hasCode("DAMAGED"));
  });

  it("that another program has open is left alone, and the log says so", async () => {
    await start();
    await open?.write({ saved: [["1.a", "one"]], removed: [] });
    const first = open;
    try {
      assert.equal(await start(), undefined);
      assert.match(lines.join(), /a restart will lose them: .*another program has them open/);
    } finally {
      await first?.close();
    }
  });

  it("belongs to the first that opens it, though it has written nothing yet: of several at once one alone has the calls", async () => {
    await start();
    await open?.write({ saved: [["1.a", "one"]], removed: [] });
    await open?.close();
    const log = { info: () => undefined, error: () => undefined };
    const opening = () => openDialogStore(`sqlite:${join(folder, "headroom.db")}`, { forceEmpty: false, wallMs: () => 0, log });
    const opened = await Promise.all([opening(), opening(), opening()]);
    try {
      assert.deepEqual(
        opened.flatMap((store) => (store === undefined ? [] : [store.found])),
        [[["1.a", "one"]]],
      );
      const other = new Database(file, { timeout: 0 });
      assert.throws(() => other.prepare("SELECT * FROM headroom_dialog").all(), { code: "SQLITE_BUSY" });
      other.close();
    } finally {
      for (const store of opened) await store?.close();
    }
  });

  it("is read whole when it has very many calls", async () => {
    await start();
    const calls = Array.from({ length: 3_000 }, (_, i) => [`${i}.a`, `call ${i}`] as const);
    await open?.write({ saved: calls, removed: [] });
    assert.deepEqual((await restart()).found, calls);
    await open?.write({ saved: [], removed: calls.slice(0, 1_000).map(([did]) => did) });
    assert.deepEqual((await restart()).found, calls.slice(1_000));
  });

  it("cannot be made where there is no directory, which the log says, and is made once there is one", async () => {
    const told: string[] = [];
    const log = { info: () => undefined, error: (_: object, text: string) => void told.push(text) };
    open = await openDialogStore(`sqlite:${folder}/missing/headroom.db`, { forceEmpty: false, wallMs: () => 0, log });
    assert.deepEqual(open?.found, []);
    assert.match(told.join(), /Calls are not written down, which is tried again/);
    await assert.rejects(open!.write({ saved: [["1.a", "one"]], removed: [] }), hasCode("FAILED"));
    mkdirSync(join(folder, "missing"));
    assert.notEqual(await open?.write({ saved: [["1.a", "one"]], removed: [] }), "");
  });

  it("that is made anew before the first write has another name, also where the disk gives it the same place", async () => {
    const places = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const store = await restart();
      const { ino } = statSync(file);
      for (const name of readdirSync(folder)) if (name.startsWith("headroom.db.calls")) rmSync(join(folder, name));
      const name = await store.write({ saved: [["1.a", "one"]], removed: [] });
      places.add(statSync(file).ino === ino ? "same" : "other");
      assert.notEqual(name, store.identity);
    }
    assert.ok(places.size > 0);
  });

  it("that is replaced while the program runs has another name, and is written", async () => {
    await start();
    const before = await open?.write({ saved: [["1.a", "one"]], removed: [] });
    renameSync(file, `${file}.away`);
    const after = await open?.write({ saved: [["2.b", "two"]], removed: [] });
    assert.notEqual(after, before);
    assert.equal(await open?.write({ saved: [], removed: [] }), after);
    assert.deepEqual((await restart()).found, [["2.b", "two"]]);
  });
});
