import { defineMethod } from "../define-method.ts";
import { describeSets } from "../describe-sets.ts";
import { MiError } from "../jsonrpc.ts";
import { SetList } from "../shapes/dispatcher.ts";
import { text } from "../shapes/kinds.ts";

/** `dispatcher.list`: the sets with the states and figures of their destinations, in Kamailio's structure. */
export const dispatcherList = defineMethod({
  name: "dispatcher.list",
  aliases: [],
  help: "lists the dispatcher's sets: without parameter with attributes, short without them, full with addresses",
  recipes: [[], ["mode"]],
  parameters: { mode: text("short: without attributes; full: with addresses") },
  result: SetList,
  failures: [{ code: 500, message: "No Destination Sets" }],
  details: "The lowest id comes first (Kamailio: in the order of its tree).",
  offeredWith: "dispatch",
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch } }) {
    const { dispatcher: { sets } = { sets: [] }, isMeasured = false } = dispatch ?? {};
    if (sets.length === 0)
      throw new MiError(500, "No Destination Sets", "Neither a list nor a table nor the configuration has a destination");
    const mode = params.has("mode") ? params.text("mode").toLowerCase() : "";
    return describeSets(sets, mode === "short" || mode === "full" ? mode : "normal", isMeasured);
  },
});
