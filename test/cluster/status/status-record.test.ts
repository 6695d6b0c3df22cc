import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { versionOf } from "../../../src/cluster/status/hlc.ts";
import {
  decodeHeld,
  decodeRecord,
  encodeRecord,
  fieldOf,
  isSameState,
  MAX_URI_CHARS,
  type StatusRecord,
} from "../../../src/cluster/status/status-record.ts";
import { Wire } from "../../../src/cluster/wire.ts";

const version = versionOf(1_800_000_000_000, 0, 1);
const name = { group: 1, uri: "sip:a b@192.0.2.1", version };
const STATUS: StatusRecord = { aspect: "status", ...name, state: { enabled: false, autoReenable: true, cause: "probe" } };
const DRAIN: StatusRecord = { aspect: "drain", ...name, state: { draining: true, deadlineMs: 1_800_000_060_000, bye: true } };
const BREAKER: StatusRecord = { aspect: "breaker", ...name, state: { open: true, untilMs: 1_800_000_010_000 } };

function wire(): Wire {
  return new Wire({ nodeId: 1, incarnation: "a" });
}

describe("a record of a status", () => {
  for (const record of [STATUS, DRAIN, BREAKER]) {
    it(`of aspect ${record.aspect} reads as it was written, alone and in the hash`, () => {
      const text = encodeRecord(wire(), record);
      assert.deepEqual(decodeRecord(wire(), text), record);
      assert.deepEqual(decodeHeld(wire(), fieldOf(record.aspect, 1, record.uri), `${version} ${text}`), record);
    });
  }

  const bad: readonly (readonly [name: string, body: unknown])[] = [
    ["an unknown aspect", { ...STATUS, aspect: "weight" }],
    ["the state of another aspect", { ...STATUS, state: DRAIN.state }],
    ["a cause that nobody shares", { ...STATUS, state: { ...STATUS.state, cause: "drain" } }],
    ["something more", { ...STATUS, note: 1 }],
    ["something more in the state", { ...STATUS, state: { ...STATUS.state, note: 1 } }],
    ["something less", { ...STATUS, state: { enabled: true } }],
    ["a version of another form", { ...STATUS, version: "1" }],
    ["a group below 0", { ...STATUS, group: -1 }],
    ["a URI that is too long", { ...STATUS, uri: "x".repeat(MAX_URI_CHARS + 1) }],
    ["a deadline before time", { ...DRAIN, state: { ...DRAIN.state, deadlineMs: -1 } }],
    ["a breaker that is open for ever", { ...BREAKER, state: { open: true, untilMs: 1e15 } }],
    ["nothing", null],
  ];
  for (const [what, body] of bad) {
    it(`with ${what} is refused and counted`, () => {
      const reader = wire();
      assert.equal(decodeRecord(reader, wire().encode(body)), undefined);
      assert.equal(reader.counters.refused_malformed, 1);
    });
  }

  it("of another version of the layout is refused and counted", () => {
    const reader = wire();
    assert.equal(decodeRecord(reader, encodeRecord(wire(), STATUS).replace("[1,", "[2,")), undefined);
    assert.equal(reader.counters.refused_version, 1);
  });

  const text = encodeRecord(wire(), STATUS);
  const field = fieldOf("status", 1, STATUS.uri);
  for (const [what, key, held] of [
    ["under another field", fieldOf("status", 2, STATUS.uri), `${version} ${text}`],
    ["behind another version", field, `${versionOf(1, 0, 1)} ${text}`],
    ["without a version", field, text],
    ["that is no text", field, 5],
  ] as const) {
    it(`${what} is refused and counted`, () => {
      const reader = wire();
      assert.equal(decodeHeld(reader, key, held), undefined);
      assert.equal(reader.counters.refused_malformed, 1);
    });
  }

  it("is the same as one of another version that says the same", () => {
    assert.equal(isSameState(STATUS, { ...STATUS, version: versionOf(1, 0, 2) }), true);
    assert.equal(isSameState(STATUS, { ...STATUS, state: { ...STATUS.state, enabled: true } }), false);
  });
});
