import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { retryTable } from "../../src/server/retry-table.ts";

/** A table of an earlier load, a database that answers from a certain try on, and the waits that were asked for. */
function farm(answersAt: number) {
  const waits: { ms: number; run: () => void; isCancelled: boolean }[] = [];
  const told: string[] = [];
  const loader = { isStale: true };
  let tries = 0;
  const { close: end } = retryTable({
    loader,
    reloads: {
      async reload() {
        tries++;
        if (tries < answersAt) throw new Error("nobody listens there");
        loader.isStale = false;
      },
    },
    after(ms, run) {
      const wait = { ms, run, isCancelled: false };
      waits.push(wait);
      return () => {
        wait.isCancelled = true;
      };
    },
    log: { info: (_fields, text) => void told.push(text), warn: (_fields, text) => void told.push(text) },
  });
  const pass = async () => {
    waits.at(-1)?.run();
    await new Promise(setImmediate);
  };
  return { waits, told, loader, end, pass, tries: () => tries };
}

describe("a table of an earlier load", () => {
  it("is tried to be replaced until the database answers, less and less often, and then no more", async () => {
    const { waits, told, pass } = farm(7);
    for (let i = 0; i < 7; i++) await pass();
    assert.deepEqual(
      waits.map(({ ms }) => ms),
      [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000],
    );
    assert.equal(told.length, 7);
    assert.equal(told[0], "Still going on with the destinations of an earlier load: nobody listens there");
    assert.equal(told[6], "The database can be reached again: its destinations are in use");
  });

  it("is left alone once somebody else has loaded another one, and when the program stops", async () => {
    const other = farm(1);
    other.loader.isStale = false;
    await other.pass();
    assert.deepEqual([other.tries(), other.waits.length, other.told], [0, 1, []]);
    const stopped = farm(1);
    await stopped.end();
    assert.equal(stopped.waits[0]?.isCancelled, true);
  });

  it("is not what a start with a database has", async () => {
    let waits = 0;
    const after = () => {
      waits++;
      return () => {};
    };
    retryTable({ loader: { isStale: false }, reloads: { reload: async () => {} }, after, log: { info() {}, warn() {} } });
    assert.equal(waits, 0);
  });
});
