import type { Address } from "../balancer/index.ts";
import type { SrvRecord } from "./ports.ts";

/** Records in an order that is always the same: by priority, then what weighs more, then by name. */
export function sortSrv(records: readonly SrvRecord[]): SrvRecord[] {
  return [...records].sort((a, b) => a.priority - b.priority || b.weight - a.weight || compare(a.target, b.target) || a.port - b.port);
}

/** Shares of a weight of 1, so that no weight at all can be worth one. */
const SHARES = 64;

/**
 * Puts entries of one priority into the order in which they are to be tried (RFC 2782, "Weight"): one is drawn, in proportion to its weight, then one
 * of the rest, until none is left. Entries without weight are drawn hardly ever while others are left, and equally often among themselves. The RFC's own
 * number "between 0 and the sum (inclusive)" would give the first of two weights of 1 two thirds.
 *
 * @param below uniform whole number from 0 to n-1
 */
export function drawByWeight<T extends { readonly weight: number }>(entries: readonly T[], below: (n: number) => number): T[] {
  const left = [...entries];
  const drawn: T[] = [];
  while (left.length > 1) {
    const number = below(left.reduce((sum, entry) => sum + sharesOf(entry), 0));
    let running = 0;
    const at = left.findIndex((entry) => {
      running += sharesOf(entry);
      return running > number;
    });
    drawn.push(...left.splice(at, 1));
  }
  return [...drawn, ...left];
}

function sharesOf({ weight }: { readonly weight: number }): number {
  return weight === 0 ? 1 : weight * SHARES;
}

/**
 * The addresses of a name in the order in which one request is to try them: by priority and weight of the SRV records they come from, all addresses of
 * a record's host one after the other. Without SRV records the order stays. The chance is that of one request: each draws for itself.
 *
 * @param below uniform whole number from 0 to n-1
 */
export function orderAddresses(addresses: readonly Address[], below: (n: number) => number): readonly Address[] {
  if (addresses.length < 2 || addresses.every(({ srv }) => srv === undefined)) return addresses;
  const entries = new Map<number, { priority: number; weight: number; addresses: Address[] }>();
  for (const address of addresses) {
    const { entry, priority, weight } = address.srv ?? { entry: -1, priority: 0, weight: 0 };
    const known = entries.get(entry);
    if (known === undefined) entries.set(entry, { priority, weight, addresses: [address] });
    else known.addresses.push(address);
  }
  const all = [...entries.values()];
  const priorities = [...new Set(all.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.flatMap((wanted) =>
    drawByWeight(
      all.filter(({ priority }) => priority === wanted),
      below,
    ).flatMap((entry) => entry.addresses),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
