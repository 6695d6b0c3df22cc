import type { Destination } from "../balancer/index.ts";
import type { DrainPorts } from "../health/index.ts";
import type { ManagedDialog, ManagementPorts } from "./ports.ts";

/** The calls of destinations that are drained: their dialogs, by their IDs. A dialog counts on a destination while it holds load of it. */
export function drainCalls({
  dialogs,
  endDialog,
  log,
}: Pick<ManagementPorts, "dialogs" | "endDialog" | "log">): Pick<DrainPorts, "calls" | "endCall"> {
  return {
    calls(destination) {
      const names: string[] = [];
      for (const dialog of dialogs.list()) if (countsOn(dialog, destination)) names.push(dialog.did);
      return names;
    },
    endCall(name, destination) {
      const dialog = dialogs.byDid(name);
      if (dialog === undefined || !countsOn(dialog, destination)) return false;
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

function countsOn({ load }: ManagedDialog, { resources }: Destination): boolean {
  return resources.some(({ cell }) => load.leases.includes(cell));
}
