import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isToken, listValueEnd, scanNumber, skipQuoted, splitList, unfold, unquote } from "../../src/sip/text.ts";

describe("tokens, RFC 3261 §25.1", () => {
  it("are letters, digits and -.!%*_+`'~", () => {
    for (const token of ["INVITE", "z9hG4bK", "!interesting-Method0123456789_*+`.%indeed'~"]) assert.ok(isToken(token), token);
    for (const other of ["", "a b", "a:b", "a,b", 'a"', "a@b", "a/b", "a;b", "a=b", "a\0", "caf\xe9", "a\t", "<a>", "(a)", "a\u0100"])
      assert.ok(!isToken(other), other);
  });
});

describe("quoted strings, RFC 3261 §25.1", () => {
  it("end at the quote that no backslash hides", () => {
    const cases: readonly (readonly [string, number])[] = [
      ['""', 2],
      ['"a" <', 3],
      ['"a\\"b"', 6],
      ['"a\\\\"b"', 5],
      ['"', -1],
      ['"a\\"', -1],
      ['"\\', -1],
    ];
    for (const [text, want] of cases) assert.equal(skipQuoted(text, 0, text.length), want, text);
  });
  it("stand for what is between the quotes, a backslash taken off each pair", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["token", "token"],
      ['""', ""],
      ['"', '"'],
      ['"a b"', "a b"],
      ['"\\""', '"'],
      ['"J Rosenberg \\\\\\""', 'J Rosenberg \\"'],
      ['"\\a\\b"', "ab"],
      ['"a\\\\"', "a\\"],
    ];
    for (const [text, want] of cases) assert.equal(unquote(text), want, text);
  });
});

describe("lists, RFC 3261 §7.3.1", () => {
  it("are split at commas outside quotes and angle brackets", () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["", []],
      [" , ,", []],
      ["a", ["a"]],
      ["a,b", ["a", "b"]],
      [" a ,\t b ", ["a", "b"]],
      ["<sip:a,b>,<sip:c>", ["<sip:a,b>", "<sip:c>"]],
      ['"a, b" <sip:c>, d', ['"a, b" <sip:c>', "d"]],
      ['"a\\", b" <sip:c>,d', ['"a\\", b" <sip:c>', "d"]],
      ['<sip:a";x=">,b', ['<sip:a";x=">', "b"]],
      ['"unterminated, a', ['"unterminated, a']],
      ["<sip:unterminated, a", ["<sip:unterminated, a"]],
      ["a,,b", ["a", "b"]],
    ];
    for (const [text, want] of cases) assert.deepEqual(splitList(text, []), want, text);
  });
  it("have values that end where the next comma is", () => {
    assert.equal(listValueEnd("ab,c", 0, 4), 2);
    assert.equal(listValueEnd("ab,c", 3, 4), 4);
    assert.equal(listValueEnd("<a>b,c", 0, 3), 3);
  });
});

describe("folded values, RFC 3261 §7.3.1", () => {
  it("are one line, each fold one space", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["a b", "a b"],
      ["a\r\n b", "a b"],
      ["a \t\r\n\t  b", "a b"],
      ["a\n b\r\n c", "a b c"],
      ["a\r\n \r\n b", "a b"],
    ];
    for (const [text, want] of cases) assert.equal(unfold(text), want, JSON.stringify(text));
  });
});

describe("scanNumber()", () => {
  it("reads digits up to a maximum, leading zeros allowed", () => {
    const cases: readonly (readonly [string, number, number])[] = [
      ["0", 9, 0],
      ["9", 9, 9],
      ["10", 9, -1],
      ["0009", 9, 9],
      ["", 9, -1],
      ["-1", 9, -1],
      ["+1", 9, -1],
      ["1 ", 9, -1],
      ["0x1", 9, -1],
      ["1e3", 9999, -1],
      ["4294967295", 2 ** 32, 4_294_967_295],
      ["9".repeat(400), Number.MAX_SAFE_INTEGER, -1],
    ];
    for (const [text, max, want] of cases) assert.equal(scanNumber(text, 0, text.length, max), want, text);
  });
});
