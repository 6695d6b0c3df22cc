import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCredentials } from "../../src/registrar/credentials.ts";

const FULL =
  'Digest username="fs", realm="farm", nonce="n", uri="sip:p", response="ABCD", algorithm=SHA-256, cnonce="c", qop=auth, nc=0000000a';
const READ = {
  username: "fs",
  realm: "farm",
  nonce: "n",
  uri: "sip:p",
  response: "abcd",
  algorithm: "SHA-256",
  cnonce: "c",
  qop: "auth",
  nc: "0000000a",
};

describe("an Authorization header, RFC 7616 §3.4", () => {
  const good = [
    { name: "in the usual form", text: FULL },
    { name: "without blanks", text: FULL.replaceAll(", ", ",") },
    { name: "with blanks around everything", text: FULL.replaceAll("=", " = ").replaceAll(",", " ,\t") },
    { name: "with names in any case", text: FULL.replace("username", "UserName").replace("Digest", "DIGEST") },
    { name: "with quotes where none need be", text: FULL.replace("qop=auth", 'qop="auth"').replace("SHA-256", '"SHA-256"') },
    { name: "with parameters that nobody knows", text: `${FULL}, opaque="x, y=\\"z\\"", auth=1` },
    { name: "with a comma at the end", text: `${FULL},` },
  ];
  for (const { name, text } of good) it(`is read ${name}`, () => assert.deepEqual(parseCredentials(text), READ));
  it("stands for MD5 when it names no algorithm", () => {
    const read = parseCredentials(FULL.replace("algorithm=SHA-256, ", ""));
    assert.ok(typeof read === "object");
    assert.equal(read.algorithm, "MD5");
  });
  it("keeps the escapes of a name, as they are hashed", () => {
    const read = parseCredentials(FULL.replace('"fs"', '"a\\"b"'));
    assert.ok(typeof read === "object");
    assert.equal(read.username, 'a\\"b');
  });
  for (const text of ["", "Basic Zm9vOmJhcg==", "Digestive username=1", "Digest"]) {
    it(`is of no concern: ${JSON.stringify(text)}`, () => assert.equal(parseCredentials(text), undefined));
  }
  const malformed = [
    { name: "a parameter is missing", text: FULL.replace('nonce="n", ', "") },
    { name: "a parameter stands twice", text: `${FULL}, username="fs"` },
    { name: "a quote is open", text: `${FULL}, x="y` },
    { name: "there is no qop: its repetition could not be told from it", text: FULL.replace(", qop=auth, nc=0000000a", "") },
    { name: "qop is another", text: FULL.replace("qop=auth", "qop=auth-int") },
    { name: "nc is no count", text: FULL.replace("0000000a", "1") },
    { name: "the response is empty", text: FULL.replace('"ABCD"', '""') },
    { name: "there are too many parameters", text: `${FULL}${Array.from({ length: 40 }, (_, i) => `, p${i}=1`).join("")}` },
    { name: "a value is too long", text: FULL.replace('"fs"', `"${"x".repeat(2000)}"`) },
    { name: "there is nothing behind the scheme but noise", text: "Digest ,,,=" },
  ];
  for (const { name, text } of malformed) it(`is malformed when ${name}`, () => assert.equal(parseCredentials(text), "malformed"));
  it("is read in time that grows with its length only", () => {
    const began = process.hrtime.bigint();
    parseCredentials(`Digest ${'a="\\'.repeat(2000)}`);
    parseCredentials(`Digest a=${" \t".repeat(4000)}`);
    parseCredentials(`Digest ${" ".repeat(8000)}`);
    assert.ok(process.hrtime.bigint() - began < 500_000_000n);
  });
});
