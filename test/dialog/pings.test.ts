import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogFlag, firstPingMs, parseDialogFlags, pingTimeoutMs, pingVerdict, resumedPingMs } from "../../src/dialog/index.ts";

describe("what an answer to a ping says", () => {
  it("481: the party has no such call; 408 and silence: it is asked once more", () => {
    assert.equal(pingVerdict(481), "gone");
    for (const outcome of [408, "timeout", "transport-error"] as const) assert.equal(pingVerdict(outcome), "silent");
  });

  it("everything else comes from a party that has the call, a refusal of the CSeq too (RFC 3261 §12.2.2, RFC 5057 §5.1)", () => {
    for (const status of [200, 202, 302, 400, 401, 403, 404, 405, 407, 415, 420, 482, 483, 488, 491, 500, 501, 503, 600, 603, 699]) {
      assert.equal(pingVerdict(status), "alive", String(status));
    }
  });
});

describe("the first ping of a call", () => {
  it("comes after half of the interval to all of it, and those of many calls are spread", () => {
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 1_000; i++) {
      const ms = firstPingMs(`${i.toString(36)}.abcdefgh${i * 7919}`, 30_000);
      assert.ok(ms >= 15_000 && ms <= 30_000, String(ms));
      const tenth = Math.min(9, Math.floor((ms - 15_000) / 1_500));
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    assert.ok(Math.max(...tenths) < 150, tenths.join(" "));
  });

  it("answers are waited for so long that two silent pings, twice in a cluster, and the one before take no more than two intervals", () => {
    for (const intervalMs of [4_000, 10_000, 30_000, 300_000])
      for (const frMs of [1_000, 5_000, 32_000, 600_000]) {
        const waitMs = pingTimeoutMs(intervalMs, frMs);
        assert.ok(waitMs <= frMs && intervalMs + 4 * waitMs <= 2 * intervalMs, `${intervalMs} ${frMs}: ${waitMs}`);
      }
    assert.deepEqual([pingTimeoutMs(30_000, 5_000), pingTimeoutMs(1_000, 5_000)], [5_000, 1_000]);
  });

  it("is the same for one call each time", () => {
    assert.equal(firstPingMs("1.abc", 30_000), firstPingMs("1.abc", 30_000));
  });
});

describe("the first ping of a call that was pinged before", () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `${i.toString(36)}.abcdefgh${i * 7919}`);

  it("comes so soon that a party that has just vanished is noticed in two intervals, though nobody pinged for a sixth of one", () => {
    for (const intervalMs of [6_000, 30_000, 300_000]) {
      const latestMs = Math.max(...names.map((did) => resumedPingMs(did, intervalMs, names.length)));
      const waitMs = pingTimeoutMs(intervalMs, 600_000);
      assert.ok(intervalMs + intervalMs / 6 + latestMs + 2 * waitMs <= 2 * intervalMs, `${intervalMs}: ${latestMs}`);
    }
  });

  it("is one of 2,000 a second at most, or of those of a whole interval when that has no room for them", () => {
    for (const [calls, wantMs] of [
      [20_000, 10_000],
      [40_000, 20_000],
      [1_000_000, 30_000],
    ] as const) {
      const latestMs = Math.max(...names.map((did) => resumedPingMs(did, 30_000, calls)));
      assert.ok(latestMs <= wantMs && latestMs > wantMs * 0.98, `${calls}: ${latestMs}`);
    }
  });
});

describe("flags of a call", () => {
  it("words and letters of OpenSIPS, in any order", () => {
    assert.equal(parseDialogFlags("options-ping-caller, options-ping-callee"), DialogFlag.OptionsPingCaller | DialogFlag.OptionsPingCallee);
    assert.equal(parseDialogFlags("Pp"), DialogFlag.OptionsPingCaller | DialogFlag.OptionsPingCallee);
    assert.equal(parseDialogFlags("rRB"), DialogFlag.ReinvitePingCallee | DialogFlag.ReinvitePingCaller | DialogFlag.ByeOnTimeout);
    assert.equal(parseDialogFlags("bye-on-timeout"), DialogFlag.ByeOnTimeout);
    assert.equal(parseDialogFlags(""), 0);
  });

  it("others are refused", () => {
    for (const text of [
      "x",
      "Px",
      "options-ping",
      "options-ping-caller,",
      ",",
      "P,p,x",
      "options-ping-caller;bye-on-timeout",
      "__proto__",
    ]) {
      assert.equal(parseDialogFlags(text), undefined, text);
    }
  });
});
