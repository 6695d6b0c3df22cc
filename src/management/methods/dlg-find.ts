import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { describeFound, findDialogs } from "../dialog-search.ts";
import { invalidParams } from "../jsonrpc.ts";
import { FoundDialog } from "../shapes/dialogs.ts";
import { count, listOf, members, whole } from "../shapes/kinds.ts";

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
  parameters: {
    pattern: Type.String({ description: "text to look for; upper and lower case are alike", maxLength: MAX_PATTERN_CHARS }),
    count: whole("dialogs at most; 50 when absent", { minimum: 1, maximum: MAX_COUNT }),
  },
  result: members({
    Dialogs: listOf(FoundDialog, "the dialogs, the latest first"),
    matches: count("all that have the text"),
  }),
  async run(params, { ports }) {
    const pattern = params.text("pattern");
    if (pattern.length > MAX_PATTERN_CHARS) {
      throw invalidParams(`Cannot look for a text of ${pattern.length} characters: want at most ${MAX_PATTERN_CHARS}`);
    }
    const wanted = params.has("count") ? params.whole("count") : DEFAULT_COUNT;
    if (wanted < 1 || wanted > MAX_COUNT) throw invalidParams(`Cannot list ${wanted} dialogs: want a number from 1 to ${MAX_COUNT}`);
    const { dialogs, matches } = await findDialogs(pattern, wanted, ports);
    return { Dialogs: describeFound(dialogs, ports), matches };
  },
});
