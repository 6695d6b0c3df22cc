import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { OK, text } from "../shapes/kinds.ts";

/** `pike:rm`: ends the ban of a source. */
export const pikeRm = defineMethod({
  name: "pike:rm",
  aliases: ["pike_rm"],
  help: "ends the ban of a source, given by an address or as pike_list shows it",
  recipes: [["IP"]],
  parameters: { IP: text("address, or what pike_list shows") },
  result: OK,
  failures: [{ code: 404, message: "IP not found" }],
  writes: () => true,
  available: ({ bans }) => bans !== undefined,
  run(params, { ports }) {
    if (ports.bans?.lift(params.text("IP")) !== true) throw new MiError(404, "IP not found");
    return "OK";
  },
});
