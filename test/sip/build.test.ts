import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildAck,
  buildCancel,
  buildRequest,
  buildResponse,
  H,
  parseMessage,
  REASON_PHRASES,
  reasonPhrase,
  SipSyntaxError,
} from "../../src/sip/index.ts";
import { INVITE, inviteWith, message, request, response } from "./messages.ts";

describe("buildResponse(), RFC 3261 §8.2.6", () => {
  it("copies each Via in order, From, To, Call-ID and CSeq", () => {
    const sent = request(inviteWith(["Via: SIP/2.0/UDP b;branch=z9hG4bKb, SIP/2.0/UDP c", "v: SIP/2.0/TCP d\r\n ;branch=z9hG4bKd"]));
    const made = response(buildResponse(sent, 404, "Not Found"));
    assert.equal(made.status, 404);
    assert.equal(made.reason, "Not Found");
    assert.deepEqual(made.list(H.Via), [
      "SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;rport",
      "SIP/2.0/UDP b;branch=z9hG4bKb",
      "SIP/2.0/UDP c",
      "SIP/2.0/TCP d ;branch=z9hG4bKd",
    ]);
    for (const id of [H.From, H.To, H.CallId, H.CSeq]) assert.equal(made.value(id), sent.value(id));
    assert.equal(made.value(H.ContentLength), "0");
    assert.equal(made.body, "");
  });

  it("adds a tag to a To without one, except in a 100", () => {
    const tagged = request(inviteWith(["To: <sip:bob@biloxi.example.com>;tag=there"], ["To"]));
    assert.equal(response(buildResponse(request(INVITE), 180, "Ringing", { toTag: "mine" })).toTag, "mine");
    assert.equal(response(buildResponse(request(INVITE), 100, "Trying", { toTag: "mine" })).toTag, "");
    assert.equal(response(buildResponse(tagged, 481, "x", { toTag: "mine" })).toTag, "there");
    const bare = request(inviteWith(["To: sip:bob@biloxi.example.com"], ["To"]));
    assert.equal(response(buildResponse(bare, 200, "OK", { toTag: "mine" })).toTag, "mine");
  });

  it("copies Timestamp into a 100 only", () => {
    const sent = request(inviteWith(["Timestamp: 54"]));
    assert.equal(response(buildResponse(sent, 100, "Trying")).value(H.Timestamp), "54");
    assert.equal(response(buildResponse(sent, 200, "OK")).value(H.Timestamp), undefined);
    assert.equal(response(buildResponse(request(INVITE), 100, "Trying")).value(H.Timestamp), undefined);
  });

  it("puts a ready-made value in the place of the first Via", () => {
    const first = "SIP/2.0/UDP pc33;branch=z9hG4bK1;rport=1;received=192.0.2.1";
    for (const via of [
      "Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c",
      "Via: SIP/2.0/UDP a\r\nv: SIP/2.0/UDP b, SIP/2.0/UDP c",
      "Via: SIP/2.0/UDP a,\r\n SIP/2.0/UDP b,SIP/2.0/UDP c",
    ]) {
      const made = response(buildResponse(request(inviteWith([via], ["Via"])), 200, "OK", { via: first }));
      assert.deepEqual(made.list(H.Via), [first, "SIP/2.0/UDP b", "SIP/2.0/UDP c"]);
    }
    assert.deepEqual(response(buildResponse(request(INVITE), 200, "OK", { via: first })).list(H.Via), [first]);
  });

  it("takes headers and a body", () => {
    const made = response(
      buildResponse(request(INVITE), 503, "Service full", {
        headers: [
          ["Retry-After", "5"],
          ["Server", "Headroom"],
        ],
        body: "why",
        contentType: "text/plain",
      }),
    );
    assert.equal(made.value(H.RetryAfter), "5");
    assert.equal(made.value(H.Server), "Headroom");
    assert.equal(made.value(H.ContentType), "text/plain");
    assert.equal(made.value(H.ContentLength), "3");
    assert.equal(made.body, "why");
  });

  it("refuses what would break the message", () => {
    const invite = request(INVITE);
    for (const text of ["a\r\nb", "a\nb", "a\0b"]) {
      assert.throws(() => buildResponse(invite, 200, text), SipSyntaxError);
      assert.throws(() => buildResponse(invite, 200, "OK", { headers: [["X", text]] }), SipSyntaxError);
      assert.throws(() => buildResponse(invite, 200, "OK", { headers: [[text, "x"]] }), SipSyntaxError);
      assert.throws(() => buildResponse(invite, 200, "OK", { via: text }), SipSyntaxError);
      assert.throws(() => buildResponse(invite, 200, "OK", { body: "x", contentType: text }), SipSyntaxError);
      assert.throws(() => buildResponse(invite, 200, "OK", { toTag: text }), SipSyntaxError);
    }
  });

  it("answers a malformed request with its headers as they stand", () => {
    for (const line of ["CSeq: lots INVITE", 'To: "Bob <sip:bob@biloxi.example.com>', "Max-Forwards: -1", "Call-ID:"]) {
      const name = line.slice(0, line.indexOf(":"));
      const parsed = parseMessage(inviteWith([line], [name]));
      assert.ok(parsed.kind === "malformed" && parsed.answerable !== undefined, line);
      const answer = buildResponse(parsed.answerable, parsed.status, parsed.reason, { toTag: "t" });
      assert.ok(answer.startsWith(`SIP/2.0 400 Bad ${name}`), answer);
      if (name !== "Max-Forwards") assert.ok(answer.includes(line.trimEnd()), answer);
      assert.ok(answer.endsWith("\r\nContent-Length: 0\r\n\r\n"));
    }
  });
});

describe("buildAck(), RFC 3261 §17.1.1.3", () => {
  const sent = request(inviteWith(["Via: SIP/2.0/UDP caller;branch=z9hG4bKc", "Route: <sip:a;lr>, <sip:b;lr>", "Route: <sip:c;lr>"]));
  const busy = response(buildResponse(sent, 486, "Busy Here", { toTag: "callee" }));
  const ack = request(buildAck(sent, busy));
  it("equals the request in Call-ID, From and Request-URI, and in its CSeq number", () => {
    assert.equal(ack.method, "ACK");
    assert.equal(ack.uri, sent.uri);
    assert.equal(ack.callId, sent.callId);
    assert.equal(ack.value(H.From), sent.value(H.From));
    assert.equal(ack.cseqNumber, sent.cseqNumber);
    assert.equal(ack.cseqMethod, "ACK");
  });
  it("has the To of the response", () => assert.equal(ack.value(H.To), busy.value(H.To)));
  it("has a single Via, the top one of the request", () => assert.deepEqual(ack.list(H.Via), sent.list(H.Via).slice(0, 1)));
  it("has the Route headers of the request", () => assert.deepEqual(ack.list(H.Route), sent.list(H.Route)));
  it("has no body", () => {
    assert.equal(ack.value(H.ContentLength), "0");
    assert.equal(ack.maxForwards, 70);
  });
});

describe("buildCancel(), RFC 3261 §9.1", () => {
  const sent = request(inviteWith(["Via: SIP/2.0/UDP caller;branch=z9hG4bKc", "Route: <sip:a;lr>", "Require: 100rel", "Proxy-Require: x"]));
  const cancel = request(buildCancel(sent));
  it("is identical in Request-URI, Call-ID, To, From and the number of CSeq", () => {
    assert.equal(cancel.uri, sent.uri);
    for (const id of [H.CallId, H.To, H.From, H.Route]) assert.deepEqual(cancel.list(id), sent.list(id));
    assert.equal(cancel.cseqNumber, sent.cseqNumber);
  });
  it("has the method CANCEL in CSeq", () => assert.equal(cancel.cseqMethod, "CANCEL"));
  it("has a single Via, the top one of the request", () => assert.deepEqual(cancel.list(H.Via), sent.list(H.Via).slice(0, 1)));
  it("has no Require and no Proxy-Require", () => {
    assert.equal(cancel.value(H.Require), undefined);
    assert.equal(cancel.value(H.ProxyRequire), undefined);
  });
  it("may have a Reason (RFC 3326)", () => {
    assert.equal(cancel.value(H.Reason), undefined);
    const reason = 'SIP;cause=200;text="Call completed elsewhere"';
    assert.equal(request(buildCancel(sent, reason)).value(H.Reason), reason);
    assert.throws(() => buildCancel(sent, "a\r\nb"), SipSyntaxError);
  });
});

describe("buildRequest(), RFC 3261 §8.1.1", () => {
  const options = {
    method: "BYE",
    uri: "sip:bob@192.0.2.4",
    via: "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    from: "<sip:alice@atlanta.example.com>;tag=1",
    to: "<sip:bob@biloxi.example.com>;tag=2",
    callId: "call",
    cseq: 7,
  };
  it("has the six headers that every request has", () => {
    assert.equal(
      buildRequest(options),
      message([
        "BYE sip:bob@192.0.2.4 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "Max-Forwards: 70",
        "From: <sip:alice@atlanta.example.com>;tag=1",
        "To: <sip:bob@biloxi.example.com>;tag=2",
        "Call-ID: call",
        "CSeq: 7 BYE",
        "Content-Length: 0",
      ]),
    );
  });
  it("takes routes, a contact, more headers and a body", () => {
    const made = request(
      buildRequest({
        ...options,
        maxForwards: 5,
        routes: ["<sip:a;lr>", "<sip:b;lr>"],
        contact: "<sip:me>",
        headers: [["Reason", "Q.850;cause=16"]],
        body: "x\r\n",
        contentType: "text/plain",
      }),
    );
    assert.deepEqual(made.list(H.Route), ["<sip:a;lr>", "<sip:b;lr>"]);
    assert.equal(made.maxForwards, 5);
    assert.equal(made.value(H.Contact), "<sip:me>");
    assert.equal(made.value(H.Reason), "Q.850;cause=16");
    assert.equal(made.value(H.ContentType), "text/plain");
    assert.equal(made.body, "x\r\n");
  });
  it("refuses what would break the message", () => {
    for (const key of ["method", "uri", "via", "from", "to", "callId", "contact", "contentType"] as const) {
      assert.throws(() => buildRequest({ ...options, body: "x", [key]: "a\r\nX: y" }), SipSyntaxError, key);
    }
    assert.throws(() => buildRequest({ ...options, routes: ["a\nb"] }), SipSyntaxError);
  });
});

describe("reason phrases, RFC 3261 §21", () => {
  it("are those of the registry, or of the class", () => {
    const cases: readonly (readonly [number, string])[] = [
      [100, "Trying"],
      [404, "Not Found"],
      [481, "Call/Transaction Does Not Exist"],
      [503, "Service Unavailable"],
      [199, "Early Dialog Terminated"],
      [299, "OK"],
      [499, "Bad Request"],
      [599, "Server Internal Error"],
      [699, "Decline"],
    ];
    for (const [status, want] of cases) assert.equal(reasonPhrase(status), want);
    for (const status of REASON_PHRASES.keys()) assert.ok(status >= 100 && status <= 699);
  });
  it("make a response of any status code", () => {
    for (let status = 100; status < 700; status++)
      assert.equal(response(buildResponse(request(INVITE), status, reasonPhrase(status))).status, status);
  });
});
