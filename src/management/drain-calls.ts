import type { Balancer } from "../balancer/index.ts";
import type { DrainPorts } from "../health/index.ts";
import type { ManagedDialog, ManagementPorts } from "./ports.ts";

/** The calls of destinations that are drained: their dialogs, by their IDs. A dialog counts on a destination while it holds load of it. */
export function drainCalls({
  balancer,
  dialogs,
  endDialog,
  log,
}: Pick<ManagementPorts, "dialogs" | "endDialog" | "log"> & { readonly balancer: Pick<Balancer, "cellsOf"> }): Pick<
  DrainPorts,
  "calls" | "endCall"
> {
  return {
    calls(destination) {
      const names: string[] = [];
      const cells = new Set(balancer.cellsOf(destination));
      for (const dialog of dialogs.list()) if (countsOn(dialog, cells)) names.push(dialog.did);
      return names;
    },
    endCall(name, destination) {
      const dialog = dialogs.byDid(name);
      if (dialog === undefined || !countsOn(dialog, new Set(balancer.cellsOf(destination)))) return false;
      try {
        endDialog(dialog);
        return true;
      } catch (error) {
        log.error({ err: error, callId: dialog.callId, id: destination.id }, "cannot end a call at the deadline of a drain");
        return false;
      }
    },
  };
}

function countsOn({ load }: ManagedDialog, cells: ReadonlySet<number>): boolean {
  return load.leases.some((cell) => cells.has(cell));
}
