import { defineMethod } from "../define-method.ts";
import { LISTING_RECIPES, listDialogs } from "../dialog-listing.ts";

/** `dialog:list`: ongoing calls. Parameters only by name, because callid,from_tag and index,counter are both two. */
export const dlgList = defineMethod({
  name: "dialog:list",
  aliases: ["dlg_list"],
  help: "lists ongoing dialogs: all, the one of a callid (and from_tag), or counter of them from index on",
  recipes: LISTING_RECIPES,
  namedOnly: true,
  run: (params, { ports }) => listDialogs(params, ports, () => ({})),
});
