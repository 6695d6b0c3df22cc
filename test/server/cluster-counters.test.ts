import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CountingParts, clusterCounters } from "../../src/server/cluster-counters.ts";

function parts(over: Record<string, unknown> = {}): CountingParts {
  const nodes = [{ isAlive: true }, { isAlive: false }, { isAlive: true }];
  return {
    membership: { nodes: () => nodes, rttMs: 1.6, counters: { beats: 1 } },
    tags: { list: () => [{ state: "active" }, { state: "backup" }], counters: { tags_gained: 2 } },
    hooks: { counters: { hooks_run: 3 } },
    link: { isUp: true, counters: { connects: 4 } },
    wire: { counters: { refused_version: 5 } },
    status: { counters: { status_set: 6, status_unsynced: 7, status_records: 8 } },
    loads: { counters: { kept: 9 } },
    leases: { counters: { renewed: 10 }, calls: 11, owed: 12 },
    dialogs: { replica: { pendingCount: 13, counters: { dialogs_taken: 14, lookups: 15 } } },
    remote: { counters: { mi_run: 16 } },
    ...over,
  } as unknown as CountingParts;
}

describe("the statistics of group clusterer", () => {
  it("have a name each that says which part counts, and say how many nodes, tags and decisions there are", () => {
    assert.deepEqual(clusterCounters(parts()), {
      nodes_alive: 2,
      nodes_known: 3,
      redis_connected: 1,
      redis_rtt_ms: 2,
      tags_active: 1,
      unsynced_statuses: 7,
      unsynced_dialogs: 13,
      redis_connects: 4,
      message_refused_version: 5,
      beats: 1,
      tags_gained: 2,
      hooks_run: 3,
      status_set: 6,
      status_records: 8,
      load_kept: 9,
      lease_renewed: 10,
      lease_calls: 11,
      lease_unreturned: 12,
      dialogs_taken: 14,
      dialog_lookups: 15,
      mi_run: 16,
    });
  });

  it("have nothing of dialogs that are not replicated, and 0 for what is not known yet", () => {
    const counters = clusterCounters(
      parts({
        dialogs: undefined,
        link: { isUp: false, counters: {} },
        membership: { nodes: () => [], rttMs: undefined, counters: {} },
        status: { counters: {} },
      }),
    );
    assert.deepEqual(
      Object.keys(counters).filter((name) => name.startsWith("dialog")),
      [],
    );
    const { unsynced_dialogs, unsynced_statuses, redis_rtt_ms, redis_connected, nodes_alive } = counters;
    assert.deepEqual([unsynced_dialogs, unsynced_statuses, redis_rtt_ms, redis_connected, nodes_alive], [0, 0, 0, 0, 0]);
  });
});
