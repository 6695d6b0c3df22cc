import { defineMethod } from "../define-method.ts";
import { describeAll } from "../dialog-listing.ts";
import type { ManagedDialog, ManagementPorts } from "../ports.ts";
import { profileCells, resourceOf } from "../profiles.ts";
import { PROFILE_PARAMETERS } from "../shapes/dialogs.ts";
import { listOf, members, shared } from "../shapes/kinds.ts";

/** `dialog:profile_list_dlgs`: the calls that a resource counts, everywhere or on one destination. */
export const profileListDlgs = defineMethod({
  name: "dialog:profile_list_dlgs",
  aliases: ["profile_list_dlgs"],
  help: "lists the dialogs that are counted in a profile (lbX and a resource), or for one value of it",
  recipes: [["profile"], ["profile", "value"]],
  parameters: PROFILE_PARAMETERS,
  result: members({ Dialogs: listOf(shared("Dialog"), "the dialogs") }),
  failures: [
    { code: 404, message: "Profile not found" },
    { code: 413, message: "Too many dialogs" },
  ],
  run(params, { ports }) {
    const resource = resourceOf(ports, params.text("profile"));
    const value = params.has("value") ? params.text("value") : undefined;
    return { Dialogs: describeAll(counted(ports, resource, value), ports.dialogs.size, () => ({})) };
  },
});

function* counted(ports: ManagementPorts, resource: string, value: string | undefined): Iterable<ManagedDialog> {
  const cells = new Set<number>();
  for (const [cell, owner] of profileCells(ports)) {
    if (owner.resource === resource && (value === undefined || owner.value === value)) cells.add(cell);
  }
  for (const dialog of ports.dialogs.list()) if (dialog.load.leases.some((cell) => cells.has(cell))) yield dialog;
}
