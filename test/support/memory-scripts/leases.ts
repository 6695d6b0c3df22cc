import { MAX_LISTED_CHARS, READY_TTL_MS } from "../../../src/cluster/leases/lease-scripts.ts";
import type { ScriptTwin } from "../memory-redis.ts";
import type { MemoryStore } from "../memory-store.ts";

function count(store: MemoryStore, key: string): number {
  store.call("zremrangebyscore", key, "-inf", store.nowMs);
  return store.call("zcard", key) as number;
}

function add(store: MemoryStore, key: string, member: string, ttlMs: number): void {
  store.call("zadd", key, store.nowMs + ttlMs, member);
  if ((store.call("pttl", key) as number) < ttlMs) store.call("pexpire", key, ttlMs);
}

/** Outcome and since when, or from when on, the leases can be relied on. Empties keys that a settling finds. */
function ready(store: MemoryStore, readyKey: string, keys: readonly string[], process: string, settlingMs: number): [number, number] {
  const kept = store.call("get", readyKey) as string | null;
  const [, keptProcess = "", text = "", listed = ""] = /^(\w*) (\d+)(\n.*)$/s.exec(kept ?? "") ?? [];
  const keptFrom = listed !== "" && Number(text) <= store.nowMs + 2 * settlingMs ? Number(text) : undefined;
  const isLost = keptFrom === undefined || (process !== "" && keptProcess !== process);
  const from = isLost ? Math.max(store.nowMs + settlingMs, (keptFrom ?? -1) + 1) : keptFrom;
  let emptied = isLost ? "\n" : listed;
  for (const key of keys) {
    if (emptied.includes(`\n${key}\n`) || emptied.length >= MAX_LISTED_CHARS) continue;
    store.call("del", key);
    emptied += `${key}\n`;
  }
  store.call("set", readyKey, `${isLost ? process : keptProcess} ${from}${emptied}`, "px", READY_TTL_MS);
  return [isLost ? 2 : from > store.nowMs ? 3 : 1, from];
}

/** Twins of the scripts of src/cluster/leases/lease-scripts.ts. */
export const LEASE_TWINS: Readonly<Record<string, ScriptTwin>> = {
  lease_reserve: (store, [readyKey = "", ...keys], [process = "", settlingMs, ttlMs, ...rest]) => {
    const [outcome, from] = ready(store, readyKey, keys, process, Number(settlingMs));
    const counts = keys.map((key) => count(store, key));
    if (outcome !== 1) return [outcome, from, ...counts];
    const wanted: [string, string][] = [];
    let isFull = false;
    for (const [i, key] of keys.entries()) {
      const [capacity = 0, units = 0] = rest.splice(0, 2).map(Number);
      const members = rest.splice(0, units);
      const missing = members.filter((member) => store.call("zscore", key, member) === null).length;
      if (missing > 0 && counts[i]! + missing > capacity) isFull = true;
      for (const member of members) wanted.push([key, member]);
    }
    if (isFull) return [0, from, ...counts];
    for (const [key, member] of wanted) add(store, key, member, Number(ttlMs));
    return [1, from, ...keys.map((key) => store.call("zcard", key))];
  },

  lease_renew: (store, [readyKey = "", key = ""], [process = "", settlingMs, ttlMs, ...members]) => {
    const [outcome, from] = ready(store, readyKey, [key], process, Number(settlingMs));
    for (const member of members) add(store, key, member, Number(ttlMs));
    return [outcome, from, count(store, key)];
  },

  lease_release: (store, [readyKey = "", key = ""], [process = "", settlingMs, ...members]) => {
    const [outcome, from] = ready(store, readyKey, [key], process, Number(settlingMs));
    store.call("zrem", key, ...members);
    return [outcome, from, count(store, key)];
  },

  lease_count: (store, [readyKey = "", ...keys], [process = "", settlingMs]) => {
    const [outcome, from] = ready(store, readyKey, keys, process, Number(settlingMs));
    return [outcome, from, ...keys.map((key) => count(store, key))];
  },
};
