import { defineMethod } from "../define-method.ts";
import { listOf, text } from "../shapes/kinds.ts";

/** `core:arg`: the command line that started the program. */
export const arg = defineMethod({
  name: "core:arg",
  aliases: ["arg"],
  help: "lists the arguments that the program was started with",
  recipes: [[]],
  parameters: {},
  result: listOf(text("word"), "the words of the command line"),
  run() {
    return process.argv;
  },
});
