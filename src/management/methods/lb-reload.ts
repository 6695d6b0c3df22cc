import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { OK } from "../shapes/kinds.ts";

/** `load_balancer:reload`: reads the destination table again. When that fails the table in use stays. */
export const lbReload = defineMethod({
  name: "load_balancer:reload",
  aliases: ["lb_reload"],
  help: "reads the destinations from the database again; ongoing calls, loads and statuses stay",
  recipes: [[]],
  parameters: {},
  result: OK,
  failures: [{ code: 500, message: "Failed to reload" }],
  details: "Answers once the new table is in use. When that fails the table in use stays, and `data` has the reason.",
  writes: () => true,
  async run(_params, { ports }) {
    try {
      await ports.reload();
    } catch (error) {
      ports.log.error({ err: error }, "cannot reload the destinations, the table in use stays");
      throw new MiError(500, "Failed to reload", withoutPasswords(error instanceof Error ? error.message : String(error)));
    }
    return "OK";
  },
});

// A database driver may quote the address that it was given.
function withoutPasswords(text: string): string {
  return text.replace(/:\/\/[^\s/@]*@/g, "://***@");
}
