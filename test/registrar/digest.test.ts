import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestHa1, digestResponse, isSameSecret, utf8Bytes } from "../../src/registrar/digest.ts";
import { digestHash } from "../../src/server/digest-hash.ts";

const RFC_2617 = { method: "GET", uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", nc: "00000001", cnonce: "0a4f113b" };
const RFC_7616 = {
  method: "GET",
  uri: "/dir/index.html",
  nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
  nc: "00000001",
  cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
};

describe("the digest of a request", () => {
  it("is that of RFC 2617 §3.5", () => {
    const ha1 = digestHa1(digestHash, "MD5", "Mufasa", "testrealm@host.com", "Circle Of Life");
    assert.equal(ha1, "939e7578ed9e3c518a452acee763bce9");
    assert.equal(digestResponse(digestHash, "MD5", ha1, RFC_2617), "6629fae49393a05397450978507c4ef1");
  });
  const cases = [
    { algorithm: "MD5", want: "8ca523f5e9506fed4657c9700eebdbec" },
    { algorithm: "SHA-256", want: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
  ] as const;
  for (const { algorithm, want } of cases) {
    it(`is that of RFC 7616 §3.9.1 with ${algorithm}`, () => {
      const ha1 = digestHa1(digestHash, algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
      assert.equal(digestResponse(digestHash, algorithm, ha1, RFC_7616), want);
    });
  }
  it("takes the bytes of a password that is not ASCII", () => {
    assert.equal(utf8Bytes("Jürgen €"), "J\xc3\xbcrgen \xe2\x82\xac");
    // printf 'u:r:Jürgen' | md5sum
    assert.equal(digestHa1(digestHash, "MD5", "u", "r", utf8Bytes("Jürgen")), "c9b2f872517afe1a6d4b5f391de61f7d");
  });
});

describe("isSameSecret()", () => {
  const cases = [
    ["abc", "abc", true],
    ["abc", "abd", false],
    ["abc", "ab", false],
    ["ab", "abab", false],
    ["abab", "ab", false],
    ["", "", true],
    ["a", "", false],
    ["", "a", false],
  ] as const;
  for (const [a, b, want] of cases)
    it(`${JSON.stringify(a)} and ${JSON.stringify(b)}: ${want}`, () => assert.equal(isSameSecret(a, b), want));
});
