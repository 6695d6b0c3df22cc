/**
 * Answer of a balancing function, with the numbers of the OpenSIPS functions:
 * 1 a destination was chosen (or the step was done), -1 a parameter or the state of the call does not allow it,
 * -2 destinations are up but all are full, -3 no destination is left, -4 a named resource does not exist.
 */
export type LbCode = 1 | -1 | -2 | -3 | -4;

/** The code for an answer of `pick`: a position, or {@link NO_CAPACITY} or {@link NO_DESTINATION}. */
export function codeOf(picked: number): 1 | -2 | -3 {
  if (picked >= 0) return 1;
  return picked === NO_CAPACITY ? -2 : -3;
}

/** Destinations are up, and all are full. */
export const NO_CAPACITY = -2;
/** No available destination is left to try. */
export const NO_DESTINATION = -3;

/** Flag `n`: a destination without a free slot may be chosen too. */
export const FLAG_NEGATIVE = 1;
/** Flag `r`: compare the free percentage, not the free number. */
export const FLAG_RELATIVE = 2;
/** Flag `s`: choose among equals by chance, not the first. */
export const FLAG_RANDOM = 4;

/** Reads the flag letters `n`, `r`, `s` into a bit set. Other letters are ignored, as OpenSIPS does. */
export function parseFlags(flags: string): number {
  let bits = 0;
  for (let i = 0; i < flags.length; i++) {
    const code = flags.charCodeAt(i);
    if (code === 0x6e) bits |= FLAG_NEGATIVE;
    else if (code === 0x72) bits |= FLAG_RELATIVE;
    else if (code === 0x73) bits |= FLAG_RANDOM;
  }
  return bits;
}
