/** Middle of some figures, the lower of two; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.trunc((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** A figure as it is shown: up to three digits that mean something, thousands set apart. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });
}

/** Middle, and in brackets the least and the most: `171 (168–180)`; of one figure that figure. */
export function spread(values: readonly number[]): string {
  if (values.length < 2) return shown(values[0] ?? Number.NaN);
  return `${shown(median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
}

/** Middle of the quotients of figures that were measured one after the other, round by round: what a machine does to both of them falls out. */
export function ratio(values: readonly number[], others: readonly number[]): number {
  return median(values.slice(0, others.length).map((value, i) => value / (others[i] ?? Number.NaN)));
}
