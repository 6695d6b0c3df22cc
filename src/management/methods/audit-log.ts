import { defineMethod } from "../define-method.ts";
import { invalidParams } from "../jsonrpc.ts";
import { MAX_AUDIT_ENTRIES } from "../limits.ts";
import { count, listOf, maybe, members, text, whole, word } from "../shapes/kinds.ts";

/** Changes that are shown when nobody says how many. */
const DEFAULT_COUNT = 100;

/** `headroom:audit_log`: who has changed what by management, oldest first. Not in OpenSIPS. */
export const auditLog = defineMethod({
  name: "headroom:audit_log",
  aliases: ["audit_log"],
  help: "lists the latest changes that were asked for by management, with who and whether they were done",
  recipes: [[], ["count"]],
  parameters: { count: whole("changes at most, the latest; 100 when absent", { minimum: 1, maximum: MAX_AUDIT_ENTRIES }) },
  result: members({
    Changes: listOf(
      members({
        serial: count("number of the change, from 1; none is given twice in one run"),
        by: text("name of the token; local where none is asked for; node and an id for another node"),
        client: text("address that it came from"),
        method: text("name of the method"),
        params: text("its parameters as JSON, shortened"),
        outcome: word("forbidden: a viewer has tried", "done", "failed", "forbidden"),
        reason: maybe(text("why it was not done")),
        at: text("when it ended, ISO 8601 in UTC"),
      }),
      "the changes, oldest first",
    ),
  }),
  details: "See [Who did what](security.md#who-did-what).",
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
