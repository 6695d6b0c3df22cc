import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BusEvent, EventBus } from "../../src/events/index.ts";

const ALL: ReadonlySet<string> = new Set();

function busOf(history: number, faults: unknown[] = []): EventBus {
  return new EventBus({ history, wallMs: () => 1000, run: "abc", onFault: (error) => void faults.push(error) });
}

function serials({ events }: { events: readonly BusEvent[] }): number[] {
  return events.map(({ serial }) => serial);
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
    bus.publish("E_DLG_STATE_CHANGED", () => ({ made: ++made }));
    assert.equal(made, 0);
    for (let i = 0; i < 2; i++) assert.deepEqual(bus.since("abc-0", ALL).events[0]?.params, { made: 1 });
  });

  it("gives again what came after an id, in order over all names", () => {
    const bus = busOf(10);
    bus.publish("E_DLG_STATE_CHANGED", {});
    bus.publish("E_LOAD_BALANCER_STATUS", {});
    bus.publish("E_DLG_STATE_CHANGED", {});
    assert.deepEqual(serials(bus.since("abc-1", ALL)), [2, 3]);
    assert.deepEqual(serials(bus.since("abc-1", new Set(["E_DLG_STATE_CHANGED"]))), [3]);
    assert.deepEqual(bus.since("abc-3", ALL), { events: [], lost: false });
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
    assert.deepEqual(bus.since("abc-0", ALL), { events: [], lost: true });
    assert.deepEqual(bus.since("abc-1", ALL), { events: [], lost: false });
  });
});
