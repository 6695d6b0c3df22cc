/** The destination gets no requests: it failed, or an operator says so. */
export const FLAG_INACTIVE = 1;
/** It failed lately and still gets requests. */
export const FLAG_TRYING = 2;
/** An operator has taken it out of use; it is not probed either. */
export const FLAG_DISABLED = 4;
/** It is probed, as far as the probing mode goes. */
export const FLAG_PROBING = 8;
/** Its host is not looked up as an address, such as the name of an SRV record: `ds_is_from_list` does not find it. */
export const FLAG_NO_DNS = 16;
/** It is never probed. */
export const FLAG_NO_PING = 32;

/** Bits that change while the program runs; the others are what the record says. */
export const STATE_FLAGS = FLAG_INACTIVE | FLAG_TRYING | FLAG_DISABLED | FLAG_PROBING;
export const ALL_FLAGS = STATE_FLAGS | FLAG_NO_DNS | FLAG_NO_PING;
/** A destination with one of these bits is not selected. */
const CLOSED = FLAG_INACTIVE | FLAG_DISABLED;

/** Which destinations are probed (`ds_probing_mode`). */
export type ProbingMode = 0 | 1 | 2 | 3;

/** Those with the probing flag, which the first answer takes away. */
export const PROBE_FLAGGED_ONCE = 0;
/** All. */
export const PROBE_ALL = 1;
/** Inactive ones with the probing flag. */
export const PROBE_INACTIVE = 2;
/** Those with the probing flag, which stays. */
export const PROBE_FLAGGED = 3;

/** How often a destination has to fail or answer before its state changes. */
export interface Thresholds {
  /** `ds_probing_threshold`: failures that make a trying destination inactive, from 1. */
  readonly probingThreshold: number;
  /** `ds_inactive_threshold`: successes that make an inactive destination active, from 1. */
  readonly inactiveThreshold: number;
}

/** What the state machine keeps of a destination. */
export interface State {
  /** Bits `FLAG_*`. */
  readonly flags: number;
  /** Failures in a row while trying, successes in a row while inactive. */
  readonly probingCount: number;
}

/** Whether a destination with these flags may be selected: it is active or trying. */
export function isOpen(flags: number): boolean {
  return (flags & CLOSED) === 0;
}

/** What a report means for those who watch: `dispatcher:dst-down`, `dispatcher:dst-up`, or nothing. */
export function eventOf(before: number, after: number): "dst-down" | "dst-up" | undefined {
  if (isOpen(before) === isOpen(after)) return undefined;
  return isOpen(after) ? "dst-up" : "dst-down";
}

/**
 * What a report makes of a state; a report is what `ds_mark_dst` says, or a probe. Source: Kamailio dispatcher, seen on 5.6.3.
 *
 * A destination that fails is reported as trying: it is inactive after `probingThreshold` reports. One that is inactive stays so when it is
 * reported as trying, and is active after `inactiveThreshold` reports as active. One that is reported as disabled is that and nothing else.
 *
 * Two things differ. What a record says (no DNS, no ping) survives any report. And a report as inactive is no success: it begins the count anew.
 *
 * @param report bits of {@link STATE_FLAGS}; without `FLAG_INACTIVE`, `FLAG_TRYING` and `FLAG_DISABLED` it says active
 */
export function step({ flags, probingCount }: State, report: number, { probingThreshold, inactiveThreshold }: Thresholds): State {
  const kept = flags & ~STATE_FLAGS;
  const probing = report & FLAG_PROBING;
  const wasInactive = (flags & FLAG_INACTIVE) !== 0;
  if ((report & FLAG_DISABLED) !== 0) return { flags: kept | FLAG_DISABLED, probingCount: 0 };
  if ((report & FLAG_TRYING) !== 0) {
    if (wasInactive) return { flags: kept | probing | FLAG_INACTIVE, probingCount: 0 };
    const failures = probingCount + 1;
    if (failures >= probingThreshold) return { flags: kept | probing | FLAG_INACTIVE, probingCount: 0 };
    return { flags: kept | probing | FLAG_TRYING, probingCount: failures };
  }
  if ((report & FLAG_INACTIVE) !== 0) return { flags: kept | probing | FLAG_INACTIVE, probingCount: 0 };
  if (wasInactive && probingCount + 1 < inactiveThreshold) {
    return { flags: kept | probing | (flags & FLAG_PROBING) | FLAG_INACTIVE, probingCount: probingCount + 1 };
  }
  return { flags: kept | probing, probingCount: 0 };
}

/** What an operator sets (`dispatcher.set_state`): at once, whatever the thresholds. What the record says stays. */
export function setState({ flags }: State, report: number): State {
  return { flags: (flags & ~STATE_FLAGS) | (report & STATE_FLAGS), probingCount: 0 };
}

/** Whether a destination with these flags is probed. (Kamailio 5.6 knows no flag for those that never are.) */
export function isProbed(flags: number, mode: ProbingMode): boolean {
  if ((flags & (FLAG_DISABLED | FLAG_NO_PING)) !== 0) return false;
  if (mode === PROBE_ALL) return true;
  if ((flags & FLAG_PROBING) === 0) return false;
  return mode !== PROBE_INACTIVE || (flags & FLAG_INACTIVE) !== 0;
}

/**
 * The report that the outcome of a probe is, or `undefined` when it says nothing: somebody has disabled the destination meanwhile, or, when only
 * flagged ones are probed, taken the flag away.
 */
export function reportOfProbe(flags: number, mode: ProbingMode, alive: boolean): number | undefined {
  if ((flags & FLAG_DISABLED) !== 0) return undefined;
  if (mode === PROBE_FLAGGED && (flags & FLAG_PROBING) === 0) return undefined;
  if (!alive) return mode === PROBE_FLAGGED_ONCE ? FLAG_TRYING : FLAG_TRYING | FLAG_PROBING;
  return mode === PROBE_ALL || mode === PROBE_FLAGGED ? FLAG_PROBING : 0;
}

/**
 * Two letters, as `dispatcher.list` prints them: `A` active, `I` inactive, `T` trying, `D` disabled; then `P` probed, `N` never probed, `X`
 * neither. (Kamailio 5.6 prints `X` for `N`.)
 */
export function printFlags(flags: number): string {
  const state = (flags & FLAG_INACTIVE) !== 0 ? "I" : (flags & FLAG_DISABLED) !== 0 ? "D" : (flags & FLAG_TRYING) !== 0 ? "T" : "A";
  const probing = (flags & FLAG_PROBING) !== 0 ? "P" : (flags & FLAG_NO_PING) !== 0 ? "N" : "X";
  return state + probing;
}

/**
 * Reads the state of `dispatcher.set_state` and `ds_mark_dst`: `a`, `i`, `t` or `d` in any case, or the digits `1`, `0`, `3`, `2` that the former
 * takes for them (seen on 5.6.3), behind all but `d` a `p` when it is probed. The empty text of `ds_mark_dst` is `i`.
 *
 * @returns bits of {@link STATE_FLAGS}, or `undefined` for any other first letter; as in Kamailio what follows counts only when it is that `p`
 */
export function parseState(text: string): number | undefined {
  const probing = text[1] === "p" || text[1] === "P" ? FLAG_PROBING : 0;
  switch (text[0]?.toLowerCase()) {
    case "a":
    case "1":
      return probing;
    case undefined:
    case "i":
    case "0":
      return FLAG_INACTIVE | probing;
    case "t":
    case "3":
      return FLAG_TRYING | probing;
    case "d":
    case "2":
      return FLAG_DISABLED;
    default:
      return undefined;
  }
}
