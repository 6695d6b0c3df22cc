import { defineMethod } from "../define-method.ts";
import { toWire } from "../describe-dialog.ts";
import { MiError } from "../jsonrpc.ts";
import { count, listOf, maybe, members, shared, text } from "../shapes/kinds.ts";

/** `load_balancer:explain`: for a call, finished or not, every decision with the table that was looked at. Not in OpenSIPS. */
export const lbExplain = defineMethod({
  name: "load_balancer:explain",
  aliases: ["lb_explain"],
  help: "tells for the Call-ID of a recent call each decision: the destinations that were looked at, their free slots, who was chosen, why the others were not",
  recipes: [["callid"]],
  parameters: { callid: text("Call-ID of the call") },
  result: members({
    Decisions: listOf(shared("Decision"), "the decisions, oldest first"),
    decisions_omitted: maybe(count("earlier ones, which are not told")),
  }),
  failures: [{ code: 404, message: "Call-ID not found" }],
  details: "Also of a call that has ended. See [events.md](events.md).",
  available: ({ explain }) => explain !== undefined,
  run(params, { ports }) {
    const decisions = ports.explain?.(toWire(params.text("callid")));
    if (decisions === undefined) throw new MiError(404, "Call-ID not found");
    return decisions;
  },
});
