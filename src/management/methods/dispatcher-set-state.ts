import { Type } from "typebox";
import { parseState } from "../../dispatch/index.ts";
import { defineMethod, type Method } from "../define-method.ts";
import type { DispatchPort } from "../dispatch-port.ts";
import { MiError } from "../jsonrpc.ts";
import { STATE_PARAMETERS } from "../shapes/dispatcher.ts";

/** What stands for all destinations of a set. */
const ALL = "all";

/** `dispatcher.set_state`: sets the state of the destinations of a set that have a URI, or of all. */
export const dispatcherSetState = defineSetState(
  "dispatcher.set_state",
  ["state", "group", "address"],
  "sets the state (a, i, t or d, with p behind it: probed) of a destination of a dispatcher set, by its URI or all",
  ({ dispatcher }, group, address, state) => dispatcher.setState(group, address, state),
);

/** `dispatcher.set_duid_state`: the same by the attribute `duid`. */
export const dispatcherSetDuidState = defineSetState(
  "dispatcher.set_duid_state",
  ["state", "group", "duid"],
  "sets the state (a, i, t or d, with p behind it: probed) of a destination of a dispatcher set, by its duid or all",
  ({ dispatcher }, group, duid, state) =>
    duid === undefined ? dispatcher.setState(group, undefined, state) : dispatcher.setStateOfDuid(group, duid, state),
);

/** @param set answers how many destinations have that name; `undefined` stands for all */
function defineSetState(
  name: string,
  recipe: readonly ["state", "group", "address" | "duid"],
  help: string,
  set: (dispatch: DispatchPort, group: number, which: string | undefined, state: number) => number,
): Method {
  const [, , whichName] = recipe;
  return defineMethod({
    name,
    aliases: [],
    help,
    recipes: [recipe],
    parameters: Object.fromEntries(recipe.map((parameter) => [parameter, STATE_PARAMETERS[parameter]])),
    result: Type.Literal("Ok. Dispatcher state updated."),
    failures: [
      { code: 500, message: "Invalid State Parameter" },
      { code: 500, message: "Unknown State Value" },
      { code: 500, message: "State Update Failed" },
    ],
    details: "It survives a restart, until a probe, a script, other flags in the record or another command change the state.",
    offeredWith: "dispatch",
    writes: () => true,
    available: ({ dispatch }) => dispatch !== undefined,
    async run(params, { ports: { dispatch, settled, log } }) {
      const text = params.text("state");
      const group = params.whole("group");
      const which = params.text(whichName);
      if (text === "")
        throw new MiError(500, "Invalid State Parameter", "Cannot set an empty state: want a, i, t or d, or one with p behind it");
      const state = parseState(text);
      if (state === undefined) {
        throw new MiError(
          500,
          "Unknown State Value",
          `Cannot set state "${text.slice(0, 20)}": want a, i, t or d, or one with p behind it`,
        );
      }
      if (dispatch === undefined) return undefined;
      if (set(dispatch, group, which === ALL ? undefined : which, state) === 0) {
        throw new MiError(500, "State Update Failed", `Set ${group} has no destination with that ${whichName}`);
      }
      if (settled !== undefined && !(await settled())) {
        log.warn({ set: group }, `state of dispatcher set ${group} is in force, but not written down yet: a restart now would forget it`);
      }
      return "Ok. Dispatcher state updated.";
    },
  });
}
