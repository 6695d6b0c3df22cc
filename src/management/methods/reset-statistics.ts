import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { OK, STATISTICS_PARAMETER } from "../shapes/kinds.ts";
import { isGauge, selectStatistics } from "../statistics.ts";

/** `statistics:reset`: sets counters to 0. A current value stays what it is, without an error, as in OpenSIPS. */
export const resetStatistics = defineMethod({
  name: "statistics:reset",
  aliases: ["reset_statistics"],
  help: "sets statistics that count up to 0",
  recipes: [["statistics"]],
  parameters: { statistics: STATISTICS_PARAMETER },
  result: OK,
  failures: [{ code: 404, message: "Statistics Not Found" }],
  details: "Values that tell how things are now stay what they are.",
  writes: () => true,
  available: (ports) => ports.resetStatistic !== undefined,
  run(params, { ports }) {
    const found = selectStatistics(ports, params.texts("statistics"));
    if (found.length === 0) throw new MiError(404, "Statistics Not Found");
    for (const statistic of found) if (!isGauge(ports, statistic)) ports.resetStatistic?.(statistic.group, statistic.name);
    return "OK";
  },
});
