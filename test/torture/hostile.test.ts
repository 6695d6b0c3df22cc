import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildResponse,
  H,
  MAX_LINE_BYTES,
  MAX_MESSAGE_BYTES,
  MessageEdit,
  parseMessage,
  parseNameAddr,
  parseVia,
  type SipMessage,
  SipSyntaxError,
  tryParseSipUri,
  uriParam,
} from "../../src/sip/index.ts";
import { fault, INVITE, INVITE_LINES, inviteWith, message, request } from "../sip/messages.ts";
import { processorMs } from "./processor-time.ts";

/** Most that one message may take, all of it read and edited. Far above what is needed, as test machines are busy; a quadratic walk takes seconds. */
const MAX_MS = 150;
const ATTEMPTS = 5;
/** Values of one list that are decoded: a thrown error costs more than what is measured here. */
const DECODED_VALUES = 20;

/** The least time of a few attempts: what the work takes when nothing else gets in its way. */
function leastMs(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ATTEMPTS && least > MAX_MS / 10; i++) {
    least = Math.min(least, processorMs(work));
  }
  return least;
}

function mayThrow(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof SipSyntaxError, String(error));
  }
}

function readAll(message: SipMessage): void {
  const done = new Set<number>();
  for (let i = 0; i < message.headerCount; i++) {
    const id = message.headerIdAt(i);
    if (done.has(id)) continue;
    done.add(id);
    message.headers(message.headerNameAt(i));
    for (const value of message.list(id).slice(0, DECODED_VALUES)) {
      mayThrow(() => parseNameAddr(value));
      mayThrow(() => parseVia(value));
      tryParseSipUri(value);
      uriParam(value, "tag");
    }
  }
  mayThrow(() => message.from);
  mayThrow(() => message.to);
  if (message.kind === "request")
    new MessageEdit(message)
      .markTopVia(";received=192.0.2.1;rport=1")
      .removeTopRoutes(1)
      .removeTopRoutes(1_000)
      .removeLastRoute()
      .setMaxForwards(1)
      .setHeader("X", "y")
      .setBody("z")
      .toString();
}

function takeAll(text: string): void {
  const parsed = parseMessage(text);
  if (parsed.kind !== "malformed") readAll(parsed);
  else if (parsed.answerable !== undefined) {
    readAll(parsed.answerable);
    buildResponse(parsed.answerable, parsed.status, parsed.reason, { toTag: "t" });
  }
}

describe("a message that is made to take long", () => {
  const units = [
    ",",
    ";",
    '"',
    "<",
    ">",
    "\\",
    "=",
    " ",
    "\t",
    ":",
    "@",
    "\r\n ",
    "\n\t",
    "<>",
    '"",',
    ";a",
    ";a=",
    ";a=b",
    '"\\',
    "<,",
    "a,",
    "[",
    "sip:",
    ";received=1",
    ";rport",
    "\0",
    "\xff",
    "<sip:a>,",
    "%",
    "\r",
    "SIP/2.0/UDP a,",
  ];
  const names = ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Route", "Record-Route", "Contact", "X-Any"];

  it("by one long value of one pattern in any header takes no time", () => {
    for (const unit of units) {
      const value = unit.repeat(Math.floor((MAX_LINE_BYTES - 100) / unit.length));
      for (const name of names) {
        for (const line of [`${name}: ${value}`, `${name}: <sip:a@b>${value}`, `${name}: SIP/2.0/UDP a${value}`]) {
          const text = inviteWith([line], [name]);
          assert.ok(leastMs(() => takeAll(text)) < MAX_MS, `${name}: ${JSON.stringify(unit)}`);
        }
      }
    }
  });

  it("by a whole datagram of one pattern takes no time", () => {
    for (const unit of units) {
      for (const start of ["", "INVITE sip:a@b SIP/2.0\r\n", "INVITE ", "SIP/2.0 200 ", `${INVITE_LINES.join("\r\n")}\r\n`]) {
        const text = (start + unit.repeat(Math.ceil(MAX_MESSAGE_BYTES / unit.length))).slice(0, MAX_MESSAGE_BYTES);
        assert.ok(leastMs(() => takeAll(text)) < MAX_MS, JSON.stringify(start.slice(0, 10) + unit));
      }
    }
  });

  it("by as many lines as fit takes no time", () => {
    for (const line of [
      "\r\na:",
      "\na:b",
      "\r\nRoute:<sip:a>,<sip:b>",
      "\r\nv:SIP/2.0/UDP a;rport",
      "\r\nx",
      "\r\n:",
      "\r\nTo:<sip:a>",
      "\r\nCSeq:1 INVITE",
      "\r\nl:4",
    ]) {
      const head = INVITE_LINES.join("\r\n");
      const text = `${head}${line.repeat(Math.floor((MAX_MESSAGE_BYTES - head.length - 8) / line.length))}\r\n\r\nv=0\n`;
      assert.ok(leastMs(() => takeAll(text)) < MAX_MS, JSON.stringify(line));
    }
  });

  it("by megabytes of anything takes no time", () => {
    for (const unit of ["\r\n", "x", "x\r\n", "x: y\r\n", " ", "\0"]) {
      const text = unit.repeat(Math.floor(2_000_000 / unit.length));
      assert.ok(leastMs(() => takeAll(text)) < MAX_MS, JSON.stringify(unit));
    }
  });
});

describe("a message that is made to be read in two ways", () => {
  it("by a bare CR, which some take for a line end, is refused", () => {
    for (const line of ["Subject: a\rRoute: <sip:evil>", "Subject:\rRoute: <sip:evil>", "X\r: y", "Subject: a\r\r\n b"])
      assert.equal(fault(inviteWith([line])), "bad-header-line 400 answerable", JSON.stringify(line));
  });
  it("by a second header that says otherwise is refused, whatever its spelling", () => {
    for (const line of ["l: 0", "CONTENT-LENGTH: 0", "Content-Length : 0", "content-length:\r\n 0", "l\t:0"])
      assert.equal(fault(inviteWith([line])), "duplicate-content-length 400 answerable", line);
    for (const line of ["i: other", "call-id : other"]) assert.equal(fault(inviteWith([line])), "duplicate-call-id 400 answerable", line);
  });
  it("by a name that looks like another has a header of its own", () => {
    for (const name of ["Content-Length_", "Content_Length", "Content-Lengt", "ContentLength", "ll", "Content-Lengthl"])
      assert.equal(request(inviteWith([`${name}: 0`])).body, "v=0\n");
  });
  it("by a name with a byte that is no token character is refused", () => {
    for (const name of [
      "Content-Length\0",
      "\0Content-Length",
      "Content\xa0Length",
      "C\xf6ntact",
      "Via,",
      "Via;",
      '"Via"',
      "Via\x0b",
      "\xef\xbb\xbfVia",
    ]) {
      assert.equal(fault(inviteWith([`${name}: 0`])), "bad-header-line 400 answerable", JSON.stringify(name));
    }
  });
  it("by a header behind the empty line is read as a body", () => {
    const parsed = request(`${message(INVITE_LINES.slice(0, -1))}Route: <sip:evil>\r\n\r\n`);
    assert.equal(parsed.header("Route"), undefined);
    assert.equal(parsed.body, "Route: <sip:evil>\r\n\r\n");
  });
  it("by a bare LF line end is read as what the line end makes of it, and forwarded so", () => {
    const parsed = request(INVITE.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\nRoute: <sip:first;lr>\r\n"));
    assert.deepEqual(parsed.list(H.Route), ["<sip:first;lr>"]);
  });
  it("by a quoted string or a comment over a header boundary stays within its header", () => {
    const parsed = request(inviteWith(['Subject: "open', 'X-After: closed"']));
    assert.equal(parsed.header("Subject"), '"open');
    assert.equal(parsed.header("X-After"), 'closed"');
  });
});

describe("what a caller may not make the proxy write", () => {
  it("an answer never holds a line of the request's making", () => {
    const lines = [
      'From: "a\r\n \r\n X-Injected: b" <sip:a@b>;tag=1',
      "Call-ID: a\r\n X-Injected: b",
      "To: <sip:a@b>\r\n ;x=y",
      "Via: SIP/2.0/UDP a;x=\r\n y",
    ];
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(":"));
      const parsed = parseMessage(inviteWith([line], [name]));
      const source = parsed.kind === "malformed" ? parsed.answerable : parsed;
      assert.ok(source?.kind === "request", line);
      const answer = buildResponse(source, 400, "Bad Request", { toTag: "t" });
      assert.ok(!/\r\n[ \t]|\r\nX-Injected/.test(answer), answer);
      assert.equal(answer.split("\r\n\r\n").length, 2);
    }
  });
});
