/** What became of calls, by the time in which they began (`completed`: in which they ended). */
export interface Series {
  /** Length of each of these times, milliseconds. */
  readonly binMs: number;
  readonly started: readonly number[];
  readonly completed: readonly number[];
  /** Had another final answer than 200 at once. */
  readonly refused: readonly number[];
  /** Failed in any other way, or something had to be sent again. */
  readonly bad: readonly number[];
  /** Longest post-dial delay, microseconds. */
  readonly slowestUs: readonly number[];
}

export interface OverloadFigure {
  /** Calls completed a second while too many were offered. */
  readonly completedPerSecond: number;
  /** Seconds from when the offer went down until calls were well again and stayed so; infinite: they never did. */
  readonly recoveryS: number;
}

/**
 * Reads the figures of an overload off a series.
 *
 * @param highS how long too much was offered, seconds
 * @param holdS how long a call is up, seconds: calls end so much later than they begin
 * @param wellUs longest post-dial delay that counts as well, microseconds
 */
export function overloadFigure(series: Series, highS: number, holdS: number, wellUs: number): OverloadFigure {
  const bin = (s: number): number => Math.round((s * 1000) / series.binMs);
  const completed = series.completed.slice(bin(holdS), bin(highS + holdS)).reduce((sum, count) => sum + count, 0);
  let wellFrom = series.started.findLastIndex((count) => count > 0) + 1;
  if (isWell(series, wellFrom - 1, wellUs)) while (wellFrom > 0 && isWell(series, wellFrom - 1, wellUs)) wellFrom--;
  else wellFrom = Number.POSITIVE_INFINITY;
  return { completedPerSecond: completed / highS, recoveryS: Math.max(0, (wellFrom * series.binMs) / 1000 - highS) };
}

function isWell({ bad, refused, slowestUs }: Series, bin: number, wellUs: number): boolean {
  return bad[bin] === 0 && refused[bin] === 0 && (slowestUs[bin] ?? 0) <= wellUs;
}
