import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClientRates } from "../../src/management/client-rates.ts";
import { FAILED_LOGIN_BURST, FAILED_LOGIN_REFILL_MS, MAX_CLIENTS } from "../../src/management/limits.ts";

function start(perSecond: number, maxClients = MAX_CLIENTS) {
  const clock = { nowMs: 1_000 };
  return { clock, rates: new ClientRates({ perSecond, maxClients, nowMs: () => clock.nowMs }) };
}

function taken(rates: ClientRates, address: string, tries: number, holder?: string): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (rates.take(address, holder)) count++;
  return count;
}

describe("how much one client may ask", () => {
  it("takes twice the rate at once, and the rate from then on", () => {
    const { clock, rates } = start(10);
    assert.equal(taken(rates, "192.0.2.1", 100), 20);
    clock.nowMs += 1_000;
    assert.equal(taken(rates, "192.0.2.1", 100), 10);
    clock.nowMs += 1_000_000;
    assert.equal(taken(rates, "192.0.2.1", 100), 20);
  });
  it("counts each IPv4 address and each IPv6 block of 64 bits for itself", () => {
    const { rates } = start(1);
    assert.equal(taken(rates, "192.0.2.1", 9), 2);
    assert.equal(taken(rates, "::ffff:192.0.2.1", 9), 0);
    assert.equal(taken(rates, "192.0.2.2", 9), 2);
    assert.equal(taken(rates, "2001:db8::1", 9), 2);
    assert.equal(taken(rates, "2001:db8::2", 9), 0);
  });
  it("counts those whose token was right from there for themselves, and nobody else", () => {
    const { clock, rates } = start(10);
    rates.succeeded("192.0.2.1", "anna");
    assert.equal(taken(rates, "192.0.2.1", 100), 20);
    assert.equal(taken(rates, "192.0.2.1", 100, "wall"), 0);
    assert.equal(taken(rates, "192.0.2.1", 100, "anna"), 20);
    clock.nowMs += 1_000;
    rates.succeeded("192.0.2.1", "anna");
    assert.equal(taken(rates, "192.0.2.1", 100, "anna"), 10);
    assert.equal(taken(rates, "192.0.2.1", 100), 10);
  });
  it("has no limit at 0", () => assert.equal(taken(start(0).rates, "192.0.2.1", 1_000), 1_000));
  it("does not give more back when the clock goes back", () => {
    const { clock, rates } = start(1);
    taken(rates, "192.0.2.1", 2);
    clock.nowMs = 0;
    assert.equal(taken(rates, "192.0.2.1", 1), 0);
  });
  it("remembers so many clients and no more, the ones that were here last", () => {
    const { rates } = start(1, 2);
    for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"]) rates.take(address);
    assert.equal(rates.size, 2);
    assert.equal(taken(rates, "192.0.2.1", 9), 0);
  });
});

describe("how often one client may send a wrong token", () => {
  it("lets it wait after so many, and gives one back at a time", () => {
    const { clock, rates } = start(0);
    for (let i = 0; i < FAILED_LOGIN_BURST; i++) {
      assert.ok(rates.mayTry("192.0.2.1", undefined));
      rates.failed("192.0.2.1");
    }
    assert.ok(!rates.mayTry("192.0.2.1", undefined));
    assert.ok(!rates.mayTry("192.0.2.1", "anna"), "a right one says nothing to who guesses");
    assert.ok(rates.mayTry("192.0.2.2", undefined));
    clock.nowMs += FAILED_LOGIN_REFILL_MS;
    assert.ok(rates.mayTry("192.0.2.1", "anna"));
  });
  it("keeps nobody out whose token was right from there before", () => {
    const { rates } = start(0);
    rates.succeeded("192.0.2.1", "anna");
    for (let i = 0; i < FAILED_LOGIN_BURST; i++) rates.failed("192.0.2.1");
    assert.ok(rates.mayTry("192.0.2.1", "anna"));
    assert.ok(!rates.mayTry("192.0.2.1", "wall"));
  });
});
