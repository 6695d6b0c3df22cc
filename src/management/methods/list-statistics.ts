import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { named, STATISTICS_PARAMETER, word } from "../shapes/kinds.ts";
import { allStatistics, isGauge, selectStatistics } from "../statistics.ts";

/** `statistics:list`: which statistics there are, and whether each counts up or tells a current value. */
export const listStatistics = defineMethod({
  name: "statistics:list",
  aliases: ["list_statistics"],
  help: "lists the statistics and whether they are incremental",
  recipes: [[], ["statistics"]],
  parameters: { statistics: STATISTICS_PARAMETER },
  result: named(word("whether it counts up since the start", "incremental", "non-incremental"), "kinds by `group:name`"),
  failures: [{ code: 404, message: "Statistics Not Found" }],
  run(params, { ports }) {
    const found = params.has("statistics") ? selectStatistics(ports, params.texts("statistics")) : allStatistics(ports);
    if (found.length === 0 && params.has("statistics")) throw new MiError(404, "Statistics Not Found");
    return Object.fromEntries(
      found.map((statistic) => [`${statistic.group}:${statistic.name}`, isGauge(ports, statistic) ? "non-incremental" : "incremental"]),
    );
  },
});
