import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Drains } from "../../src/health/index.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { type FakePorts, fakePorts } from "./fake-ports.ts";
import { call } from "./raw-http.ts";

let server: ManagementServer;
let ports: FakePorts;
afterEach(() => server.close());

async function start(settled: () => Promise<boolean>): Promise<void> {
  ports = fakePorts({ settled });
  const drains = new Drains({
    balancer: ports.balancer,
    wallMs: Date.now,
    after: () => () => {},
    calls: () => [],
    endCall: () => false,
  });
  ports = { ...ports, drains };
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
}

function warnings(): string[] {
  return ports.logged.filter(({ level }) => level === "warn").map(({ message }) => message);
}

describe("a decision for a destination", () => {
  it("is answered once it is written down, for each method that decides one", async () => {
    let asked = 0;
    let writeDown: (() => void) | undefined;
    await start(() => {
      asked++;
      return new Promise((resolve) => {
        writeDown = () => resolve(true);
      });
    });
    const decisions: readonly (readonly [string, readonly unknown[]])[] = [
      ["lb_drain", [3]],
      ["lb_undrain", [3]],
      ["lb_status", [1, 0]],
      ["lb_resize", [3, "conference", 70]],
    ];
    for (const [method, params] of decisions) {
      let isAnswered = false;
      writeDown = undefined;
      const answer = call(server.url, method, params).finally(() => {
        isAnswered = true;
      });
      while (writeDown === undefined) await new Promise(setImmediate);
      assert.equal(isAnswered, false, method);
      (writeDown as () => void)();
      assert.equal(await answer, "OK", method);
    }
    assert.deepEqual([asked, warnings()], [4, []]);
  });

  it("is not waited for by what decides nothing", async () => {
    await start(() => assert.fail());
    assert.deepEqual(await call(server.url, "lb_status", [1]), { enable: "yes", attrs: "id=1" });
    await assert.rejects(call(server.url, "lb_status", [99, 0]), { code: 404 });
    await assert.rejects(call(server.url, "lb_resize", [99, "conference", 70]), { code: 404 });
    await assert.rejects(call(server.url, "lb_resize", [3, "conference", -1]), { code: -32602 });
    await assert.rejects(call(server.url, "lb_undrain", [1]), { code: 409 });
    await assert.rejects(call(server.url, "lb_drain", [99]), { code: 404 });
  });

  it("that could not be written is in force and answered all the same, with a warning in the log", async () => {
    await start(async () => false);
    assert.equal(await call(server.url, "lb_status", [1, 0]), "OK");
    assert.equal(ports.balancer.isEnabled(ports.balancer.destination(1)!), false);
    assert.deepEqual(warnings(), [
      "what was decided for destination 1 is in force, but not written down yet: a restart now would forget it",
    ]);
  });
});
