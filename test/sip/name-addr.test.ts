import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nameAddrParam, parseNameAddr, SipSyntaxError } from "../../src/sip/index.ts";

describe("name-addr and addr-spec, RFC 3261 §20.10 and §25.1", () => {
  const cases: readonly (readonly [text: string, displayName: string, uri: string, params: string])[] = [
    ["<sip:a@b>", "", "sip:a@b", ""],
    ["sip:a@b", "", "sip:a@b", ""],
    ["sip:a@b;tag=1", "", "sip:a@b", ";tag=1"],
    ["<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", ";tag=1"],
    ["Bob <sip:bob@biloxi.com>;tag=a6c85cf", "Bob", "sip:bob@biloxi.com", ";tag=a6c85cf"],
    ["The Operator <sip:operator@cs.columbia.edu> ;tag=287447", "The Operator", "sip:operator@cs.columbia.edu", ";tag=287447"],
    ['"A. G. Bell" <sip:agb@bell-telephone.com>\t;tag=a48s', "A. G. Bell", "sip:agb@bell-telephone.com", ";tag=a48s"],
    ['"Bell, <Alexander>; \\"A\\"" <sip:a.g.bell@example.com>', 'Bell, <Alexander>; "A"', "sip:a.g.bell@example.com", ""],
    [
      '"J Rosenberg \\\\\\""       <sip:jdrosen@example.com> ; tag = 98asjd8',
      'J Rosenberg \\"',
      "sip:jdrosen@example.com",
      "; tag = 98asjd8",
    ],
    ['""<sip:a@b>', "", "sip:a@b", ""],
    ["  <sip:a@b>  ", "", "sip:a@b", ""],
    ["<tel:+1-212-555-1212;ext=1>", "", "tel:+1-212-555-1212;ext=1", ""],
    ["caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", ";tag=323"],
    ["<sip:a,b?c@d>;x", "", "sip:a,b?c@d", ";x"],
    ['<sip:a@b>;name="one;two, three"', "", "sip:a@b", ';name="one;two, three"'],
    ["J\xc3\xbcrgen <sip:j@b>", "J\xc3\xbcrgen", "sip:j@b", ""],
    ["<sip:a@b>;;x=1;", "", "sip:a@b", ";;x=1;"],
    ["<sip:a@b>;maddr=[2001:db8::1]", "", "sip:a@b", ";maddr=[2001:db8::1]"],
  ];
  for (const [text, displayName, uri, params] of cases) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseNameAddr(text), { displayName, uri, params }));
  }

  const refused = [
    "",
    " ",
    "*",
    "<>",
    "<sip:a@b",
    "sip:a@b>",
    "<<sip:a@b>>",
    "< sip:a@b >",
    '"Bob <sip:a@b>',
    '"Bob" sip:a@b',
    '"Bob"',
    "Bob sip:a@b",
    "Bell, Alexander <sip:a.g.bell@example.com>",
    'Bob "Bobby" <sip:a@b>',
    "<sip:a@b> x",
    "<sip:a@b>, <sip:c@d>",
    "<sip:a@b>;=x",
    '<sip:a@b>;x="unterminated',
    "<sip:a@b>;x=1 y",
    "<a@b>",
    "a@b",
    "<sip:a\r\n@b>",
    "<sip:a\0@b>",
    "<:a@b>",
    "<1:a@b>",
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseNameAddr(text), SipSyntaxError));
  }

  it("without angle brackets all parameters are header parameters, not URI parameters (§20)", () => {
    const addr = parseNameAddr("sip:a@b;transport=tcp;tag=9");
    assert.equal(addr.uri, "sip:a@b");
    assert.equal(nameAddrParam(addr, "transport"), "tcp");
    assert.equal(nameAddrParam(addr, "tag"), "9");
  });
});

describe("nameAddrParam()", () => {
  const addr = parseNameAddr('<sip:a@b;tag=uri>;expires=60;Q="0.7";flag;q=second; x = "a\\"b;c" ;tag=t');
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["tag", "t"],
    ["TAG", "t"],
    ["expires", "60"],
    ["q", "0.7"],
    ["flag", ""],
    ["x", 'a"b;c'],
    ["c", undefined],
    ["none", undefined],
    ["__proto__", undefined],
  ];
  for (const [name, want] of cases) it(`${name} is ${JSON.stringify(want)}`, () => assert.equal(nameAddrParam(addr, name), want));
});
