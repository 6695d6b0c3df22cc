/**
 * Milliseconds since 1970 by the wall clock as it was at the start of the program, and steady from then on: whoever sets the clock while calls go on, as NTP does at
 * a first contact, makes none of them older or younger.
 */
export function steadyWallMs(): number {
  return performance.timeOrigin + performance.now();
}
