import { defineMethod } from "../define-method.ts";
import { invalidParams } from "../jsonrpc.ts";
import { MAX_AUDIT_ENTRIES } from "../limits.ts";

/** Changes that are shown when nobody says how many. */
const DEFAULT_COUNT = 100;

/** `headroom:audit_log`: who has changed what by management, oldest first. Not in OpenSIPS. */
export const auditLog = defineMethod({
  name: "headroom:audit_log",
  aliases: ["audit_log"],
  help: "lists the latest changes that were asked for by management, with who and whether they were done",
  recipes: [[], ["count"]],
  run(params, { audit }) {
    const count = params.has("count") ? params.int("count") : DEFAULT_COUNT;
    if (count < 1 || count > MAX_AUDIT_ENTRIES) {
      throw invalidParams(`Cannot list ${count} changes: want a number from 1 to ${MAX_AUDIT_ENTRIES}`);
    }
    return {
      Changes: audit.latest(count).map(({ atMs, ...entry }) => ({ ...entry, at: new Date(atMs).toISOString() })),
    };
  },
});
