import { EslCounters } from "./counters.ts";

/** What happened on all connections since the start, those included that are no more. Names are flat, with underscores. */
export class EslTotals {
  readonly #gone: Record<string, number> = flat(new EslCounters());

  /** A FreeSWITCH is named no more: what it counted stays counted. */
  keep(counters: EslCounters): void {
    add(this.#gone, flat(counters));
  }

  read(current: Iterable<{ readonly counters: EslCounters }>): Record<string, number> {
    const sum = { ...this.#gone };
    for (const { counters } of current) add(sum, flat(counters));
    return sum;
  }
}

function flat(counters: EslCounters): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === "number") values[name] = value;
    else for (const [kind, count] of Object.entries(value)) values[`${name}_${kind.replaceAll("-", "_")}`] = count as number;
  }
  return values;
}

function add(to: Record<string, number>, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) to[name] = (to[name] ?? 0) + value;
}
