import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { DialogFile } from "../../src/store/dialog-file.ts";
import { type DialogStore, openDialogStore, StoreError } from "../../src/store/index.ts";
import { seededRandom } from "../support/random.ts";

const PAGE_BYTES = 4_096;
const HEADER_BYTES = 100;
const WAL_HEADER_BYTES = 32;

let folder: string;
let file: string;
let lines: string[];
let open: DialogStore | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-damage-"));
  file = join(folder, "headroom.db.calls");
  lines = [];
});

afterEach(async () => {
  await open?.close();
  open = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function start(forceEmpty = false): Promise<DialogStore> {
  const tell = (_: object, text: string) => void lines.push(text);
  open = await openDialogStore(`sqlite:${join(folder, "headroom.db")}`, {
    forceEmpty,
    wallMs: () => 5_000,
    log: { info: tell, error: tell },
  });
  return open!;
}

/** Rows that fill some pages, and one that overflows its page. */
function rowsOf(count: number, mark = "x"): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`${i}.${mark}`, mark.repeat(i === 3 ? 9_000 : 700)]);
}

function make(rows: readonly [string, string][]): void {
  const made = new DialogFile(file, 0);
  made.write({ saved: rows, removed: [], capacities: [["1 1 sip:a", "pstn", 7, 10]], aliveAtMs: 1_000 });
  made.close();
}

/** What a start finds: rows, or the code of its refusal. Anything else is thrown. */
function found(at: string): [string, string][] | string {
  try {
    const opened = new DialogFile(at, 0);
    try {
      opened.begin(0);
      return [...opened.page(0, 1_000).found].map(([did, record]): [string, string] => [did, record]).sort();
    } finally {
      opened.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return error.code;
  }
}

/** The format for writing in the header of the file: SQLite opens a file with one that it does not know for reading only, also for root. */
function setWriteFormat(format: 2 | 3): void {
  const bytes = readFileSync(file);
  bytes[18] = format;
  writeFileSync(file, bytes);
}

describe("a file of calls that a disk has changed", () => {
  it("that is gone, or empty, while its logs are there starts without calls, and the log says so", async () => {
    for (const take of [() => rmSync(file), () => writeFileSync(file, "")]) {
      const before = await start();
      await before.write({ saved: [["1.a", "one"]], removed: [] });
      await before.close();
      take();
      rmSync(`${file}-wal`, { force: true });
      lines = [];
      assert.deepEqual((await start()).found, []);
      assert.match(lines.join(), /^What was written last to the calls .* cannot be read, as after a power cut: calls may be missing$/);
      await open?.close();
    }
  });

  it("in any one byte is refused, or has all that was written", () => {
    const rows = rowsOf(60);
    make(rows);
    const good = readFileSync(file);
    const random = seededRandom(7);
    const outcomes = new Map<string, number>();
    for (let page = 0; page * PAGE_BYTES < good.length; page++) {
      for (let again = 0; again < 12; again++) {
        const bytes = Buffer.from(good);
        const at = page * PAGE_BYTES + Math.floor(random() * (page === 0 ? HEADER_BYTES : PAGE_BYTES));
        bytes[at] = bytes[at]! ^ (1 + Math.floor(random() * 255));
        writeFileSync(file, bytes);
        const outcome = found(file);
        if (typeof outcome !== "string") assert.deepEqual(outcome, [...rows].sort(), `byte ${at}`);
        const name = typeof outcome === "string" ? outcome : "whole";
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
      }
    }
    assert.ok((outcomes.get("DAMAGED") ?? 0) > (outcomes.get("whole") ?? 0), JSON.stringify([...outcomes]));
  });

  it("in a whole page, or cut off anywhere, is refused", () => {
    const rows = rowsOf(60);
    make(rows);
    const good = readFileSync(file);
    const random = seededRandom(8);
    for (let page = 0; page * PAGE_BYTES < good.length; page++) {
      const bytes = Buffer.from(good);
      for (let i = 0; i < PAGE_BYTES; i++) bytes[page * PAGE_BYTES + i] = Math.floor(random() * 256);
      writeFileSync(file, bytes);
      assert.equal(found(file), "DAMAGED", `page ${page}`);
      writeFileSync(file, good);
      truncateSync(file, 1 + Math.floor((page + random()) * PAGE_BYTES));
      const outcome = found(file);
      assert.ok(outcome === "DAMAGED" || JSON.stringify(outcome) === JSON.stringify([...rows].sort()), `cut in page ${page}: ${outcome}`);
    }
  });

  it("in its log has what was written before the damage, and nothing else", () => {
    const writer = new DialogFile(file, 0);
    const copy = join(folder, "copy");
    const states: string[] = [JSON.stringify([])];
    try {
      for (const mark of ["a", "b", "c", "d"]) {
        writer.write({ saved: rowsOf(10, mark), removed: [] });
        copyFileSync(file, copy);
        copyFileSync(`${file}-wal`, `${copy}-wal`);
        states.push(JSON.stringify(found(copy)));
        for (const name of readdirSync(folder).filter((other) => other.startsWith("copy"))) rmSync(join(folder, name));
      }
      const log = readFileSync(`${file}-wal`);
      const random = seededRandom(9);
      const seen = new Set<number>();
      for (let i = 0; i < 60; i++) {
        copyFileSync(file, copy);
        const bytes = Buffer.from(log);
        if (i % 2 === 0) {
          const at = WAL_HEADER_BYTES + Math.floor(random() * (bytes.length - WAL_HEADER_BYTES));
          bytes[at] = bytes[at]! ^ 0x5a;
          writeFileSync(`${copy}-wal`, bytes);
        } else writeFileSync(`${copy}-wal`, bytes.subarray(0, Math.floor(random() * bytes.length)));
        const state = states.indexOf(JSON.stringify(found(copy)));
        assert.ok(state >= 0, `run ${i}`);
        seen.add(state);
        for (const name of readdirSync(folder).filter((other) => other.startsWith("copy"))) rmSync(join(folder, name));
      }
      assert.ok(seen.size > 2, String([...seen]));
    } finally {
      writer.close();
    }
  });

  it("and that is found out while the program runs is moved aside, and another one is written", async () => {
    make(rowsOf(60));
    const store = await start();
    assert.equal(store.found.length, 60);
    writeFileSync(`${file}.bad`, "no database any more, ".repeat(1_000));
    renameSync(`${file}.bad`, file);
    await assert.rejects(store.write({ saved: [["1.b", "one"]], removed: [] }), (error) => {
      assert.match((error as Error).message, /the file is damaged .*; it is now ".*damaged-/);
      return (error as StoreError).code === "DAMAGED";
    });
    assert.notEqual(await store.write({ saved: [["1.b", "one"]], removed: [] }), store.identity);
    await store.close();
    open = undefined;
    assert.deepEqual(found(file), [["1.b", "one"]]);
    assert.equal(readdirSync(folder).filter((name) => /damaged-[^.]*Z$/.test(name)).length, 1);
  });
});

describe("a file of calls that cannot be written", () => {
  it("is read all the same, the log says so, and it is written once it can be", async () => {
    make(rowsOf(5));
    setWriteFormat(3);
    const store = await start();
    assert.equal(store.found.length, 5);
    assert.deepEqual([store.capacities, store.aliveAtMs], [[["1 1 sip:a", "pstn", 7, 10]], 1_000]);
    assert.match(
      lines.join(),
      /^Calls are not written down, which is tried again; until then a crash loses what changes: .*may not write it$/,
    );
    await assert.rejects(store.write({ saved: [], removed: ["1.x"] }), /may not write it/);
    setWriteFormat(2);
    assert.equal(await store.write({ saved: [["new", "one"]], removed: ["0.x"] }), store.identity);
    await store.close();
    assert.deepEqual(
      (found(file) as [string, string][]).map(([did]) => did),
      ["1.x", "2.x", "3.x", "4.x", "new"],
    );
  });

  it("and has a directory in its place stops the start with a sentence", async () => {
    mkdirSync(file);
    writeFileSync(join(file, "something"), "else");
    await assert.rejects(() => start(), { code: "CANNOT_OPEN", message: /calls": the file cannot be opened$/ });
    await assert.rejects(() => start(true), { code: "CANNOT_OPEN" });
  });

  it("says when its writer was last known to live", async () => {
    assert.equal((await start()).aliveAtMs, undefined);
    await open?.close();
    const database = new Database(file, { readonly: true });
    assert.equal(database.prepare("SELECT at_ms FROM headroom_life").pluck().get(), 5_000);
    database.close();
  });
});
