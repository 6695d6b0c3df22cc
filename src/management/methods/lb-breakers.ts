import type { BreakerFigures } from "../../health/index.ts";
import { defineMethod } from "../define-method.ts";
import { Breaker } from "../shapes/destinations.ts";
import { listOf, members } from "../shapes/kinds.ts";

/** `load_balancer:breakers`: the breaker of each destination that had a call, in id order. Not in OpenSIPS. */
export const lbBreakers = defineMethod({
  name: "load_balancer:breakers",
  aliases: ["lb_breakers"],
  help: "lists the circuit breakers: their phases, the calls and failures of their windows, and the trial calls that have still to succeed",
  recipes: [[]],
  parameters: {},
  result: members({ Breakers: listOf(Breaker, "destinations that had a call, in id order") }),
  offeredWith: "health.breaker",
  available: ({ breakers }) => breakers !== undefined,
  run(_params, { ports }) {
    return { Breakers: (ports.breakers?.() ?? []).map(describe) };
  },
});

/** Flat, and with the same members for each, so that it can be shown as a table. */
function describe({ id, group, uri, phase, calls, failures, trialsWanted }: BreakerFigures): object {
  const percent = calls > 0 ? Math.round((failures / calls) * 100) : 0;
  return { id, group, uri, breaker: phase, calls, failures, failure_percent: percent, trials_wanted: trialsWanted };
}
