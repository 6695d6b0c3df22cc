import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AuditTrail } from "../../src/management/audit-trail.ts";
import { MethodRegistry } from "../../src/management/define-method.ts";
import { MiError } from "../../src/management/jsonrpc.ts";
import { pikeList } from "../../src/management/methods/pike-list.ts";
import { pikeRm } from "../../src/management/methods/pike-rm.ts";
import { matchParams } from "../../src/management/params.ts";
import { fakePorts } from "./fake-ports.ts";

const methods = new MethodRegistry([pikeList, pikeRm]);

function start() {
  const lifted: string[] = [];
  const bans = {
    list: () => [{ source: "192.0.2.1", ageMs: 61_900, leftMs: 58_100, refused: 7 }],
    lift: (address: string) => address === "192.0.2.1" && lifted.push(address) > 0,
  };
  const ports = fakePorts({ bans });
  return { ports, lifted };
}

describe("pike_list and pike_rm", () => {
  it("are offered where sources are limited", () => {
    for (const method of [pikeList, pikeRm]) {
      assert.equal(method.available?.(fakePorts()), false);
      assert.equal(method.available?.(start().ports), true);
    }
    assert.deepEqual([methods.find("pike_list"), methods.find("pike_rm")], [pikeList, pikeRm]);
  });

  it("list the bans in seconds", () => {
    assert.deepEqual(
      pikeList.run(matchParams(pikeList.recipes, undefined, false), {
        ports: start().ports,
        methods,
        audit: new AuditTrail(),
        asker: { name: "local" },
      }),
      {
        IPs: [{ IP: "192.0.2.1", since: 61, left: 59, refused: 7 }],
      },
    );
  });

  it("lift a ban, and say when there is none", () => {
    const { ports, lifted } = start();
    const remove = (ip: string) =>
      pikeRm.run(matchParams(pikeRm.recipes, [ip], false), { ports, methods, audit: new AuditTrail(), asker: { name: "local" } });
    assert.equal(remove("192.0.2.1"), "OK");
    assert.deepEqual(lifted, ["192.0.2.1"]);
    assert.throws(
      () => remove("192.0.2.2"),
      (error) => error instanceof MiError && error.code === 404 && error.message === "IP not found",
    );
    assert.equal(pikeRm.writes?.(matchParams(pikeRm.recipes, ["192.0.2.1"], false)), true);
  });
});
