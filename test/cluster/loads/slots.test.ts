import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SLOT_NAME_CHARS, Slots, sharingOf } from "../../../src/cluster/loads/slots.ts";
import { balancerOf, cellOf, type RowSketch, row } from "../../balancer/support.ts";

function names(...rows: RowSketch[]): string[] {
  return new Slots(balancerOf(rows), "shared").all.map(({ name }) => name);
}

describe("slots", () => {
  it("are named by group, URI without regard to case, and resource", () => {
    assert.deepEqual(names({ id: 7, group: 3, uri: "sip:Farm.Example:5060", resources: "transc=2;conf/s=3" }), [
      "3 sip:farm.example:5060 transc",
      "3 sip:farm.example:5060 conf/s",
    ]);
  });

  it("have the same names on nodes that number the same rows otherwise", () => {
    const uris = ["sip:a", "sip:b", "sip:c"];
    const here = names(...uris.map((uri, i) => ({ id: i + 1, uri, resources: "t=1" })));
    const there = names(...uris.map((uri, i) => ({ id: 90 - i, uri, resources: "t=1" })));
    assert.deepEqual(here.sort(), there.sort());
  });

  it("of a pool are one for each resource, whatever the rows are", () => {
    const rows: RowSketch[] = [
      { id: 1, uri: "sip:a", resources: "t=4;c=1", attrs: "shared=fra1" },
      { id: 2, uri: "sip:b", group: 2, resources: "t=4", attrs: "shared=fra1" },
    ];
    assert.deepEqual(names(...rows), ["pool fra1 t", "pool fra1 c"]);
    const balancer = balancerOf(rows);
    const slots = new Slots(balancer, "shared");
    for (const id of [1, 2]) {
      const slotCell = balancer.slotCell(cellOf(balancer.destination(id), "t"));
      assert.equal(slots.bySlotCell(slotCell)?.name, "pool fra1 t");
    }
  });

  it("of a group and URI that stand twice have the id behind all but the first, unless they have no resource in common", () => {
    const twice = { uri: "sip:a", resources: "t=1;c=1" };
    assert.deepEqual(names({ id: 1, ...twice }, { id: 2, ...twice }, { id: 3, ...twice, group: 2 }), [
      "1 sip:a t",
      "1 sip:a c",
      "1 sip:a #2 t",
      "1 sip:a #2 c",
      "2 sip:a t",
      "2 sip:a c",
    ]);
    assert.deepEqual(names({ id: 1, uri: "sip:a", resources: "t=1" }, { id: 2, uri: "sip:A", resources: "c=1" }), [
      "1 sip:a t",
      "1 sip:a c",
    ]);
    assert.deepEqual(names({ id: 1, uri: "sip:a", resources: "t=1" }, { id: 2, uri: "sip:A", resources: "t=1;c=1" }), [
      "1 sip:a t",
      "1 sip:a #2 t",
      "1 sip:a #2 c",
    ]);
  });

  it("are never two of one name", () => {
    const rows: RowSketch[] = [1, 2, 3].map((id) => ({ id, uri: id === 2 ? "sip:a#3" : "sip:a", resources: "t=1" }));
    const all = names(...rows);
    assert.equal(new Set(all).size, 3, all.join());
  });

  it("are found by name and by cell until a new table changes that", () => {
    const balancer = balancerOf([{ id: 1, uri: "sip:a", resources: "t=1" }]);
    const slots = new Slots(balancer, "off");
    const slot = slots.byName("1 sip:a t");
    assert.equal(slot?.slotCell, cellOf(balancer.destination(1), "t"));
    assert.equal(slots.bySlotCell(slot!.slotCell), slot);
    balancer.replaceTable([row({ id: 1, uri: "sip:b", resources: "t=1" })]);
    slots.tableChanged();
    assert.equal(slots.byName("1 sip:a t"), undefined);
    assert.equal(slots.byName("1 sip:b t")?.resource, "t");
  });

  for (const [resource, mode, want] of [
    ["t", "off", "off"],
    ["t", "shared", "shared"],
    ["t", "exact", "exact"],
    ["t/b", "off", "shared"],
    ["t/b", "exact", "shared"],
    ["t/s", "off", "exact"],
    ["t/s", "shared", "exact"],
  ] as const) {
    it(`count ${resource} as ${want} when the mode is ${mode}`, () => assert.equal(sharingOf(resource, mode), want));
  }

  it("whose names are longer than others read are not shared", () => {
    const slots = new Slots(balancerOf([{ id: 1, uri: `sip:${"a".repeat(MAX_SLOT_NAME_CHARS)}`, resources: "t=1" }]), "shared");
    assert.deepEqual(
      slots.all.map(({ sharing }) => sharing),
      ["off"],
    );
  });
});
