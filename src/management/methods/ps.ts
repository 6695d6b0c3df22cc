import { defineMethod } from "../define-method.ts";

/** `core:ps`: processes and threads of the program. */
export const ps = defineMethod({
  name: "core:ps",
  aliases: ["ps"],
  help: "lists the processes and threads of the program",
  recipes: [[]],
  run(_params, { ports }) {
    return { Processes: ports.processes() };
  },
});
