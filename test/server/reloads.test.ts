import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../src/config/index.ts";
import { Reloads, type ReloadsPorts } from "../../src/server/reloads.ts";

const CONFIG = parseConfig("routing: { rules: [] }", "headroom.yaml", {});

/** Reloads of a database that answers when the test says so. */
function database() {
  const reads: PromiseWithResolvers<void>[] = [];
  const ports = {
    config: CONFIG,
    loader: {
      load() {
        const read = Promise.withResolvers<void>();
        reads.push(read);
        return read.promise;
      },
    },
    dispatching: { prepare: async () => async () => {} },
  };
  const reloads = new Reloads(ports as unknown as ReloadsPorts);
  const begun = async (count: number) => {
    while (reads.length < count) await new Promise(setImmediate);
    return reads[count - 1];
  };
  return { reloads, reads, begun };
}

describe("reloads of the destinations", () => {
  it("that are asked for while one is under way are one more, whose answer is that of all", async () => {
    const { reloads, reads, begun } = database();
    const first = reloads.reload();
    const read = await begun(1);
    const others = Array.from({ length: 50 }, () => reloads.reload());
    read?.reject(new Error("no answer within 15 s"));
    await assert.rejects(first, /no answer within 15 s/);
    (await begun(2))?.resolve();
    await Promise.all(others);
    assert.equal(reads.length, 2);
  });

  it("begin anew once the one that waited has begun: the table may have changed since", async () => {
    const { reloads, reads, begun } = database();
    const all = [reloads.reload()];
    (await begun(1))?.resolve();
    all.push(reloads.reload());
    const second = await begun(2);
    all.push(reloads.reload());
    second?.resolve();
    (await begun(3))?.resolve();
    await Promise.all(all);
    assert.equal(reads.length, 3);
  });
});
