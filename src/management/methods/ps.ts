import { defineMethod } from "../define-method.ts";
import { count, listOf, members, text } from "../shapes/kinds.ts";

/** `core:ps`: processes and threads of the program. */
export const ps = defineMethod({
  name: "core:ps",
  aliases: ["ps"],
  help: "lists the processes and threads of the program",
  recipes: [[]],
  parameters: {},
  result: members({
    Processes: listOf(members({ ID: count("number"), PID: count("process id"), Type: text("what it does") }), "processes and threads"),
  }),
  run(_params, { ports }) {
    return { Processes: ports.processes() };
  },
});
