import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { SCHEMA_VERSION } from "../../src/cluster/keys.ts";
import { MAX_WIRE_CHARS, Wire, type WireCounters } from "../../src/cluster/wire.ts";

const BODY = Type.Object({ calls: Type.Integer({ minimum: 0 }), name: Type.String({ maxLength: 20 }) }, { additionalProperties: false });
const SELF = { nodeId: 7, incarnation: "abc" };

function refused(text: unknown): Partial<WireCounters> {
  const wire = new Wire(SELF);
  assert.equal(wire.decode(BODY, text), undefined);
  return Object.fromEntries(Object.entries(wire.counters).filter(([, count]) => count > 0));
}

describe("Wire", () => {
  it("reads what it wrote, and says who wrote it", () => {
    const wire = new Wire(SELF);
    const body = { calls: 3, name: "a\u0000é😀" };
    assert.deepEqual(wire.decode(BODY, wire.encode(body)), { ...SELF, body });
    assert.deepEqual(new Wire({ nodeId: 8, incarnation: "x" }).decode(BODY, wire.encode(body)), { ...SELF, body });
  });

  const body = { calls: 1, name: "a" };
  const malformed: [string, unknown][] = [
    ["nothing", undefined],
    ["null for a missing value", null],
    ["a number", 5],
    ["text that is no JSON", "{"],
    ["an object", "{}"],
    ["a body with a foreign key", JSON.stringify([SCHEMA_VERSION, 1, "a", { ...body, extra: 1 }])],
    ["a body without a key", JSON.stringify([SCHEMA_VERSION, 1, "a", { calls: 1 }])],
    ["a body of another type", JSON.stringify([SCHEMA_VERSION, 1, "a", { ...body, calls: "1" }])],
    ["a value out of range", JSON.stringify([SCHEMA_VERSION, 1, "a", { ...body, calls: -1 }])],
    ["no body", JSON.stringify([SCHEMA_VERSION, 1, "a"])],
    ["one word too many", JSON.stringify([SCHEMA_VERSION, 1, "a", body, 1])],
    ["node 0", JSON.stringify([SCHEMA_VERSION, 0, "a", body])],
    ["node 2147483648", JSON.stringify([SCHEMA_VERSION, 2_147_483_648, "a", body])],
    ["node 1.5", JSON.stringify([SCHEMA_VERSION, 1.5, "a", body])],
    ["a node in text", JSON.stringify([SCHEMA_VERSION, "1", "a", body])],
    ["an incarnation of 65 characters", JSON.stringify([SCHEMA_VERSION, 1, "a".repeat(65), body])],
  ];
  for (const [what, text] of malformed) {
    it(`refuses ${what}`, () => assert.deepEqual(refused(text), { refused_malformed: 1 }));
  }

  it("refuses other versions, whatever else they hold", () => {
    for (const version of [SCHEMA_VERSION + 1, 0, "1", null]) {
      assert.deepEqual(refused(JSON.stringify([version, "who", { new: true }])), { refused_version: 1 });
    }
    assert.deepEqual(refused("[]"), { refused_version: 1 });
  });

  it("does not read what is too long", () => {
    const text = JSON.stringify([SCHEMA_VERSION, 1, "a", body]);
    assert.deepEqual(refused(text + " ".repeat(MAX_WIRE_CHARS)), { refused_too_long: 1 });
    assert.ok(new Wire(SELF).decode(BODY, text.padEnd(MAX_WIRE_CHARS)));
  });

  it("never throws and counts each refusal once", () => {
    const wire = new Wire(SELF);
    let refusals = 0;
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.anything(), fc.array(fc.anything()).map(json)), (text) => {
        if (wire.decode(BODY, text) === undefined) refusals++;
        const { refused_malformed, refused_too_long, refused_version } = wire.counters;
        assert.equal(refused_malformed + refused_too_long + refused_version, refusals);
      }),
    );
  });
});

function json(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part)) ?? "";
}
