import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";

/** `pike:rm`: ends the ban of a source. */
export const pikeRm = defineMethod({
  name: "pike:rm",
  aliases: ["pike_rm"],
  help: "ends the ban of a source, given by an address or as pike_list shows it",
  recipes: [["IP"]],
  writes: () => true,
  available: ({ bans }) => bans !== undefined,
  run(params, { ports }) {
    if (ports.bans?.lift(params.text("IP")) !== true) throw new MiError(404, "IP not found");
    return "OK";
  },
});
