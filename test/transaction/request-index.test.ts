import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { requestKeys } from "../../src/transaction/index.ts";
import { type KnownRequest, originOf, RequestIndex, senderOf } from "../../src/transaction/request-index.ts";
import { request } from "../support/sip-messages.ts";

interface Known extends KnownRequest {
  nextOfCall: Known | undefined;
}

/** Mulberry32: the same requests each time. */
function randomsOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function knownOf(from: SipRequest): Known {
  const { callId, method, cseqNumber, topVia } = from;
  const known = { callId, method, cseqNumber, sender: senderOf(topVia), origin: originOf(from) };
  return { ...known, isMergeable: false, isCrowded: false, nextOfCall: undefined };
}

describe("the index of requests", () => {
  for (const [name, calls] of [
    ["few requests a Call-ID", 40],
    ["one Call-ID for everything", 1],
  ] as const)
    it(`finds, forgets and names what maps of whole keys do: ${name}`, () => {
      const below = randomsOf(calls);
      const pick = <T>(values: readonly T[]): T => values[below(values.length)]!;
      const index = new RequestIndex<Known>();
      const servers = new Map<string, Known>();
      const merged = new Map<string, Known>();
      const keysOf = new Map<Known, readonly string[]>();
      let hits = 0;
      for (let i = 0; i < 20_000; i++) {
        const message = parseMessage(
          request({
            method: pick(["INVITE", "BYE", "OPTIONS"]),
            callId: `call-${below(calls)}`,
            cseq: 1 + below(2),
            branch: pick(["z9hG4bK", "z9hG4bKa", "z9hG4bKb", "z9hG4bKc", "1"]),
            sentBy: pick(["192.0.2.8:5060", "192.0.2.9"]),
            from: `<sip:a@example.com>;tag=${pick(["one", "two"])}`,
            uri: pick(["sip:b@example.com", "sip:c@example.com"]),
            to: `<sip:b@example.com>${pick(["", ";tag=x"])}`,
          }),
        );
        assert.equal(message.kind, "request");
        const asked = message as SipRequest;
        const [own = "", mergeKey] = requestKeys(asked);
        const found = index.find(asked, asked.method);
        assert.equal(found, servers.get(own));
        const other = mergeKey === undefined ? undefined : index.findMergeable(asked);
        if (mergeKey !== undefined) assert.equal(other, merged.get(mergeKey));
        if (found === undefined) {
          const known = knownOf(asked);
          index.add(known);
          servers.set(own, known);
          keysOf.set(known, mergeKey === undefined ? [own] : [own, mergeKey]);
          if (mergeKey !== undefined) {
            index.setMergeable(known, other);
            merged.set(mergeKey, known);
          }
        } else {
          hits++;
          if (below(3) > 0) continue;
          for (let times = 0; times < 2; times++) index.remove(found);
          const [key = "", foundMergeKey] = keysOf.get(found)!;
          servers.delete(key);
          if (foundMergeKey !== undefined && merged.get(foundMergeKey) === found) merged.delete(foundMergeKey);
        }
        assert.deepEqual([index.size, index.mergeable], [servers.size, merged.size]);
      }
      assert.ok(hits > 1_000);
      assert.deepEqual([...index.keys()].sort(), [...servers.keys(), ...merged.keys()].sort());
      assert.equal([...index.all()].length, servers.size);
      for (const known of [...index.all()]) index.remove(known);
      assert.deepEqual([index.size, index.mergeable, [...index.keys()]], [0, 0, []]);
    });
});
