import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";

/** `dispatcher.reload`: reads the sets again. States, loads and statistics of destinations that stay are kept, which Kamailio forgets. */
export const dispatcherReload = defineMethod({
  name: "dispatcher.reload",
  aliases: [],
  help: "reads the dispatcher's sets again; states and loads of destinations that stay are kept",
  recipes: [[]],
  parameters: {},
  result: Type.Literal("Ok. Dispatcher successfully reloaded."),
  failures: [{ code: 500, message: "Reload Failed" }],
  offeredWith: "dispatch",
  writes: () => true,
  available: ({ dispatch }) => dispatch !== undefined,
  async run(_params, { ports: { dispatch } }) {
    try {
      await dispatch?.reload();
    } catch (error) {
      throw new MiError(500, "Reload Failed", error instanceof Error ? error.message : String(error));
    }
    return "Ok. Dispatcher successfully reloaded.";
  },
});
