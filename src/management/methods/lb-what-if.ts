import { defineMethod } from "../define-method.ts";
import { Outlook } from "../shapes/destinations.ts";
import { count, text } from "../shapes/kinds.ts";

/** `load_balancer:what_if`: what `lb_start` with these arguments would decide now. Nothing is counted. Not in OpenSIPS. */
export const lbWhatIf = defineMethod({
  name: "load_balancer:what_if",
  aliases: ["lb_what_if"],
  help: "tells what lb_start with this group, these resources and flags would decide now, and why, without counting a call",
  recipes: [
    ["group", "resources"],
    ["group", "resources", "flags"],
  ],
  parameters: {
    group: count("group of destinations"),
    resources: text("resources of the call, with semicolons between"),
    flags: text("n: also below 0; r: relative; s: any of the best"),
  },
  result: Outlook,
  available: ({ whatIf }) => whatIf !== undefined,
  run(params, { ports }) {
    return ports.whatIf?.(params.whole("group"), params.text("resources"), params.has("flags") ? params.text("flags") : "");
  },
});
