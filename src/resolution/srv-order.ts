import type { Address } from "../balancer/index.ts";
import type { SrvRecord } from "./ports.ts";

/** Records in an order that is always the same: by priority, then what weighs more, then by name. */
export function sortSrv(records: readonly SrvRecord[]): SrvRecord[] {
  return [...records].sort((a, b) => a.priority - b.priority || b.weight - a.weight || compare(a.target, b.target) || a.port - b.port);
}

/**
 * Puts entries of one priority into the order in which they are to be tried (RFC 2782, "Weight"): one is drawn, in proportion to its weight, then one
 * of the rest, until none is left. Entries without weight are drawn hardly ever while others are left.
 *
 * @param below uniform whole number from 0 to n-1
 */
export function drawByWeight<T extends { readonly weight: number }>(entries: readonly T[], below: (n: number) => number): T[] {
  // "Placed at the beginning": then the number 0 draws the first of them.
  const left = [...entries.filter(({ weight }) => weight === 0), ...entries.filter(({ weight }) => weight !== 0)];
  const drawn: T[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const number = total === 0 ? 0 : below(total + 1);
    let running = 0;
    const at = left.findIndex(({ weight }) => {
      running += weight;
      return running >= number;
    });
    drawn.push(...left.splice(at, 1));
  }
  return drawn;
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
