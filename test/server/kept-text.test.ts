import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bodyOf } from "../../src/cluster/dialogs/dialog-record.ts";
import { Dialog, DialogState, snapshotOf } from "../../src/dialog/index.ts";
import { keptTextOf } from "../../src/server/kept-text.ts";
import type { Endpoint } from "../../src/transaction/index.ts";
import { SimNetwork } from "../support/sim-network.ts";

const net = new SimNetwork({ destinations: ["203.0.113.1"], tokens: "a", resources: "pstn=1000" });
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom('"A" <sip:a@b>;tag=1', "\\", "\t", "\ud800", "é", "\u2028"),
);
const count = fc.nat(2 ** 31 - 1);
const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  transport: fc.constantFrom("udp" as const, "tcp" as const, "tls" as const, "ws" as const, "wss" as const),
  address: fc.constantFrom("198.51.100.1", "2001:db8::1"),
  port: fc.integer({ min: 1, max: 65_535 }),
  listener: fc.constant(net.listener4),
});
const leg = fc.record(
  {
    tag: text,
    contact: text,
    routeSet: fc.array(text, { maxLength: 3 }),
    cseq: count,
    state: fc.constantFrom("early" as const, "confirmed" as const, "ended" as const),
    earlyBye: fc.constantFrom(undefined, "downstream" as const, "upstream" as const),
  },
  { requiredKeys: ["tag", "contact", "routeSet", "cseq", "state"] },
);
const origin = fc.record({ before: text, uri: text, between: text, fromTag: text, toValue: text }).chain((parts) =>
  fc.record({
    callId: text,
    fromValue: fc.constantFrom(parts.before + parts.uri + parts.between + parts.fromTag, parts.before),
    fromUri: fc.constant(parts.uri),
    fromTag: fc.constant(parts.fromTag),
    toValue: fc.constant(parts.toValue),
    toUri: fc.constantFrom(parts.toValue.slice(1), parts.uri),
    callerEndpoint: endpoint,
    callerContact: text,
    callerRouteSet: fc.array(text, { maxLength: 3 }),
    callerCseq: count,
  }),
);
const state = fc.constantFrom(...Object.values(DialogState));
const held = fc.array(fc.record({ key: text, resource: text, picked: fc.boolean() }), { maxLength: 3 });
const more = fc.record({
  ...{ state, flags: fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }), isGuarded: fc.boolean(), callee: fc.option(endpoint) },
  ...{ branch: text, inviteUri: text, inviteCseq: count, legs: fc.array(leg, { maxLength: 4 }), held },
  startedAtMs: fc.constantFrom(0, 0.4, 1_700_000_000_000, 1_700_000_000_000.6),
  lifeMs: fc.constantFrom(-5, 0, 1.5, 43_200_000),
});

describe("the text of a call that is written down", () => {
  it("is that of its body, whatever its parties have sent", () => {
    fc.assert(
      fc.property(origin, more, (from, rest) => {
        const dialog = new Dialog("1a.AbC_-~", from, () => {});
        dialog.calleeEndpoint = rest.callee ?? undefined;
        dialog.inviteBranch = rest.branch;
        dialog.inviteUri = rest.inviteUri;
        dialog.inviteCseq = rest.inviteCseq;
        dialog.restoreLegs(rest.legs);
        dialog.state = rest.state;
        dialog.flags = rest.flags;
        dialog.startedAtMs = rest.startedAtMs;
        dialog.expiresAtMs = rest.startedAtMs + rest.lifeMs;
        if (rest.isGuarded) dialog.guard = { accepts: () => false };
        const want = JSON.stringify(bodyOf({ snapshot: snapshotOf(dialog), held: rest.held }, 0));
        assert.equal(keptTextOf(dialog, rest.held), want);
        assert.equal(keptTextOf(dialog, rest.held), want, "once more, with endpoints that are known by now");
      }),
      { numRuns: 500 },
    );
  });
});
