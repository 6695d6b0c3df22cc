import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Address } from "../../src/balancer/index.ts";
import { INTERVAL_MS, ProbeBench, row, TIMEOUT_MS } from "./probe-bench.ts";

const [A, B] = ["192.0.2.1", "192.0.2.101"].map((ip): Address => ({ ip, port: 5060, transport: "udp" }));

describe("a destination with two addresses", () => {
  it("is alive when the second one answers, in the same turn", async () => {
    const bench = await ProbeBench.started([row(1, 2, { addresses: [A!, B!] })]);
    bench.behaviours.set(B!.ip, 200);
    bench.run(INTERVAL_MS - 100);
    assert.deepEqual([...new Set(bench.probes.map(({ to }) => to.address))], [A!.ip, B!.ip]);
    assert.equal(bench.isEnabled(1), true);
    assert.deepEqual(bench.faults, []);
  });

  it("is down when neither answers, counted once", async () => {
    const bench = await ProbeBench.started([row(1, 2, { addresses: [A!, B!] })], { fall: 1 });
    bench.run(TIMEOUT_MS + 200);
    assert.equal(bench.isEnabled(1), true, "one address is not the destination");
    bench.run(TIMEOUT_MS + 200);
    assert.equal(bench.isEnabled(1), false);
    assert.equal(bench.changes.length, 1);
  });

  it("is judged by the first one that answers, whatever it says", async () => {
    const bench = await ProbeBench.started([row(1, 2, { addresses: [A!, B!] })]);
    bench.behaviours.set(A!.ip, 503).set(B!.ip, 200);
    bench.run(200);
    assert.equal(bench.isEnabled(1), false);
  });
});
