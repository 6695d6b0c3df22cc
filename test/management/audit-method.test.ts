import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AuditTrail } from "../../src/management/audit-trail.ts";
import { MethodRegistry } from "../../src/management/define-method.ts";
import type { AuditView } from "../../src/management/index.ts";
import { lbAudit } from "../../src/management/methods/lb-audit.ts";
import { matchParams } from "../../src/management/params.ts";
import { fakePorts } from "./fake-ports.ts";

const methods = new MethodRegistry([lbAudit]);
const QUIET: AuditView = { calls: 7, durationMs: 1.6, differences: [], freeswitch: [] };

async function answer(view: AuditView): Promise<unknown> {
  return lbAudit.run(matchParams(lbAudit.recipes, undefined, false), {
    ports: fakePorts({ audit: async () => view }),
    methods,
    audit: new AuditTrail(),
    asker: { name: "local" },
  });
}

describe("lb_audit", () => {
  it("is offered where loads are audited", () => {
    assert.equal(methods.find("lb_audit"), lbAudit);
    assert.equal(lbAudit.available?.(fakePorts()), false);
    assert.equal(lbAudit.available?.(fakePorts({ audit: async () => QUIET })), true);
  });

  it("says how many calls it has gone through, and that nothing differs", async () => {
    assert.deepEqual(await answer(QUIET), { calls: 7, milliseconds: 2, Differences: [] });
  });

  it("tells what was counted otherwise: of a destination, of a pool, and the number of calls", async () => {
    const destination = { id: 1, group: 2, uri: "sip:192.0.2.1" };
    const differences = [
      { ...destination, resource: "pstn", counted: 3, actual: 2 },
      { ...destination, resource: undefined, counted: 3, actual: 2 },
      { pool: "a", resource: "pstn", counted: 5, actual: 4 },
    ];
    assert.deepEqual(await answer({ ...QUIET, differences }), {
      calls: 7,
      milliseconds: 2,
      Differences: [
        { ...destination, resource: "pstn", counted: 3, true: 2, healed: true },
        { ...destination, counted: 3, true: 2, healed: true },
        { pool: "a", resource: "pstn", counted: 5, true: 4, healed: true },
      ],
    });
  });

  it("sets the sessions of FreeSWITCHes against our calls there", async () => {
    const freeswitch = [
      { url: "fs://a", sessions: 2, calls: 3, isShort: true },
      { url: "fs://b", sessions: undefined, calls: 0, isShort: false },
    ];
    assert.deepEqual(((await answer({ ...QUIET, freeswitch })) as { FreeSWITCH: unknown }).FreeSWITCH, [
      { url: "fs://a", sessions: 2, calls: 3, short: "yes" },
      { url: "fs://b", calls: 0, short: "no" },
    ]);
  });
});
