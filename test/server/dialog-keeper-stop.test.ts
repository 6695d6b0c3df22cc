import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DialogKeeper } from "../../src/server/dialog-keeper.ts";
import { kept, pass } from "../support/kept-calls.ts";
import { MemoryDialogs } from "../support/memory-dialogs.ts";
import { settled } from "../support/settled.ts";
import { established } from "../support/sim-call.ts";
import type { SimNetwork } from "../support/sim-network.ts";

const DESTINATION = 1;

/** A file that is closed: what is still to be written into it is lost, as when its thread is ended. */
class ClosingDialogs extends MemoryDialogs {
  isClosed = false;

  override async write(changes: Parameters<MemoryDialogs["write"]>[0]): Promise<string> {
    await this.disk;
    if (this.isClosed) throw new Error("it is closed");
    return super.write(changes);
  }

  override async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** A disk that writes when it is told to. */
function slow(store: MemoryDialogs): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  store.disk = promise;
  return resolve;
}

function resize({ net, keeper }: { net: SimNetwork; keeper: DialogKeeper }, capacity: number): void {
  assert.equal(net.balancer.resize(DESTINATION, "pstn", capacity), "ok");
  keeper.capacitiesChanged();
}

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  await settled();
  return done;
}

describe("an orderly stop", () => {
  it("waits for what is being written, also when nothing else waits", async () => {
    const store = new ClosingDialogs();
    const write = slow(store);
    const { net, keeper } = kept(store, "a");
    established(net);
    await pass(net, 50);
    assert.equal(store.rows.size, 0);
    const closed = keeper.close();
    assert.equal(await isDone(closed), false);
    write();
    await closed;
    assert.deepEqual([store.rows.size, store.isClosed], [1, true]);
    assert.equal(net.logged.filter(({ message }) => message.includes("lost")).length, 0);
  });

  it("writes what waits behind it, and what has failed once more", async () => {
    const store = new ClosingDialogs();
    const { net, keeper } = kept(store, "a");
    for (let i = 0; i < 600; i++) established(net);
    store.isBroken = true;
    const closed = keeper.close();
    await settled();
    store.isBroken = false;
    await closed;
    assert.deepEqual([store.rows.size, keeper.counters["persist_pending"]], [600, 0]);
    assert.equal(keeper.close(), closed);
  });
});

describe("a capacity that somebody sets", () => {
  it("is settled once it is written, whatever else is being written", async () => {
    const store = new MemoryDialogs();
    const made = kept(store, "a");
    assert.equal(await made.keeper.settled(), true);
    established(made.net);
    await pass(made.net, 20);
    const write = slow(store);
    await pass(made.net, 30);
    resize(made, 700);
    const done = made.keeper.settled();
    assert.equal(await isDone(done), false);
    write();
    assert.equal(await done, true);
    assert.deepEqual(
      store.capacities.map(([, ...rest]) => rest),
      [["pstn", 700, 1000]],
    );
  });

  it("is not settled while it is on its way, and not when the disk is known to fail", async () => {
    const store = new MemoryDialogs();
    const made = kept(store, "a");
    const write = slow(store);
    resize(made, 700);
    await pass(made.net, 50);
    const done = made.keeper.settled();
    assert.equal(await isDone(done), false);
    write();
    assert.equal(await done, true);

    store.isBroken = true;
    resize(made, 800);
    await pass(made.net, 5_000);
    const sinceMs = performance.now();
    assert.equal(await made.keeper.settled(), false);
    assert.ok(performance.now() - sinceMs < 400);
    store.isBroken = false;
    assert.equal(await made.keeper.settled(), true);
    assert.equal(store.capacities[0]?.[2], 800);
  });
});

describe("a batch", () => {
  it("is no longer than some calls with very long routes, and all of them are written", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    for (let i = 0; i < 40; i++) established(net);
    for (const dialog of net.dialogs.list()) dialog.callerContact = `<sip:${"x".repeat(60_000)}@203.0.113.7>`;
    await pass(net, 500);
    assert.equal(store.rows.size, 40);
    assert.ok(Math.max(...store.batches) <= 10, String(store.batches));
  });
});
