import type { Balancer, CallLoad } from "../balancer/index.ts";
import type { Admission } from "./ports.ts";

/** Picks that one relay() asks for: where nodes race for the last places, each answer has brought the loads up to date. */
export const MAX_RESERVATIONS = 16;

/** Seconds after which a caller may try again when nobody can say whether there is room: Redis is then looked for about once a second. */
export const CLOSED_RETRY_AFTER_S = 5;

/** What came of asking. */
export interface Admitted {
  /** "full": no destination was left, and the call has no pick. "over": nobody needs an answer any more. */
  readonly outcome: "reserved" | "full" | "closed" | "over";
  /** The call has another pick than before. */
  readonly hasMoved: boolean;
}

/**
 * Asks for the pick of a call, and for others of its session as long as the answer is that they are full. What the call gives up, the end of its pick
 * gives back.
 *
 * @param isOver the call was answered, cancelled or ended meanwhile
 */
export async function admit(admission: Admission, balancer: Balancer, load: CallLoad, isOver: () => boolean): Promise<Admitted> {
  for (let asked = 1; ; asked++) {
    const hasMoved = asked > 1;
    const outcome = await admission.reserve(load);
    if (isOver()) return { outcome: "over", hasMoved };
    if (outcome !== "full") return { outcome, hasMoved };
    if (asked === MAX_RESERVATIONS) break;
    if (balancer.reselect(load) !== 1) return { outcome, hasMoved };
    if (!admission.isNeeded(load)) return { outcome: "reserved", hasMoved: true };
  }
  balancer.place(load, undefined, []);
  return { outcome: "full", hasMoved: true };
}
