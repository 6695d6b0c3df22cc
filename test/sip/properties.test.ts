import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  buildResponse,
  H,
  headerId,
  MAX_QUOTED_CHARACTERS,
  MessageEdit,
  parseMessage,
  parseNameAddr,
  parseVia,
  type SipMessage,
  SipSyntaxError,
  tryParseSipUri,
} from "../../src/sip/index.ts";
import { nameAddr, onOneLine, requestModel, textOf, uriText, viaValue } from "./arbitrary.ts";
import { INVITE, request } from "./messages.ts";

const RUNS = { numRuns: 400 };

/** Everything that can be read of a message is read: nothing of it may throw but a decoder that says so. */
function readAll(message: SipMessage): void {
  for (let i = 0; i < message.headerCount; i++) {
    const name = message.headerNameAt(i);
    message.headerValueAt(i);
    message.list(message.headerIdAt(i));
    assert.ok(message.header(name) !== undefined);
    assert.ok(message.headers(name).length > 0);
  }
  assert.ok(message.topVia.host !== "");
  for (const text of [message.callId, message.fromTag, message.toTag, message.cseqMethod, message.body])
    assert.equal(typeof text, "string");
  assert.ok(message.cseqNumber >= 0);
}

/** What the parser makes of any text: no throw, and what it accepts can be read, written and answered. */
function takeAnything(text: string): void {
  const parsed = parseMessage(text);
  if (parsed.kind === "malformed") {
    assert.match(parsed.code, /^[a-z0-9-]+$/);
    assert.ok(parsed.status >= 400 && parsed.status <= 513);
    if (parsed.answerable === undefined) return;
    assert.notEqual(parsed.answerable.method, "ACK");
    readAll(parsed.answerable);
    assert.ok(buildResponse(parsed.answerable, parsed.status, parsed.reason, { toTag: "t" }).startsWith(`SIP/2.0 ${parsed.status} `));
    return;
  }
  readAll(parsed);
  assert.equal(typeof parsed.from.uri, "string");
  assert.equal(typeof parsed.to.uri, "string");
  assert.ok(text.includes(parsed.raw));
  assert.equal(new MessageEdit(parsed).toString(), parsed.raw);
  const edit = new MessageEdit(parsed)
    .markTopVia(";received=192.0.2.1;rport=5060")
    .prependVia("SIP/2.0/UDP p;branch=z9hG4bKp")
    .prependRecordRoute("<sip:p;lr>");
  const again = parseMessage(edit.removeTopRoutes(1).setMaxForwards(3).setHeader("X-New", "1").toString());
  assert.notEqual(again.kind, "malformed");
  if (again.kind !== "request") return;
  assert.equal(again.topVia.host, "p");
  const answer = parseMessage(buildResponse(again, 486, "Busy Here", { toTag: "t" }));
  assert.ok(answer.kind === "response" && answer.callId === parsed.callId && answer.cseqNumber === parsed.cseqNumber);
}

describe("decode, then encode", () => {
  it("is byte-identical when nothing was edited", () => {
    fc.assert(
      fc.property(requestModel, (model) => {
        const text = textOf(model);
        const message = request(text);
        assert.equal(message.raw, text);
        assert.equal(new MessageEdit(message).toString(), text);
      }),
      RUNS,
    );
  });

  it("reads what the message was made of", () => {
    fc.assert(
      fc.property(requestModel, (model) => {
        const message = request(textOf(model));
        assert.equal(message.method, model.method);
        assert.equal(message.uri, model.uri);
        assert.equal(message.body, model.body);
        assert.equal(message.headerCount, model.headers.length);
        model.headers.forEach(([name, , value], i) => {
          assert.equal(message.headerNameAt(i), name);
          assert.equal(message.headerValueAt(i), onOneLine(value));
          assert.equal(message.headerIdAt(i), headerId(name));
          assert.ok(message.headers(name).includes(onOneLine(value)));
        });
        takeAnything(textOf(model));
      }),
      RUNS,
    );
  });

  it("gives back each part of URIs, name-addrs and Vias", () => {
    fc.assert(
      fc.property(uriText, nameAddr, viaValue, (uri, addr, via) => {
        const parsed = tryParseSipUri(uri);
        assert.ok(parsed !== undefined, uri);
        const host = parsed.host.includes(":") ? `[${parsed.host}]` : parsed.host;
        const user = parsed.user === undefined ? "" : `${parsed.user}@`;
        const port = parsed.port === undefined ? "" : `:${parsed.port}`;
        assert.equal(`${parsed.scheme}:${user}${host}${port}${parsed.params}${parsed.headers}`.toLowerCase(), uri.toLowerCase());
        assert.ok(addr.endsWith(`<${parseNameAddr(addr).uri}>`));
        const decoded = parseVia(via);
        assert.ok(via.toLowerCase().includes(decoded.sentBy));
        assert.ok(via.endsWith(decoded.params) && decoded.params.endsWith(`;branch=${decoded.branch}`));
      }),
      RUNS,
    );
  });
});

describe("edits touch only what they edit", () => {
  const operations = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("removeTopVia" as const) }),
      fc.record({ kind: fc.constantFrom("removeTopRoutes" as const), count: fc.nat({ max: 3 }) }),
      fc.record({ kind: fc.constant("removeLastRoute" as const) }),
      fc.record({ kind: fc.constantFrom("prependVia" as const), value: viaValue }),
      fc.record({ kind: fc.constantFrom("prependRecordRoute" as const, "prependRoute" as const, "appendRoute" as const), value: nameAddr }),
      fc.record({ kind: fc.constant("setMaxForwards" as const), count: fc.nat({ max: 255 }) }),
      fc.record({ kind: fc.constant("setRequestUri" as const), value: uriText }),
      fc.record({ kind: fc.constant("addHeader" as const), value: fc.constantFrom("a", "b, c") }),
    ),
    { maxLength: 8 },
  );

  it("as a naive model of lists of values says", () => {
    fc.assert(
      fc.property(requestModel, operations, (model, list) => {
        const before = request(textOf(model));
        const edit = new MessageEdit(before);
        const added: { vias: string[]; recordRoutes: string[]; front: string[]; back: string[]; headers: string[] } = {
          vias: [],
          recordRoutes: [],
          front: [],
          back: [],
          headers: [],
        };
        const vias = before.list(H.Via);
        const routes = before.list(H.Route);
        let maxForwards = before.maxForwards;
        let uri = before.uri;
        for (const operation of list) {
          switch (operation.kind) {
            case "removeTopVia":
              edit.removeTopVia();
              vias.shift();
              break;
            case "removeTopRoutes":
              edit.removeTopRoutes(operation.count);
              routes.splice(0, operation.count);
              break;
            case "removeLastRoute":
              edit.removeLastRoute();
              routes.pop();
              break;
            case "prependVia":
              edit.prependVia(operation.value);
              added.vias.unshift(operation.value);
              break;
            case "prependRecordRoute":
              edit.prependRecordRoute(operation.value);
              added.recordRoutes.unshift(operation.value);
              break;
            case "prependRoute":
              edit.prependRoute(operation.value);
              added.front.unshift(operation.value);
              break;
            case "appendRoute":
              edit.appendRoute(operation.value);
              added.back.push(operation.value);
              break;
            case "setMaxForwards":
              edit.setMaxForwards(operation.count);
              maxForwards = operation.count;
              break;
            case "setRequestUri":
              edit.setRequestUri(operation.value);
              uri = operation.value;
              break;
            case "addHeader":
              edit.addHeader("X-Added", operation.value);
              added.headers.push(operation.value);
              break;
          }
        }
        if (vias.length + added.vias.length === 0) return;
        const after = request(edit.toString());
        assert.deepEqual(after.list(H.Via), [...added.vias, ...vias]);
        assert.deepEqual(after.list(H.RecordRoute), [...added.recordRoutes, ...before.list(H.RecordRoute)]);
        assert.deepEqual(after.list(H.Route), [...added.front, ...routes, ...added.back]);
        assert.deepEqual(after.headers("X-Added"), added.headers);
        assert.equal(after.maxForwards, maxForwards);
        assert.equal(after.uri, uri);
        assert.equal(after.body, before.body);
        const untouched = (message: SipMessage) => {
          const lines: string[] = [];
          for (let i = 0; i < message.headerCount; i++) {
            const id = message.headerIdAt(i);
            if (id === H.Via || id === H.Route || id === H.RecordRoute || id === H.MaxForwards || message.headerNameAt(i) === "X-Added")
              continue;
            // Lines that ended in LF alone go on with CRLF.
            lines.push(message.raw.slice(message.lineStartAt(i), message.lineStartAt(i + 1)).replaceAll(/\r?\n/g, "\r\n"));
          }
          return lines;
        };
        assert.deepEqual(untouched(after), untouched(before));
      }),
      RUNS,
    );
  });
});

describe("hostile input", () => {
  it("of random bytes never throws", () => {
    const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 400 }).map((codes) => String.fromCharCode(...codes));
    fc.assert(fc.property(bytes, takeAnything), RUNS);
    fc.assert(
      fc.property(bytes, (text) => takeAnything(`INVITE sip:a@b SIP/2.0\r\n${text}\r\n\r\n`)),
      RUNS,
    );
  });

  it("of random SIP pieces never throws", () => {
    const pieces = fc.constantFrom(
      ...'<>";:,=@[]\\/ \t\r\n\0',
      "\r\n",
      "\r\n ",
      "Via",
      "v",
      "SIP/2.0",
      "UDP",
      "sip:",
      "From: ",
      "To",
      "1 INVITE",
      "INVITE ",
      "tag",
      "z9hG4bK",
      "\r\n\r\n",
      "Route",
      "4",
      "\xff",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 80 }), (list) => takeAnything(list.join(""))),
      RUNS,
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), fc.nat({ max: INVITE.length }), (list, at) =>
        takeAnything(INVITE.slice(0, at) + list.join("") + INVITE.slice(at)),
      ),
      RUNS,
    );
  });

  it("of a message with random changes never throws", () => {
    const change = fc.record({
      at: fc.nat(),
      remove: fc.nat({ max: 20 }),
      insert: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(requestModel, fc.array(change, { minLength: 1, maxLength: 4 }), (model, changes) => {
        let text = textOf(model);
        for (const { at, remove, insert } of changes) {
          const start = at % (text.length + 1);
          text = text.slice(0, start) + String.fromCharCode(...insert) + text.slice(start + remove);
        }
        takeAnything(text);
      }),
      { numRuns: 1_000 },
    );
  });

  it("of a message cut anywhere never throws", () => {
    const long = INVITE.replace("Max-Forwards", "Route: <sip:a;lr>,\r\n <sip:b;lr>\r\nMax-Forwards");
    for (let end = 0; end <= long.length; end++) {
      takeAnything(long.slice(0, end));
      takeAnything(long.slice(end));
    }
  });

  it("of any text makes the decoders answer or throw a SipSyntaxError", () => {
    const text = fc.string({ unit: fc.constantFrom(...'<>";:,=@[]\\/ \t\r\n\0ab19.-', "sip:", "SIP/2.0/UDP "), maxLength: 40 });
    fc.assert(
      fc.property(text, (value) => {
        for (const decode of [parseNameAddr, parseVia]) {
          try {
            decode(value);
          } catch (error) {
            assert.ok(error instanceof SipSyntaxError);
            assert.ok(error.message.length < 6 * MAX_QUOTED_CHARACTERS + 200);
          }
        }
        tryParseSipUri(value);
      }),
      { numRuns: 2_000 },
    );
  });
});
