import type { Balancer, Destination } from "../balancer/index.ts";
import { GroupSums, type Headroom } from "./group-sums.ts";

/** Pause between two rounds over all groups, ms: what lasts for less raises no alert. */
export const ALERT_CHECK_MS = 1_000;
/** Pause between two slices of a round, ms: calls have their turn. */
export const ALERT_SLICE_MS = 10;
/** Destinations that a slice looks at: a millisecond or two. */
export const ALERT_SLICE_ROWS = 1_000;
/** By how much the free share must be above the limit to end an alert, in percent of all: a group at the limit does not come and go with each call. */
export const RECOVERY_MARGIN_PERCENT = 1;
/**
 * Rounds for which capacities that somebody outside tells may be used up before that alone raises an alert: a minute. FreeSWITCH's sessions-per-second
 * opens within a second, and a refused call closes a server for two heartbeats, 40 s.
 */
export const HELD_ROUNDS = 60;
/** Most groups that are remembered after they were seen with destinations; nobody routes to more. */
export const MAX_GROUPS_REMEMBERED = 10_000;

/** "gone": the alert ends as there is nothing left to recover: the group, or the capacity, is wanted no more. */
export type AlertState = "raised" | "recovered" | "gone";

/**
 * An alert begins or ends. "none-available": no destination of the group gets calls, trial calls of breakers apart, or all capacities are 0; those that
 * somebody outside tells count as full for {@link HELD_ROUNDS}. It is raised anew when `failedOpen` or `rows` begins to say something else.
 */
export type GroupAlert =
  | {
      readonly kind: "none-available";
      readonly group: number;
      readonly state: AlertState;
      /** Calls go to its destinations all the same, as the group fails open. */
      readonly failedOpen: boolean;
      /** Destinations that the group has, whatever their states. */
      readonly rows: number;
    }
  | ({ readonly kind: "low-headroom"; readonly group: number; readonly state: AlertState } & Headroom);

export interface GroupAlertPorts {
  readonly balancer: Pick<
    Balancer,
    | "destinations"
    | "isAvailable"
    | "breaker"
    | "isAutoReenable"
    | "isDraining"
    | "isWithdrawn"
    | "isLeaving"
    | "restMs"
    | "capacity"
    | "freeSlots"
  >;
  /** 0 to 100; 0: headroom raises no alert. */
  readonly lowPercent: number;
  /** Whether calls go to destinations that are down when all of a group are. */
  readonly failOpen: boolean;
  /** Groups that calls are routed to, which want a destination; `undefined`: nobody knows, so each that ever had a destination does. */
  readonly wanted: () => ReadonlySet<number> | undefined;
  /** Whether calls to a group go beyond capacities (flag `n`), so that one of 0 keeps nobody away; absent: to none. */
  readonly overfills?: (group: number) => boolean;
  readonly onAlert: (alert: GroupAlert) => void;
}

/** What was told of a group without available destination. */
interface Told {
  readonly failedOpen: boolean;
  readonly isEmpty: boolean;
}

/** The rows of one group. */
interface Group {
  readonly group: number;
  readonly destinations: readonly Destination[];
}

/** Watches groups: each alert is raised once, until it recovers. A round over all groups is made in slices, each of a bounded number of destinations. */
export class GroupAlerts {
  readonly #ports: GroupAlertPorts;
  readonly #down = new Map<number, Told>();
  /** Group and resource, with a blank between them. */
  readonly #low = new Set<string>();
  /** Groups that had a destination since the start. */
  readonly #seen = new Set<number>();
  #madeOf: readonly Destination[] | undefined;
  #groups: readonly Group[] = [];
  #withRows: ReadonlySet<number> = new Set();
  /** Where the round is: a group, and a destination of it. */
  #next = 0;
  #nextRow = 0;
  #sums: GroupSums | undefined;
  /** What {@link #low} may hold: a resource that no round finds any more is gone. */
  #resources = new Set<string>();
  /** Rounds that a group, or a group and a resource, was held in a row: up to the last round, and with this one. */
  #held = new Map<string, number>();
  #heldNow = new Map<string, number>();

  constructor(ports: GroupAlertPorts) {
    this.#ports = ports;
  }

  /** Alerts that have not recovered. */
  get raised(): number {
    return this.#down.size + this.#low.size;
  }

  /** Looks at the next destinations. Answers how long to wait until the next call of this, ms: {@link ALERT_SLICE_MS} within a round. */
  check(): number {
    this.#takeTable();
    let left = ALERT_SLICE_ROWS;
    while (this.#next < this.#groups.length) {
      const { group, destinations } = this.#groups[this.#next]!;
      const until = Math.min(destinations.length, this.#nextRow + left);
      this.#sums ??= new GroupSums(this.#ports.balancer, this.#ports, this.#ports.overfills?.(group) ?? false);
      for (let row = this.#nextRow; row < until; row++) this.#sums.add(destinations[row]!);
      left -= until - this.#nextRow;
      this.#nextRow = until;
      if (until < destinations.length) return ALERT_SLICE_MS;
      this.#judge(group, destinations.length, this.#sums);
      this.#beginGroup(this.#next + 1);
      if (left <= 0 && this.#next < this.#groups.length) return ALERT_SLICE_MS;
    }
    this.#judgeMissing();
    this.#held = this.#heldNow;
    this.#heldNow = new Map();
    this.#beginRound();
    return ALERT_CHECK_MS;
  }

  #takeTable(): void {
    const all = this.#ports.balancer.destinations();
    if (all === this.#madeOf) return;
    this.#madeOf = all;
    const groups = Map.groupBy(all, ({ group }) => group);
    this.#groups = [...groups].map(([group, destinations]) => ({ group, destinations }));
    this.#withRows = new Set(groups.keys());
    for (const group of this.#withRows) if (this.#seen.size < MAX_GROUPS_REMEMBERED) this.#seen.add(group);
    this.#beginRound();
  }

  #beginRound(): void {
    this.#resources = new Set();
    this.#beginGroup(0);
  }

  #beginGroup(next: number): void {
    this.#next = next;
    this.#nextRow = 0;
    this.#sums = undefined;
  }

  #judge(group: number, rows: number, sums: GroupSums): void {
    if (sums.isAvailable) this.#endDown(group, rows, "recovered");
    else if (!sums.isHeld || this.#down.has(group) || this.#lasts(`${group}`)) this.#raiseDown(group, rows, sums.failsOpen);
    if (this.#ports.lowPercent <= 0) return;
    for (const { isHeld, freePercentOfRest, ...headroom } of sums.headroom()) {
      const key = `${group} ${headroom.resource}`;
      this.#resources.add(key);
      const limit = this.#limitOf(key);
      const isLow = headroom.freePercent < limit;
      const wasLow = this.#low.has(key);
      const mayPass = isLow && !wasLow && isHeld && freePercentOfRest >= limit;
      if (isLow === wasLow || (mayPass && !this.#lasts(key))) continue;
      if (isLow) this.#low.add(key);
      else this.#low.delete(key);
      this.#ports.onAlert({ kind: "low-headroom", group, state: isLow ? "raised" : "recovered", ...headroom });
    }
  }

  /** Whether it was held in as many rounds as it may be. To be asked once a round. */
  #lasts(key: string): boolean {
    const rounds = (this.#held.get(key) ?? 0) + 1;
    this.#heldNow.set(key, rounds);
    return rounds > HELD_ROUNDS;
  }

  /** Groups that have no row, and alerts of what is no more. */
  #judgeMissing(): void {
    const wanted = this.#ports.wanted() ?? this.#seen;
    for (const group of wanted) if (!this.#withRows.has(group)) this.#raiseDown(group, 0, false);
    for (const group of [...this.#down.keys()]) if (!this.#withRows.has(group) && !wanted.has(group)) this.#endDown(group, 0, "gone");
    for (const key of [...this.#low]) {
      if (this.#resources.has(key)) continue;
      this.#low.delete(key);
      const [, group = "", resource = ""] = /^(\d+) (.*)$/s.exec(key) ?? [];
      const nothing = { free: 0, capacity: 0, freePercent: 0 };
      this.#ports.onAlert({ kind: "low-headroom", group: Number(group), state: "gone", resource, ...nothing });
    }
  }

  #raiseDown(group: number, rows: number, failedOpen: boolean): void {
    const told = this.#down.get(group);
    const isEmpty = rows === 0;
    if (told !== undefined && told.failedOpen === failedOpen && told.isEmpty === isEmpty) return;
    this.#down.set(group, { failedOpen, isEmpty });
    this.#ports.onAlert({ kind: "none-available", group, state: "raised", failedOpen, rows });
  }

  #endDown(group: number, rows: number, state: AlertState): void {
    if (this.#down.delete(group)) this.#ports.onAlert({ kind: "none-available", group, state, failedOpen: false, rows });
  }

  #limitOf(key: string): number {
    const { lowPercent } = this.#ports;
    return this.#low.has(key) ? Math.min(100, lowPercent + RECOVERY_MARGIN_PERCENT) : lowPercent;
  }
}
