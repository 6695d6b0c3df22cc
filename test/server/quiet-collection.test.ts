import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectGarbage } from "../../src/server/collect-garbage.ts";
import { QuietCollection } from "../../src/server/quiet-collection.ts";

/** Lets the looks pass with so many transactions at each, and answers at which of them something was collected. */
function collectedAt(transactions: readonly number[], calls = 0): number[] {
  let next: (() => void) | undefined;
  const layer = { serverCount: 0, clientCount: 0 };
  const found: number[] = [];
  let at = 0;
  const quiet = new QuietCollection({
    layer,
    dialogs: { size: calls },
    collect: () => void found.push(at),
    after: (_ms, run) => {
      next = run;
      return () => {
        next = undefined;
      };
    },
  });
  for (at = 0; at < transactions.length; at++) {
    layer.serverCount = transactions[at]!;
    next?.();
  }
  quiet.close();
  assert.equal(next, undefined);
  return found;
}

describe("garbage of a busy time", () => {
  it("is collected once, when it has become quiet", () => assert.deepEqual(collectedAt([10, 9_000, 30_000, 8_000, 40, 10, 0, 0]), [4]));
  it("is V8's while calls go on", () => assert.deepEqual(collectedAt([30_000, 20_000, 5_000, 60, 20_000]), []));
  it("is not worth it when little has happened", () => assert.deepEqual(collectedAt([0, 1_500, 20, 1_900, 0]), []));
  it("of very many calls is collected when hardly anything is under way: that takes longer than peers wait before they repeat a request", () =>
    assert.deepEqual(collectedAt([9_000, 300, 200, 21, 20, 0], 100_000), [4]));
  it("is collected after each busy time", () => assert.deepEqual(collectedAt([5_000, 0, 0, 5_000, 0]), [1, 4]));
});

describe("a collection", () => {
  it("gives back what nothing refers to, and gives no part of the program the means to ask for one", () => {
    collectGarbage("last-resort");
    const before = process.memoryUsage().heapUsed;
    let garbage: number[][] = Array.from({ length: 200_000 }, (_, i) => [i, i]);
    assert.ok(garbage.length > 0);
    const full = process.memoryUsage().heapUsed;
    garbage = [];
    collectGarbage("last-resort");
    const after = process.memoryUsage().heapUsed;
    assert.ok(full - before > 8e6, `${full - before} bytes were in use`);
    assert.ok(after - before < 4e6, `${after - before} bytes are left`);
    assert.equal((globalThis as { gc?: unknown }).gc, undefined);
  });
});
