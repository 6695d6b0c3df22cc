import { defineMethod } from "../define-method.ts";
import { amount, named, STATISTICS_PARAMETER } from "../shapes/kinds.ts";
import { selectStatistics } from "../statistics.ts";

/** `statistics:get`: values of statistics, each under `group:name`. */
export const getStatistics = defineMethod({
  name: "statistics:get",
  aliases: ["get_statistics"],
  help: "tells the values of statistics: 'all', a group such as 'dialog:', or single names",
  recipes: [["statistics"]],
  parameters: { statistics: STATISTICS_PARAMETER },
  result: named(amount("value"), "values by `group:name`"),
  run(params, { ports }) {
    const found = selectStatistics(ports, params.texts("statistics"));
    return Object.fromEntries(found.map(({ group, name, value }) => [`${group}:${name}`, value]));
  },
});
