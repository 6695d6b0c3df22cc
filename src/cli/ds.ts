import type { Command } from "commander";
import { formatAsKamcmd, formatSets } from "./ds-format.ts";
import { DEFAULT_URL, type MiOptions, type MiOutput, runMethod, standardOutput, TOKEN_HELP, withToken } from "./mi.ts";

/** `headroom ds`: shows and changes the dispatcher's sets of a running balancer, with Kamailio's commands. */
export function register(program: Command, output: () => MiOutput = standardOutput): void {
  const ds = program.command("ds").description("show or change the dispatcher's sets of a running balancer, as kamcmd does");
  const command = (usage: string, description: string, method: string, format = formatAsKamcmd): void => {
    ds.command(usage)
      .description(description)
      .option("--url <url>", "address of the management interface", DEFAULT_URL)
      .option("--json", "print the result as JSON", false)
      .option("--token <token>", TOKEN_HELP)
      .action(async (...given: unknown[]) => {
        const options = given.at(-2) as MiOptions; // commander gives the arguments, the options, the command
        const words = given.slice(0, -2).filter((word) => word !== undefined);
        process.exitCode = await runMethod(method, words, withToken(options), output(), format);
      });
  };
  command("list [mode]", "every set as kamcmd dispatcher.list prints it: short without attributes, full with addresses", "dispatcher.list");
  command("show", "every set as a table", "dispatcher.list", formatSets);
  command("reload", "read the sets again; states and loads of destinations that stay are kept", "dispatcher.reload");
  command(
    "set-state <state> <group> <address>",
    "a, i, t or d, with p behind it: probed; for an address or all of a set",
    "dispatcher.set_state",
  );
  command("set-duid-state <state> <group> <duid>", "the same by the attribute duid", "dispatcher.set_duid_state");
  command("add <group> <address> [flags] [priority] [attrs]", "add a destination until the next reload", "dispatcher.add");
  command("remove <group> <address>", "take a destination away until the next reload", "dispatcher.remove");
  command("ping-active [state]", "whether destinations are probed; 0 ends that, 1 begins it", "dispatcher.ping_active");
  command("hash <slots> <value> [value2]", "the hash of a text, and which of so many destinations it selects", "dispatcher.hash");
  command("oclist <group>", "what overload control keeps of a set", "dispatcher.oclist");
}
