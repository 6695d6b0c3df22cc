import type { Command } from "commander";
import { ask, checkUrl, DEFAULT_URL, MiFailure, type MiOptions } from "./mi-client.ts";
import { formatResult } from "./mi-format.ts";
import { printableJson, visibleLines } from "./terminal.ts";

export { DEFAULT_URL, type MiOptions };

/** What `--token` is. */
export const TOKEN_HELP = "bearer token, when the balancer asks for one (default: HEADROOM_MI_TOKEN of the environment)";
/** Methods whose one parameter is a list: what stands on the command line goes into it. */
const LIST_PARAMETER: Readonly<Record<string, string>> = {
  get_statistics: "statistics",
  list_statistics: "statistics",
  reset_statistics: "statistics",
  "statistics:get": "statistics",
  "statistics:list": "statistics",
  "statistics:reset": "statistics",
};

/** Methods that run another one: so many of their parameters come first, and what stands behind them is the list of its own. */
const PARAMETERS_BEFORE_LIST: Readonly<Record<string, number>> = {
  cluster_broadcast_mi: 2,
  "clusterer:broadcast_mi": 2,
  cluster_send_mi: 3,
  "clusterer:send_mi": 3,
};

/** Where output goes; a test gives its own. */
export interface MiOutput {
  out(text: string): void;
  error(text: string): void;
}

/** Exit codes: 0 done, 1 refused or not reached, 2 bad usage. */
export type ExitCode = 0 | 1 | 2;

/** Adds `headroom mi` to the command line. */
export function register(program: Command): void {
  program
    .command("mi")
    .description("run a management method of a running balancer, such as lb_list; `mi which` lists them all")
    .usage("METHOD [PARAMS...] [options]")
    .argument("[method]", "name of the method, such as lb_list or load_balancer:list")
    .argument("[params...]", "parameters in their order, or all as name=value")
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--json", "print the result as JSON", false)
    .option("--token <token>", TOKEN_HELP)
    .action(async (method: string | undefined, params: string[], options: MiOptions) => {
      process.exitCode = await runMi(method, params, withToken(options), standardOutput());
    });
}

/** Takes the token from the environment when the command line has none. */
export function withToken<T extends MiOptions>(options: T): T {
  return { ...options, token: options.token ?? process.env["HEADROOM_MI_TOKEN"] };
}

/** Sends one method to the balancer and prints what it answers. */
export async function runMi(method: string | undefined, words: readonly string[], options: MiOptions, output: MiOutput): Promise<ExitCode> {
  if (method === undefined) {
    output.error('Cannot run mi: want a METHOD, such as "headroom mi lb_list"; "headroom mi which" lists them');
    return 2;
  }
  return runMethod(method, readParams(method, words), options, output, formatResult);
}

/** Sends one method with parameters that are made already, and prints what `format` makes of its result. */
export async function runMethod(
  method: string,
  params: unknown,
  options: MiOptions,
  output: MiOutput,
  format: (result: unknown) => string,
): Promise<ExitCode> {
  const fault = checkUrl(options.url);
  if (fault !== undefined) {
    output.error(fault);
    return 2;
  }
  try {
    const result = await ask({ method, params }, options);
    output.out(options.json ? printableJson(result, 2) : visibleLines(format(result)));
    return 0;
  } catch (error) {
    if (!(error instanceof MiFailure)) throw error;
    output.error(visibleLines(`Cannot run ${method}: ${error.message}`));
    return 1;
  }
}

/**
 * Parameters from the command line: by name when every word is `name=value`, else by position (as opensips-cli does).
 * All values are sent as strings; the server reads numbers out of them.
 */
export function readParams(method: string, words: readonly string[]): readonly unknown[] | Record<string, unknown> {
  const list = Object.hasOwn(LIST_PARAMETER, method) ? LIST_PARAMETER[method] : undefined;
  const pairs = words.map((word) => /^([A-Za-z][A-Za-z0-9_.-]*)=([\s\S]*)$/.exec(word));
  if (words.length > 0 && pairs.every((pair) => pair !== null)) {
    return Object.fromEntries(
      pairs.map(([, name = "", value = ""]) => [name, name === list ? value.split(/[\s,]+/).filter(Boolean) : value]),
    );
  }
  const before = Object.hasOwn(PARAMETERS_BEFORE_LIST, method) ? PARAMETERS_BEFORE_LIST[method] : undefined;
  if (before !== undefined && words.length > before) {
    const inner = words[before - 1] ?? "";
    return [...words.slice(0, before), readParams(inner, words.slice(before))];
  }
  if (list !== undefined) return words.length > 0 ? [words] : [];
  return words;
}

/** The terminal. */
export function standardOutput(): MiOutput {
  process.stdout.on("error", () => process.exit()); // whoever read it has gone
  return { out: (text) => void process.stdout.write(`${text}\n`), error: (text) => void process.stderr.write(`${text}\n`) };
}
