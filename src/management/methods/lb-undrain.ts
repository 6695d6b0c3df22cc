import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import type { ManagementPorts } from "../ports.ts";
import { settle } from "../settle.ts";
import { count, OK } from "../shapes/kinds.ts";

/**
 * `load_balancer:undrain`: ends a drain, also one that has ended: the destination that it disabled gets the status from before back. What an operator
 * disabled before or since stays disabled. Not in OpenSIPS.
 */
export const lbUndrain = defineMethod({
  name: "load_balancer:undrain",
  aliases: ["lb_undrain"],
  help: "undoes a drain, also one that has disabled the destination meanwhile: it gets new calls again, or is left to the probes if these had found it down",
  recipes: [["destination_id"]],
  parameters: { destination_id: count("id of the destination") },
  result: OK,
  failures: [
    { code: 404, message: "Destination ID not found" },
    { code: 409, message: "Destination is not drained" },
  ],
  details: "When an operator has disabled it, the message of 409 goes on with how to enable it.",
  writes: () => true,
  available: ({ drains }) => drains !== undefined,
  async run(params, { ports }) {
    const id = params.whole("destination_id");
    const outcome = ports.drains?.undo(id);
    if (outcome === "undone") {
      await settle(ports, id);
      return "OK";
    }
    if (outcome === "not-draining") throw new MiError(409, `Destination is not drained${reasonOf(ports, id)}`);
    throw new MiError(404, "Destination ID not found");
  },
});

/** One that an operator had disabled before its drain stays so, and whoever undoes the drain wonders why. */
function reasonOf({ balancer }: Pick<ManagementPorts, "balancer">, id: number): string {
  const destination = balancer.destination(id);
  if (destination === undefined || balancer.isAutoReenable(destination)) return "";
  return `: an operator has disabled it, lb_status ${id} 1 enables it`;
}
