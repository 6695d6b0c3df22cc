import { defineMethod } from "../define-method.ts";
import { describeFound, findDialogs } from "../dialog-search.ts";
import { invalidParams } from "../jsonrpc.ts";

/** Calls that are told of when nobody says how many, and the most that are. */
const DEFAULT_COUNT = 50;
const MAX_COUNT = 100;
/** Longest text that is looked for: longer than any URI that people type. */
const MAX_PATTERN_CHARS = 256;

/** `dialog:find`: ongoing calls that have a text in their Call-ID, From URI, To URI or in the URI of a destination. Not in OpenSIPS. */
export const dlgFind = defineMethod({
  name: "dialog:find",
  aliases: ["dlg_find"],
  help: "finds ongoing dialogs with a text in Call-ID, From, To or destination, the latest ones first, 50 unless told how many up to 100",
  recipes: [["pattern"], ["pattern", "count"]],
  async run(params, { ports }) {
    const pattern = params.text("pattern");
    if (pattern.length > MAX_PATTERN_CHARS) {
      throw invalidParams(`Cannot look for a text of ${pattern.length} characters: want at most ${MAX_PATTERN_CHARS}`);
    }
    const count = params.has("count") ? params.whole("count") : DEFAULT_COUNT;
    if (count < 1 || count > MAX_COUNT) throw invalidParams(`Cannot list ${count} dialogs: want a number from 1 to ${MAX_COUNT}`);
    const { dialogs, matches } = await findDialogs(pattern, count, ports);
    return { Dialogs: describeFound(dialogs, ports), matches };
  },
});
