import type { LbCode } from "./codes.ts";

/** Groups whose decisions are counted apart; those of all others are counted together, so that a script cannot make up groups without end. */
export const MAX_COUNTED_GROUPS = 100;
/** In place of a group: all beyond {@link MAX_COUNTED_GROUPS}. */
export const OTHER_GROUPS = -1;

/** Codes go from -4 to 1; there is no 0. */
const LOWEST_CODE = -4;
const CODES = 6;
const REAL_CODES = [1, -1, -2, -3, -4] as const;

/** Counts of one group, by code. */
export interface GroupDecisions {
  /** Number of the group, or {@link OTHER_GROUPS}. */
  readonly group: number;
  readonly code: LbCode;
  /** Since the start. */
  readonly count: number;
}

/** What start, next and reselect have answered, by group and code. Counting is an addition in an array, and a look into a small map. */
export class DecisionTally {
  readonly #counts = new Float64Array((MAX_COUNTED_GROUPS + 1) * CODES);
  readonly #places = new Map<number, number>();

  count(group: number, code: LbCode): void {
    const place = this.#places.get(group) ?? this.#newPlace(group);
    this.#counts[place + code - LOWEST_CODE]!++;
  }

  /** All codes of the groups that were asked for, zeros too: a rate over time needs the zero before the first. */
  read(): GroupDecisions[] {
    const read: GroupDecisions[] = [];
    for (const [group, place] of this.#places) {
      for (const code of REAL_CODES) read.push({ group, code, count: this.#counts[place + code - LOWEST_CODE]! });
    }
    return this.#ofOthers() === 0 ? read : [...read, ...this.#others()];
  }

  /** The last place is that of all others. */
  #newPlace(group: number): number {
    const index = this.#places.size;
    if (index >= MAX_COUNTED_GROUPS) return MAX_COUNTED_GROUPS * CODES;
    this.#places.set(group, index * CODES);
    return index * CODES;
  }

  #others(): GroupDecisions[] {
    const place = MAX_COUNTED_GROUPS * CODES;
    return REAL_CODES.map((code) => ({ group: OTHER_GROUPS, code, count: this.#counts[place + code - LOWEST_CODE]! }));
  }

  #ofOthers(): number {
    return this.#others().reduce((sum, { count }) => sum + count, 0);
  }
}
