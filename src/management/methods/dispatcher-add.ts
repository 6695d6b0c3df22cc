import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { RECORD_PARAMETERS } from "../shapes/dispatcher.ts";

/** `dispatcher.add`: adds a destination to a set until the next reload. */
export const dispatcherAdd = defineMethod({
  name: "dispatcher.add",
  aliases: [],
  help: "adds a destination to a dispatcher set until the next reload",
  recipes: [
    ["group", "address"],
    ["group", "address", "flags"],
    ["group", "address", "flags", "priority"],
    ["group", "address", "flags", "priority", "attrs"],
  ],
  parameters: RECORD_PARAMETERS,
  result: Type.Literal("Ok. Dispatcher destination added."),
  failures: [{ code: 500, message: "Adding dispatcher dst failed" }],
  details: "What is no SIP URI, and flags that there are not, are refused.",
  offeredWith: "dispatch",
  writes: () => true,
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch } }) {
    const problems = dispatch?.add({
      setId: params.whole("group"),
      uri: params.text("address"),
      flags: params.has("flags") ? params.whole("flags") : 0,
      priority: params.has("priority") ? params.whole("priority") : 0,
      attrs: params.has("attrs") ? params.text("attrs") : "",
      description: "",
      place: "dispatcher.add",
    });
    if (problems !== undefined && problems.length > 0) throw new MiError(500, "Adding dispatcher dst failed", problems.at(-1));
    return "Ok. Dispatcher destination added.";
  },
});
