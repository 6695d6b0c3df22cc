import { defineMethod } from "../define-method.ts";
import type { AuditDifference } from "../ports.ts";
import { Audit } from "../shapes/destinations.ts";

/** `load_balancer:audit`: recomputes the loads from the calls, heals what differs, and answers it. Not in OpenSIPS. */
export const lbAudit = defineMethod({
  name: "load_balancer:audit",
  aliases: ["lb_audit"],
  help: "recomputes the loads from the calls that there are, tells and heals those that were counted otherwise, and compares with FreeSWITCHes",
  recipes: [[]],
  parameters: {},
  result: Audit,
  details: "Of this node. See [Audit](operation.md#audit).",
  isForOperators: true,
  available: ({ audit }) => audit !== undefined,
  async run(_params, { ports }) {
    const { calls = 0, durationMs = 0, differences = [], freeswitch = [] } = (await ports.audit?.()) ?? {};
    return {
      calls,
      milliseconds: Math.round(durationMs),
      Differences: differences.map(describe),
      ...(freeswitch.length > 0 && {
        FreeSWITCH: freeswitch.map(({ url, sessions, calls: ownCalls, isShort }) => ({
          url,
          ...(sessions !== undefined && { sessions }),
          calls: ownCalls,
          short: isShort ? "yes" : "no",
        })),
      }),
    };
  },
});

/** Without a resource it is the number of calls of the destination, each counted once. */
function describe({ id, group, uri, pool, resource, counted, actual }: AuditDifference): object {
  const where = pool === undefined ? { id, group, uri } : { pool };
  return { ...where, ...(resource !== undefined && { resource }), counted, true: actual, healed: true };
}
