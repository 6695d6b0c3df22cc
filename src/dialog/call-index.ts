import type { Dialog } from "./dialog.ts";
import { MAX_LEGS } from "./leg.ts";

/** With more calls than this behind one Call-ID they are found by their tags. So many are as quickly looked through. */
const SMALL_GROUP = 16;
/** Calls of a large group that are looked at for one whose tags are not known yet. */
const MAX_LOOKS = 64;

/** More than one call with the same Call-ID: a fork before us, a spiral through us, or somebody who means harm. */
class CallGroup {
  readonly calls = new Set<Dialog>();
  /** The call that learned of a callee's tag last: a hint. */
  readonly byLeg = new Map<string, Dialog>();
}

/**
 * Calls by their Call-ID. Nearly always there is one, and that is all that is kept then. Ten thousand with the same one are found, added and taken out in a
 * time that does not depend on how many they are.
 */
export class CallIndex {
  readonly #calls = new Map<string, Dialog | CallGroup>();

  /** Call-IDs. */
  get size(): number {
    return this.#calls.size;
  }

  /** All calls with this Call-ID, oldest first. */
  all(callId: string): Iterable<Dialog> {
    const found = this.#calls.get(callId);
    if (found === undefined) return NONE;
    return found instanceof CallGroup ? found.calls : [found];
  }

  /**
   * Calls that a message with these tags may be one of, likely ones first, each at least once; of a large group some alone. Whether it is one is for the
   * caller to see.
   */
  candidates(callId: string, tags: { readonly fromTag: string; readonly toTag: string }): Iterable<Dialog> {
    const found = this.#calls.get(callId);
    if (found === undefined) return NONE;
    if (!(found instanceof CallGroup)) return [found];
    return found.calls.size <= SMALL_GROUP ? found.calls : likely(found, tags);
  }

  add(dialog: Dialog): void {
    const found = this.#calls.get(dialog.callId);
    if (found === undefined) {
      this.#calls.set(dialog.callId, dialog);
      return;
    }
    if (found instanceof CallGroup) found.calls.add(dialog);
    else {
      const group = new CallGroup();
      group.calls.add(found).add(dialog);
      this.#calls.set(dialog.callId, group);
      this.learned(found);
    }
    this.learned(dialog);
  }

  /** To be called when legs of the call may have become known. */
  learned(dialog: Dialog): void {
    const found = this.#calls.get(dialog.callId);
    if (!(found instanceof CallGroup)) return;
    for (const { tag } of dialog.legs) if (found.byLeg.get(tag)?.hasLeg(tag) !== true) found.byLeg.set(tag, dialog);
    // Tags of legs that were given up stay behind.
    if (found.byLeg.size <= found.calls.size * MAX_LEGS) return;
    found.byLeg.clear();
    for (const other of found.calls) for (const { tag } of other.legs) found.byLeg.set(tag, other);
  }

  remove(dialog: Dialog): void {
    const found = this.#calls.get(dialog.callId);
    if (found === dialog) this.#calls.delete(dialog.callId);
    if (!(found instanceof CallGroup)) return;
    found.calls.delete(dialog);
    for (const { tag } of dialog.legs) if (found.byLeg.get(tag) === dialog) found.byLeg.delete(tag);
    if (found.calls.size === 0) this.#calls.delete(dialog.callId);
  }
}

const NONE: readonly Dialog[] = [];

function* likely({ calls, byLeg }: CallGroup, { fromTag, toTag }: { fromTag: string; toTag: string }): IterableIterator<Dialog> {
  for (const tag of [toTag, fromTag]) {
    const dialog = byLeg.get(tag);
    if (dialog !== undefined) yield dialog;
  }
  let left = MAX_LOOKS;
  for (const dialog of calls) {
    if (left-- === 0) return;
    yield dialog;
  }
}
