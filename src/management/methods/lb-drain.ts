import { Type } from "typebox";
import { MAX_DRAIN_S } from "../../health/index.ts";
import { defineMethod } from "../define-method.ts";
import { invalidParams, MiError } from "../jsonrpc.ts";
import type { Params } from "../params.ts";
import { settle } from "../settle.ts";
import { count, OK, whole } from "../shapes/kinds.ts";

/** How much of a bad value a message quotes. */
const MAX_QUOTED_LENGTH = 60;

/**
 * `load_balancer:drain`: no new calls for a destination; once those that it has are over, it is disabled. `deadline` is in seconds from now, 0 for none:
 * then it is disabled all the same, and with `bye` the calls that are left are ended. Called again it changes the deadline. Not in OpenSIPS.
 */
export const lbDrain = defineMethod({
  name: "load_balancer:drain",
  aliases: ["lb_drain"],
  help: "keeps new calls from a destination and disables it when its calls have ended, or after deadline seconds; with bye 1 the calls left then are ended",
  recipes: [["destination_id"], ["destination_id", "deadline"], ["destination_id", "deadline", "bye"]],
  parameters: {
    destination_id: count("id of the destination"),
    deadline: whole("seconds from now until it is disabled in any case; 0: none", { minimum: 0, maximum: MAX_DRAIN_S }),
    bye: Type.Union([whole("1: yes", { minimum: 0, maximum: 1 }), Type.Literal("bye")], {
      description: "1 or bye: end the calls that are left at the deadline",
    }),
  },
  result: OK,
  failures: [{ code: 404, message: "Destination ID not found" }],
  details: "Called again it changes the deadline. See [Drain](health.md#drain).",
  writes: () => true,
  available: ({ drains }) => drains !== undefined,
  async run(params, { ports }) {
    const id = params.whole("destination_id");
    const deadlineS = params.has("deadline") ? params.whole("deadline") : 0;
    const bye = params.has("bye") && readBye(params);
    if (deadlineS < 0 || deadlineS > MAX_DRAIN_S) {
      throw invalidParams(
        `Cannot drain destination ${id}: deadline must be from 0 to ${MAX_DRAIN_S} seconds, current value is ${deadlineS}`,
      );
    }
    if (bye && deadlineS === 0) throw invalidParams(`Cannot drain destination ${id}: bye wants a deadline from 1 second`);
    if (ports.drains?.begin(id, deadlineS, bye) !== true) throw new MiError(404, "Destination ID not found");
    await settle(ports, id);
    return "OK";
  },
});

/** The word itself is taken too, as it is what one writes on a command line. */
function readBye(params: Params): boolean {
  const word = params.text("bye");
  if (word === "bye") return true;
  if (word === "0" || word === "1") return params.whole("bye") === 1;
  throw invalidParams(`Cannot drain: bye must be 0 or 1, current value is "${word.slice(0, MAX_QUOTED_LENGTH)}"`);
}
