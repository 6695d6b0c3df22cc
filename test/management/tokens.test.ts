import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sentToken, TokenBook } from "../../src/management/tokens.ts";

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

describe("the token of a request", () => {
  const cases: [string, string | undefined, string | undefined, string | undefined, boolean?][] = [
    ["none", undefined, "/mi", undefined],
    ["Bearer", "Bearer abc", "/mi", "abc", false],
    ["bearer in lower case", "bearer   abc ", "/mi", "abc", false],
    ["Basic with any user name", basic("anna:abc"), "/mi", "abc", true],
    ["Basic without a user name", basic(":abc"), "/mi", "abc", true],
    ["Basic with a colon in the password", basic("a:b:c"), "/mi", "b:c", true],
    ["Basic without a colon", basic("abc"), "/mi", undefined],
    ["another scheme", "Digest abc", "/mi", undefined],
    ["a scheme alone", "Bearer", "/mi", undefined],
    ["two tokens", "Bearer abc def", "/mi", undefined],
    ["in the URL", undefined, "/mi?access_token=a+b/c%3D%3D", "a+b/c==", false],
    ["in the URL behind others", undefined, "/mi?x=1&access_token=abc&y", "abc", false],
    ["in the URL twice", undefined, "/mi?access_token=abc&access_token=abc", "", false],
    ["in the URL, spoilt", undefined, "/mi?access_token=%zz", "", false],
    ["in the URL, by another name", undefined, "/mi?my_access_token=abc", undefined],
    ["in the URL where that does not count", undefined, undefined, undefined],
    ["in the header and in the URL", "Bearer abc", "/mi?access_token=abc", undefined],
  ];
  for (const [name, authorization, url, token, isAmbient] of cases) {
    it(name, () => assert.deepEqual(sentToken(authorization, url), token === undefined ? undefined : { token, isAmbient }));
  }
});

describe("a book of tokens", () => {
  const book = new TokenBook([
    { name: "anna", token: "token-of-anna", role: "operator" },
    { name: "wall", token: "token-of-wall", role: "viewer" },
  ]);
  const cases: [string, string, object | undefined][] = [
    ["knows who has which", "token-of-wall", { name: "wall", role: "viewer" }],
    ["knows the first as well as the last", "token-of-anna", { name: "anna", role: "operator" }],
    ["does not take a part", "token-of-", undefined],
    ["does not take nothing", "", undefined],
    ["does not take a name", "anna", undefined],
  ];
  for (const [name, token, holder] of cases) it(name, () => assert.deepEqual(book.holderOf(token), holder));
  it("asks for none when it is empty", () => assert.equal(new TokenBook([]).isRequired, false));
});
