import { defineMethod } from "../define-method.ts";
import { describeOverload } from "../describe-sets.ts";
import { MiError } from "../jsonrpc.ts";
import { OverloadList } from "../shapes/dispatcher.ts";
import { count } from "../shapes/kinds.ts";

/** `dispatcher.oclist`: what destinations of a set have said of their load (Kamailio 6; 5.6 has no such command). */
export const dispatcherOclist = defineMethod({
  name: "dispatcher.oclist",
  aliases: [],
  help: "lists what overload control keeps of the destinations of a dispatcher set",
  recipes: [["group"]],
  parameters: { group: count("id of the set") },
  result: OverloadList,
  failures: [{ code: 404, message: "Destination Group Not Found" }],
  details: "A command of Kamailio 6.",
  offeredWith: "dispatch",
  available: ({ dispatch }) => dispatch !== undefined,
  run(params, { ports: { dispatch, nowMs } }) {
    const group = params.whole("group");
    const set = dispatch?.dispatcher.set(group);
    if (dispatch === undefined || set === undefined)
      throw new MiError(404, "Destination Group Not Found", `There is no dispatcher set ${group}`);
    const ahead = nowMs() - dispatch.nowMs();
    return describeOverload(set, (ms) => ms + ahead);
  },
});
