import { type CallUser, RESOURCES } from "./call-plan.ts";

/** A call that the balancer counts, and its destination: undefined while none has answered anything. */
export interface CountedCall {
  readonly callId: string;
  readonly destination: string | undefined;
}

/** Loads of a destination by resource. */
export type Loads = ReadonlyMap<string, Readonly<Record<string, number>>>;

/** What differs between the calls that destinations have and those that the balancer counts. */
export interface Differences {
  /** Calls that a destination has and the balancer does not count there. */
  readonly missing: readonly { readonly callId: string; readonly destination: string }[];
  /** Calls that the balancer counts and the destination does not have. */
  readonly surplus: readonly CountedCall[];
}

/** Compares call by call. A call that is counted before any destination answered is taken for the one that a destination has. */
export function compareCalls(held: ReadonlyMap<string, ReadonlySet<string>>, counted: readonly CountedCall[]): Differences {
  const left = new Map([...held].map(([destination, calls]) => [destination, new Set(calls)]));
  const surplus: CountedCall[] = [];
  const unplaced: CountedCall[] = [];
  for (const call of counted) {
    if (call.destination === undefined) unplaced.push(call);
    else if (left.get(call.destination)?.delete(call.callId) !== true) surplus.push(call);
  }
  for (const call of unplaced) {
    const holder = [...left.values()].find((calls) => calls.has(call.callId));
    if (holder === undefined) surplus.push(call);
    else holder.delete(call.callId);
  }
  const missing = [...left].flatMap(([destination, calls]) => [...calls].map((callId) => ({ callId, destination })));
  return { missing, surplus };
}

/**
 * Compares what is counted with the calls that destinations have, but for those that differ: one sentence for each load that these do not explain.
 *
 * @param userOf what a call counts for
 */
export function compareLoads(
  loads: Loads,
  held: ReadonlyMap<string, ReadonlySet<string>>,
  { missing, surplus }: Differences,
  userOf: (callId: string) => CallUser,
): string[] {
  const faults: string[] = [];
  for (const resource of RESOURCES.both) {
    const uses = ({ callId }: { readonly callId: string }): boolean => RESOURCES[userOf(callId)].includes(resource);
    let unplaced = surplus.filter((call) => call.destination === undefined && uses(call)).length;
    for (const [destination, byResource] of loads) {
      const load = byResource[resource] ?? 0;
      const has = [...(held.get(destination) ?? [])].filter((callId) => uses({ callId })).length;
      const at = (call: CountedCall): boolean => call.destination === destination && uses(call);
      const expected = has - missing.filter(at).length + surplus.filter(at).length;
      const more = load - expected;
      if (more < 0 || more > unplaced) faults.push(sentence(destination, resource, load, expected, has));
      else unplaced -= more;
    }
    if (unplaced > 0) faults.push(`Load of ${resource} is ${unplaced} lower than the calls that are counted, on all destinations together`);
  }
  return faults;
}

function sentence(destination: string, resource: string, load: number, expected: number, has: number): string {
  return `Load of ${resource} at ${destination} is ${load}, want ${expected}: it has ${has} of such calls`;
}
