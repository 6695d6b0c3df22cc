import { defineMethod } from "../define-method.ts";
import { members, text, whole } from "../shapes/kinds.ts";

/** `dispatcher.hash`: the hash of one or two texts, and which of so many destinations it selects. */
export const dispatcherHash = defineMethod({
  name: "dispatcher.hash",
  aliases: [],
  help: "tells the hash of one or two texts, and the position that it selects among a number of destinations",
  recipes: [
    ["slots", "value"],
    ["slots", "value", "value2"],
  ],
  parameters: {
    slots: whole("number of destinations; 0: the hash alone is of use"),
    value: text("the first text"),
    value2: text("the second text"),
  },
  result: members({ hashid: whole("the hash"), slot: whole("the position that it selects") }),
  offeredWith: "dispatch",
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch } }) {
    const slots = params.whole("slots");
    const bytes = (name: string): string => Buffer.from(params.text(name), "utf8").toString("latin1"); // the hash is one of bytes
    const { hash, slot } = dispatch?.dispatcher.hash(slots, bytes("value"), params.has("value2") ? bytes("value2") : "") ?? {};
    return { hashid: hash, slot };
  },
});
