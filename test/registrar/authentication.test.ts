import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACCOUNT, parsedRequest, RegisterClient, registrarAt, sourceAt, valuesOf } from "../support/register-client.ts";
import { request } from "../support/sip-messages.ts";

const HERE = sourceAt("192.0.2.10:5080");

describe("digest authentication of a REGISTER, RFC 3261 §22 and RFC 7616", () => {
  it("challenges once and then takes nonce and count on", () => {
    const { registrar, clock } = registrarAt();
    const client = new RegisterClient(registrar);
    assert.deepEqual([client.register().status, client.sent], [200, 2]);
    for (let i = 0; i < 5; i++) {
      clock.advance(20_000);
      assert.deepEqual([client.register().status, client.sent], [200, 1]);
    }
    assert.equal(registrar.counters.challenged, 1);
  });
  it("offers what is configured, the preferred algorithm first", () => {
    const both = registrarAt({ algorithms: ["SHA-256", "MD5"] }).registrar;
    const reply = new RegisterClient(both).send([]);
    assert.equal(reply.status, 401);
    const values = valuesOf(reply, "WWW-Authenticate");
    assert.deepEqual(
      values.map((value) => value.replace(/nonce="[^"]+"/, "nonce")),
      ['Digest realm="farm", nonce, algorithm=SHA-256, qop="auth"', 'Digest realm="farm", nonce, algorithm=MD5, qop="auth"'],
    );
    assert.equal(valuesOf(new RegisterClient(registrarAt().registrar).send([]), "WWW-Authenticate").length, 1);
  });
  it("takes SHA-256 where it is offered", () => {
    const { registrar } = registrarAt({ algorithms: ["SHA-256", "MD5"] });
    assert.equal(new RegisterClient(registrar).register().status, 200);
  });
  it("takes a hash in place of the password", () => {
    // printf 'fs:farm:secret word' | md5sum
    const ha1 = { MD5: "97CFA6952454C06C3D1420C61BC377F9" };
    const { registrar } = registrarAt({ accounts: [{ ...ACCOUNT, password: undefined, ha1 }] });
    assert.equal(new RegisterClient(registrar).register().status, 200);
  });
  it("refuses a wrong password and an unknown user in the same words", () => {
    const { registrar } = registrarAt();
    const wrong = new RegisterClient(registrar, { password: "other" }).register();
    const unknown = new RegisterClient(registrar, { user: "nobody" }).register();
    const masked = [wrong, unknown].map(
      ({ status, reason, headers }) => `${status} ${reason} ${String(headers).replace(/nonce="[^"]+"/, "")}`,
    );
    assert.equal(masked[0], masked[1]);
    assert.match(masked[0] ?? "", /^401 .*qop="auth"$/);
    assert.equal(registrar.counters.auth_failures, 2);
    assert.equal(registrar.rows().length, 0);
  });
  it("says stale when the nonce is too old, and the client comes in with the next", () => {
    const { registrar, clock } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    clock.advance(600_001);
    assert.deepEqual([client.register().status, client.sent], [200, 2]);
    assert.equal(registrar.counters.stale, 1);
    assert.equal(registrar.counters.auth_failures, 0);
  });
  it("says stale to a client that was registered before a restart", () => {
    const client = new RegisterClient(registrarAt().registrar);
    client.register();
    const after = registrarAt({}, { chance: { token: () => "another" } }).registrar;
    const reply = after.handle(parsedRequest(client.lastText), client.source);
    assert.equal(reply.status, 401);
    assert.match(valuesOf(reply, "WWW-Authenticate")[0] ?? "", /, stale=true$/);
  });
  it("says stale to a client whose address has changed", () => {
    const { registrar } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    client.source = sourceAt("192.0.2.11:5080");
    assert.deepEqual([client.register().status, client.sent], [200, 2]);
  });
  it("takes nothing twice: a repetition gets a new nonce and changes nothing", () => {
    const { registrar, clock, changes } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    const captured = parsedRequest(client.lastText);
    client.unregister();
    clock.advance(1000);
    const before = changes.length;
    const reply = registrar.handle(captured, client.source);
    assert.match(valuesOf(reply, "WWW-Authenticate")[0] ?? "", /, stale=true$/);
    assert.equal(changes.length, before);
    assert.equal(registrar.counters.replays, 1);
    assert.equal(registrar.handle(captured, sourceAt("198.51.100.1:5060")).status, 401);
  });
  it("does not look at the password of who answers a nonce that is not fresh: guesses that are not counted tell nothing", () => {
    const { registrar } = registrarAt();
    const answers = ["secret word", "wrong"].map((password) => {
      const client = new RegisterClient(registrar, { password });
      client.send([]);
      client.source = sourceAt("192.0.2.99:5080");
      const other = new RegisterClient(registrar, { password });
      other.register();
      return registrar.handle(parsedRequest(other.lastText), client.source);
    });
    assert.deepEqual(
      answers.map((reply) => [reply.status, /stale=true/.test(String(reply.headers))]),
      [
        [401, true],
        [401, true],
      ],
    );
    assert.equal(registrar.counters.auth_failures, 1, "only the one that was asked with its own nonce");
  });
  it("refuses who is somebody else than To says", () => {
    const { registrar } = registrarAt({ accounts: [ACCOUNT, { ...ACCOUNT, user: "other" }] });
    const client = new RegisterClient(registrar);
    client.send([]);
    assert.equal(client.register([], []).status, 200);
    client.to = "other";
    assert.equal(client.register().status, 403);
    assert.deepEqual(registrar.rows(), []);
    client.to = "%66s";
    assert.equal(client.register().status, 200, "an escape is the character that it stands for");
  });
  it("serves the header of our realm among those of others", () => {
    const { registrar } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    const reply = client.send([
      'Authorization: Digest username="x", realm="elsewhere", nonce="n", uri="u", response="r", cnonce="c", qop=auth, nc=00000001',
      "Contact: <sip:gw@192.0.2.10:5080>",
    ]);
    assert.equal(reply.status, 200);
  });
  it("answers 400 to credentials that are malformed, and a challenge to those of another scheme or algorithm", () => {
    const { registrar } = registrarAt();
    const ask = (value: string) =>
      registrar.handle(parsedRequest(request({ method: "REGISTER", headers: [`Authorization: ${value}`] })), HERE).status;
    assert.equal(ask('Digest username="x'), 400);
    assert.equal(ask("Basic Zm9vOmJhcg=="), 401);
    const sess =
      'Digest username="fs", realm="farm", nonce="n", uri="u", response="r", algorithm=MD5-sess, cnonce="c", qop=auth, nc=00000001';
    assert.equal(ask(sess), 401);
    assert.equal(registrar.counters.auth_failures, 0);
  });
});

describe("guessing passwords", () => {
  function guess(registrar: ReturnType<typeof registrarAt>["registrar"], times: number, from = "198.51.100.9:5060"): number[] {
    return Array.from({ length: times }, (_, i) => new RegisterClient(registrar, { password: `guess ${i}`, from }).register().status);
  }
  it("bans the address for a while, whatever it sends, and nobody else", () => {
    const { registrar, clock, logged } = registrarAt();
    assert.deepEqual(guess(registrar, 4), [401, 401, 401, 403]);
    const from = "198.51.100.9:5060";
    assert.equal(new RegisterClient(registrar, { from }).register().status, 403);
    assert.equal(new RegisterClient(registrar).register().status, 200);
    assert.equal(logged.filter((line) => line.includes("banned")).length, 1);
    clock.advance(300_000);
    assert.equal(new RegisterClient(registrar, { from }).register().status, 200);
    assert.equal(registrar.counters.bans, 1);
  });
  it("does not throw out a server behind the same address that is registered", () => {
    const { registrar } = registrarAt();
    const client = new RegisterClient(registrar, { from: "198.51.100.9:5080" });
    client.register();
    guess(registrar, 4);
    assert.equal(client.register().status, 200);
  });
  it("is no way in for somebody who is banned and has seen the Call-ID of a server elsewhere", () => {
    const { registrar } = registrarAt();
    const callId = "seen-on-the-way";
    assert.equal(new RegisterClient(registrar, { callId }).register().status, 200);
    guess(registrar, 4);
    const outsider = new RegisterClient(registrar, { callId, from: "198.51.100.9:5060", password: "guess" });
    assert.equal(outsider.register().status, 403);
    assert.equal(registrar.counters.banned_requests, 2);
  });
  it("is told in the log once a window, with address and user and without the password", () => {
    for (const maxFailures of [0, 5]) {
      const { registrar, clock, logged } = registrarAt({ maxFailures });
      const said = () => logged.filter((line) => line.includes("wrong password,"));
      guess(registrar, 3);
      assert.deepEqual(said(), ['REGISTER: wrong password, or no account has this user {"source":"198.51.100.9","user":"fs"}']);
      guess(registrar, 1, "198.51.100.10:5060");
      assert.equal(said().length, 2);
      clock.advance(60_000);
      guess(registrar, 2);
      assert.equal(said().length, 3);
      assert.doesNotMatch(logged.join(), /guess/);
    }
  });
  it("cannot get an address banned that does not take part: failures count for nonces that were sent there", () => {
    const { registrar } = registrarAt();
    for (let i = 0; i < 50; i++) {
      const attacker = new RegisterClient(registrar, { password: "wrong", from: "198.51.100.9:5060" });
      attacker.send([]);
      attacker.source = sourceAt("192.0.2.10:5080");
      attacker.send([
        'Authorization: Digest username="fs", realm="farm", nonce="made-up", uri="u", response="r", cnonce="c", qop=auth, nc=00000001',
      ]);
    }
    assert.equal(new RegisterClient(registrar).register().status, 200);
    assert.equal(registrar.counters.bans, 0);
  });
});

it("no password stands in a log line, a row's view, a snapshot or the registrar itself", async () => {
  const { registrar, logged } = registrarAt();
  const client = new RegisterClient(registrar);
  client.register();
  new RegisterClient(registrar, { password: "wrong" }).register();
  client.unregister();
  const { inspect } = await import("node:util");
  const said = [
    ...logged,
    JSON.stringify(registrar.bindings()),
    JSON.stringify(registrar.snapshot()),
    inspect(registrar, { depth: 20 }),
  ].join("\n");
  assert.doesNotMatch(said, /secret word/);
  assert.doesNotMatch([...logged, JSON.stringify(registrar.bindings()), JSON.stringify(registrar.snapshot())].join("\n"), /ClueCon/);
});
