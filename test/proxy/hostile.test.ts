import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { delivered, established, type SimCall } from "../support/sim-call.ts";
import { LIFETIME_MS, PROXY, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

/** Pieces that parsers and proxies stumble over. */
const PIECES = [
  "",
  " ",
  ";",
  ",",
  "<",
  ">",
  '"',
  "\\",
  "\r\n",
  "\n",
  "\r",
  "\0",
  "\xff",
  "%",
  "=",
  ";tag=",
  ";lr",
  ";did=",
  ";r2=on",
  ";branch=z9hG4bK",
  "99999999999",
  "-1",
  "0",
  "sip:",
  "tel:",
  "[::1]",
  `<sip:${PROXY};lr>`,
  "SIP/2.0",
  "*",
] as const;

/** One change of a message: cut `length` characters at a place from 0 to 1, and put a piece there. */
const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: fc.nat(12), piece: fc.constantFrom(...PIECES) });
const attack = fc.record({ kind: fc.nat(11), changes: fc.array(change, { maxLength: 3 }), fromCallee: fc.boolean() });

function spoiled(text: string, changes: readonly { at: number; length: number; piece: string }[]): string {
  let out = text;
  for (const { at, length, piece } of changes) {
    const place = Math.floor(at * out.length);
    out = out.slice(0, place) + piece + out.slice(place + length);
  }
  return out;
}

/** Messages that could be said of this call, true before they are spoiled. */
function messagesOf(call: SimCall, cseq: number): string[] {
  return [
    call.invite,
    call.cancel(),
    responseTo(call.delivered, 180, { toTag: call.toTag }),
    responseTo(call.delivered, 200, { toTag: call.toTag, headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] }),
    responseTo(call.delivered, 486, { toTag: call.toTag }),
    call.fromCaller("ACK", 1),
    call.fromCaller("BYE", cseq),
    call.fromCallee("BYE", cseq),
    call.fromCaller("INVITE", cseq),
    call.fromCallee("UPDATE", cseq),
    call.fromCaller("OPTIONS", cseq, { uri: `sip:${PROXY}` }),
    call.fromCallee("MESSAGE", cseq, { to: "<sip:x@example.com>" }),
  ];
}

describe("hostile messages", () => {
  it("with a NUL in the names of a call, which quoted text may have, keep nobody from hanging it up at the end of its lifetime", () => {
    const net = new SimNetwork();
    const call = established(net, { from: '"NUL \\\0" <sip:caller@198.51.100.1>;tag=n', callId: "nul\0call" });
    net.run(LIFETIME_MS);
    for (const peer of [call.caller, call.callee]) {
      const bye = peer.take("BYE");
      assert.equal(headerOf(bye, "Call-ID"), "nul\0call");
      assert.ok(bye.includes('"NUL \\\0" <sip:caller@198.51.100.1>;tag=n'));
      peer.send(responseTo(bye, 200));
    }
    net.finish();
  });

  it("of whatever shape and order end in an answer or in nothing: no exception, true loads, nothing left", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(attack, { minLength: 1, maxLength: 25 }), (up, attacks) => {
        const net = new SimNetwork();
        const call = up ? established(net) : delivered(net);
        if (!up) call.answer = call.delivered.replace(/^To: .*$/m, `$&;tag=${call.toTag}`);
        for (const [i, { kind, changes, fromCallee }] of attacks.entries()) {
          const sender: SimPeer = fromCallee ? call.callee : call.caller;
          sender.send(spoiled(messagesOf(call, i + 2)[kind]!, changes));
          if (i % 5 === 4) net.run(700);
          net.checkLoads();
        }
        net.finish();
      }),
      { numRuns: 250, seed: 4475 },
    );
  });
});
