import { HEAD_CHARS } from "../../../src/cluster/dialogs/dialog-scripts.ts";
import type { ScriptTwin } from "../memory-redis.ts";
import type { MemoryStore } from "../memory-store.ts";

function headOf(store: MemoryStore, key: string): string {
  return ((store.call("get", key) as string | null) ?? "").slice(0, HEAD_CHARS);
}

/** Twins of the scripts of src/cluster/dialogs/dialog-scripts.ts. */
export const DIALOG_TWINS: Readonly<Record<string, ScriptTwin>> = {
  dialog_put: (store, [key = ""], [owner = "", record = "", ttlMs = ""]) => {
    const head = headOf(store, key);
    if (head !== "" && !head.startsWith(owner)) return head;
    store.call("set", key, record, "px", ttlMs);
    return 1;
  },

  dialog_take: (store, [key = ""], [expected = "", head = "", record = "", ttlMs = ""]) => {
    const old = store.call("get", key) as string | null;
    if (old === null || !old.startsWith(expected)) return false;
    if (record !== "") {
      store.call("set", key, record, "px", ttlMs);
      return record;
    }
    const taken = head + old.slice(expected.length);
    store.call("set", key, taken, "keepttl");
    return taken;
  },

  dialog_end: (store, [key = ""], [owner = "", tombstone = "", ttlMs = "", mode = ""]) => {
    const head = headOf(store, key);
    const isMine = head.startsWith(owner);
    if (mode === "left" && !isMine) return 0;
    if (mode !== "left" && isMine) {
      store.call("del", key);
      return 0;
    }
    if (mode === "forgotten" || (mode === "sure" && head === "")) return 0;
    if (head.endsWith('",0]')) return head === tombstone ? 1 : 0;
    store.call("set", key, tombstone, "px", ttlMs);
    return 1;
  },

  dialog_head: (store, [key = ""]) => headOf(store, key),
};
