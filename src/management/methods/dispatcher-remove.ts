import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { RECORD_PARAMETERS } from "../shapes/dispatcher.ts";

/** `dispatcher.remove`: takes the destinations of a URI out of a set until the next reload. */
export const dispatcherRemove = defineMethod({
  name: "dispatcher.remove",
  aliases: [],
  help: "takes a destination out of a dispatcher set until the next reload",
  recipes: [["group", "address"]],
  parameters: { group: RECORD_PARAMETERS.group, address: RECORD_PARAMETERS.address },
  result: Type.Literal("Ok. Dispatcher destination removed."),
  failures: [{ code: 500, message: "Removing dispatcher dst failed" }],
  offeredWith: "dispatch",
  writes: () => true,
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch } }) {
    const group = params.whole("group");
    if (!dispatch?.remove(group, params.text("address"))) {
      throw new MiError(500, "Removing dispatcher dst failed", `Set ${group} has no destination with that address`);
    }
    return "Ok. Dispatcher destination removed.";
  },
});
