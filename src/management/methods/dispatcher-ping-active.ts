import { defineMethod } from "../define-method.ts";
import { maybe, members, whole } from "../shapes/kinds.ts";

/** `dispatcher.ping_active`: tells whether destinations are probed, or ends and begins it. */
export const dispatcherPingActive = defineMethod({
  name: "dispatcher.ping_active",
  aliases: [],
  help: "tells whether the destinations of dispatcher sets are probed; with 0 nobody is, with 1 those that the probing mode says",
  recipes: [[], ["state"]],
  parameters: { state: whole("0: nobody is probed; 1: those that the probing mode says; -1: only tell") },
  result: members({ NewPingState: maybe(whole("the state now, when one was given")), OldPingState: whole("the state before") }),
  writesWhen: "with `state`",
  offeredWith: "dispatch",
  writes: (params) => params.has("state"),
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch } }) {
    const before = dispatch?.pingState ?? 0;
    const state = params.has("state") ? params.whole("state") : -1;
    if (state === -1) return { OldPingState: before };
    dispatch?.setPingState(state);
    return { NewPingState: state, OldPingState: before };
  },
});
