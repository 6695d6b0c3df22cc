import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ConnectionLimits,
  ConnectionTable,
  DEFAULT_CONNECTION_LIMITS,
  type EndReason,
  type TableConnection,
} from "../../src/transport/connection-table.ts";

/** A connection that only tells how it was ended. */
function connection(table: ConnectionTable, about: Partial<TableConnection> = {}): TableConnection & { endedFor: EndReason | undefined } {
  const made = {
    ...{ transport: "tcp", address: "192.0.2.1", port: 40_000, isInbound: true, isReady: true, hasSpoken: true },
    ...{
      openedAtMs: 0,
      activeAtMs: 0,
      partialSinceMs: undefined,
      stalledSinceMs: undefined,
      unansweredSinceMs: undefined,
      endedFor: undefined as EndReason | undefined,
    },
    ...about,
    end(reason: EndReason): void {
      made.endedFor = reason;
      table.remove(made, reason);
    },
  };
  table.add(made);
  return made;
}

function tableOf(limits: Partial<ConnectionLimits> = {}): ConnectionTable {
  return new ConnectionTable({ ...DEFAULT_CONNECTION_LIMITS, ...limits });
}

describe("ConnectionTable.refusal()", () => {
  it("bounds the connections of a source, which others do not feel", () => {
    const table = tableOf({ maxOfSource: 2 });
    const [first] = [connection(table, { port: 1 }), connection(table, { port: 2 })];
    assert.equal(table.refusal("192.0.2.1", true), "too-many-of-source");
    assert.equal(table.refusal("192.0.2.2", true), undefined);
    first.end("idle");
    first.end("idle");
    assert.equal(table.refusal("192.0.2.1", true), undefined);
  });

  it("does not count those that we opened for their source", () => {
    const table = tableOf({ maxOfSource: 1 });
    connection(table, { isInbound: false });
    assert.equal(table.refusal("192.0.2.1", true), undefined);
    connection(table, { port: 2 });
    assert.equal(table.refusal("192.0.2.1", true), "too-many-of-source");
    assert.equal(table.refusal("192.0.2.1", false), undefined, "and we may open more");
  });

  it("bounds all of them, whoever opens them", () => {
    const table = tableOf({ max: 1 });
    connection(table);
    assert.deepEqual([table.refusal("192.0.2.9", true), table.refusal("192.0.2.9", false)], ["too-many", "too-many"]);
  });
});

describe("ConnectionTable.find()", () => {
  it("finds by transport, address and port, and nothing that has ended", () => {
    const table = tableOf();
    const known = connection(table);
    assert.equal(table.find("tcp", "192.0.2.1", 40_000), known);
    for (const other of [
      table.find("tls", "192.0.2.1", 40_000),
      table.find("tcp", "192.0.2.2", 40_000),
      table.find("tcp", "192.0.2.1", 5060),
    ])
      assert.equal(other, undefined);
    known.end("idle");
    assert.equal(table.find("tcp", "192.0.2.1", 40_000), undefined);
  });

  it("keeps the newer of two to the same place when the older ends", () => {
    const table = tableOf();
    const older = connection(table);
    const newer = connection(table);
    older.end("idle");
    assert.equal(table.find("tcp", "192.0.2.1", 40_000), newer);
  });
});

describe("ConnectionTable.sweep()", () => {
  const limits = { idleMs: 1_000, firstMessageMs: 300, messageMs: 100, connectMs: 200 };
  const cases: { name: string; about: Partial<TableConnection>; nowMs: number; want: EndReason | undefined }[] = [
    { name: "leaves one that was active", about: { activeAtMs: 500 }, nowMs: 1_500, want: undefined },
    { name: "ends one that was not", about: { activeAtMs: 500 }, nowMs: 1_501, want: "idle" },
    { name: "ends a message that is late", about: { partialSinceMs: 1_000, activeAtMs: 1_100 }, nowMs: 1_101, want: "slow-sender" },
    { name: "leaves a message that is not late yet", about: { partialSinceMs: 1_000, activeAtMs: 1_100 }, nowMs: 1_100, want: undefined },
    { name: "ends who does not read", about: { stalledSinceMs: 1_000, activeAtMs: 1_100 }, nowMs: 1_101, want: "not-reading" },
    { name: "ends who never spoke, whatever came", about: { hasSpoken: false, activeAtMs: 300 }, nowMs: 301, want: "silent" },
    { name: "waits for who was not the one to speak", about: { hasSpoken: false, isInbound: false }, nowMs: 301, want: undefined },
    { name: "ends what does not come about", about: { isReady: false, isInbound: false }, nowMs: 201, want: "connect-timeout" },
    { name: "waits for what may come about", about: { isReady: false, isInbound: false, partialSinceMs: 0 }, nowMs: 200, want: undefined },
  ];
  for (const { name, about, nowMs, want } of cases) {
    it(name, () => {
      const table = tableOf(limits);
      const one = connection(table, about);
      table.sweep(nowMs);
      assert.equal(one.endedFor, want);
      assert.equal(table.size, want === undefined ? 1 : 0);
      if (want !== undefined) assert.equal(table.counts[`connections_ended_${want.replaceAll("-", "_")}`], 1);
    });
  }
});

describe("ConnectionTable.counts", () => {
  it("tells what is open, what was taken and what was opened", () => {
    const table = tableOf();
    connection(table, { port: 1 }).end("broken");
    connection(table, { port: 2, isInbound: false });
    const { open_connections, connections_accepted, connections_opened, connections_ended_broken, connections_ended_not_sip } =
      table.counts;
    assert.deepEqual(
      { open_connections, connections_accepted, connections_opened, connections_ended_broken, connections_ended_not_sip },
      { open_connections: 1, connections_accepted: 1, connections_opened: 1, connections_ended_broken: 1, connections_ended_not_sip: 0 },
    );
  });
});
