import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeText, encodeLine, encodeText, holdsSpaceOrControl } from "../../src/routing/text.ts";

describe("texts of a message, RFC 3261 §7 (UTF-8)", () => {
  it("decodes UTF-8 and encodes it back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const wellFormed = text.toWellFormed();
        const bytes = encodeText(wellFormed);
        assert.equal(bytes, Buffer.from(wellFormed, "utf8").toString("latin1"));
        assert.equal(decodeText(bytes), wellFormed);
      }),
    );
  });

  it("gives bytes that are no UTF-8 as they stand, whatever they are", () => {
    assert.equal(decodeText("Gr\xfc\xdfe"), "Grüße");
    fc.assert(
      fc.property(fc.uint8Array(), (octets) => {
        decodeText(Buffer.from(octets).toString("latin1"));
      }),
    );
  });

  it("puts a value on one line", () => {
    assert.equal(encodeLine("a\r\nX-Evil: 1\0\x7f b\tc "), "a  X-Evil: 1   b\tc");
    assert.equal(encodeLine("Grüße"), "Gr\xc3\xbc\xc3\x9fe");
    assert.equal(encodeLine("\r\n"), "");
  });

  it("knows spaces and control characters", () => {
    for (const text of [" ", "\t", "a\rb", "\n", "\0", "\x7f"]) assert.ok(holdsSpaceOrControl(text));
    assert.equal(holdsSpaceOrControl("sip:ü@[::1]"), false);
  });
});
