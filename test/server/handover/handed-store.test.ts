import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HandedStore } from "../../../src/server/handover/handed-store.ts";
import type { DialogChanges, DialogStore } from "../../../src/store/index.ts";
import { settled } from "../../support/settled.ts";

function fileOf(dids: readonly string[], written: DialogChanges[]): DialogStore {
  return {
    found: dids.map((did) => [did, "{}"] as const),
    capacities: [],
    aliveAtMs: undefined,
    identity: "1:1",
    crashes: 3,
    async write(changes) {
      written.push(changes);
      return "1:1";
    },
    async close() {},
  };
}

describe("the file of calls that a process takes over", () => {
  it("is not opened before the other process has closed it; calls in it that are over by then are removed with the first write", async () => {
    const released = Promise.withResolvers<void>();
    const written: DialogChanges[] = [];
    let opened = 0;
    const store = new HandedStore({
      released: released.promise,
      capacities: () => [],
      isKept: (did) => did === "a",
      open: async () => {
        opened++;
        return fileOf(["a", "b", "c"], written);
      },
    });
    const writing = store.write({ saved: [["d", "{}"]], removed: [] });
    await settled();
    assert.equal(opened, 0);
    released.resolve();
    assert.equal(await writing, store.identity);
    assert.deepEqual(written, [{ saved: [["d", "{}"]], removed: ["b", "c"] }]);
    await store.write({ saved: [], removed: ["a"] });
    assert.deepEqual(written[1], { saved: [], removed: ["a"] });
    assert.deepEqual([opened, store.crashes, store.found], [1, 3, []]);
  });

  it("is tried again when it cannot be opened", async () => {
    const written: DialogChanges[] = [];
    let isFree = false;
    const store = new HandedStore({
      released: Promise.resolve(),
      capacities: () => [],
      isKept: () => true,
      open: async () => (isFree ? fileOf([], written) : undefined),
    });
    await assert.rejects(store.write({ saved: [], removed: ["x"] }), { code: "IN_USE" });
    isFree = true;
    await store.write({ saved: [], removed: ["x"] });
    assert.equal(written.length, 1);
  });
});
