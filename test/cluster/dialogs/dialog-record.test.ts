import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyOf, type DialogRecord, isDid, lifeMsOf, readRecord } from "../../../src/cluster/dialogs/dialog-record.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import type { DialogSnapshot } from "../../../src/dialog/index.ts";
import { callRecord } from "../../support/replica-node.ts";

const wire = new Wire({ nodeId: 7, incarnation: "h3k2j9" });
const DID = "3k.AbCdEfGhIjKlMnOp";

function written(record: DialogRecord, aheadMs = 0): string {
  return wire.encode([0, 0, ...bodyOf(record, aheadMs)]);
}

function read(text: string, did: string, aheadMs = 0): DialogRecord | undefined {
  return readRecord(wire, text, did, aheadMs);
}

const rows: { readonly name: string; readonly changes: Partial<DialogSnapshot> }[] = [
  { name: "a usual call", changes: {} },
  {
    name: "one that rings",
    changes: {
      state: 2,
      startedAtMs: 0,
      expiresAtMs: 0,
      inviteUri: "sip:service@192.0.2.1",
      inviteCseq: 7,
      legs: [{ tag: "", contact: "", routeSet: [], cseq: 0, state: "early" }],
    },
  },
  { name: "one that went nowhere", changes: { state: 1, startedAtMs: 0, expiresAtMs: 0, legs: [], callee: null, inviteBranch: "" } },
  { name: "values that do not hold their parts", changes: { fromUri: "sip:x@y", fromTag: "other", toUri: "", fromValue: "", toValue: "" } },
  {
    name: "bytes above 127",
    changes: { fromValue: '"Jos\u00c3\u00a9" <sip:jose@example.com>;tag=8a7f3c', fromUri: "sip:jose@example.com" },
  },
  { name: "quotes, backslashes and controls", changes: { fromValue: '"a\\"b\u0001" <sip:a@b>;tag=1', callId: '\\"\u0000' } },
  {
    name: "IPv6, a guard, forks and routes",
    changes: {
      caller: { transport: "tls", address: "2001:db8::10", port: 5061, listener: ["::", 5061] },
      callerRouteSet: ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"],
      isGuarded: true,
      flags: 5,
      legs: [
        { tag: "a", contact: "sip:a@b", routeSet: ["<sip:r;lr>"], cseq: 12, state: "confirmed" },
        { tag: "b", contact: "sip:b@b", routeSet: [], cseq: 2 ** 31 - 1, state: "ended", earlyBye: "upstream" },
        { tag: "c", contact: "sip:c@b", routeSet: [], cseq: 0, state: "ended", earlyBye: "downstream" },
      ],
    },
  },
];

describe("record of a dialog", () => {
  for (const { name, changes } of rows) {
    it(`comes back as it was: ${name}`, () => {
      const record = callRecord(DID, changes);
      assert.deepEqual(read(written(record), DID), record);
    });
  }

  it("is shorter than 900 characters for a usual call", () => {
    assert.ok(written(callRecord(DID)).length < 900, String(written(callRecord(DID)).length));
  });

  it("tells times by the clock of the cluster, whatever the wall clocks say", () => {
    const record = callRecord(DID);
    const { startedAtMs, expiresAtMs } = record.snapshot;
    const elsewhere = read(written(record, 3_600_000), DID, -5_000);
    assert.equal(elsewhere?.snapshot.startedAtMs, startedAtMs + 3_605_000);
    assert.equal(elsewhere?.snapshot.expiresAtMs, expiresAtMs + 3_605_000);
    assert.equal(read(written(callRecord(DID, { state: 2 }), 3_600_000), DID, 9)?.snapshot.expiresAtMs, 0);
  });

  it("lives as long as the call and a minute more, five minutes when it rings", () => {
    assert.equal(lifeMsOf({ expiresAtMs: 0 }, 1_000), 300_000);
    assert.equal(lifeMsOf({ expiresAtMs: 11_000 }, 1_000), 70_000);
    assert.equal(lifeMsOf({ expiresAtMs: 1_000 }, 50_000), 60_000);
    assert.equal(lifeMsOf({ expiresAtMs: Number.MAX_SAFE_INTEGER }, 0), 2 ** 32 * 10);
  });

  it("that was tampered with is refused and counted, never thrown", () => {
    const good = JSON.parse(written(callRecord(DID))) as [number, number, string, unknown[]];
    const at = (place: number, value: unknown): string =>
      JSON.stringify([good[0], good[1], good[2], good[3].map((was, i) => (i === place ? value : was))]);
    const hostile: string[] = [
      "",
      "null",
      "[]",
      "{}",
      written(callRecord(DID)).slice(0, -20),
      JSON.stringify([2, ...good.slice(1)]),
      JSON.stringify([good[0], 0, good[2], good[3]]),
      JSON.stringify([...good, 1]),
      JSON.stringify([good[0], good[1], good[2], good[3].slice(0, -1)]),
      JSON.stringify([good[0], good[1], good[2], [...good[3], 0]]),
      "x".repeat(300_000),
      at(6, "x".repeat(8_193)),
      at(2, "other"),
      at(2, "../../etc"),
      at(3, 5),
      at(3, 0),
      at(9, 81_920_000_001),
      at(9, 79_990_005),
      at(12, [0, "192.0.2.1\r\nX", 5060, "", 0]),
      at(12, [0, "192.0.2.1", 0, "", 0]),
      at(12, [9, "192.0.2.1", 5060, "", 0]),
      at(15, Array(17).fill("<sip:a;lr>")),
      at(16, -1),
      at(16, 2 ** 31),
      at(18, Array(17).fill(["", "", [], 0, 0, 0])),
      at(18, [["", "", [], 0, 3, 0]]),
      at(19, 0),
      at(19, "soon"),
      at(21, Array(257).fill(["k", "r", 1])),
      at(21, [["k", "r", 2]]),
      at(4, { toString: 1 }),
    ];
    for (const text of hostile) assert.equal(read(text, DID), undefined, text.slice(0, 200));
    const { refused_malformed, refused_too_long, refused_version } = wire.counters;
    assert.ok(refused_malformed > 15 && refused_too_long === 1 && refused_version >= 1, JSON.stringify(wire.counters));
  });

  it("has a name that can be part of a key", () => {
    for (const did of ["1.AbCd_-~", "a"]) assert.ok(isDid(did));
    for (const did of [undefined, "", "a b", "a}b", "a:b", "a\n", "x".repeat(65)]) assert.ok(!isDid(did), String(did));
  });
});
