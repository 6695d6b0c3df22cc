import { defineMethod } from "../define-method.ts";
import { invalidParams, MiError } from "../jsonrpc.ts";
import { settle } from "../settle.ts";
import { count, OK, text, whole } from "../shapes/kinds.ts";

/** `load_balancer:resize`: changes the capacity of one resource of one destination, which survives a restart. It stays until the row says another capacity. */
export const lbResize = defineMethod({
  name: "load_balancer:resize",
  aliases: ["lb_resize"],
  help: "changes the capacity of one resource of one destination; the database is not changed",
  recipes: [["destination_id", "res_name", "new_capacity"]],
  parameters: {
    destination_id: whole("id of the destination"),
    res_name: text("name of the resource"),
    new_capacity: count("calls that it takes from now on"),
  },
  result: OK,
  failures: [
    { code: 404, message: "Destination ID not found" },
    { code: 404, message: "Destination has no such resource" },
  ],
  details:
    "Survives a restart where calls are kept (`dialog.persistence`), and ends when the row says another capacity. See [When a decision is written down](management.md#when-a-decision-is-written-down).",
  writes: () => true,
  async run(params, { ports }) {
    const id = params.int("destination_id");
    const resource = params.text("res_name");
    const capacity = params.int("new_capacity");
    switch (ports.balancer.resize(id, resource, capacity)) {
      case "ok":
        await settle(ports, id);
        return "OK";
      case "no-destination":
        throw new MiError(404, "Destination ID not found");
      case "no-resource":
        throw new MiError(404, "Destination has no such resource");
      case "bad-capacity":
        throw invalidParams(`Cannot resize "${resource}" of destination ${id}: new_capacity must be >= 0, current value is ${capacity}`);
    }
  },
});
