import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BYE_AGAIN_MS, endpointsOf, OPEN_LINGER_MS } from "../../src/dialog/index.ts";
import { isOver, recordOf } from "../../src/server/kept-record.ts";
import { kept, pass } from "../support/kept-calls.ts";
import { MemoryDialogs } from "../support/memory-dialogs.ts";
import { delivered, established, SimCall } from "../support/sim-call.ts";
import { FR_MS, type SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

/** The same parties, after a crash. */
function again(net: SimNetwork, { caller, callee, invite, delivered, answer, toTag }: SimCall): SimCall {
  return Object.assign(new SimCall(net.peer(caller.address), net.peer(callee.address), invite), { delivered, answer, toTag });
}

/** A call whose BYE was lost behind a program that was killed then, and the program after it, so much later. */
async function lostBye(by: "caller" | "callee", laterMs = 100) {
  const store = new MemoryDialogs();
  const first = kept(store, "a");
  const before = established(first.net);
  await pass(first.net, 50);
  const bye = by === "caller" ? before.fromCaller("BYE", 2) : before.fromCallee("BYE", 2);
  before[by].send(bye);
  await pass(first.net, laterMs);
  const file = new MemoryDialogs(new Map(store.rows));
  const { net, keeper } = kept(file, "b");
  return { net, keeper, file, call: again(net, before), bye, first: first.net, store };
}

/** What is written of the only call there is, as if it had lingered for longer. */
function older(rows: Map<string, string>, ms: number): Map<string, string> {
  const [[did, text] = ["", ""]] = rows;
  const body = JSON.parse(text) as number[];
  body[17] = body[17]! - ms;
  return new Map([[did, JSON.stringify(body)]]);
}

describe("a call that is over while its BYE was not answered", () => {
  for (const by of ["caller", "callee"] as const) {
    it(`by its ${by} is kept by a crash: it counts nothing, is in no list, and the BYE that comes again gets there`, async () => {
      const { net, keeper, file, call, bye } = await lostBye(by);
      assert.deepEqual([net.loads, net.dialogs.size, [...net.dialogs.list()]], [[0], 0, []]);
      assert.deepEqual([keeper.counters["persist_restored"], keeper.counters["persist_restored_ended"]], [0, 1]);
      assert.deepEqual([net.dialogs.counters.active_dialogs, net.dialogs.counters.restored_dialogs], [0, 0]);
      const other = by === "caller" ? call.callee : call.caller;
      call[by].send(bye);
      other.send(responseTo(other.take("BYE"), 200));
      call[by].take(200);
      await pass(net, 100);
      assert.equal(file.rows.size, 0);
      await pass(net, 60_000);
      assert.deepEqual(net.loads, [0]);
      net.checkNothingLeft();
    });
  }

  for (const by of ["caller", "callee"] as const) {
    it(`and whose ${by} has died with the program is hung up by the next one`, async () => {
      const { net, call, file } = await lostBye(by);
      const other = by === "caller" ? call.callee : call.caller;
      await pass(net, BYE_AGAIN_MS - 10);
      other.assertSilent();
      await pass(net, 20);
      const bye = other.take("BYE");
      assert.match(bye, /^CSeq: 2 BYE/m);
      other.send(responseTo(bye, 200));
      await pass(net, OPEN_LINGER_MS);
      assert.deepEqual([net.loads, file.rows.size], [[0], 0]);
      await pass(net, 60_000);
      net.checkNothingLeft();
    });
  }

  it("and that the other side hangs up as well is over for both", async () => {
    const { net, file, call } = await lostBye("caller");
    call.callee.send(call.fromCallee("BYE", 1));
    call.caller.send(responseTo(call.caller.take("BYE"), 200));
    call.callee.take(200);
    await pass(net, 100);
    assert.equal(file.rows.size, 0);
  });

  it("passes the ACK of its 2xx, and nothing else but BYEs", async () => {
    const { net, call } = await lostBye("callee");
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    call.caller.send(call.fromCaller("INFO", 3));
    call.caller.take(481);
    await pass(net, OPEN_LINGER_MS + 60_000);
    net.checkNothingLeft();
  });

  it("is taken out when the answer to the BYE of before the crash passes", async () => {
    const { net, file, call, first } = await lostBye("caller");
    call.callee.send(responseTo(first.peer(call.callee.address).take("BYE"), 200));
    call.caller.take(200);
    await pass(net, 100);
    assert.equal(file.rows.size, 0);
  });

  it("is kept for the rest of its 32 s, whenever the crash was", async () => {
    const { store } = await lostBye("caller");
    const early = kept(new MemoryDialogs(older(store.rows, 20_000)), "c");
    await pass(early.net, OPEN_LINGER_MS - 20_000 - 1_000);
    assert.equal([...early.net.dialogs.byes.list()].length, 1);
    await pass(early.net, 2_000);
    early.net.checkNothingLeft();

    const file = new MemoryDialogs(older(store.rows, OPEN_LINGER_MS + 1_000));
    const late = kept(file, "d");
    assert.equal(late.keeper.counters["persist_restored_ended"], 0);
    await pass(late.net, 50);
    assert.equal(file.rows.size, 0);
    assert.deepEqual(late.net.logged.filter(({ message }) => message.includes("not restored")), []); // biome-ignore format: one line
  });

  it("does not linger for longer than 32 s when the wall clock was set back", async () => {
    const { store } = await lostBye("caller");
    const { net } = kept(new MemoryDialogs(older(store.rows, -86_400_000)), "c");
    await pass(net, OPEN_LINGER_MS + 1_000);
    net.checkNothingLeft();
  });

  it("is kept while its sender goes on after our own time-out, and taken out when that has given up", async () => {
    const { first, store } = await lostBye("caller", FR_MS + 1_000);
    assert.equal(store.rows.size, 1);
    assert.equal([...store.rows].every(isOver), true);
    await pass(first, OPEN_LINGER_MS - FR_MS);
    assert.equal(store.rows.size, 0);
    await pass(first, 60_000);
    first.checkNothingLeft();
  });

  it("and was refused may be hung up again after a crash, with credentials", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const before = established(first.net);
    before.caller.send(before.fromCaller("BYE", 2));
    before.callee.send(responseTo(before.callee.take("BYE"), 401));
    await pass(first.net, 50);
    const file = new MemoryDialogs(new Map(store.rows));
    const { net } = kept(file, "b");
    const call = again(net, before);
    call.caller.send(call.fromCaller("BYE", 3));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    await pass(net, 50);
    assert.deepEqual([net.loads, file.rows.size], [[0], 0]);
  });

  it("is written when it had never been, and not at all when it is answered before its turn", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2));
    established(net).hangUp();
    await pass(net, 50);
    assert.deepEqual([store.rows.size, store.batches, [...store.rows].every(isOver)], [1, [1], true]);
  });

  it("is in a file that takes the place of another one", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2));
    await pass(net, 50);
    store.rows.clear();
    store.name = "second";
    established(net);
    await pass(net, 100);
    assert.deepEqual([...store.rows].map(isOver).sort(), [false, true]);
  });
});

describe("a call that was over in a process that has handed on all it had", () => {
  it("is taken out of the file by the next one, which has found it there, when its BYE is answered", async () => {
    const { store, call, bye } = await lostBye("caller");
    const [[did, row] = ["", ""]] = store.rows;
    const file = Object.assign(new MemoryDialogs(new Map(store.rows)), { found: [] });
    const former = { hasSwitched: false, released: Promise.resolve("first") };
    const { net } = kept(file, "c", undefined, undefined, former);
    const { snapshot } = recordOf(row, did)!;
    net.dialogs.restoreEnded(snapshot, endpointsOf(snapshot, [net.listener4])!, false);
    former.hasSwitched = true;
    await pass(net, 100);
    assert.equal(file.rows.size, 1);
    const next = again(net, call);
    next.caller.send(bye);
    next.callee.send(responseTo(next.callee.take("BYE"), 200));
    await pass(net, 100);
    assert.deepEqual([file.rows.size, net.loads], [0, [0]]);
  });
});

describe("a call of before a crash that was over before it was up", () => {
  it("is not written: no BYE of it is left to send", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const before = delivered(first.net);
    before.answerWith(180);
    await pass(first.net, 50);
    const file = new MemoryDialogs(new Map(store.rows));
    const { net } = kept(file, "b");
    const call = again(net, before);
    call.caller.send(call.fromCaller("BYE", 2));
    await pass(net, FR_MS + 1_000); // the callee says nothing
    assert.deepEqual([net.loads, file.rows.size], [[0], 0]);
    const third = kept(new MemoryDialogs(new Map(file.rows)), "c");
    assert.equal(third.keeper.counters["persist_unreadable"], 0);
    await pass(net, 60_000);
    net.checkNothingLeft();
  });
});

describe("a call that comes back although it is over", () => {
  it("ends when the answer to its BYE passes", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const before = established(first.net);
    await pass(first.net, 50);
    const rows = new Map(store.rows);
    before.caller.send(before.fromCaller("BYE", 2)); // too late to be written
    const bye = before.callee.take("BYE");
    const file = new MemoryDialogs(rows);
    const { net } = kept(file, "b");
    assert.deepEqual(net.loads, [1]);
    const call = again(net, before);
    call.callee.send(responseTo(bye, 200));
    call.caller.take(200);
    assert.deepEqual(net.loads, [0]);
    await pass(net, 50);
    assert.equal(file.rows.size, 0);
  });
});

describe("an answer to a BYE that nobody has sent", () => {
  it("ends no call once a BYE of before the crash cannot be answered any more, whoever sends it", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const before = established(first.net);
    await pass(first.net, 50);
    const { net } = kept(new MemoryDialogs(new Map(store.rows)), "b");
    await pass(net, OPEN_LINGER_MS + 100);
    const ours = `Via: ${headerOf(before.delivered, "Via").replace(/branch=[^;]*/, "branch=z9hG4bKinvented")}`;
    const answer = responseTo(before.fromCaller("BYE", 2), 200).replace("Via:", `${ours}\r\nVia:`);
    net.peer("192.0.2.66").send(answer);
    assert.equal(net.dialogs.counters.lost_replies, 1, "it was taken for one of this call");
    assert.deepEqual([net.loads, net.dialogs.size], [[1], 1]);
  });
});

describe("a call that the program itself has hung up", () => {
  it("is hung up again after a crash, in turn, on all sides that have not answered by then", async () => {
    const store = new MemoryDialogs();
    const first = kept(store, "a");
    const calls = Array.from({ length: 20 }, () => established(first.net));
    await pass(first.net, 50);
    for (const dialog of [...first.net.dialogs.list()]) first.net.proxy.endDialog(dialog);
    const [answered] = calls;
    for (const side of [answered!.caller, answered!.callee]) side.send(responseTo(side.take("BYE"), 200));
    await pass(first.net, 50);
    assert.equal(store.rows.size, 19);
    const file = new MemoryDialogs(new Map(store.rows));
    const { net } = kept(file, "b");
    assert.deepEqual(net.loads, [0]);
    const sides = [net.peer(answered!.caller.address), net.peer(answered!.callee.address)];
    await pass(net, 100);
    for (const side of sides) {
      const byes = side.inbox.filter((text) => text.startsWith("BYE"));
      assert.equal(byes.length, 19);
      for (const bye of byes) side.send(responseTo(bye, 481));
    }
    await pass(net, 100);
    assert.deepEqual([file.rows.size, [...net.dialogs.byes.list()]], [0, []]);
    await pass(net, 60_000);
    net.checkNothingLeft();
  });

  it("is not waited for when nobody answers its BYEs", async () => {
    const store = new MemoryDialogs();
    const { net } = kept(store, "a");
    established(net);
    net.proxy.endDialog(net.onlyDialog);
    await pass(net, 100);
    assert.equal(store.rows.size, 1);
    await pass(net, FR_MS + 1_000);
    assert.equal(store.rows.size, 0);
    await pass(net, 60_000);
    net.checkNothingLeft();
  });
});
