import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { settle } from "../settle.ts";
import { maybe, members, OK, text, whole, yesOrNo } from "../shapes/kinds.ts";

/** `load_balancer:status`: tells or sets whether calls go to a destination. 0 disables it and keeps probes from enabling it; any other number enables it, ends its rest and closes its breaker. */
export const lbStatus = defineMethod({
  name: "load_balancer:status",
  aliases: ["lb_status"],
  help: "tells whether a destination is enabled or, with new_status, enables (1) or disables (0) it",
  recipes: [["destination_id"], ["destination_id", "new_status"]],
  parameters: {
    destination_id: whole("id of the destination"),
    new_status: whole("0 disables it and keeps probes from enabling it; another number enables it, ends its rest and closes its breaker"),
  },
  result: Type.Union([
    OK,
    members({ enable: yesOrNo("whether it gets calls"), attrs: maybe(text("attributes of the row, unless empty")) }),
  ]),
  writesWhen: "with `new_status`",
  failures: [{ code: 404, message: "Destination ID not found" }],
  details: "A status survives a restart. See [When a decision is written down](management.md#when-a-decision-is-written-down).",
  writes: (params) => params.has("new_status"),
  async run(params, { ports }) {
    const { balancer, drains } = ports;
    const id = params.int("destination_id");
    if (params.has("new_status")) {
      const enabled = params.int("new_status") !== 0;
      const destination = balancer.destination(id);
      if (destination === undefined) throw notFound();
      if (enabled) ports.forgive?.(destination); // first, so that what is told last is that it is enabled
      balancer.setStatus(id, enabled, "mi");
      if (enabled)
        drains?.undo(id); // who enables a destination wants calls there
      else drains?.overrule(id); // and who disables it does not want an undo to bring them back
      await settle(ports, id);
      return "OK";
    }
    const destination = balancer.destination(id);
    if (destination === undefined) throw notFound();
    const { attrs } = destination;
    return { enable: balancer.isEnabled(destination) ? "yes" : "no", ...(attrs ? { attrs } : {}) };
  },
});

function notFound(): MiError {
  return new MiError(404, "Destination ID not found");
}
