import { type DestinationSet, printFlags } from "../dispatch/index.ts";

const NAMES: Readonly<Record<string, "active" | "inactive" | "trying" | "disabled">> = {
  A: "active",
  I: "inactive",
  T: "trying",
  D: "disabled",
};

/** Current values of the dispatcher's sets: how many destinations are in which state. */
export function dispatchFigures(sets: readonly DestinationSet[]): Record<string, number> {
  const figures = { active: 0, trying: 0, inactive: 0, disabled: 0 };
  for (const { destinations } of sets) {
    for (const { flags } of destinations) figures[NAMES[printFlags(flags)[0] ?? ""] ?? "active"]++;
  }
  return figures;
}
