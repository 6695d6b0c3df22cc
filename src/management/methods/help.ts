import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";

/** `core:help`: what a method does. */
export const help = defineMethod({
  name: "core:help",
  aliases: ["help"],
  help: "tells what a method does and which module it belongs to",
  recipes: [[], ["mi_cmd"]],
  run(params, { methods }) {
    if (!params.has("mi_cmd")) return "Usage: help mi_cmd - returns information about 'mi_cmd'";
    const method = methods.find(params.text("mi_cmd"));
    if (method === undefined) throw new MiError(404, "unknown MI command");
    const [module = ""] = method.name.split(":", 1);
    return { Help: method.help, "Exported by": module };
  },
});
