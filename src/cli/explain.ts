import { type Command, InvalidArgumentError } from "commander";
import { formatExplanation, formatWhatIf } from "./explain-text.ts";
import { DEFAULT_URL, type MiOptions, type MiOutput, runMethod, standardOutput, TOKEN_HELP, withToken } from "./mi.ts";
import { isColourful } from "./terminal.ts";

interface ExplainOptions extends MiOptions {
  readonly group?: string;
  readonly resources?: string;
  readonly flags: string;
}

/** `headroom explain`: why a call went where it went, in words; or where one would go now. */
export function register(program: Command, output: () => MiOutput = standardOutput): void {
  program
    .command("explain")
    .description("tell why a recent call went where it went: each decision, and why every other destination was not chosen")
    .argument("[callid]", "Call-ID of the call")
    .option("--group <number>", "in place of a call: where one for this group would go now", wholeNumber)
    .option("--resources <list>", "with --group: the resources that it asks for, such as pstn;conf")
    .option("--flags <letters>", "with --group: flags of lb_start, such as r", "")
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--json", "print the decisions as JSON", false)
    .option("--token <token>", TOKEN_HELP)
    .action(async (callId: string | undefined, options: ExplainOptions) => {
      process.exitCode = await runExplain(callId, withToken(options), output());
    });
}

/** Asks for the decisions of a call, or for one that would be made now, and prints them. */
export async function runExplain(callId: string | undefined, options: ExplainOptions, output: MiOutput): Promise<0 | 1 | 2> {
  const { group, resources, flags } = options;
  const colours = isColourful(process.stdout);
  if (callId !== undefined && group === undefined && resources === undefined) {
    return runMethod("lb_explain", [callId], options, output, (result) => formatExplanation(callId, result, colours));
  }
  if (callId === undefined && group !== undefined && resources !== undefined) {
    const params = [group, resources, ...(flags === "" ? [] : [flags])];
    return runMethod("lb_what_if", params, options, output, (result) => formatWhatIf(result, colours));
  }
  output.error("Cannot explain: want a Call-ID, or --group and --resources");
  return 2;
}

function wholeNumber(text: string): string {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError("want a whole number from 0");
  return text;
}
