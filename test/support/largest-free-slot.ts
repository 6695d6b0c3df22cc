/**
 * The formula in its plainest form, to compare the running program with: a call goes where the most calls still fit, the first of equals.
 * Loads are changed in place.
 *
 * @returns the index that was taken, or undefined when all are full
 */
export function place(capacities: readonly number[], loads: number[], relative = false): number | undefined {
  let best: number | undefined;
  let bestSlot = 0;
  capacities.forEach((capacity, index) => {
    const load = loads[index] ?? 0;
    const slot = relative ? 100 - Math.trunc((100 * load) / capacity) : capacity - load;
    if (slot > bestSlot) {
      best = index;
      bestSlot = slot;
    }
  });
  if (best !== undefined) loads[best] = (loads[best] ?? 0) + 1;
  return best;
}

/** Loads after `calls` calls that all stay. */
export function loadsAfter(capacities: readonly number[], calls: number): number[] {
  const loads = capacities.map(() => 0);
  for (let call = 0; call < calls; call += 1) place(capacities, loads);
  return loads;
}

/** How many of `calls` calls, one each `intervalMs`, each ending after `holdMs`, go to each destination. */
export function sharesOf(capacities: readonly number[], calls: number, intervalMs: number, holdMs: number, relative = false): number[] {
  const loads = capacities.map(() => 0);
  const shares = capacities.map(() => 0);
  const ongoing: { endMs: number; index: number }[] = [];
  for (let call = 0; call < calls; call += 1) {
    const nowMs = call * intervalMs;
    while (ongoing[0] !== undefined && ongoing[0].endMs <= nowMs) loads[ongoing.shift()?.index ?? 0]! -= 1;
    const index = place(capacities, loads, relative);
    if (index === undefined) throw new Error(`Call ${call} does not fit into ${capacities.join(" + ")}`);
    shares[index]! += 1;
    ongoing.push({ endMs: nowMs + holdMs, index });
  }
  return shares;
}
