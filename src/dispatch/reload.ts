import { Entry } from "./destination.ts";
import type { Names } from "./names.ts";
import type { DestinationRecord } from "./records.ts";
import { FLAG_NO_DNS } from "./state.ts";

/** What a reload did. */
export interface ReloadResult {
  /** False when the records were refused as a whole: what was in use stays. */
  readonly isApplied: boolean;
  readonly added: number;
  readonly removed: number;
  readonly kept: number;
  /** Sentences about records that are left out, and attributes that are ignored. */
  readonly problems: readonly string[];
}

/**
 * The entries for records, in their order: those that were in use before, with their states and loads, and new ones. The same destination is who has
 * the same `duid` in its set, else the same URI, and of several with that URI the one at the same place among them.
 *
 * @param names of the records, in their order
 * @param former entries in use, and those that are gone with calls left
 */
export function matchEntries(records: readonly DestinationRecord[], names: readonly Names[], former: Iterable<Entry>): Entry[] {
  const byName = new Map<string, Entry>();
  for (const entry of former) {
    // one in use is not hidden by one that is gone
    for (const name of entry.names) if (!byName.has(name) || !entry.isGone) byName.set(name, entry);
  }
  const claimed = new Set<Entry>();
  const entries: (Entry | undefined)[] = records.map(() => undefined);
  const claim = (index: number, name: string | undefined): void => {
    const entry = name === undefined ? undefined : byName.get(name);
    if (entries[index] !== undefined || entry === undefined || claimed.has(entry)) return;
    claimed.add(entry);
    entries[index] = entry;
  };
  for (const [index, { duid }] of names.entries()) claim(index, duid);
  for (const [index, { place }] of names.entries()) claim(index, place);
  return records.map((record, index) => {
    const { duid, place } = names[index]!;
    const key = duid ?? place;
    const own = duid === undefined ? [place] : [duid, place];
    const literal = record.target.address;
    const addresses = literal === undefined || (record.flags & FLAG_NO_DNS) !== 0 ? [] : [literal];
    const entry = entries[index];
    if (entry === undefined) return new Entry(key, own, record, addresses);
    entry.reload(key, own, record, addresses);
    return entry;
  });
}
