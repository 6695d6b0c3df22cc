import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { count, members } from "../shapes/kinds.ts";

/** `headroom:restart`: has a new process take over sockets and calls. Not in OpenSIPS. */
export const restart = defineMethod({
  name: "headroom:restart",
  aliases: ["restart"],
  help: "starts the program and its configuration anew and has the new process take over sockets and calls; when it cannot, everything stays as it was",
  recipes: [[]],
  parameters: {},
  result: members({ pid: count("id of the new process") }),
  failures: [{ code: 500, message: "Failed to restart" }],
  details: "`headroom restart` is this. See [Restart without a stop](operation.md#restart-without-a-stop).",
  isLocalOnly: true,
  isAlwaysRun: true,
  available: (ports) => ports.restart !== undefined,
  writes: () => true,
  async run(_params, { ports }) {
    try {
      return { pid: await ports.restart?.() };
    } catch (error) {
      throw new MiError(500, "Failed to restart", error instanceof Error ? error.message : String(error));
    }
  },
});
