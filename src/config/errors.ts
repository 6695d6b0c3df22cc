/** One thing that is wrong in a configuration file. `line` and `column` count from 1; they are undefined when there is no place to point at. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** What was found and what is wanted, one sentence without a final period. */
  readonly message: string;
}

/** A configuration that cannot be used. `message` holds every problem, one a line, as `file:line:column: text`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join("\n"), options);
    this.problems = problems;
  }
}

/** One line of text: `headroom.yaml:3:11: sip.workers: found 0, want …`. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}:${problem.column ?? 1}`;
  return `${place}: ${problem.message}`;
}
