import { defineMethod } from "../define-method.ts";
import { members, text } from "../shapes/kinds.ts";

/** `core:pwd`: working directory. */
export const pwd = defineMethod({
  name: "core:pwd",
  aliases: ["pwd"],
  help: "tells the working directory of the program",
  recipes: [[]],
  parameters: {},
  result: members({ WD: text("the directory") }),
  run() {
    return { WD: process.cwd() };
  },
});
