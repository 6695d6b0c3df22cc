import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H, MessageEdit, SipSyntaxError } from "../../src/sip/index.ts";
import { assertReplaced, edited, INVITE, inviteWith, linesOf, message, request } from "./messages.ts";

describe("headers by name", () => {
  const text = inviteWith(["X-Name: one", "Subject: a", "x-name: two", "s: b"]);
  it("setHeader() writes over the first, removes the others, or adds", () => {
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setHeader("X-NAME", "new")),
        "X-Name",
      ),
      ["X-Name: new"],
    );
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setHeader("Subject", "new")),
        "s",
      ),
      ["Subject: new"],
    );
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setHeader("s", "new")),
        "s",
      ),
      ["Subject: new"],
    );
    assertReplaced(
      text,
      edited(text, (edit) => edit.setHeader("X-Other", "new")),
      "\r\n\r\nv=0",
      "\r\nX-Other: new\r\n\r\nv=0",
    );
  });
  it("addHeader() goes behind the others, each call one line", () => {
    assertReplaced(
      text,
      edited(text, (edit) => edit.addHeader("X-Name", "three").addHeader("Y", "")),
      "\r\n\r\nv=0",
      "\r\nX-Name: three\r\nY: \r\n\r\nv=0",
    );
  });
  it("removeHeader() removes each line, long and compact", () => {
    assert.equal(
      edited(text, (edit) => edit.removeHeader("x-NAME").removeHeader("subject").removeHeader("None")),
      INVITE,
    );
  });
  it("edits take effect in the order of the calls", () => {
    const last = (edit: (list: MessageEdit) => unknown) => linesOf(edited(text, edit), "X-Name");
    assert.deepEqual(
      last((list) => list.removeHeader("X-Name").addHeader("X-Name", "z")),
      ["X-Name: z"],
    );
    assert.deepEqual(
      last((list) => list.addHeader("X-Name", "z").removeHeader("X-Name")),
      [],
    );
    assert.deepEqual(
      last((list) => list.addHeader("X-Name", "z").setHeader("X-Name", "y")),
      ["X-Name: y"],
    );
    assert.deepEqual(
      last((list) => list.removeHeader("X-Name").setHeader("X-Name", "y")),
      ["X-Name: y"],
    );
    assert.deepEqual(
      last((list) => list.setHeader("X-Name", "y").setHeader("x-name", "x")),
      ["X-Name: x"],
    );
    assert.deepEqual(
      last((list) => list.setHeader("X-Name", "y").removeHeader("X-Name")),
      [],
    );
  });
  it("take back what was put before and behind the values that came", () => {
    const list = inviteWith(["Route: <sip:a;lr>"]);
    const out = edited(list, (edit) =>
      edit.prependRoute("<sip:x>").appendRoute("<sip:y>").prependRecordRoute("<sip:p>").removeHeader("Route").removeHeader("Record-Route"),
    );
    assert.equal(out, INVITE);
    const via = edited(INVITE, (edit) => edit.prependVia("SIP/2.0/UDP x").setHeader("Via", "SIP/2.0/UDP y"));
    assert.deepEqual(request(via).list(H.Via), ["SIP/2.0/UDP y"]);
  });
  it("known names are matched by their compact form when added, too", () => {
    assert.equal(
      edited(INVITE, (edit) => edit.addHeader("s", "x").removeHeader("Subject")),
      INVITE,
    );
  });
  it("values with $ patterns are text", () => {
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setHeader("X-Name", "$& $1 $$")),
        "X-Name",
      ),
      ["X-Name: $& $1 $$"],
    );
  });
  it("a name or value that would break the message is refused", () => {
    const list = new MessageEdit(request(INVITE));
    for (const value of ["a\r\nX-Injected: b", "a\nb", "a\rb", "a\0b"]) {
      for (const attempt of [
        () => list.setHeader("X", value),
        () => list.addHeader("X", value),
        () => list.setBody("x", value),
        () => list.prependVia(value),
        () => list.markTopVia(value),
        () => list.prependRecordRoute(value),
        () => list.prependRoute(value),
        () => list.appendRoute(value),
      ]) {
        assert.throws(attempt, SipSyntaxError);
      }
    }
    for (const name of ["", "a b", "a:", "a\r\n", "\xe4"]) {
      assert.throws(() => list.setHeader(name, "x"), SipSyntaxError);
      assert.throws(() => list.addHeader(name, "x"), SipSyntaxError);
    }
    assert.equal(list.toString(), INVITE);
  });
});

describe("setBody()", () => {
  it("replaces the body and keeps Content-Length true", () => {
    const out = edited(INVITE, (edit) => edit.setBody("hello", "text/plain"));
    assert.equal(
      out,
      INVITE.replace("application/sdp", "text/plain").replace("Content-Length: 4", "Content-Length: 5").replace("v=0\n", "hello"),
    );
    assert.equal(request(out).body, "hello");
  });
  it("keeps the Content-Type when none is given", () => {
    assert.equal(request(edited(INVITE, (edit) => edit.setBody("v=0\r\n"))).header("Content-Type"), "application/sdp");
  });
  it("without a body there is no Content-Type", () => {
    const out = request(edited(INVITE, (edit) => edit.setBody("")));
    assert.equal(out.header("Content-Type"), undefined);
    assert.equal(out.header("Content-Length"), "0");
    assert.equal(out.body, "");
  });
  it("adds the headers that were not there", () => {
    const none = message(["OPTIONS sip:a SIP/2.0", "Via: SIP/2.0/UDP a", "From: <sip:a>", "To: <sip:b>", "Call-ID: c", "CSeq: 1 OPTIONS"]);
    assert.equal(
      edited(none, (edit) => edit.setBody("xy", "text/plain")),
      none.replace("\r\n\r\n", "\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nxy"),
    );
  });
  it("removes further Content-Length headers and knows the compact one", () => {
    const text = inviteWith(["l: 4"]);
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setBody("x")),
        "l:",
      ),
      ["l: 1"],
    );
    assert.deepEqual(
      linesOf(
        edited(text, (edit) => edit.setBody("x")),
        "Content-Length",
      ),
      [],
    );
  });
});
