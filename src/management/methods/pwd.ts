import { defineMethod } from "../define-method.ts";

/** `core:pwd`: working directory. */
export const pwd = defineMethod({
  name: "core:pwd",
  aliases: ["pwd"],
  help: "tells the working directory of the program",
  recipes: [[]],
  run() {
    return { WD: process.cwd() };
  },
});
