import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  parseContentLength,
  parseCSeq,
  parseExpires,
  parseMaxForwards,
  parseRetryAfter,
  parseTimestamp,
  SipSyntaxError,
} from "../../src/sip/index.ts";

describe("CSeq, RFC 3261 §20.16", () => {
  it("is a number below 2**31 and a method", () => {
    assert.deepEqual(parseCSeq("4711 INVITE"), { number: 4711, method: "INVITE" });
    assert.deepEqual(parseCSeq(" 0009\r\n  INVITE "), { number: 9, method: "INVITE" });
    assert.deepEqual(parseCSeq("0 a!b"), { number: 0, method: "a!b" });
    assert.deepEqual(parseCSeq("2147483647 BYE"), { number: 2_147_483_647, method: "BYE" });
  });
  for (const text of [
    "",
    "1",
    "INVITE",
    "1INVITE",
    "-1 INVITE",
    "1 INVITE x",
    "1 IN,VITE",
    "2147483648 BYE",
    "36893488147419103232 REGISTER",
    "1.5 BYE",
    "0x1 BYE",
    "1 ",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseCSeq(text), SipSyntaxError));
  }
});

describe("Max-Forwards, RFC 3261 §20.22", () => {
  it("is an integer in the range 0-255", () => {
    assert.equal(parseMaxForwards("0"), 0);
    assert.equal(parseMaxForwards(" 0068 "), 68);
    assert.equal(parseMaxForwards("255"), 255);
  });
  for (const text of ["", "256", "300", "-1", "70 70", "70;x", "seventy", "1e1"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseMaxForwards(text), SipSyntaxError));
  }
});

describe("Content-Length, RFC 3261 §20.14", () => {
  it("is a number of bytes", () => {
    assert.equal(parseContentLength("0"), 0);
    assert.equal(parseContentLength("\t3495 "), 3495);
    assert.equal(parseContentLength("65535"), 65_535);
  });
  for (const text of ["", "-999", "65536", "1,2", "0x10", "99999999999999999999"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseContentLength(text), SipSyntaxError));
  }
});

describe("Timestamp, RFC 3261 §20.38", () => {
  it("is the seconds of sending, and the seconds held", () => {
    assert.deepEqual(parseTimestamp("54"), { sentSeconds: 54, delaySeconds: undefined });
    assert.deepEqual(parseTimestamp("54.25 0.5"), { sentSeconds: 54.25, delaySeconds: 0.5 });
    assert.deepEqual(parseTimestamp(" 54. .5 "), { sentSeconds: 54, delaySeconds: 0.5 });
  });
  for (const text of ["", "a", "-1", "1 2 3", "1e5", "1 .", ".", "1".repeat(10_000)]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => assert.throws(() => parseTimestamp(text), SipSyntaxError));
  }
});

describe("Expires, RFC 3261 §20.19", () => {
  it("is seconds up to 2**32-1", () => {
    assert.equal(parseExpires(" 3600"), 3_600);
    assert.equal(parseExpires("4294967295"), 4_294_967_295);
  });
  for (const text of ["", "4294967296", "-5", "Thu, 01 Dec 1994 16:00:00 GMT"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseExpires(text), SipSyntaxError));
  }
});

describe("Retry-After, RFC 3261 §20.33", () => {
  it("is seconds, with a comment and parameters that do not matter here", () => {
    assert.equal(parseRetryAfter("18000;duration=3600"), 18_000);
    assert.equal(parseRetryAfter("120 (I'm in a meeting)"), 120);
    assert.equal(parseRetryAfter(" 5 "), 5);
  });
  for (const text of ["4294967295", "4294967296", "99999999999 (for ever)", "9".repeat(5_000), `${"0".repeat(5_000)}4294967295`]) {
    it(`is 2**32-1 at most: ${text.slice(0, 25)}`, () => assert.equal(parseRetryAfter(text), 4_294_967_295));
  }
  for (const text of ["", " ", "soon", "-1", "-99999999999", "+5", "5.5", "5 minutes", "99999999999x", ";duration=5", "(5)", "Infinity"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseRetryAfter(text), SipSyntaxError));
  }
});
