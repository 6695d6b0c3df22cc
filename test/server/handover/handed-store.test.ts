import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HandedStore } from "../../../src/server/handover/handed-store.ts";
import { awaitDialogs, type DialogChanges, type HandedCalls, StoreError } from "../../../src/store/index.ts";
import { settled } from "../../support/settled.ts";

/** The file that the other process leaves. */
class FakeFile implements HandedCalls {
  readonly crashes = 3;
  readonly written: DialogChanges[] = [];
  taken = 0;
  /** The next attempt to open it fails by this. */
  fault: StoreError | undefined;
  readonly #dids: readonly string[];
  readonly #name: string;

  constructor(dids: readonly string[], name: string) {
    this.#dids = dids;
    this.#name = name;
  }

  async take() {
    const { fault } = this;
    this.fault = undefined;
    if (fault !== undefined) throw fault;
    this.taken++;
    return this.#dids;
  }

  async write(changes: DialogChanges): Promise<string> {
    this.written.push(changes);
    return this.#name;
  }

  async names() {
    return this.#dids;
  }

  async close(): Promise<void> {}
}

function handed(file: HandedCalls, released: Promise<string | undefined>, ongoing: readonly string[]): HandedStore {
  return new HandedStore({ file, released, capacities: () => [], isKept: (did) => ongoing.includes(did) });
}

describe("the file of calls that a process takes over", () => {
  it("is not opened before the other process has closed it; calls in it that are over by then are removed right after the first write", async () => {
    const released = Promise.withResolvers<string | undefined>();
    const file = new FakeFile(["a", "b", "c"], "one");
    const store = handed(file, released.promise, ["a"]);
    const writing = store.write({ saved: [["d", "{}"]], removed: [] });
    await settled();
    assert.equal(file.taken, 0);
    released.resolve("one");
    assert.equal(await writing, store.identity);
    await settled();
    assert.deepEqual(file.written, [
      { saved: [["d", "{}"]], removed: [] },
      { saved: [], removed: ["b", "c"] },
    ]);
    await store.write({ saved: [], removed: ["a"] });
    assert.deepEqual(file.written[2], { saved: [], removed: ["a"] });
    assert.deepEqual([file.taken, store.crashes, store.found], [1, 3, []]);
  });

  for (const [fact, whole] of [
    ["the former process has not written everything", undefined],
    ["the former process had another one", "another"],
  ] as const) {
    it(`has another name than the one that has everything when ${fact}`, async () => {
      const store = handed(new FakeFile(["a"], "one"), Promise.resolve(whole), ["a"]);
      assert.equal(await store.write({ saved: [], removed: [] }), "one");
      assert.notEqual(store.identity, "one");
    });
  }

  it("is tried again when it cannot be opened", async () => {
    const file = new FakeFile([], "one");
    const store = handed(file, Promise.resolve("one"), []);
    file.fault = new StoreError("IN_USE", "Cannot use the calls: another program has them open");
    await assert.rejects(store.write({ saved: [], removed: ["x"] }), { code: "IN_USE" });
    await store.write({ saved: [], removed: ["x"] });
    assert.equal(file.taken, 1);
    assert.deepEqual(file.written.at(-1), { saved: [], removed: ["x"] });
  });

  it("is moved aside when it is damaged, loudly, and another one gets everything", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-handed-"));
    writeFileSync(
      join(folder, "db.calls"),
      "no database at all, and long enough to be seen as such by who reads the first page of it".repeat(20),
    );
    const log = { info: () => undefined, error: () => undefined };
    const file = awaitDialogs(`sqlite:${join(folder, "db")}`, { wallMs: () => 0, log });
    assert.ok(file !== undefined);
    try {
      const store = handed(file, Promise.resolve("one"), ["a"]);
      await assert.rejects(
        store.write({ saved: [["a", "{}"]], removed: [] }),
        ({ code, message }: StoreError) => code === "DAMAGED" && /it is now ".*damaged-/.test(message),
      );
      assert.notEqual(await store.write({ saved: [["a", "{}"]], removed: [] }), store.identity);
      assert.equal(readdirSync(folder).filter((name) => /^db\.calls\.damaged-[^.]*$/.test(name)).length, 1);
    } finally {
      await file.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("stays closed when this process is stopped before it gets it", async () => {
    const file = new FakeFile([], "one");
    const released = Promise.withResolvers<string | undefined>();
    const store = handed(file, released.promise, []);
    const writing = store.write({ saved: [], removed: ["x"] });
    await store.close();
    released.resolve("one");
    await assert.rejects(writing, { code: "FAILED" });
    assert.equal(file.taken, 0);
  });
});
