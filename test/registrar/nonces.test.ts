import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FailureGuard } from "../../src/registrar/failure-guard.ts";
import { MAX_FAILING_SOURCES, MAX_USED_NONCES } from "../../src/registrar/limits.ts";
import { Nonces } from "../../src/registrar/nonces.ts";
import { digestHash } from "../../src/server/digest-hash.ts";
import { FakeClock } from "../support/fake-clock.ts";

function noncesAt(clock: FakeClock, secret = "s"): Nonces {
  return new Nonces({ hash: digestHash, nowMs: clock.now, secret, ttlMs: 10_000 });
}

describe("a nonce", () => {
  it("is good for the address that asked, for its time, and takes no memory until it is used", () => {
    const clock = new FakeClock(1);
    const nonces = noncesAt(clock);
    const nonce = nonces.issue("192.0.2.1");
    assert.equal(nonces.isFresh(nonce, "192.0.2.1"), true);
    assert.equal(nonces.isFresh(nonce, "192.0.2.2"), false);
    assert.equal(nonces.size, 0);
    clock.advance(10_000);
    assert.equal(nonces.isFresh(nonce, "192.0.2.1"), true);
    clock.advance(1);
    assert.equal(nonces.isFresh(nonce, "192.0.2.1"), false);
  });
  it("is another each time, also within a millisecond", () => {
    const nonces = noncesAt(new FakeClock());
    assert.notEqual(nonces.issue("a"), nonces.issue("a"));
  });
  it("cannot be made, changed, or brought from elsewhere", () => {
    const clock = new FakeClock(50);
    const nonce = noncesAt(clock).issue("a");
    const changed = [...nonce].map((char, i) => `${nonce.slice(0, i)}${char === "0" ? "1" : "0"}${nonce.slice(i + 1)}`);
    for (const other of [...changed, "", "x", `${nonce}0`, nonce.toUpperCase(), noncesAt(clock, "other").issue("a")]) {
      assert.equal(noncesAt(clock).isFresh(other, "a"), false, other);
    }
  });
  it("is used with counts that rise", () => {
    const nonces = noncesAt(new FakeClock());
    const nonce = nonces.issue("a");
    assert.deepEqual(
      [1, 1, 2, 5, 4, 5, 6].map((count) => nonces.use(nonce, count)),
      [true, false, true, true, false, false, true],
    );
    assert.equal(nonces.use(nonces.issue("a"), 0), false);
  });
  it("is forgotten when its time is over", () => {
    const clock = new FakeClock();
    const nonces = noncesAt(clock);
    for (let i = 0; i < 5; i++) nonces.use(nonces.issue("a"), 1);
    clock.advance(10_001);
    nonces.use(nonces.issue("a"), 1);
    assert.equal(nonces.size, 1);
  });
  it("is stale rather than used again when its count had to be forgotten", () => {
    const nonces = noncesAt(new FakeClock());
    const first = nonces.issue("a");
    nonces.use(first, 1);
    for (let i = 0; i < MAX_USED_NONCES; i++) nonces.use(nonces.issue("a"), 1);
    assert.equal(nonces.size, MAX_USED_NONCES);
    assert.equal(nonces.isFresh(first, "a"), false);
    assert.equal(nonces.isFresh(nonces.issue("a"), "a"), true);
  });
});

describe("the guard against guessing", () => {
  function guardAt(clock: FakeClock, maxFailures = 3): FailureGuard {
    return new FailureGuard({ nowMs: clock.now, maxFailures, windowMs: 1000, banMs: 5000 });
  }
  it("counts a copy of the latest attempt once: UDP repeats what is answered late", () => {
    const guard = new FailureGuard({ nowMs: () => 0, maxFailures: 2, windowMs: 60_000, banMs: 60_000 });
    const bans = ["x", "x", "x", "y"].map((attempt) => guard.failed("a", attempt).beginsBan);
    assert.deepEqual(bans, [false, false, false, true]);
  });

  it("bans a source for a while after too many failures within the window", () => {
    const clock = new FakeClock();
    const guard = guardAt(clock);
    const bans = (): boolean => guard.failed("a").beginsBan;
    assert.deepEqual([bans(), bans(), guard.isBanned("a"), bans()], [false, false, false, true]);
    assert.equal(guard.isBanned("a"), true);
    assert.equal(guard.isBanned("b"), false);
    clock.advance(4999);
    assert.equal(guard.isBanned("a"), true);
    clock.advance(1);
    assert.equal(guard.isBanned("a"), false);
  });
  it("forgets failures that are further apart", () => {
    const clock = new FakeClock();
    const guard = guardAt(clock);
    for (let i = 0; i < 20; i++) {
      assert.equal(guard.failed("a").beginsBan, false);
      clock.advance(500);
    }
  });
  it("takes an IPv6 network of 64 bits for one source", () => {
    const guard = guardAt(new FakeClock());
    for (const host of ["1", "2", "3"]) guard.failed(`2001:db8:0:1:0:0:0:${host}`);
    assert.equal(guard.isBanned("2001:db8:0:1:9:9:9:9"), true);
    assert.equal(guard.isBanned("2001:db8:0:2:0:0:0:1"), false);
  });
  it("bans nobody when it may not", () => {
    const guard = guardAt(new FakeClock(), 0);
    for (let i = 0; i < 100; i++) guard.failed("a");
    assert.equal(guard.isBanned("a"), false);
  });
  it("remembers a bounded number of sources", () => {
    const guard = guardAt(new FakeClock());
    for (let i = 0; i < MAX_FAILING_SOURCES + 100; i++) guard.failed(`s${i}`);
    assert.equal(guard.size, MAX_FAILING_SOURCES);
  });
});
