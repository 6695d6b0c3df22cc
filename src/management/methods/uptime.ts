import { defineMethod } from "../define-method.ts";
import { cTime } from "../time-text.ts";

/** `core:uptime`: local time now and at the start, and the whole seconds between. */
export const uptime = defineMethod({
  name: "core:uptime",
  aliases: ["uptime"],
  help: "tells since when and for how long the program has been running",
  recipes: [[]],
  run(_params, { ports }) {
    const nowMs = ports.nowMs();
    const seconds = Math.floor(nowMs / 1000) - Math.floor(ports.startedAtMs / 1000);
    return { Now: cTime(nowMs), "Up since": cTime(ports.startedAtMs), "Up time": `${seconds} [sec]` };
  },
});
