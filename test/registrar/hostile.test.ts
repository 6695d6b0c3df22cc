import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseCredentials } from "../../src/registrar/credentials.ts";
import { buildResponse, parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { ACCOUNT, parsedRequest, RegisterClient, registrarAt, sourceAt } from "../support/register-client.ts";
import { request } from "../support/sip-messages.ts";

const HERE = sourceAt("192.0.2.10:5080");

/** One character a byte, without line ends. */
const bytes = fc.array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 60 }).map((codes) => String.fromCharCode(...codes));
const contact = fc.oneof(
  bytes,
  fc.constantFrom(
    "*",
    "<sip:a@192.0.2.10:5080>",
    "<sip:a@10.0.0.1>;expires=0",
    "<sip:[::1]:1>;expires=99999999999",
    "<sips:a@b>",
    "sip:,",
    ";;;",
  ),
  fc.tuple(bytes, fc.integer()).map(([user, port]) => `<sip:${user}@192.0.2.10:${port}>`),
);
const header = fc.oneof(
  contact.map((value) => `Contact: ${value}`),
  fc.oneof(bytes, fc.integer().map(String)).map((value) => `Expires: ${value}`),
  bytes.map((value) => `Require: ${value}`),
  bytes.map((value) => `Authorization: Digest ${value}`),
  fc
    .record({ username: bytes, nonce: bytes, response: bytes, nc: fc.constantFrom("00000001", "ffffffff", "x") })
    .map(
      ({ username, nonce, response, nc }) =>
        `Authorization: Digest username="${username}", realm="farm", nonce="${nonce}", uri="u", response="${response}", cnonce="c", qop=auth, nc=${nc}`,
    ),
);

/** The answer can be written, and nothing of the state has got out of bounds. */
function check(registrar: ReturnType<typeof registrarAt>["registrar"], message: SipRequest): number {
  const reply = registrar.handle(message, HERE);
  const text = buildResponse(message, reply.status, reply.reason, { toTag: "t", headers: reply.headers });
  assert.equal(parseMessage(text).kind, "response");
  const rows = registrar.rows();
  assert.ok(rows.filter(({ state }) => state === "active").length <= ACCOUNT.maxRegistrations);
  assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length);
  assert.equal(registrar.counters.active + registrar.counters.leaving, rows.length);
  assert.equal(registrar.counters.internal_errors, 0);
  return reply.status;
}

describe("hostile REGISTER requests", () => {
  it("from anybody are answered, and make no destination", () => {
    const { registrar } = registrarAt();
    fc.assert(
      fc.property(fc.array(header, { maxLength: 6 }), bytes, (headers, to) => {
        const message = parseMessage(request({ method: "REGISTER", headers, to: `<sip:${to}@x>` }));
        if (message.kind !== "request") return;
        assert.ok([400, 401, 403, 420].includes(check(registrar, message as SipRequest)));
        assert.equal(registrar.rows().length, 0);
      }),
      { numRuns: 500 },
    );
  });
  it("of somebody with the password are answered and stay within bounds", () => {
    const { registrar, clock } = registrarAt({}, { isOwn: () => false });
    const client = new RegisterClient(registrar);
    fc.assert(
      fc.property(
        fc.array(contact, { maxLength: 10 }),
        fc.option(bytes),
        fc.nat(100_000),
        fc.integer({ min: 1, max: 65_535 }),
        (contacts, expires, ms, port) => {
          clock.advance(ms);
          client.source = { ...client.source, port };
          const headers = expires === null ? [] : [`Expires: ${expires}`];
          let status = 0;
          try {
            status = client.register(headers, contacts).status;
          } catch (error) {
            assert.match(String(error), /not a request/); // the parser refused it before us
            return;
          }
          assert.ok([200, 400, 416, 423, 503].includes(status), String(status));
          check(registrar, parsedRequest(client.lastText));
          for (const { key, state } of registrar.rows()) if (state === "leaving" && ms % 3 === 0) registrar.removed(key);
        },
      ),
      { numRuns: 500 },
    );
    registrar.stop();
    assert.equal(clock.pending, 0);
  });
  it("never break the reading of credentials", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        parseCredentials(`Digest ${text}`);
        parseCredentials(text);
      }),
      { numRuns: 2000 },
    );
  });
  it("never break the taking up of a snapshot", () => {
    const good = { version: 1, bindings: [] as unknown[] };
    const entry = fc.record({
      id: fc.oneof(fc.integer({ min: 1_000_000_000 }), fc.double()),
      account: fc.constantFrom("fs", "x"),
      user: fc.constantFrom("fs", ""),
      host: fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()),
      port: fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.anything()),
      transport: fc.constantFrom("udp", "tcp", ""),
      contact: fc.constantFrom("sip:a@b", "x"),
      call_id: fc.string(),
      cseq: fc.nat(),
      source: fc.oneof(fc.constant(HERE), fc.anything()),
      expires_at_ms: fc.oneof(fc.nat(), fc.maxSafeNat()),
      cause: fc.constantFrom(null, "expired", 1),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(entry, fc.anything()), { maxLength: 20 }), fc.anything(), (bindings, anything) => {
        const { registrar } = registrarAt();
        const { restored, refused } = registrar.restore({ ...good, bindings });
        assert.equal(restored + refused, bindings.length);
        assert.equal(registrar.rows().length, restored);
        registrar.restore(anything);
        registrar.stop();
      }),
    );
  });
});
