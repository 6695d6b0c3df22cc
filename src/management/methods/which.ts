import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { listOf, text } from "../shapes/kinds.ts";

/**
 * `core:which`: names of all methods, old and new: opensips-cli refuses to send what is not listed here.
 * With the name of a method: the lists of parameters that it takes. With `module:`: the names of that module.
 */
export const which = defineMethod({
  name: "core:which",
  aliases: ["which"],
  help: "lists all methods; with a method, the parameters that it takes; with 'module:', the methods of that module",
  recipes: [[], ["command"]],
  parameters: { command: text("name of a method, or a module with a colon behind it") },
  result: Type.Union([
    listOf(text("name"), "names"),
    listOf(listOf(text("parameter"), "parameters by position"), "lists of parameters that the method takes"),
  ]),
  failures: [{ code: 404, message: "unknown MI command" }],
  run(params, { methods }) {
    if (!params.has("command")) return methods.names;
    const command = params.text("command");
    if (command.endsWith(":")) {
      const names = methods.names.filter((name) => name.startsWith(command));
      if (names.length > 0) return names;
    }
    const method = methods.find(command);
    if (method === undefined) throw new MiError(404, "unknown MI command");
    return method.recipes;
  },
});
