import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConfigError } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

function parse(text: string) {
  return parseConfig(`mi_http: { ${text} }`, "h.yaml", {}).mi_http;
}

describe("tokens of management", () => {
  it("are of viewers unless they say otherwise", () => {
    const { tokens } = parse('auth: { tokens: [{ name: wall, token: "12345678" }, { name: anna, token: abcdefgh, role: operator }] }').auth;
    assert.deepEqual(
      tokens.map(({ name, role }) => [name, role]),
      [
        ["wall", "viewer"],
        ["anna", "operator"],
      ],
    );
  });

  it("open an address that others reach, as bearer_tokens do", () => {
    const { listen } = parse('listen: "0.0.0.0:8888", auth: { tokens: [{ name: wall, token: "12345678" }] }');
    assert.equal(listen, "0.0.0.0:8888");
  });
});

describe("what is refused of mi_http", () => {
  const cases: [string, string, RegExp][] = [
    [
      "a name twice",
      "auth: { tokens: [{ name: a, token: abcdefgh }, { name: a, token: bcdefghi }] }",
      /tokens\[1\]\.name: found "a" again/,
    ],
    [
      "a token twice",
      "auth: { tokens: [{ name: a, token: abcdefgh }, { name: b, token: abcdefgh }] }",
      /tokens\[1\]\.token: found a token that stands above/,
    ],
    [
      "a token of both lists",
      "auth: { bearer_tokens: [abcdefgh], tokens: [{ name: b, token: abcdefgh }] }",
      /tokens\[0\]\.token: found a token that/,
    ],
    ["a token without a name", "auth: { tokens: [{ token: abcdefgh }] }", /tokens\[0\]/],
    ["a name that looks like more", "auth: { tokens: [{ name: 'a b', token: abcdefgh }] }", /name.*want letters, digits/],
    ["another role", "auth: { tokens: [{ name: a, token: abcdefgh, role: admin }] }", /role/],
    ["a short token", "auth: { tokens: [{ name: a, token: abcdefg }] }", /not shown here/],
    [
      "a certificate without its key",
      "tls: { certificate: c.pem }",
      /mi_http\.tls\.certificate: found it without mi_http\.tls\.private_key/,
    ],
    [
      "a key without its certificate",
      "tls: { private_key: k.pem }",
      /mi_http\.tls\.private_key: found it without mi_http\.tls\.certificate/,
    ],
  ];
  for (const [name, text, why] of cases) {
    it(name, () =>
      assert.throws(
        () => parse(text),
        (error) => error instanceof ConfigError && why.test(error.message) && !error.message.includes("abcdefg"),
      ),
    );
  }
});
