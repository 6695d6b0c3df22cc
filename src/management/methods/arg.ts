import { defineMethod } from "../define-method.ts";

/** `core:arg`: the command line that started the program. */
export const arg = defineMethod({
  name: "core:arg",
  aliases: ["arg"],
  help: "lists the arguments that the program was started with",
  recipes: [[]],
  run() {
    return process.argv;
  },
});
