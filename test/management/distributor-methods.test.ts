import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Distributor, type ListSpec } from "../../src/distributor/index.ts";
import { AuditTrail } from "../../src/management/audit-trail.ts";
import { type Method, MethodRegistry } from "../../src/management/define-method.ts";
import { MiError } from "../../src/management/jsonrpc.ts";
import { distributorCtl } from "../../src/management/methods/distributor-ctl.ts";
import { distributorNext } from "../../src/management/methods/distributor-next.ts";
import { matchParams } from "../../src/management/params.ts";
import { fakePorts } from "./fake-ports.ts";

const LISTS: readonly ListSpec[] = [{ name: "test", nodes: ["foo1", "foo2", "foo3"].map((name, i) => ({ name, weight: i + 1 })) }];
const methods = new MethodRegistry([distributorNext, distributorCtl]);

type GivenParams = readonly unknown[] | Readonly<Record<string, unknown>> | undefined;

/** A server with the lists; `call` runs a method with parameters as they come in. */
function start(reload = true) {
  const lists = new Distributor({}, LISTS);
  const ports = fakePorts({ distributor: { lists, reload: () => reload && lists.reload(LISTS) } });
  const find = (name: string): Method => methods.find(name) ?? assert.fail(name);
  const match = (name: string, params?: GivenParams) => matchParams(find(name).recipes, params, false);
  return {
    call: (name: string, params?: GivenParams) =>
      find(name).run(match(name, params), { ports, methods, audit: new AuditTrail(), asker: { name: "local" } }),
    writes: (name: string, params?: GivenParams) => find(name).writes?.(match(name, params)) ?? false,
  };
}

const DUMP = "list: name=test\nnode: name=foo1 weight=1\nnode: name=foo2 weight=2\nnode: name=foo3 weight=3\n";

describe("distributor and distributor_ctl", () => {
  it("are offered where there is a distributor", () => {
    for (const method of [distributorNext, distributorCtl]) assert.equal(method.available?.(fakePorts()), false);
    const lists = new Distributor({});
    for (const method of [distributorNext, distributorCtl]) {
      assert.equal(method.available?.(fakePorts({ distributor: { lists, reload: () => false } })), true);
    }
  });

  const cases: { name: string; params?: GivenParams; want: unknown }[] = [
    { name: "distributor", want: "-err" },
    { name: "distributor", params: ["test"], want: "foo1" },
    { name: "distributor:next", params: { list: "TEST" }, want: "foo1" },
    { name: "distributor", params: ["nosuch"], want: "-err" },
    { name: "distributor", params: ["test", "foo1"], want: "foo2" },
    { name: "distributor", params: ["test", "foo1 foo2"], want: "foo3" },
    { name: "distributor", params: ["test", "foo1", "foo2"], want: "foo3" },
    { name: "distributor", params: { list: "test", exceptions: ["foo1", "foo2"] }, want: "foo3" },
    { name: "distributor", params: ["test", "foo1", "foo2", "foo3"], want: "-err" },
    { name: "distributor_ctl", want: "-error\n" },
    { name: "distributor_ctl", params: ["RELOAD"], want: "+OK reloaded.\n" },
    { name: "distributor_ctl", params: ["dump"], want: "missing list name\n" },
    { name: "distributor:ctl", params: { command: "dump", list: "test" }, want: DUMP },
    { name: "distributor_ctl", params: ["modify", "test", "foo1=3", "foo3=1"], want: DUMP.replace("1\n", "3\n").replace(/3\n$/, "1\n") },
    {
      name: "distributor_ctl",
      params: ["modify", "test", "foo2=0 x=1"],
      want: `error: name=foo2, specified weight invalid\nerror: node x not found\n${DUMP}`,
    },
    { name: "distributor_ctl", params: ["modify", "nosuch"], want: "cannot find list\n" },
    { name: "distributor_ctl", params: ["bogus", "test"], want: "-error\n" },
  ];
  for (const { name, params, want } of cases) {
    it(`${name} ${JSON.stringify(params ?? [])} answers ${JSON.stringify(want)}`, () => assert.equal(start().call(name, params), want));
  }

  it("reload answers -error when the lists could not be read", () => {
    assert.equal(start(false).call("distributor_ctl", ["reload"]), "-error\n");
  });

  it("reload and modify are logged as changes; asking for a node and dump are not", () => {
    const { writes } = start();
    assert.deepEqual(
      [["reload"], ["modify", "test", "foo1=3"], ["dump", "test"]].map((params) => writes("distributor_ctl", params)),
      [true, true, false],
    );
    assert.deepEqual([writes("distributor", ["test"]), writes("distributor_ctl")], [false, false]);
  });

  it("refuse parameters of another type, and more of them than they have names for", () => {
    const { call } = start();
    for (const params of [[{}], ["test", 1, {}], [null], ["test", ...Array.from({ length: 17 }, () => "x")]]) {
      assert.throws(() => call("distributor", params), MiError);
      assert.throws(() => call("distributor_ctl", ["modify", ...params]), MiError);
    }
  });
});
