import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, createScriptRouter } from "../../src/routing/index.ts";
import { FakeCall, FakeLog, makeBalancer } from "./fake-call.ts";

describe("Call.lb.refresh()", () => {
  async function seen(admission?: { refresh(group: number, resources: string): Promise<boolean> }): Promise<boolean> {
    const balancer = makeBalancer("pstn=0");
    let answer: boolean | undefined;
    const request = async (call: Call): Promise<void> => {
      answer = await call.lb.refresh(1, "pstn");
      call.reply(503);
    };
    await createScriptRouter({ request }, { balancer, log: new FakeLog(), admission }).request(new FakeCall(balancer));
    assert.ok(answer !== undefined);
    return answer;
  }

  it("asks what other nodes have", async () => {
    const asked: unknown[] = [];
    const refresh = async (...args: unknown[]): Promise<boolean> => asked.push(...args) > 0;
    assert.equal(await seen({ refresh }), true);
    assert.deepEqual(asked, [1, "pstn"]);
  });

  it("is false when no loads are counted exactly", async () => {
    assert.equal(await seen(), false);
  });

  it("rejects arguments of other types", async () => {
    const balancer = makeBalancer("pstn=0");
    const request = (call: Call): Promise<unknown> => call.lb.refresh("1" as unknown as number, "pstn");
    const router = createScriptRouter({ request } as never, { balancer, log: new FakeLog() });
    await assert.rejects(async () => router.request(new FakeCall(balancer)), /lb.refresh/);
  });
});
