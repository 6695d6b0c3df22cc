import { defineMethod } from "../define-method.ts";
import { LISTING_RECIPES, listDialogs } from "../dialog-listing.ts";
import { DialogListing, LISTING_PARAMETERS } from "../shapes/dialogs.ts";

/** `dialog:list`: ongoing calls. Parameters only by name, because callid,from_tag and index,counter are both two. */
export const dlgList = defineMethod({
  name: "dialog:list",
  aliases: ["dlg_list"],
  help: "lists ongoing dialogs: all, the one of a callid (and from_tag), or counter of them from index on",
  recipes: LISTING_RECIPES,
  parameters: LISTING_PARAMETERS,
  result: DialogListing,
  failures: [
    { code: 404, message: "No such dialog" },
    { code: 413, message: "Too many dialogs" },
  ],
  details: "At most 10,000 dialogs come in one answer.",
  namedOnly: true,
  run: (params, { ports }) => listDialogs(params, ports, () => ({})),
});
