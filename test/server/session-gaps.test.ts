import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FreeswitchFigures } from "../../src/management/index.ts";
import type { SessionGap } from "../../src/server/load-audit.ts";
import { HEARTBEATS_FOR_A_GAP, SessionGaps } from "../../src/server/session-gaps.ts";

const URL = "esl://192.0.2.1";

interface Bench {
  readonly gaps: SessionGaps;
  readonly told: SessionGap[];
  /** A heartbeat comes while we count so many calls there. */
  beat(sessions: number | undefined, ownCalls: number): void;
  /** The server says something else. */
  again(sessions: number, ownCalls: number): void;
}

function bench(): Bench {
  const told: SessionGap[] = [];
  const gaps = new SessionGaps((gap) => void told.push(gap));
  let heartbeats = 0;
  const heard = (sessions: number | undefined, ownCalls: number): void =>
    gaps.heard({ url: URL, destinations: [7], sessions, ownCalls, heartbeats } as unknown as FreeswitchFigures);
  return {
    gaps,
    told,
    beat(sessions, ownCalls) {
      heartbeats++;
      heard(sessions, ownCalls);
    },
    again: heard,
  };
}

describe("sessions of a FreeSWITCH and our calls there", () => {
  it("one call that the server does not have is told once it has lasted for several heartbeats, and once when it is over", () => {
    const { gaps, told, beat } = bench();
    for (let n = 1; n < HEARTBEATS_FOR_A_GAP; n++) beat(3, 4);
    assert.deepEqual([told, gaps.isRaised(URL)], [[], false]);
    beat(3, 4);
    beat(2, 4);
    assert.deepEqual([told, gaps.isRaised(URL)], [[{ state: "raised", url: URL, destinations: [7], calls: 4, sessions: 3 }], true]);
    beat(3, 3);
    beat(3, 3);
    assert.deepEqual(
      [told.slice(1), gaps.isRaised(URL)],
      [[{ state: "ended", url: URL, destinations: [7], calls: 3, sessions: 3 }], false],
    );
  });

  it("one heartbeat without it begins anew", () => {
    const { told, beat } = bench();
    for (let n = 1; n < HEARTBEATS_FOR_A_GAP; n++) beat(3, 4);
    beat(4, 4);
    for (let n = 1; n < HEARTBEATS_FOR_A_GAP; n++) beat(3, 4);
    assert.deepEqual(told, []);
  });

  it("counts heartbeats, not other words of the server", () => {
    const { told, beat, again } = bench();
    beat(3, 4);
    for (let n = 0; n < 20; n++) again(3, 4);
    beat(undefined, 4);
    assert.deepEqual(told, []);
  });

  it("more sessions than calls are no contradiction: others may call there, and a bridged call is two", () => {
    const { told, beat } = bench();
    for (let n = 0; n < 20; n++) beat(50, 4);
    assert.deepEqual(told, []);
  });

  it("two of a hundred calls may be on their way, three may not", () => {
    const busy = bench();
    for (let n = 0; n < 20; n++) busy.beat(98, 100);
    assert.deepEqual(busy.told, []);
    for (let n = 0; n < 20; n++) busy.beat(97, 100);
    assert.equal(busy.told.length, 1);
  });

  it("forgets a server that no row names any more", () => {
    const { gaps, beat } = bench();
    for (let n = 0; n < HEARTBEATS_FOR_A_GAP; n++) beat(0, 1);
    gaps.keepOnly(new Set([URL]));
    assert.equal(gaps.isRaised(URL), true);
    gaps.keepOnly(new Set());
    assert.equal(gaps.isRaised(URL), false);
  });
});
