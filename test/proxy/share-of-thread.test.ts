import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ShareOfThread, threadOfCall } from "../../src/proxy/index.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import type { Endpoint } from "../../src/transaction/index.ts";
import { request } from "../support/sip-messages.ts";

describe("the thread that a call belongs to", () => {
  for (const threads of [2, 3, 8]) {
    for (const [kind, callIdOf] of [
      ["count up", (i: number) => `${i}-4711@192.0.2.1`],
      ["count up in steps", (i: number) => `call${1000 + 6 * i}`],
      ["are random", (i: number) => `${Math.imul(i, 0x9e3779b1) >>> 0}.${i}@host`],
    ] as const) {
      it(`is each of ${threads} about as often where Call-IDs ${kind}`, () => {
        const counts = new Array<number>(threads).fill(0);
        for (let i = 0; i < 4_000; i++) counts[threadOfCall(callIdOf(i), threads)]!++;
        for (const count of counts) assert.ok(Math.abs(count - 4_000 / threads) < 0.15 * (4_000 / threads), counts.join(" "));
      });
    }
  }

  it("is the only one that keeps what comes to the address of all; what comes to its own is for it in any case", () => {
    const handed: [number, string][] = [];
    const common = { listener: { outgoing: {} } } as Endpoint;
    const own = { listener: {} } as Endpoint;
    const shares = [0, 1].map(
      (self) =>
        new ShareOfThread(
          2,
          self,
          ({ listener }) => listener.outgoing !== undefined,
          (thread, text) => handed.push([thread, text]),
        ),
    );
    const text = request();
    const message = parseMessage(text) as SipRequest;
    const owner = threadOfCall(message.callId, 2);
    assert.equal(shares[owner]!.takes(message, text, common), false);
    assert.equal(shares[1 - owner]!.takes(message, text, common), true);
    assert.deepEqual(handed, [[owner, text]]);
    assert.equal(shares[1 - owner]!.takes(message, text, own), false);
  });
});
