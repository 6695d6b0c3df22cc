import { defineMethod } from "../define-method.ts";
import { LISTING_RECIPES, listDialogs } from "../dialog-listing.ts";
import { profileCells, profilesOf } from "../profiles.ts";
import { DialogListing, LISTING_PARAMETERS } from "../shapes/dialogs.ts";

/** `dialog:list_ctx`: ongoing calls, each with what it counts. */
export const dlgListCtx = defineMethod({
  name: "dialog:list_ctx",
  aliases: ["dlg_list_ctx"],
  help: "lists ongoing dialogs as dialog:list does, with the load that each one counts",
  recipes: LISTING_RECIPES,
  parameters: LISTING_PARAMETERS,
  result: DialogListing,
  failures: [
    { code: 404, message: "No such dialog" },
    { code: 413, message: "Too many dialogs" },
  ],
  details: "At most 10,000 dialogs come in one answer.",
  namedOnly: true,
  run(params, { ports }) {
    const cells = profileCells(ports);
    return listDialogs(params, ports, (dialog) => {
      const profiles = profilesOf(dialog, cells);
      return { context: profiles.length > 0 ? { profiles } : {} };
    });
  },
});
