import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";

/** `load_balancer:undrain`: ends a drain, also one that has ended: the destination that it disabled is enabled again. Not in OpenSIPS. */
export const lbUndrain = defineMethod({
  name: "load_balancer:undrain",
  aliases: ["lb_undrain"],
  help: "undoes a drain: the destination gets new calls again, also when the drain has disabled it meanwhile",
  recipes: [["destination_id"]],
  writes: () => true,
  available: ({ drains }) => drains !== undefined,
  run(params, { ports: { drains } }) {
    const outcome = drains?.undo(params.int("destination_id"));
    if (outcome === "undone") return "OK";
    if (outcome === "not-draining") throw new MiError(409, "Destination is not drained");
    throw new MiError(404, "Destination ID not found");
  },
});
