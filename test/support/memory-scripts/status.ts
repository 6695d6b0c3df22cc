import { isVersion, MAX_AHEAD_MS, msOf, VERSION_CHARS } from "../../../src/cluster/status/hlc.ts";
import type { ScriptTwin } from "../memory-redis.ts";

/** Twins of the scripts of src/cluster/status/status-script.ts. */
export const statusScripts: Readonly<Record<string, ScriptTwin>> = {
  status_put(store, [status = "", statusSeq = "", tags = ""], args) {
    const [field = "", version = "", record = "", channel = "", most = "", tag = "", epoch = ""] = args;
    const latest = store.nowMs + MAX_AHEAD_MS;
    if (msOf(version) > latest) return ["ahead", ""];
    const held = store.call("HGET", status, field) as string | null;
    if (tag !== "" && epochOf(store.call("HGET", tags, tag) as string | null) > Number(epoch)) return ["fenced", held ?? ""];
    if (held !== null) {
      const found = held.slice(0, VERSION_CHARS);
      if (isVersion(found) && held[VERSION_CHARS] === " " && msOf(found) <= latest) {
        if (found === version) return ["same", held];
        if (found > version) return ["older", held];
      }
    } else if ((store.call("HLEN", status) as number) >= Number(most)) return ["full", ""];
    store.call("HSET", status, field, `${version} ${record}`);
    const seq = store.call("INCR", statusSeq) as number;
    store.call("PUBLISH", channel, `${seq} ${record}`);
    return ["stored", seq];
  },
  status_drop(store, [status = "", statusSeq = ""], [field = "", version = ""]) {
    const held = store.call("HGET", status, field) as string | null;
    if (held?.slice(0, VERSION_CHARS) !== version) return 0;
    store.call("HDEL", status, field);
    return store.call("INCR", statusSeq);
  },
};

function epochOf(text: string | null): number {
  try {
    return Number(JSON.parse(text ?? "{}")?.epoch ?? 0);
  } catch {
    return 0;
  }
}
