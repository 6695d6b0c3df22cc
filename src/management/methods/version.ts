import { defineMethod } from "../define-method.ts";
import { members, text } from "../shapes/kinds.ts";

/** `core:version`: name, version, processor and system, in the form of OpenSIPS. */
export const version = defineMethod({
  name: "core:version",
  aliases: ["version"],
  help: "tells the version of the running program",
  recipes: [[]],
  parameters: {},
  result: members({ Server: text("name, version, processor and system") }),
  run(_params, { ports }) {
    return { Server: `Headroom (${ports.version} (${process.arch}/${process.platform}))` };
  },
});
