import type { DestinationRecord } from "./records.ts";
import { STEP_SIZE, type Steps } from "./steps.ts";

/** Names of a record: the first is absent without `duid`. */
export interface Names {
  readonly duid: string | undefined;
  /** Set, URI and which of those with that URI it is: several records may have one URI (K#2527). */
  readonly place: string;
}

/** The names of records, in their order, in steps. */
export function* nameSteps(records: readonly Pick<DestinationRecord, "setId" | "uri" | "attributes">[]): Steps<Names[]> {
  const seen = new Map<string, number>();
  const duids = new Set<string>();
  const all: Names[] = [];
  for (const [index, { setId, uri, attributes }] of records.entries()) {
    if (index % STEP_SIZE === STEP_SIZE - 1) yield;
    const address = `${setId}/${uri.toLowerCase()}`;
    const occurrence = seen.get(address) ?? 0;
    seen.set(address, occurrence + 1);
    const name = attributes.duid === "" ? undefined : `${setId}#${attributes.duid.toLowerCase()}`;
    const duid = name === undefined || duids.has(name) ? undefined : name; // of two with one duid the first has it
    if (name !== undefined) duids.add(name);
    all.push({ duid, place: `${address}/${occurrence}` });
  }
  return all;
}
