import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kept, pass } from "../support/kept-calls.ts";
import { MemoryDialogs } from "../support/memory-dialogs.ts";
import { delivered, established } from "../support/sim-call.ts";
import { FR_INVITE_MS } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

describe("a kept call", () => {
  it("goes on after a crash: it counts, its BYE passes, and nothing is left", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const call = established(first.net);
    await pass(first.net, 50);
    assert.equal(store.rows.size, 1);

    const after = new MemoryDialogs(store.rows);
    const second = kept(after, "b");
    assert.deepEqual(second.net.loads, [1]);
    assert.equal(second.net.dialogs.counters.active_dialogs, 1);
    assert.equal(after.batches.length, 0);
    second.net.peer("198.51.100.1").send(call.fromCaller("BYE", 2));
    second.net.peer("203.0.113.1").send(responseTo(second.net.peer("203.0.113.1").take("BYE"), 200));
    await pass(second.net, 50);
    assert.deepEqual(second.net.loads, [0]);
    assert.equal(after.rows.size, 0);
  });

  it("is written within 50 ms of each change, with others in one batch", async () => {
    const store = new MemoryDialogs();
    const { net, keeper } = kept(store, "a");
    for (let i = 0; i < 20; i++) established(net);
    assert.equal(keeper.counters["persist_pending"], 20);
    await pass(net, 50);
    assert.deepEqual(store.batches, [20]);
    assert.equal(keeper.counters["persist_late_batches"], 0);
    assert.equal(keeper.counters["persist_lag_ms"], 0);
  });

  it("that is over before it was written is never written", async () => {
    const store = new MemoryDialogs();
    const { net, keeper } = kept(store, "a");
    established(net).hangUp();
    await pass(net, 100);
    assert.deepEqual(store.batches, []);
    assert.equal(keeper.counters["persist_pending"], 0);
  });

  it("that rings when the program dies ends when its time is up", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    delivered(first.net).answerWith(180);
    await pass(first.net, 50);
    const { net } = kept(new MemoryDialogs(store.rows), "b");
    assert.deepEqual(net.loads, [1]);
    await pass(net, FR_INVITE_MS - 1_000);
    assert.deepEqual(net.loads, [1]);
    await pass(net, 2_000);
    net.peer("203.0.113.1").take("CANCEL");
    await pass(net, 40_000); // its answer, and then that of the question whether it is up, are waited for
    assert.deepEqual(net.loads, [0]);
    assert.equal(store.rows.size, 0);
  });

  it("that rings when the program dies, and is answered after it, is up", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const call = delivered(first.net);
    call.answerWith(180);
    await pass(first.net, 50);
    const { net } = kept(new MemoryDialogs(store.rows), "b");
    const contact = `Contact: <sip:callee@${call.callee.sentBy}>`;
    net.peer("203.0.113.1").send(responseTo(call.delivered, 200, { toTag: call.toTag, headers: [contact] }));
    net.peer("198.51.100.1").take(200);
    assert.equal(net.dialogs.counters.active_dialogs, 1);
    await pass(net, FR_INVITE_MS + 1_000);
    assert.deepEqual(net.loads, [1]);
  });

  it("whose lifetime was over meanwhile is hung up on both sides", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    established(first.net);
    await pass(first.net, 50);
    for (const [did, text] of store.rows) {
      const body = JSON.parse(text) as unknown[];
      body[18] = 1; // its lifetime, milliseconds
      store.rows.set(did, JSON.stringify(body));
    }
    const { net } = kept(new MemoryDialogs(store.rows), "b");
    await pass(net, 200);
    net.peer("198.51.100.1").take("BYE");
    net.peer("203.0.113.1").take("BYE");
    assert.deepEqual(net.loads, [0]);
  });
});

describe("a capacity that somebody has set", () => {
  it("is the same after a crash, unless the row has another one by then", async () => {
    const store = new MemoryDialogs();
    const { net, keeper } = kept(store, "a");
    net.balancer.resize(1, "pstn", 7);
    keeper.capacitiesChanged();
    await pass(net, 50);
    assert.deepEqual(store.capacities, [[net.balancer.destinations()[0]?.key, "pstn", 7, 1000]]);

    const after = new MemoryDialogs();
    after.capacities = store.capacities;
    const second = kept(after, "b");
    const cell = second.net.balancer.destinations()[0]!.resources[0]!.cell;
    assert.equal(second.net.balancer.capacity(cell), 7);
    second.net.balancer.resize(1, "pstn", 1000);
    second.keeper.capacitiesChanged();
    await pass(second.net, 50);
    assert.deepEqual(after.capacities, []);

    const other = new MemoryDialogs();
    other.capacities = store.capacities.map(([key, resource, capacity]) => [key, resource, capacity, 20]);
    const third = kept(other, "c");
    assert.equal(third.net.balancer.capacity(third.net.balancer.destinations()[0]!.resources[0]!.cell), 1000);
    await pass(third.net, 50);
    assert.deepEqual(other.capacities, []);
  });

  it("and that is nonsense by the file is left out", () => {
    const store = new MemoryDialogs();
    const key = kept(new MemoryDialogs(), "a").net.balancer.destinations()[0]!.key;
    store.capacities = [[key, "pstn", -1, 1000], [key, "pstn", "x", 1000], [null, 1, 1, 1], [key, "fax", 1, 1000]] as never; // biome-ignore format: one line
    const { net } = kept(store, "b");
    assert.equal(net.balancer.capacity(net.balancer.destinations()[0]!.resources[0]!.cell), 1000);
  });
});

describe("a disk that fails", () => {
  it("holds up no call, and has all that is left of them when it works again", async () => {
    const store = new MemoryDialogs();
    store.isBroken = true;
    const { net, keeper } = kept(store, "a");
    const calls = Array.from({ length: 10 }, () => established(net));
    await pass(net, 2_000);
    for (const call of calls.slice(0, 4)) call.hangUp();
    await pass(net, 2_000);
    assert.deepEqual(net.loads, [6]);
    assert.ok((keeper.counters["persist_failures"] ?? 0) >= 3);
    assert.ok((keeper.counters["persist_lag_ms"] ?? 0) > 3_000);
    assert.equal(net.logged.filter(({ message }) => message.startsWith("Cannot write calls down")).length, 1);
    store.isBroken = false;
    await pass(net, 10_000);
    assert.equal(store.rows.size, 6);
    assert.equal(keeper.counters["persist_pending"], 0);
  });

  it("for long is told of once, and what changes meanwhile is written when it goes on", async () => {
    const store = new MemoryDialogs();
    const { promise, resolve } = Promise.withResolvers<void>();
    store.disk = promise;
    const { net, keeper } = kept(store, "a");
    const call = established(net);
    await pass(net, 6_000);
    assert.equal(keeper.counters["persist_pending"], 1, "what is being written is not written");
    assert.ok((keeper.counters["persist_lag_ms"] ?? 0) > 5_000);
    established(net);
    call.hangUp();
    assert.equal(net.logged.filter(({ message }) => message.startsWith("A write of calls takes longer")).length, 1);
    resolve();
    await pass(net, 100);
    assert.equal(store.rows.size, 1);
    assert.equal(keeper.counters["persist_late_batches"], 1);
  });

  it("whose file is another one is given every call anew", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    for (let i = 0; i < 5; i++) established(net);
    await pass(net, 50);
    store.rows.clear();
    store.name = "second";
    established(net);
    await pass(net, 100);
    assert.equal(store.rows.size, 6);
  });

  it("whose file has lost a batch has no call in the end that was over in it, also when the file cannot be read at first", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    const over = established(net);
    const goesOn = established(net);
    await pass(net, 50);
    const before = new Map(store.rows);
    over.hangUp();
    await pass(net, 50);
    assert.equal(store.rows.size, 1);
    for (const [did, record] of before) store.rows.set(did, record); // the log with the end of the call is gone
    store.name = "second";
    established(net);
    store.names = async () => {
      delete (store as Partial<MemoryDialogs>).names;
      throw new Error("the disk is broken");
    };
    await pass(net, 1_200);
    assert.equal(store.rows.size, 2);
    const after = kept(new MemoryDialogs(store.rows), "b");
    assert.deepEqual(after.net.loads, [2]);
    goesOn.hangUp();
    await pass(net, 50);
    assert.equal(store.rows.size, 1);
  });
});

describe("what is written down", () => {
  it("and cannot be read is passed over, counted, and taken away", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    established(first.net);
    await pass(first.net, 50);
    const [[, good] = ["", ""]] = store.rows;
    store.rows.set("other", good);
    store.rows.set("broken", "{");
    store.rows.set("empty", "[]");
    store.rows.set("bad did \n", good);
    const { net, keeper } = kept(new MemoryDialogs(store.rows), "b");
    assert.deepEqual(net.loads, [1]);
    assert.equal(keeper.counters["persist_unreadable"], 4);
    await pass(net, 50);
    assert.equal(store.rows.size, 1);
  });

  it("of a listener that is gone is forgotten", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    established(first.net);
    await pass(first.net, 50);
    const { net, keeper } = kept(new MemoryDialogs(store.rows), "b", []);
    assert.deepEqual(net.loads, [0]);
    assert.equal(keeper.counters["persist_unreachable"], 1);
    await pass(net, 50);
    assert.equal(store.rows.size, 0);
  });

  it("of a destination that is gone goes on, and the log tells of it", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const call = established(first.net);
    await pass(first.net, 50);
    const { net } = kept(new MemoryDialogs(store.rows), "b", undefined, ["203.0.113.9"]);
    assert.deepEqual(net.loads, [0]);
    assert.equal(net.logged.filter(({ message }) => message.includes("whose destination is in the table no more")).length, 1);
    net.peer("198.51.100.1").send(call.fromCaller("BYE", 2));
    net.peer("203.0.113.1").take("BYE");
    net.checkLoads();
  });

  it("is restored in less than a second of computing when it is 10,000 calls", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const { callId } = established(first.net);
    await pass(first.net, 50);
    const [[did, text] = ["", ""]] = store.rows;
    for (let i = 1; i < 10_000; i++) store.rows.set(`${i}`, text.replace(did, `${i}`).replace(callId, `${callId}-${i}`));
    const before = process.threadCpuUsage();
    const { keeper } = kept(new MemoryDialogs(store.rows), "b");
    const { user, system } = process.threadCpuUsage(before); // a busy machine takes longer for the same
    const tookMs = (user + system) / 1000;
    assert.equal(keeper.counters["persist_restored"], 10_000);
    assert.ok(tookMs < 1_000, `it took ${tookMs} ms`);
  });
});
