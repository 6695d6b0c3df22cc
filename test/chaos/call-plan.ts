import { seededRandom } from "../support/random.ts";

/** How a call goes: who ends it, and whether it comes up at all. */
export type CallKind = "plain" | "hungup" | "refused" | "cancelled" | "failedover";

/** What both sides of a call do, as the seed has it. */
export interface CallPlan {
  readonly number: number;
  readonly kind: CallKind;
  /** User part of the Request-URI; a rule of the balancer says what such a call counts for. */
  readonly user: CallUser;
  /** From the INVITE to the answer at the destination, ms. */
  readonly ringMs: number;
  /** From the answer to the BYE, ms. */
  readonly holdMs: number;
}

export type CallUser = "one" | "both";

/** Resources that the calls of a user count for. */
export const RESOURCES: Record<CallUser, readonly string[]> = { one: ["pstn"], both: ["pstn", "transcoding"] };

/** Shares of the kinds; those that are left are plain calls. */
const SHARES: readonly (readonly [CallKind, number])[] = [
  ["hungup", 0.14],
  ["refused", 0.05],
  ["cancelled", 0.06],
  ["failedover", 0.07],
];
const SHARE_OF_BOTH = 0.3;

/** Bounds of what plans draw, ms. */
export interface PlanBounds {
  readonly ringMs: readonly [number, number];
  readonly holdMs: readonly [number, number];
}

/** The plan of a call by its number: the same in every run with this seed. */
export function callPlan(seed: number, number: number, { ringMs, holdMs }: PlanBounds): CallPlan {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const within = ([least, most]: readonly [number, number]): number => Math.round(least + random() * (most - least));
  let left = random();
  let kind: CallKind = "plain";
  for (const [other, share] of SHARES) {
    if (left < share) {
      kind = other;
      break;
    }
    left -= share;
  }
  const user: CallUser = random() < SHARE_OF_BOTH ? "both" : "one";
  return { number, kind, user, ringMs: within(ringMs), holdMs: within(holdMs) };
}

/** The Call-ID of a call; its kind and number stand in it. @param run tells calls of one run from those of others */
export function callIdOf({ kind, number }: CallPlan, run: string): string {
  return `${kind}-${number}-${run}`;
}

/** Number of a call of ours, undefined for another Call-ID. */
export function numberOf(callId: string): number | undefined {
  const text = /^[a-z]+-(\d+)-/.exec(callId)?.[1];
  return text === undefined ? undefined : Number(text);
}
