import type { Address, DestinationRow } from "../balancer/index.ts";
import { isNumeric, locateAtOnce, SERVED_TRANSPORTS, type SipTarget, targetKey } from "../resolution/index.ts";
import { KnownHosts } from "./known-hosts.ts";
import { locateByHost, resolveAll, resolveBySystem } from "./resolve.ts";
import { type CheckedRow, checkRow, LOADED_LENGTHS, type RawRow } from "./row.ts";
import type { LoadedDestinations, SkippedRow, StoreOptions, UnresolvedRow } from "./store.ts";

/** Rows that are checked in one go: a millisecond or two. */
const CHECKS_AT_ONCE = 200;

/** Finds the rows that can be used, and where they are, whatever database they come from. */
export class RowChecker {
  readonly #options: Pick<StoreOptions, "resolve" | "locate" | "limits" | "feeds">;
  /** Of the rows of the latest load, and of rows that are in no database: a look at the one says nothing of the other. */
  readonly #stored = new KnownHosts();
  readonly #unstored = new KnownHosts();

  constructor(options: Pick<StoreOptions, "resolve" | "locate" | "limits" | "feeds">) {
    this.#options = options;
  }

  /** All rows of a database. */
  stored(raws: readonly RawRow[]): Promise<LoadedDestinations> {
    return this.#check(raws, this.#stored, "all");
  }

  /** Rows that are in no database; see `DestinationStore.check`. */
  unstored(raws: readonly RawRow[], extent: "all" | "some"): Promise<LoadedDestinations> {
    return this.#check(raws, this.#unstored, extent);
  }

  async #check(raws: readonly RawRow[], known: KnownHosts, extent: "all" | "some"): Promise<LoadedDestinations> {
    const { resolve = resolveBySystem, locate = locateByHost(resolve), limits, feeds } = this.#options;
    const checked: CheckedRow[] = [];
    const skipped: SkippedRow[] = [];
    const ids = new Set<number>();
    for (const [i, raw] of raws.entries()) {
      if (i % CHECKS_AT_ONCE === CHECKS_AT_ONCE - 1) await new Promise(setImmediate); // calls come first
      const result = checkRow(raw, LOADED_LENGTHS, feeds);
      if ("faults" in result) {
        skipped.push(skip(raw.id, result.faults));
      } else if (ids.has(result.row.id)) {
        skipped.push(skip(raw.id, ["the id stands twice: want each id once"])); // a view may answer that
      } else {
        ids.add(result.row.id);
        checked.push(result.row);
      }
    }
    const names = new Map<string, SipTarget>();
    for (const { target } of checked) if (!isNumeric(target.host)) names.set(targetKey(target), target);
    const before = known.names(); // a name that another look learns meanwhile stays
    const resolutions = await resolveAll(names, locate, limits);
    const found = new Map<string, readonly Address[]>();
    const rows: DestinationRow[] = [];
    const unresolved: UnresolvedRow[] = [];
    const kept: string[] = [];
    for (const { target, ...row } of checked) {
      const key = targetKey(target);
      const { addresses, reason } = resolutions.get(key) ?? { addresses: addressesOf(target), reason: undefined };
      const usable = addresses.length > 0 ? addresses : known.get(key);
      const fault = `dst_uri "${row.uri}": host "${target.host}" cannot be resolved: ${reason}`;
      if (usable === undefined) {
        skipped.push(skip(row.id, [fault]));
        unresolved.push(row);
        continue;
      }
      if (reason !== undefined) kept.push(`Row ${row.id} keeps the addresses from before, ${ipsOf(usable)}: ${fault}`);
      if (names.has(key)) found.set(key, usable);
      rows.push({ ...row, addresses: usable });
    }
    if (extent === "all") known.forget(before.filter((key) => !found.has(key)));
    known.learn(found);
    return { rows, skipped: skipped.sort((a, b) => (a.id ?? -1) - (b.id ?? -1)), unresolved, kept };
  }
}

/** Of a target that is an address itself. */
function addressesOf(target: SipTarget): readonly Address[] {
  const location = locateAtOnce(target, SERVED_TRANSPORTS);
  return location?.outcome === "found" ? location.addresses : [];
}

function ipsOf(addresses: readonly Address[]): string {
  return [...new Set(addresses.map(({ ip }) => ip))].join(", ");
}

function skip(id: unknown, faults: readonly string[]): SkippedRow {
  return { id: typeof id === "number" ? id : undefined, reason: `Row ${String(id)} is skipped: ${faults.join("; ")}` };
}
