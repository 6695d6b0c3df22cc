import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  MAX_FOLDED_LINES,
  MAX_HEADERS,
  MAX_LINE_BYTES,
  MAX_MESSAGE_BYTES,
  parseMessage,
  SipRequest,
  StreamFramer,
} from "../../src/sip/index.ts";
import { fault, INVITE, INVITE_LINES, inviteWith, message, request, response } from "./messages.ts";

/** {@link INVITE} with one line replaced: the one that starts with `name:`, or the start line for "". */
function changed(name: string, ...lines: readonly string[]): string {
  const start = name === "" ? "INVITE " : `${name}:`;
  return message(
    INVITE_LINES.flatMap((line) => (line.startsWith(start) ? lines : [line])),
    "v=0\n",
  );
}

const OK_LINES = [
  "SIP/2.0 200 OK",
  "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
  "From: <sip:a@b>;tag=1",
  "To: <sip:c@d>;tag=2",
  "Call-ID: x",
  "CSeq: 1 INVITE",
];

function statusLine(line: string): string {
  return message([line, ...OK_LINES.slice(1)]);
}

describe("requests, RFC 3261 §7.1", () => {
  it("have a method, a Request-URI and the headers that every request has", () => {
    const invite = request(INVITE);
    assert.equal(invite.kind, "request");
    assert.equal(invite.method, "INVITE");
    assert.equal(invite.uri, "sip:bob@biloxi.example.com");
    assert.equal(invite.topVia.sentBy, "pc33.atlanta.example.com:5066");
    assert.equal(invite.topVia.branch, "z9hG4bK776asdhds");
    assert.equal(invite.from.displayName, "Alice");
    assert.equal(invite.fromTag, "1928301774");
    assert.equal(invite.to.uri, "sip:bob@biloxi.example.com");
    assert.equal(invite.toTag, "");
    assert.equal(invite.callId, "a84b4c76e66710@pc33.atlanta.example.com");
    assert.equal(invite.cseqNumber, 314_159);
    assert.equal(invite.cseqMethod, "INVITE");
    assert.equal(invite.maxForwards, 70);
    assert.equal(invite.body, "v=0\n");
    assert.equal(invite.raw, INVITE);
  });

  it("may have a method of any token, in the case that it has", () => {
    for (const method of [
      "ACK",
      "BYE",
      "CANCEL",
      "OPTIONS",
      "REGISTER",
      "PRACK",
      "UPDATE",
      "invite",
      "NEWMETHOD",
      "!interesting-Method0123456789_*+`.%indeed'~",
    ]) {
      const text = INVITE.replace("INVITE sip", `${method} sip`).replace("314159 INVITE", `314159 ${method}`);
      assert.equal(request(text).method, method);
      assert.equal(request(text).cseqMethod, method);
    }
  });

  it("may have a Request-URI of any scheme", () => {
    for (const uri of [
      "sips:bob@example.com",
      "tel:+1-212-555-1212",
      "nobodyKnowsThisScheme:totallyopaquecontent",
      "SIP:bob@example.com",
    ]) {
      assert.equal(request(changed("", `INVITE ${uri} SIP/2.0`)).uri, uri);
    }
  });

  const startLines: readonly (readonly [line: string, want: string])[] = [
    ["INVITE  sip:bob@biloxi.example.com  SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE sip:bob@biloxi.example.com SIP/2.0 ", "bad-request-line 400 answerable"],
    ["INVITE sip:bob@biloxi.example.com  SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE <sip:bob@biloxi.example.com> SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE sip:bob@biloxi.example.com; lr SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE sip:bob@biloxi.example.com\t SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE sip:bob\0@biloxi.example.com SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE sip:bob\r@biloxi.example.com SIP/2.0", "bad-request-line 400 answerable"],
    ['INVITE "sip:bob@biloxi.example.com" SIP/2.0', "bad-request-line 400 answerable"],
    ["INVITE  SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE SIP/2.0", "bad-request-line 400 answerable"],
    ["INVITE bob SIP/2.0", "bad-request-uri 400 answerable"],
    ["INVITE :bob SIP/2.0", "bad-request-uri 400 answerable"],
    ["INVITE sip:bob@biloxi.example.com SIP/7.0", "bad-version 505 answerable"],
    ["INVITE sip:bob@biloxi.example.com SIP/2.00", "bad-version 505 answerable"],
    ["INVITE sip:bob@biloxi.example.com SIP/", "bad-version 505 answerable"],
    ["INVITE sip:bob@biloxi.example.com HTTP/1.1", "not-sip 400"],
    ["INVITE sip:bob@biloxi.example.com", "not-sip 400"],
    ["INVITE", "not-sip 400"],
    ["IN\0VITE sip:bob@biloxi.example.com SIP/2.0", "not-sip 400"],
    ["IN:VITE sip:bob@biloxi.example.com SIP/2.0", "not-sip 400"],
    [" INVITE sip:bob@biloxi.example.com SIP/2.0", "not-sip 400"],
    ["\tINVITE sip:bob@biloxi.example.com SIP/2.0", "not-sip 400"],
    [`INVITE sip:${"b".repeat(MAX_LINE_BYTES)}@biloxi.example.com SIP/2.0`, "line-too-long 513 answerable"],
  ];
  for (const [line, want] of startLines) {
    it(`${JSON.stringify(line.slice(0, 60))} is ${want}`, () => assert.equal(fault(changed("", line)), want));
  }

  it("take the version in any case", () =>
    assert.equal(request(changed("", "INVITE sip:bob@biloxi.example.com sip/2.0")).uri, "sip:bob@biloxi.example.com"));
});

describe("responses, RFC 3261 §7.2", () => {
  it("have a status code and a reason phrase", () => {
    const cases: readonly (readonly [line: string, status: number, reason: string])[] = [
      ["SIP/2.0 200 OK", 200, "OK"],
      ["SIP/2.0 100 Trying", 100, "Trying"],
      ["SIP/2.0 699 x", 699, "x"],
      ["SIP/2.0 200 ", 200, ""],
      ["SIP/2.0 200", 200, ""],
      ["sip/2.0 486 Busy  Here ", 486, "Busy  Here "],
      ["SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe", 200, "= 2**3 * 5**2 \xd0\xbd\xd0\xbe"],
    ];
    for (const [line, status, reason] of cases) {
      const parsed = response(statusLine(line));
      assert.equal(parsed.status, status, line);
      assert.equal(parsed.reason, reason, line);
      assert.equal(parsed.kind, "response");
    }
  });

  it("have the headers that every response has", () => {
    const ok = response(message(OK_LINES));
    assert.deepEqual([ok.fromTag, ok.toTag, ok.callId, ok.cseqNumber, ok.cseqMethod], ["1", "2", "x", 1, "INVITE"]);
    assert.equal(ok.topVia.branch, "z9hG4bK1");
    assert.equal(ok.maxForwards, undefined);
  });

  const faults: readonly (readonly [line: string, want: string])[] = [
    ["SIP/2.0 99 Low", "bad-status-line 400"],
    ["SIP/2.0 099 Low", "bad-status-line 400"],
    ["SIP/2.0 700 High", "bad-status-line 400"],
    ["SIP/2.0 2000 Long", "bad-status-line 400"],
    ["SIP/2.0 4294967301 better not break the receiver", "bad-status-line 400"],
    ["SIP/2.0 20 OK", "bad-status-line 400"],
    ["SIP/2.0 OK", "bad-status-line 400"],
    ["SIP/2.0  200 OK", "bad-status-line 400"],
    ["SIP/2.0\t200 OK", "bad-status-line 400"],
    ["SIP/2.0 ", "bad-status-line 400"],
    ["SIP/2.0", "bad-status-line 400"],
    ["SIP/2.0 200\tOK", "bad-status-line 400"],
    ["SIP/2.0 200 O\0K", "bad-status-line 400"],
    ["SIP/2.0 200 O\rK", "bad-status-line 400"],
    ["SIP/3.0 200 OK", "bad-version 505"],
    [`SIP/2.0 200 ${"x".repeat(MAX_LINE_BYTES)}`, "line-too-long 513"],
  ];
  for (const [line, want] of faults)
    it(`${JSON.stringify(line.slice(0, 40))} is ${want}`, () => assert.equal(fault(statusLine(line)), want));

  it("are never answerable", () => {
    for (const line of OK_LINES.slice(1))
      assert.equal(fault(message(OK_LINES.filter((other) => other !== line))).endsWith("answerable"), false, line);
  });
});

describe("mandatory headers, RFC 3261 §8.1.1 and §16.3", () => {
  const cases: readonly (readonly [name: string, want: string, ...lines: string[]])[] = [
    ["Via", "missing-via 400"],
    ["From", "missing-from 400"],
    ["To", "missing-to 400"],
    ["Call-ID", "missing-call-id 400"],
    ["CSeq", "missing-cseq 400"],
    ["Via", "bad-via 400", "Via:"],
    ["Via", "bad-via 400", "Via: SIP/2.0/UDP"],
    ["Via", "bad-via 400", "Via: , SIP/2.0/UDP a;branch=z9hG4bK1"],
    ["From", "bad-from 400 answerable", "From:"],
    ["From", "bad-from 400 answerable", "From: <sip:a@b"],
    ["From", "bad-from 400 answerable", "From: <sip:a@b>;tag=1, <sip:c@d>;tag=2"],
    ["To", "bad-to 400 answerable", 'To: "Bob <sip:bob@biloxi.example.com>'],
    ["To", "bad-to 400 answerable", "To: bob"],
    ["Call-ID", "bad-call-id 400 answerable", "Call-ID: "],
    ["CSeq", "bad-cseq 400 answerable", "CSeq: INVITE"],
    ["CSeq", "bad-cseq 400 answerable", "CSeq: 2147483648 INVITE"],
    ["CSeq", "bad-cseq 400 answerable", "CSeq: -1 INVITE"],
    ["CSeq", "bad-cseq 400 answerable", "CSeq: 1 IN VITE"],
    ["CSeq", "cseq-method 400 answerable", "CSeq: 1 BYE"],
    ["CSeq", "cseq-method 400 answerable", "CSeq: 1 invite"],
    ["CSeq", "cseq-method 400 answerable", "CSeq: 1 INVITEX"],
    ["Max-Forwards", "bad-max-forwards 400 answerable", "Max-Forwards: 256"],
    ["Max-Forwards", "bad-max-forwards 400 answerable", "Max-Forwards: -1"],
    ["Max-Forwards", "bad-max-forwards 400 answerable", "Max-Forwards:"],
    ["Content-Length", "bad-content-length 400 answerable", "Content-Length: -1"],
    ["Content-Length", "bad-content-length 400 answerable", "Content-Length: four"],
    ["Content-Length", "bad-content-length 400 answerable", "Content-Length:"],
    ["Content-Length", "bad-content-length 400 answerable", "Content-Length: 99999999999999999999999"],
    ["Content-Length", "short-body 400 answerable", "Content-Length: 5"],
  ];
  for (const [name, want, ...lines] of cases) {
    it(`${lines.length === 0 ? `no ${name}` : JSON.stringify(lines[0])} is ${want}`, () =>
      assert.equal(fault(changed(name, ...lines)), want));
  }

  it("the reason phrase names the header at fault", () => {
    for (const [name, , ...lines] of cases) {
      const parsed = parseMessage(changed(name, ...lines));
      assert.ok(parsed.kind === "malformed" && parsed.reason.includes(name), name);
    }
  });

  it("a request without Max-Forwards passes (§16.3 step 3)", () => {
    assert.equal(request(changed("Max-Forwards")).maxForwards, undefined);
  });

  it("a fault in an ACK is not answered (§17)", () => {
    assert.equal(fault(INVITE.replace("INVITE sip", "ACK sip").replace("314159 INVITE", "1 BYE")), "cseq-method 400");
    assert.equal(fault(INVITE.replace("INVITE sip", "BYE sip").replace("314159 INVITE", "1 ACK")), "cseq-method 400 answerable");
  });

  it("the request inside a malformed one can be read but for its faults", () => {
    const parsed = parseMessage(changed("CSeq", "CSeq: many INVITE"));
    assert.ok(parsed.kind === "malformed" && parsed.answerable !== undefined);
    const { answerable } = parsed;
    assert.deepEqual([answerable.method, answerable.cseqMethod, answerable.cseqNumber], ["INVITE", "INVITE", 0]);
    assert.equal(answerable.callId, "a84b4c76e66710@pc33.atlanta.example.com");
    assert.equal(answerable.topVia.branch, "z9hG4bK776asdhds");
  });
});

describe("headers that may stand once", () => {
  const cases: readonly (readonly [same: string, other: string, want: string])[] = [
    ['From: "Alice" <sip:alice@atlanta.example.com>;tag=1928301774', "f: <sip:mallory@example.com>;tag=1", "duplicate-from 400 answerable"],
    ["t: Bob <sip:bob@biloxi.example.com>", "To: <sip:mallory@example.com>", "duplicate-to 400 answerable"],
    ["i: a84b4c76e66710@pc33.atlanta.example.com", "Call-ID: other", "duplicate-call-id 400 answerable"],
    ["CSeq: 314159 INVITE", "cseq: 1 INVITE", "duplicate-cseq 400 answerable"],
    ["Max-Forwards:  70 ", "max-forwards: 69", "duplicate-max-forwards 400 answerable"],
    ["l: 4", "Content-Length: 3", "duplicate-content-length 400 answerable"],
  ];
  for (const [same, other, want] of cases) {
    it(`${same.slice(0, same.indexOf(":"))}: twice the same passes, a different one is ${want}`, () => {
      assert.equal(request(message([...INVITE_LINES, same], "v=0\n")).method, "INVITE");
      assert.equal(fault(message([...INVITE_LINES, other], "v=0\n")), want);
    });
  }
});

describe("header lines, RFC 3261 §7.3.1", () => {
  it("have white space around name and value that means nothing", () => {
    for (const line of [
      "Subject: lunch",
      "Subject      :      lunch",
      "Subject            :lunch",
      "Subject:lunch",
      "subject:\tlunch \t",
      "Subject: \r\n lunch",
      "s:\r\n\tlunch\r\n ",
    ]) {
      assert.equal(request(inviteWith([line])).header("Subject"), "lunch", JSON.stringify(line));
    }
  });

  it("may go on in lines that start with white space", () => {
    const folded = request(inviteWith(["Subject: I know you're there,\r\n          pick up the phone\r\n\tand answer!"]));
    assert.equal(folded.header("subject"), "I know you're there, pick up the phone and answer!");
    assert.equal(folded.headerCount, INVITE_LINES.length);
  });

  it("may be folded where the parser decodes them at once", () => {
    const text = message([
      "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
      "TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
      'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8',
      "MaX-fOrWaRdS:\r\n 0068",
      "Call-ID:\r\n wsinv.ndaksdj@192.0.2.1",
      "Content-Length   :\r\n 0",
      "cseq: 0009\r\n  INVITE",
      "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw",
    ]);
    const parsed = request(text);
    assert.equal(parsed.toTag, "1918181833n");
    assert.equal(parsed.fromTag, "98asjd8");
    assert.equal(parsed.from.displayName, 'J Rosenberg \\"');
    assert.equal(parsed.maxForwards, 68);
    assert.equal(parsed.callId, "wsinv.ndaksdj@192.0.2.1");
    assert.equal(parsed.cseqNumber, 9);
    assert.equal(parsed.topVia.branch, "390skdjuw");
    assert.equal(parsed.body, "");
  });

  it("may have empty values", () => {
    const parsed = request(inviteWith(["Subject:", "X-Empty: ", "Supported:\r\n "]));
    assert.equal(parsed.header("Subject"), "");
    assert.equal(parsed.header("X-Empty"), "");
    assert.equal(parsed.header("Supported"), "");
  });

  const faults: readonly string[] = [
    "Subject",
    "no colon here",
    ": no name",
    "Two Words: x",
    "Na\0me: x",
    "N\xe4me: x",
    "Subject: a\rX-Smuggled: b",
    "Subject: a\r\r",
    "(comment): x",
    "\r",
  ];
  for (const line of faults)
    it(`${JSON.stringify(line)} is refused`, () => assert.equal(fault(inviteWith([line])), "bad-header-line 400 answerable"));

  it("cannot start with a continuation", () => {
    assert.equal(fault(message([INVITE_LINES[0]!, " Subject: x", ...INVITE_LINES.slice(1)], "v=0\n")), "bad-header-line 400 answerable");
  });
});

describe("line ends", () => {
  it("before the start line are passed over (§7.5)", () => {
    for (const before of ["\r\n", "\r\n\r\n", "\n", "\r\n".repeat(1_000)]) assert.equal(request(before + INVITE).raw, INVITE);
  });
  it("alone are an empty message", () => {
    for (const text of ["", "\r\n", "\r\n\r\n", "\n"]) assert.equal(fault(text), "empty 400");
  });
  it("may be LF alone", () => {
    const parsed = request(INVITE.replaceAll("\r\n", "\n"));
    assert.equal(parsed.headerCount, INVITE_LINES.length - 1);
    assert.equal(parsed.header("Content-Type"), "application/sdp");
    assert.equal(parsed.body, "v=0\n");
    const mixed = request(INVITE.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\n"));
    assert.equal(mixed.maxForwards, 70);
    assert.equal(mixed.headerCount, INVITE_LINES.length - 1);
  });
  it("must end the headers", () => {
    assert.equal(fault(`${INVITE_LINES.slice(0, -1).join("\r\n")}\r\n`), "no-end-of-headers 400 answerable");
    assert.equal(fault(INVITE_LINES.slice(0, -1).join("\r\n")), "no-end-of-headers 400 answerable");
    assert.equal(fault(INVITE_LINES.slice(0, 4).join("\r\n")), "no-end-of-headers 400");
    assert.equal(fault("OPTIONS sip:a@b SIP/2.0"), "not-sip 400");
  });
});

describe("the body, RFC 3261 §18.3", () => {
  it("is what stands behind the headers when there is no Content-Length", () => {
    assert.equal(request(message(INVITE_LINES.slice(0, -1), "v=0\r\no=-\r\n")).body, "v=0\r\no=-\r\n");
    assert.equal(request(message(INVITE_LINES.slice(0, -1))).body, "");
  });
  it("is Content-Length bytes; bytes behind it are cut off", () => {
    const parsed = request(`${INVITE}trailing bytes`);
    assert.equal(parsed.body, "v=0\n");
    assert.equal(parsed.raw, INVITE);
  });
  it("is any bytes", () => {
    const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");
    assert.equal(request(message(INVITE_LINES.slice(0, -1), bytes)).body, bytes);
    assert.equal(request(message([...INVITE_LINES.slice(0, -1), "Content-Length: 256"], bytes)).body, bytes);
  });
});

describe("limits", () => {
  it(`${MAX_HEADERS} headers pass, one more does not`, () => {
    const extra = Array.from({ length: MAX_HEADERS - INVITE_LINES.length + 1 }, (_, i) => `X-${i}: ${i}`);
    assert.equal(request(message([...INVITE_LINES, ...extra], "v=0\n")).headerCount, MAX_HEADERS);
    assert.equal(fault(message([...INVITE_LINES, ...extra, "X: y"], "v=0\n")), "too-many-headers 513 answerable");
  });
  it(`a header of ${MAX_LINE_BYTES} bytes passes, one more does not, folded or not`, () => {
    const value = "x".repeat(MAX_LINE_BYTES - "Subject: ".length - 1);
    assert.equal(request(inviteWith([`Subject: ${value}`])).header("Subject"), value);
    assert.equal(fault(inviteWith([`Subject: ${value}x`])), "line-too-long 513 answerable");
    assert.equal(fault(inviteWith([`Subject: x${"\r\n x".repeat(3_000)}`])), "line-too-long 513 answerable");
  });
  it(`${MAX_FOLDED_LINES} continuation lines pass, one more does not, so that no message passes that ends a stream`, () => {
    const folded = (lines: number): string => inviteWith([`Subject: x${"\r\n x".repeat(lines - 1)}`, "Organization: y\r\n y"]);
    const passed = folded(MAX_FOLDED_LINES);
    assert.equal(request(passed).headerCount, INVITE_LINES.length + 1);
    assert.equal(fault(folded(MAX_FOLDED_LINES + 1)), "too-many-headers 513 answerable");
    const framer = new StreamFramer();
    framer.push(passed);
    assert.deepEqual(framer.next(), { kind: "message", text: passed });
  });
  it(`a message of ${MAX_MESSAGE_BYTES} bytes passes, one more does not`, () => {
    const head = message(INVITE_LINES.slice(0, -1));
    assert.equal(request(head.padEnd(MAX_MESSAGE_BYTES, "x")).raw.length, MAX_MESSAGE_BYTES);
    assert.equal(fault(head.padEnd(MAX_MESSAGE_BYTES + 1, "x")), "message-too-large 513 answerable");
    assert.equal(fault(message(OK_LINES).padEnd(MAX_MESSAGE_BYTES + 1, "x")), "message-too-large 513");
  });
  it("a message is a SipRequest or a SipResponse or malformed, whatever its length", () => {
    assert.ok(parseMessage(INVITE) instanceof SipRequest);
    assert.equal(fault("x".repeat(10_000_000)), "not-sip 400");
  });
});
