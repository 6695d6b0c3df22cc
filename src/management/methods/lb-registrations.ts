import type { BindingView } from "../../registrar/index.ts";
import { bracketHost } from "../../sip/index.ts";
import { defineMethod } from "../define-method.ts";
import { Registration } from "../shapes/destinations.ts";
import { listOf, members } from "../shapes/kinds.ts";

/** `load_balancer:registrations`: the servers that have registered, in id order. Not in OpenSIPS. */
export const lbRegistrations = defineMethod({
  name: "load_balancer:registrations",
  aliases: ["lb_registrations"],
  help: "lists the destinations that have registered: account, Contact, source, and the seconds that are left; or why they leave",
  recipes: [[]],
  parameters: {},
  result: members({ Registrations: listOf(Registration, "servers that have registered, in id order") }),
  offeredWith: "registrar.accounts",
  details: "See [registrar.md](registrar.md).",
  available: ({ registrations }) => registrations !== undefined,
  run(_params, { ports }) {
    const bindings = [...(ports.registrations?.() ?? [])].sort((a, b) => a.id - b.id);
    return { Registrations: bindings.map(describe) };
  },
});

/** Flat, and with the same members for each, so that it can be shown as a table. */
function describe({ id, group, uri, account, user, contact, source, state, cause, expiresS }: BindingView): object {
  const { address, port, transport } = source;
  return {
    id,
    group,
    uri,
    account,
    user,
    contact,
    source: `${transport}:${bracketHost(address)}:${port}`,
    state,
    expires: expiresS,
    cause: cause ?? null,
  };
}
