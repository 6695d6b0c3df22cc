/** Work that may rest after each step, so that calls have their turn when there is much of it; the generator returns what comes of it. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Records of one step: far less than a millisecond. */
export const STEP_SIZE = 25;

/** Does all steps without a rest. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
