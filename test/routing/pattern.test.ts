import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compilePattern, MAX_MATCHED_LENGTH } from "../../src/routing/pattern.ts";

describe("patterns of rules", () => {
  const cases: [pattern: string, text: string, want: boolean][] = [
    ["^1000$", "1000", true],
    ["^1000$", "10001", false],
    ["^\\+?49", "4930123", true],
    ["conf", "my-conference", true],
    ["^(00|\\+)?49\\d+$", "004930", true],
    ["^(?:conf|bridge)-\\d{1,4}$", "bridge-12", true],
    ["^[+(*]*$", "(((", true],
    ["^[\\]a]+$", "a]a", true],
    ["^(ab){2,}$", "ababab", true],
    ["^a{x$", "a{x", true],
    ["", "anything", true],
    ["^grüße$", "grüße", true],
  ];
  for (const [pattern, text, want] of cases) {
    it(`${pattern} ${want ? "matches" : "does not match"} ${text}`, () => assert.equal(compilePattern("key", pattern)(text), want));
  }

  const slow = ["(a+)+$", "(a*)*", "(a|a)+", "^(\\d+,?)+$", "((a)+b)*", "(?:a?){20}", "(a|b){5}", "(a{2,})+", "((a|b)c)+", "(?<name>a+)+"];
  for (const pattern of slow) {
    it(`refuses ${pattern}, which can take very long`, () => {
      assert.throws(() => compilePattern("ruri_user", pattern), {
        name: "RoutingError",
        message: /^Cannot use ruri_user ".*": a repeated group that holds/,
      });
    });
  }

  for (const pattern of [".*(conf|bridge|room|hall).*", "^\\d+-\\w+@.*$", "a.*b.*c", "^(100|101|102|103|104)$", "\\.*", "^.*x.*$"]) {
    it(`accepts ${pattern}`, () => assert.doesNotThrow(() => compilePattern("key", pattern)));
  }

  it("drops .* at both ends only where that changes nothing", () => {
    assert.equal(compilePattern("key", ".*conf.*")("a conf b"), true);
    assert.equal(compilePattern("key", ".*conf.*")("a con b"), false);
    assert.equal(compilePattern("key", "^a\\.*")("a.."), true);
    assert.equal(compilePattern("key", "^a\\.*$")("ab"), false);
    assert.equal(compilePattern("key", "^a[.*]")("ab"), false);
    assert.equal(compilePattern("key", ".*")(""), true);
    assert.equal(compilePattern("key", ".*?a")("ba"), true);
  });

  it("refuses back references, many repetitions, endless patterns and what is no regular expression", () => {
    const table: [string, RegExp][] = [
      ["(a)\\1", /a back reference is not allowed/],
      ["(?<x>a)\\k<x>", /a back reference is not allowed/],
      ["a.*b.*c.*d", /it can take very long, want fewer repetitions and alternatives/],
      ["a.{0,200}b.{0,200}c.{0,200}d", /it can take very long/],
      [`^${"a?".repeat(23)}`, /it can take very long/],
      [`^${"(a|a)".repeat(23)}`, /it can take very long/],
      ["a".repeat(257), /of 257 characters: want at most 256/],
      ["(", /want a regular expression: Unterminated group/],
    ];
    for (const [pattern, message] of table) {
      assert.throws(() => compilePattern("key", pattern), { name: "RoutingError", message });
    }
  });

  it("does not try a text that is too long", () => {
    const matches = compilePattern("key", "a");
    assert.equal(matches("a".repeat(MAX_MATCHED_LENGTH)), true);
    assert.equal(matches("a".repeat(MAX_MATCHED_LENGTH + 1)), false);
  });
});
