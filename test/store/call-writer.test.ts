import assert from "node:assert/strict";
import { appendFileSync, chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CallLock } from "../../src/store/call-lock.ts";
import { CallWriter } from "../../src/store/call-writer.ts";
import { DialogFile } from "../../src/store/dialog-file.ts";
import { awaitDialogs, type DialogStore, openDialogStore, StoreError } from "../../src/store/index.ts";
import { waitFor } from "../support/net.ts";

const MB = "x".repeat(1_048_576);

let folder: string;
let file: string;
let lines: string[];
let closing: { close(): Promise<void> }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-call-writer-"));
  file = join(folder, "headroom.db.calls");
  lines = [];
  closing = [];
});

afterEach(async () => {
  for (const each of closing) await each.close();
  rmSync(folder, { recursive: true });
});

const tell = (_: object, text: string) => void lines.push(text);
const log = { info: tell, error: tell };

async function start(): Promise<DialogStore> {
  const store = await openDialogStore(`sqlite:${join(folder, "headroom.db")}`, { forceEmpty: false, wallMs: () => 0, log });
  closing.push(store!);
  return store!;
}

/** A writer whose thread does what a test tells it to. */
async function writerWith(merge: () => Promise<number>): Promise<CallWriter> {
  const opened = new DialogFile(file, 0);
  const { identity, place } = opened.begin(0);
  opened.close();
  const run = async (kind: string) => (kind === "merge dialogs" ? merge() : { identity, place });
  const thread = { run, close: async () => {} } as unknown as ConstructorParameters<typeof CallWriter>[0]["thread"];
  const writer = new CallWriter({ file, thread, wallMs: () => 0, log });
  await writer.lock(0);
  writer.opened({ identity, place });
  closing.push(writer);
  return writer;
}

/** Logs that have something: an empty one is begun before it is needed. */
function logs(): string[] {
  return readdirSync(folder).filter((name) => name.includes("-log-") && statSync(join(folder, name)).size > 0);
}

describe("writing calls down", () => {
  it("waits for no disk: a file that never comes back from its sync holds up no batch", async () => {
    const writer = await writerWith(() => new Promise(() => {}));
    for (let i = 0; i < 12; i++) await writer.write({ saved: [[`${i}.a`, MB]], removed: [] });
    await writer.close();
    assert.equal(logs().length, 6);
    const { found } = await start();
    assert.deepEqual(found.map(([did]) => did).sort(), Array.from({ length: 12 }, (_, i) => `${i}.a`).sort());
  });

  it("ends when 32 logs cannot be put into the file, with what keeps them from that", async () => {
    const writer = await writerWith(() => Promise.reject(new StoreError("FAILED", "Cannot use it: the disk is full")));
    const write = () => writer.write({ saved: [["1.a", MB.repeat(2)]], removed: [] });
    for (let i = 0; i < 32; i++) await write();
    await assert.rejects(write(), /the disk is full/);
    assert.equal(logs().length, 32);
  });

  it("tells of damage that the thread has found once, so that all calls are written again", async () => {
    let isDamaged = true;
    const writer = await writerWith(async () => {
      if (!isDamaged) return 0;
      isDamaged = false;
      throw new StoreError("DAMAGED", "Cannot use it: the file is damaged");
    });
    for (let i = 0; i < 8; i++) await writer.write({ saved: [["1.a", MB.repeat(2)]], removed: [] });
    await assert.rejects(writer.write({ saved: [], removed: ["1.a"] }), { code: "DAMAGED" });
    await writer.write({ saved: [], removed: ["1.a"] });
  });

  it("puts long logs into the file, eight at a time, and removes them", async () => {
    const store = await start();
    for (let i = 0; i < 17; i++) await store.write({ saved: [[`${i}.a`, MB]], removed: [] });
    await waitFor(
      "eight logs are in the file",
      10_000,
      () => logs().length === 1 && statSync(file).size + statSync(`${file}-wal`).size > 16e6,
    );
    await store.close();
    assert.equal((await start()).found.length, 17);
  });

  it("goes on in the next log after a start, and gives logs the rights of the file", async () => {
    const first = await start();
    await first.write({ saved: [["1.a", "one"]], removed: [] });
    await first.close();
    chmodSync(file, 0o600);
    const second = await start();
    const [before] = logs();
    await second.write({ saved: [["1.a", "two"]], removed: [] });
    const [after] = logs().filter((name) => name !== before);
    assert.equal(statSync(join(folder, after!)).mode & 0o777, 0o600);
    await second.close();
    assert.deepEqual((await start()).found, [["1.a", "two"]]);
  });

  it("has another name when its log is gone, and when others may have had the calls", async () => {
    const store = await start();
    const names = [await store.write({ saved: [["1.a", "one"]], removed: [] })];
    for (const name of logs()) rmSync(join(folder, name));
    names.push(await store.write({ saved: [["2.a", "two"]], removed: [] }));
    rmSync(`${file}-lock`);
    names.push(await store.write({ saved: [["3.a", "three"]], removed: [] }));
    assert.equal(new Set(names).size, 3);
    assert.equal(await store.write({ saved: [], removed: [] }), names[2]);
    await store.close();
    assert.deepEqual(
      (await start()).found.map(([did]) => did),
      ["2.a", "3.a"],
    );
  });

  it("has another name when a log was not what was written to it", async () => {
    const before = await start();
    await before.write({ saved: [["1.a", MB]], removed: [] });
    await before.close();
    const path = join(folder, logs()[0]!);
    truncateSync(path, 10);
    appendFileSync(path, "\n");
    const store = await start();
    assert.match(lines.at(-1)!, /cannot be read, as after a power cut/);
    const write = () => store.write({ saved: [["2.a", "two"]], removed: [] });
    await waitFor("it is told", 10_000, async () => (await write()) === `${store.identity}-1`);
    assert.equal(existsSync(path), false);
    assert.deepEqual(await store.names!(), ["2.a"]);
    assert.equal(await write(), `${store.identity}-1`);
  });

  it("goes on for another process that has let go: what comes meanwhile is written first, and the names of all its calls are told", async () => {
    const former = await start();
    await former.write({
      saved: [
        ["1.a", "one"],
        ["2.a", "two"],
      ],
      removed: [],
    });
    const next = awaitDialogs(`sqlite:${join(folder, "headroom.db")}`, { wallMs: () => 0, log })!;
    closing.push(next);
    await assert.rejects(next.take(), { code: "IN_USE" });
    await former.close();
    const taking = next.take();
    assert.equal(await next.write({ saved: [["3.a", "three"]], removed: [] }), former.identity);
    assert.deepEqual([...(await taking)].filter((did) => did !== "3.a").sort(), ["1.a", "2.a"]);
    await next.close();
    assert.deepEqual(
      (await start()).found.map(([did]) => did),
      ["1.a", "2.a", "3.a"],
    );
  });

  it("fails while another program has the calls that were ours", async () => {
    const store = await start();
    await store.write({ saved: [["1.a", "one"]], removed: [] });
    rmSync(`${file}-lock`);
    const other = await CallLock.take(file, 0);
    try {
      await assert.rejects(store.write({ saved: [["2.a", "two"]], removed: [] }), { code: "IN_USE" });
    } finally {
      other.release();
    }
    await store.write({ saved: [["2.a", "two"]], removed: [] });
  });
});
