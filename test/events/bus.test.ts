import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EVENT_NAMES } from "../../src/event-names.ts";
import { type BusEvent, EventBus, type Missed } from "../../src/events/bus.ts";

import { below, seededRandom } from "../support/random.ts";

const ALL: ReadonlySet<string> = new Set();

function busOf(history: number, faults: unknown[] = []): EventBus {
  return new EventBus({ history, wallMs: () => 1000, run: "abc", onFault: (error) => void faults.push(error) });
}

function serials(missed: Missed): number[] {
  return missed.take(missed.left).map(({ serial }) => serial);
}

describe("the bus of events", () => {
  it("tells every subscriber in order, also after one has thrown, and none that left", () => {
    const faults: unknown[] = [];
    const bus = busOf(10, faults);
    const told: string[] = [];
    bus.subscribe(() => {
      throw new Error("broken");
    });
    const leave = bus.subscribe(({ name, params }) => void told.push(`${name} ${JSON.stringify(params)}`));
    bus.publish("E_LOAD_BALANCER_STATUS", { group: 1 });
    bus.publish("E_DLG_STATE_CHANGED", { id: "x" });
    leave();
    bus.publish("E_DLG_STATE_CHANGED", { id: "y" });
    assert.deepEqual(told, ['E_LOAD_BALANCER_STATUS {"group":1}', 'E_DLG_STATE_CHANGED {"id":"x"}']);
    assert.equal(faults.length, 3);
    assert.equal(bus.counters.published, 3);
  });

  it("makes what an event tells once, and not before somebody wants to know", () => {
    const bus = busOf(10);
    let made = 0;
    bus.publish("E_DLG_STATE_CHANGED", { toParams: () => ({ made: ++made }) });
    assert.equal(made, 0);
    for (let i = 0; i < 2; i++) assert.deepEqual(bus.since("abc-0", ALL).take(1)[0]?.params, { made: 1 });
  });

  it("gives the latest of some names, in order over all of them", () => {
    const bus = busOf(300);
    for (let i = 0; i < 1_000; i++) bus.publish(EVENT_NAMES[i % 3]!, {});
    const latest = (count: number, isWanted: (name: string) => boolean): number[] =>
      bus.latest(count, isWanted).map(({ serial }) => serial);
    assert.deepEqual(
      latest(4, () => true),
      [997, 998, 999, 1_000],
    );
    assert.deepEqual(
      latest(3, (name) => name === EVENT_NAMES[1]),
      [992, 995, 998],
    );
    assert.equal(latest(5_000, () => true).length, 900);
    assert.deepEqual([latest(0, () => true), latest(5, () => false)], [[], []]);
  });

  it("gives again what came after an id, in order over all names", () => {
    const bus = busOf(10);
    bus.publish("E_DLG_STATE_CHANGED", {});
    bus.publish("E_LOAD_BALANCER_STATUS", {});
    bus.publish("E_DLG_STATE_CHANGED", {});
    assert.deepEqual(serials(bus.since("abc-1", ALL)), [2, 3]);
    assert.deepEqual(serials(bus.since("abc-1", new Set(["E_DLG_STATE_CHANGED"]))), [3]);
    const nothing = bus.since("abc-3", ALL);
    assert.deepEqual([serials(nothing), nothing.lost], [[], false]);
  });

  it("gives it in pieces, in order over all names and full rings, as it was when it was asked for", () => {
    const random = below(seededRandom(3));
    for (const history of [1, 2, 7, 50]) {
      const bus = busOf(history);
      const told: BusEvent[] = [];
      bus.subscribe((event) => void told.push(event));
      for (let i = 0; i < 120; i++) bus.publish(EVENT_NAMES[random(EVENT_NAMES.length)]!, {});
      for (let after = 0; after <= 120; after++) {
        const kept = told.filter(({ name, serial }) => {
          const later = told.filter((other) => other.name === name && other.serial > serial && other.serial <= 120 + after);
          return serial > after && later.length < history;
        });
        const missed = bus.since(`abc-${after}`, ALL);
        bus.publish("E_DLG_STATE_CHANGED", {});
        const pieces: BusEvent[][] = [];
        while (missed.left > 0) pieces.push(missed.take(3));
        assert.deepEqual(pieces.flat(), kept, `history ${history}, after ${after}`);
        assert.ok(pieces.slice(0, -1).every((piece) => piece.length === 3));
        assert.deepEqual(missed.take(3), []);
      }
    }
  });

  it("keeps as many as it is told to and knows what it lost, however many there have been", () => {
    for (const history of [1, 255, 256, 257, 600]) {
      const bus = busOf(history);
      for (let published = 1; published <= 1_500; published++) {
        bus.publish("E_DLG_STATE_CHANGED", {});
        const kept = Math.min(published, history);
        assert.equal(bus.since("abc-0", ALL).left, kept);
        const later = bus.since(`abc-${published - kept}`, ALL);
        assert.deepEqual([later.lost, later.left, later.take(1)[0]?.serial], [false, kept, published - kept + 1]);
        if (published > history) assert.equal(bus.since(`abc-${published - kept - 1}`, ALL).lost, true);
      }
    }
  });

  it("gives all that it has for an id of another run, for one that it never gave and for nonsense, and says that more may be lost", () => {
    const bus = busOf(10);
    bus.publish("E_DLG_STATE_CHANGED", {});
    for (const id of ["other-1", "abc-2", "abc-", "", "abc-1x", `abc-${"9".repeat(40)}`, "abc--1"]) {
      const missed = bus.since(id, ALL);
      assert.deepEqual([serials(missed), missed.lost], [[1], true], id);
    }
  });

  it("keeps the latest of each name, so that calls do not push out destinations", () => {
    const bus = busOf(2);
    bus.publish("E_LOAD_BALANCER_STATUS", {});
    for (let i = 0; i < 5; i++) bus.publish("E_DLG_STATE_CHANGED", {});
    const missed = bus.since("abc-0", ALL);
    assert.deepEqual([serials(missed), missed.lost], [[1, 5, 6], true]);
    assert.equal(bus.since("abc-4", ALL).lost, false);
    assert.equal(bus.since("abc-3", ALL).lost, true);
    assert.equal(bus.since("abc-0", new Set(["E_LOAD_BALANCER_STATUS"])).lost, false);
  });

  it("keeps nothing with a history of 0", () => {
    const bus = busOf(0);
    bus.publish("E_DLG_STATE_CHANGED", {});
    for (const [id, lost] of [
      ["abc-0", true],
      ["abc-1", false],
    ] as const) {
      const missed = bus.since(id, ALL);
      assert.deepEqual([missed.left, missed.lost], [0, lost]);
    }
  });
});
