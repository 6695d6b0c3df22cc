import type { LinkQuality } from "../support/chaos-link.ts";
import { seededRandom } from "../support/random.ts";

/** One thing that goes wrong. Numbers of parties count from 0; times are in ms. */
export type Fault =
  | { readonly kind: "kill balancer"; readonly downMs: number }
  | { readonly kind: "kill destination"; readonly number: number; readonly downMs: number }
  | { readonly kind: "kill caller"; readonly number: number; readonly downMs: number }
  | { readonly kind: "kill sipp"; readonly side: "caller" | "callee" }
  | { readonly kind: "network"; readonly number: number; readonly quality: LinkQuality }
  | { readonly kind: "disk full"; readonly forMs: number }
  | { readonly kind: "database locked"; readonly forMs: number }
  | { readonly kind: "clock"; readonly shiftMs: number }
  | { readonly kind: "reload" };

export interface ScheduledFault {
  /** From the begin of the traffic. */
  readonly atMs: number;
  readonly fault: Fault;
}

export interface ScheduleBounds {
  readonly seconds: number;
  readonly destinations: number;
  readonly callers: number;
  /** Whether there are a caller and a callee of sipp. */
  readonly hasSipp: boolean;
}

/** Before the first fault, ms: calls have to come up first. */
const FIRST_MS = 1_500;
const MINUTE_MS = 60_000;
/** The clock stays within this of the right time: less than what a call may last. */
const MAX_SHIFT_MS = 25 * MINUTE_MS;

/** From one fault of a kind to the next, at least and at most, ms. */
const BETWEEN = {
  "kill balancer": [5_000, 10_000],
  "kill destination": [6_000, 14_000],
  "kill caller": [6_000, 16_000],
  "kill sipp": [15_000, 40_000],
  network: [1_000, 3_000],
  "disk full": [12_000, 30_000],
  "database locked": [12_000, 30_000],
  clock: [7_000, 15_000],
  reload: [5_000, 12_000],
} as const satisfies Record<Fault["kind"], readonly [number, number]>;

/** Everything that goes wrong in one run, in order: the same for the same seed. */
export function scheduleOf(seed: number, bounds: ScheduleBounds): ScheduledFault[] {
  const faults: ScheduledFault[] = [];
  const endMs = bounds.seconds * 1_000;
  for (const [index, kind] of (Object.keys(BETWEEN) as Fault["kind"][]).entries()) {
    if (kind === "kill sipp" && !bounds.hasSipp) continue;
    // Chance of its own for each kind: what is drawn for one changes nothing for the others.
    const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0xc2b2ae35));
    const [least, most] = BETWEEN[kind];
    const wait = (): number => Math.round(least + random() * (most - least));
    // The first of each kind may come early, so that a short run has some of all.
    for (let atMs = FIRST_MS + Math.round(random() * most * 0.5); atMs < endMs; atMs += wait())
      faults.push({ atMs, fault: draw(kind, random, bounds) });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function draw(kind: Fault["kind"], random: () => number, { destinations, callers }: ScheduleBounds): Fault {
  const within = (least: number, most: number): number => Math.round(least + random() * (most - least));
  const below = (count: number): number => Math.floor(random() * count);
  switch (kind) {
    case "kill balancer":
      return { kind, downMs: random() < 0.5 ? 0 : within(0, 2_000) };
    case "kill destination":
      return { kind, number: below(destinations), downMs: within(100, 5_000) };
    case "kill caller":
      return { kind, number: below(callers), downMs: within(100, 4_000) };
    case "kill sipp":
      return { kind, side: random() < 0.5 ? "caller" : "callee" };
    case "network":
      return { kind, number: below(destinations + callers), quality: qualityOf(random) };
    case "disk full":
      return { kind, forMs: within(1_000, 6_000) };
    case "database locked":
      return { kind, forMs: within(1_000, 6_000) };
    case "clock":
      return { kind, shiftMs: within(-MAX_SHIFT_MS, MAX_SHIFT_MS) };
    case "reload":
      return { kind };
  }
}

function qualityOf(random: () => number): LinkQuality {
  if (random() < 0.25) return { loss: 0, duplication: 0, reordering: 0, delayMs: 0 };
  return { loss: random() * 0.12, duplication: random() * 0.1, reordering: random() * 0.2, delayMs: random() < 0.5 ? 0 : random() * 80 };
}

/** A fault in words. */
export function describeFault(fault: Fault): string {
  const { kind, ...what } = fault;
  return Object.keys(what).length === 0 ? kind : `${kind} ${JSON.stringify(what)}`;
}
