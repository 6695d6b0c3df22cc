import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer } from "../../../src/balancer/index.ts";
import { LeaseOwner, SlotLeases } from "../../../src/cluster/leases/lease-holds.ts";
import { GRACE_MS, MAX_REFRESHED_OWNERS, Refreshes, refreshOwners } from "../../../src/cluster/leases/lease-refresh.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { clusterClockOf, rowsOf } from "./lease-node.ts";

/** Longest time that a call waits, and that of it in which an answer may still be read. */
const WAIT_MS = 55;

/** Refreshes whose counts a test answers. */
class Bed {
  readonly clock = new FakeClock();
  /** What a count would find now. */
  hasRoom = false;
  owners = [new LeaseOwner("one", "ready one")];
  asked = 0;
  readonly told: (boolean | undefined)[] = [];
  readonly refreshes = new Refreshes({
    clock: clusterClockOf(this.clock),
    plan: () => ({ owners: this.owners, hasRoom: () => this.hasRoom }),
    count: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#counts.push(resolve);
      return promise;
    },
    waitMs: () => WAIT_MS - GRACE_MS,
    onAsk: () => this.asked++,
  });
  readonly #counts: (() => void)[] = [];

  /** A call that comes now; what it is told stands in {@link told}, in the order of the calls. */
  call(group = 1, resources = "pstn"): void {
    const at = this.told.push(undefined) - 1;
    this.refreshes.ask(group, resources).then((hasRoom) => {
      this.told[at] = hasRoom;
    });
  }

  /** Redis answers everything that it was asked up to now. */
  async answer(hasRoom: boolean): Promise<void> {
    this.hasRoom = hasRoom;
    for (const resolve of this.#counts.splice(0)) resolve();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe("asking what others hold", () => {
  it("a call is told what was counted after it came", async () => {
    const bed = new Bed();
    bed.call();
    assert.equal(bed.asked, 1);
    await bed.answer(true);
    assert.deepEqual([bed.told, bed.refreshes.size, bed.clock.pending], [[true], 0, 0]);
  });

  it("a call that comes while others are being told of waits for the next question, with all that come meanwhile", async () => {
    const bed = new Bed();
    bed.call();
    for (let i = 0; i < 3; i++) bed.call();
    assert.equal(bed.asked, 1);
    await bed.answer(false);
    assert.deepEqual([bed.told, bed.asked], [[false, undefined, undefined, undefined], 2]);
    bed.call();
    await bed.answer(true);
    assert.deepEqual([bed.told, bed.asked], [[false, true, true, true, undefined], 3]);
    await bed.answer(false);
    assert.deepEqual([bed.told.at(-1), bed.asked, bed.refreshes.size, bed.clock.pending], [false, 3, 0, 0]);
  });

  it("groups and resources are asked for beside each other", async () => {
    const bed = new Bed();
    bed.call(1, "pstn");
    bed.call(2, "pstn");
    bed.call(1, "vm");
    assert.deepEqual([bed.asked, bed.refreshes.size], [3, 3]);
    await bed.answer(true);
    assert.deepEqual(bed.told, [true, true, true]);
  });

  it("a question is answered when all whom it concerns have been counted", async () => {
    const bed = new Bed();
    bed.owners = [new LeaseOwner("one", "ready one"), new LeaseOwner("two", "ready two")];
    bed.call();
    await bed.answer(true);
    assert.deepEqual([bed.told, bed.asked], [[true], 1]);
  });

  it("each call waits so long at most, and then goes by what is known; there is still one question only", async () => {
    const bed = new Bed();
    bed.call();
    bed.clock.advance(WAIT_MS - 10);
    bed.call();
    bed.clock.advance(10);
    await settle();
    assert.deepEqual(bed.told, [false, undefined]);
    bed.hasRoom = true;
    bed.clock.advance(WAIT_MS - 10);
    await settle();
    assert.deepEqual(bed.told, [false, true]);
    for (let i = 0; i < 100; i++) bed.call();
    bed.clock.advance(WAIT_MS);
    await settle();
    assert.deepEqual([bed.asked, bed.refreshes.size], [1, 1]);
    await bed.answer(false);
    await bed.answer(false);
    assert.deepEqual([bed.refreshes.size, bed.clock.pending], [0, 0]);
    bed.call();
    await bed.answer(true);
    assert.equal(bed.told.at(-1), true);
  });

  it("an answer that came while this process was busy is read before it is late", async () => {
    const bed = new Bed();
    bed.call();
    bed.clock.advance(WAIT_MS - GRACE_MS);
    await settle();
    await bed.answer(true);
    bed.clock.advance(1_000);
    assert.deepEqual([bed.told, bed.clock.pending], [[true], 0]);
  });

  it("nobody is asked where others hold nothing: what is known is told, also to those who wait for a question", async () => {
    const bed = new Bed();
    bed.call();
    bed.call();
    bed.owners = [];
    await bed.answer(true);
    assert.deepEqual([bed.told, bed.asked, bed.refreshes.size], [[true, true], 1, 0]);
    bed.call();
    await settle();
    assert.deepEqual([bed.told.at(-1), bed.asked, bed.clock.pending], [true, 1, 0]);
  });
});

describe("whom to ask what others hold", () => {
  function bed(rows: number, capacity = 2) {
    const balancer = new Balancer({ below: () => 0 });
    balancer.replaceTable(rowsOf(Array.from({ length: rows }, () => ({ resources: [{ name: "pstn", capacity }] }))));
    const cells = balancer.destinations().map(({ resources }) => resources[0]!.cell);
    const slots = new Map(
      cells.map((cell, i) => [cell, new SlotLeases(new LeaseOwner(`o${i}`, `ready ${i}`), "pstn", `key ${i}`, cell)] as const),
    );
    const plan = () => refreshOwners(balancer, slots, 1, "pstn");
    return { balancer, cells, plan, names: () => plan().owners.map(({ name }) => name) };
  }

  it("those of whom others have most come first, those that are full of own calls not at all", () => {
    const { balancer, cells, names } = bed(3);
    balancer.setRemoteLoad(cells[0]!, 1);
    balancer.setRemoteLoad(cells[2]!, 2);
    assert.deepEqual(names(), ["o2", "o0"]);
  });

  it("a destination that gets no calls is no place for one", () => {
    const { balancer, cells, names, plan } = bed(1);
    balancer.setRemoteLoad(cells[0]!, 1);
    assert.equal(plan().hasRoom(), true);
    balancer.setStatus(1, false, "mi");
    assert.deepEqual([names(), plan().hasRoom()], [[], false]);
  });

  it("they are no more than so many", () => {
    const { balancer, cells, names } = bed(MAX_REFRESHED_OWNERS + 1);
    for (const cell of cells) balancer.setRemoteLoad(cell, 1);
    assert.equal(names().length, MAX_REFRESHED_OWNERS);
  });

  it("there is room where others have given everything back", () => {
    const { balancer, cells, plan } = bed(1, 1);
    balancer.setRemoteLoad(cells[0]!, 1);
    assert.equal(plan().hasRoom(), false);
    balancer.setRemoteLoad(cells[0]!, 0);
    assert.deepEqual([plan().owners, plan().hasRoom()], [[], true]);
  });
});
