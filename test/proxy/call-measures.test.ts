import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallMeasures, DelayTally } from "../../src/proxy/index.ts";
import type { SipResponse } from "../../src/sip/index.ts";
import { delivered } from "../support/sim-call.ts";
import { FR_MS, SimNetwork } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

/** What is measured of a call whose responses come at these times. */
function measured(...responses: (readonly [ageMs: number, status: number])[]): { postDial: number[]; setup: number[] } {
  const measures = new CallMeasures();
  const call: { ageMs: number; measured: 0 | 1 | 2 } = { ageMs: 0, measured: 0 };
  for (const [ageMs, status] of responses) {
    call.ageMs = ageMs;
    measures.observe(call, { status } as SipResponse);
  }
  const { postDial, setup } = measures;
  return { postDial: [total(postDial), postDial.sumMs], setup: [total(setup), setup.sumMs] };
}

describe("what is measured of a call", () => {
  it("is the time until it rings, and until it is answered", () => {
    assert.deepEqual(measured([5, 100], [70, 180], [90, 183], [4_000, 200]), { postDial: [1, 70], setup: [1, 4_000] });
  });
  it("is both at once when nothing rings before", () => {
    assert.deepEqual(measured([30, 200]), { postDial: [1, 30], setup: [1, 30] });
  });
  it("goes on over a failover, and is nothing when the call fails", () => {
    assert.deepEqual(measured([40, 503], [90, 180], [95, 486]), { postDial: [1, 90], setup: [0, 0] });
  });
  it("is no second answer, such as that of another branch", () => {
    assert.deepEqual(measured([30, 200], [60, 200], [70, 180]), { postDial: [1, 30], setup: [1, 30] });
  });
});

describe("what the proxy measures of its calls", () => {
  it("is the delay over a failover, and what the failover was for", () => {
    const net = new SimNetwork();
    const { measures } = net.core;
    assert.ok(measures);
    const call = delivered(net);
    net.run(300);
    call.respond(503);
    const second = net.peer("203.0.113.2");
    const again = second.take("INVITE");
    net.run(200);
    second.send(responseTo(again, 180, { toTag: "b" }));
    net.run(1_000);
    second.send(responseTo(again, 200, { toTag: "b", headers: ["Contact: <sip:b@203.0.113.2>"] }));
    net.run(20);
    assert.deepEqual(measures.failovers, { response: 1, timeout: 0, refused: 0, "transport-error": 0, capacity: 0 });
    assert.equal(total(measures.postDial), 1);
    assert.equal(total(measures.setup), 1);
    assert.ok(measures.postDial.sumMs >= 500 && measures.postDial.sumMs < 600, `${measures.postDial.sumMs} ms`);
    assert.ok(measures.setup.sumMs >= 1_500 && measures.setup.sumMs < 1_600, `${measures.setup.sumMs} ms`);
  });

  it("is a failover for a time-out, and no delay, when nobody answers", () => {
    const net = new SimNetwork();
    delivered(net);
    net.run(FR_MS + 20);
    const { measures } = net.core;
    assert.ok(measures);
    assert.deepEqual([measures.failovers.timeout, total(measures.postDial)], [1, 0]);
  });
});

function total(tally: DelayTally): number {
  return tally.counts.reduce((sum, count) => sum + count, 0);
}

describe("DelayTally", () => {
  it("puts a time into the bucket whose bound it does not exceed", () => {
    const tally = new DelayTally([10, 20]);
    for (const ms of [0, 10, 10.1, 20, 21]) tally.observe(ms);
    assert.deepEqual([[...tally.counts], tally.sumMs], [[2, 2, 1], 61.1]);
  });
});
