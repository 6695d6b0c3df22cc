import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { moduleOf } from "../openrpc.ts";
import { members, text } from "../shapes/kinds.ts";

/** `core:help`: what a method does. */
export const help = defineMethod({
  name: "core:help",
  aliases: ["help"],
  help: "tells what a method does and which module it belongs to",
  recipes: [[], ["mi_cmd"]],
  parameters: { mi_cmd: text("name of a method") },
  result: Type.Union([text("usage"), members({ Help: text("what it does"), "Exported by": text("its module") })]),
  failures: [{ code: 404, message: "unknown MI command" }],
  run(params, { methods }) {
    if (!params.has("mi_cmd")) return "Usage: help mi_cmd - returns information about 'mi_cmd'";
    const method = methods.find(params.text("mi_cmd"));
    if (method === undefined) throw new MiError(404, "unknown MI command");
    return { Help: method.help, "Exported by": moduleOf(method) };
  },
});
