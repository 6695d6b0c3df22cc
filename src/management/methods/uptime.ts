import { defineMethod } from "../define-method.ts";
import { members, text } from "../shapes/kinds.ts";
import { cTime } from "../time-text.ts";

/** `core:uptime`: local time now and at the start, and the whole seconds between. */
export const uptime = defineMethod({
  name: "core:uptime",
  aliases: ["uptime"],
  help: "tells since when and for how long the program has been running",
  recipes: [[]],
  parameters: {},
  result: members({
    Now: text("local time"),
    "Up since": text("local time of the start"),
    "Up time": text("seconds between, such as `127 [sec]`"),
  }),
  run(_params, { ports }) {
    const nowMs = ports.nowMs();
    const seconds = Math.floor(nowMs / 1000) - Math.floor(ports.startedAtMs / 1000);
    return { Now: cTime(nowMs), "Up since": cTime(ports.startedAtMs), "Up time": `${seconds} [sec]` };
  },
});
