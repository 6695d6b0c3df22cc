import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BindingSnapshot } from "../../src/registrar/index.ts";
import { ACCOUNT, RegisterClient, registrarAt, seen, WALL_MS } from "../support/register-client.ts";

/** Three servers: one registered for 60 s, one for 30 s, one that has unregistered. */
function farm() {
  const parts = registrarAt();
  new RegisterClient(parts.registrar, { from: "192.0.2.1:5080" }).register();
  new RegisterClient(parts.registrar, { from: "[2001:db8::2]:5080" }).register(["Expires: 30"]);
  const gone = new RegisterClient(parts.registrar, { from: "192.0.2.3:5080" });
  gone.register();
  gone.unregister();
  return parts;
}

describe("a snapshot of the registrations", () => {
  it("gives the same rows with the same ids after a restart, without telling anybody", () => {
    const before = farm();
    const after = registrarAt();
    assert.deepEqual(after.registrar.restore(JSON.parse(JSON.stringify(before.registrar.snapshot()))), { restored: 3, refused: 0 });
    assert.deepEqual(after.registrar.rows(), before.registrar.rows());
    assert.deepEqual(after.registrar.snapshot(), before.registrar.snapshot());
    assert.deepEqual(after.changes, []);
    assert.deepEqual([after.registrar.counters.active, after.registrar.counters.leaving], [2, 1]);
  });
  it("lets registrations run out at their time, also one that ran out meanwhile", () => {
    const snapshot = farm().registrar.snapshot();
    const { registrar, clock, kinds } = registrarAt({}, { wallMs: () => WALL_MS + 5_000 + 40_000 });
    registrar.restore(snapshot);
    assert.deepEqual(registrar.rows().map(seen), [
      "sip:192.0.2.1:5080 active",
      "sip:[2001:db8:0:0:0:0:0:2]:5080 leaving",
      "sip:192.0.2.3:5080 leaving",
    ]);
    assert.equal(registrar.rows()[1]?.cause, "expired");
    clock.advance(20_000);
    assert.deepEqual(kinds(), ["left"]);
  });
  it("lets nothing last longer than an account allows, whatever the clock was", () => {
    const snapshot = farm().registrar.snapshot();
    const { registrar } = registrarAt({}, { wallMs: () => 0 });
    registrar.restore(snapshot);
    assert.deepEqual(
      registrar.bindings().map(({ expiresS }) => expiresS),
      [120, 120, 0],
    );
  });
  it("goes on where it stopped: the server is challenged anew and keeps its row", () => {
    const before = registrarAt();
    const client = new RegisterClient(before.registrar, { callId: "same" });
    client.register();
    const after = registrarAt();
    after.registrar.restore(before.registrar.snapshot());
    const again = new RegisterClient(after.registrar, { callId: "same" });
    again.cseq = client.cseq;
    again.register();
    assert.deepEqual(after.kinds(), ["stayed"]);
    assert.deepEqual(
      after.registrar.rows().map(({ id }) => id),
      before.registrar.rows().map(({ id }) => id),
    );
  });
  it("of accounts that are no more is passed over", () => {
    const { registrar } = registrarAt({ accounts: [{ ...ACCOUNT, user: "other" }] });
    assert.deepEqual(registrar.restore(farm().registrar.snapshot()), { restored: 0, refused: 3 });
  });
  const good: BindingSnapshot = farm().registrar.snapshot().bindings[0]!;
  const bad: { readonly name: string; readonly entry: unknown }[] = [
    { name: "is null", entry: null },
    { name: "is a list", entry: [] },
    { name: "has an id of a table", entry: { ...good, id: 5 } },
    { name: "has a port that is none", entry: { ...good, port: 65_536 } },
    { name: "has port 0", entry: { ...good, port: 0 } },
    { name: "has a host with more in it", entry: { ...good, host: "a;transport=tcp" } },
    { name: "has a user in the host", entry: { ...good, host: "user@192.0.2.1" } },
    { name: "has a transport with more in it", entry: { ...good, transport: "udp;lr" } },
    { name: "has a Contact that is none", entry: { ...good, contact: "tel:1" } },
    { name: "has a user of another account", entry: { ...good, user: "x" } },
    { name: "has a cause that nobody knows", entry: { ...good, cause: "bored" } },
    { name: "has no source", entry: { ...good, source: undefined } },
    { name: "has a Call-ID without an end", entry: { ...good, call_id: "x".repeat(300) } },
    { name: "has a time that is none", entry: { ...good, expires_at_ms: "soon" } },
  ];
  for (const { name, entry } of bad) {
    it(`passes over an entry that ${name}`, () => {
      const { registrar } = registrarAt();
      assert.deepEqual(registrar.restore({ version: 1, bindings: [entry, good, good] }), { restored: 1, refused: 2 });
      registrar.stop();
    });
  }
  for (const snapshot of [undefined, null, 1, "x", [], {}, { version: 2, bindings: [good] }, { version: 1, bindings: {} }]) {
    it(`is not ${JSON.stringify(snapshot)?.slice(0, 30)}`, () => {
      assert.deepEqual(registrarAt().registrar.restore(snapshot), { restored: 0, refused: 0 });
    });
  }
});
