import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H, MessageEdit, SipSyntaxError } from "../../src/sip/index.ts";
import { assertReplaced, edited, INVITE, inviteWith, linesOf, message, request, response } from "./messages.ts";

const VIA = "Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;rport\r\n";

describe("an edit list without edits", () => {
  it("writes the bytes that came", () => {
    assert.equal(new MessageEdit(request(INVITE)).toString(), INVITE);
    const odd = INVITE.replaceAll(": ", " :\t ").replaceAll("\r\n", "\n");
    assert.equal(new MessageEdit(request(odd)).toString(), odd);
  });
});

describe("setRequestUri()", () => {
  it("replaces the Request-URI and nothing else", () => {
    assertReplaced(
      INVITE,
      edited(INVITE, (edit) => edit.setRequestUri("sip:carol@[2001:db8::1]:5070;lr")),
      "sip:bob@biloxi.example.com SIP",
      "sip:carol@[2001:db8::1]:5070;lr SIP",
    );
  });
  it("refuses what cannot stand in a start line", () => {
    const edit = new MessageEdit(request(INVITE));
    for (const uri of ["", "sip:a b@c", "sip:a@b\r\nX: y", "<sip:a@b>", "sip:a\0@b", "sip:a@b\t"])
      assert.throws(() => edit.setRequestUri(uri), SipSyntaxError, JSON.stringify(uri));
    assert.equal(edit.toString(), INVITE);
  });
  it("refuses a response", () => {
    const ok = response(INVITE.replace("INVITE sip:bob@biloxi.example.com SIP/2.0", "SIP/2.0 200 OK"));
    assert.throws(() => new MessageEdit(ok).setRequestUri("sip:a@b"), {
      message: 'Cannot set Request-URI "sip:a@b": the message is a response',
    });
  });
});

describe("Via edits, RFC 3261 §16.6 step 8, §16.7 step 3, §18.2.1", () => {
  it("prependVia() puts a line before the first Via, wherever that stands", () => {
    assertReplaced(
      INVITE,
      edited(INVITE, (edit) => edit.prependVia("SIP/2.0/UDP p;branch=z9hG4bKp")),
      VIA,
      `Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\n${VIA}`,
    );
    const late = message(["OPTIONS sip:a SIP/2.0", "From: <sip:a>", "To: <sip:b>", "Call-ID: c", "v: SIP/2.0/UDP a", "CSeq: 1 OPTIONS"]);
    assertReplaced(
      late,
      edited(late, (edit) => edit.prependVia("SIP/2.0/UDP p")),
      "v: SIP",
      "Via: SIP/2.0/UDP p\r\nv: SIP",
    );
    const two = edited(INVITE, (edit) => edit.prependVia("SIP/2.0/UDP p1").prependVia("SIP/2.0/UDP p2"));
    assert.deepEqual(request(two).list(H.Via).slice(0, 2), ["SIP/2.0/UDP p2", "SIP/2.0/UDP p1"]);
  });

  const removals: readonly (readonly [before: string, after: string])[] = [
    ["Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b", "Via: SIP/2.0/UDP b"],
    ["Via: SIP/2.0/UDP a, SIP/2.0/UDP b", "Via: SIP/2.0/UDP b"],
    ["v :\t SIP/2.0/UDP a,SIP/2.0/UDP b , SIP/2.0/UDP c", "v :\t SIP/2.0/UDP b , SIP/2.0/UDP c"],
    ["Via: SIP/2.0/UDP a,\r\n SIP/2.0/UDP b", "Via: SIP/2.0/UDP b"],
    ["Via: SIP/2.0/UDP a\r\n ,SIP/2.0/UDP b", "Via: SIP/2.0/UDP b"],
    ['Via: SIP/2.0/UDP a;x="1,2", SIP/2.0/UDP b', "Via: SIP/2.0/UDP b"],
    ["Via: SIP/2.0/UDP a,\r\nVia: SIP/2.0/UDP b", "Via: SIP/2.0/UDP b"],
  ];
  for (const [before, after] of removals) {
    it(`removeTopVia() makes ${JSON.stringify(after)} of ${JSON.stringify(before)}`, () => {
      const text = inviteWith([before], ["Via"]);
      assertReplaced(
        text,
        edited(text, (edit) => edit.removeTopVia()),
        before,
        after,
      );
    });
  }
  it("removeTopVia() twice removes two values", () => {
    const text = inviteWith(["Via: SIP/2.0/UDP a, SIP/2.0/UDP b", "Via: SIP/2.0/UDP c"], ["Via"]);
    const out = edited(text, (edit) => edit.removeTopVia().removeTopVia());
    assert.deepEqual(request(out).list(H.Via), ["SIP/2.0/UDP c"]);
  });
  it("removeTopVia() of the only Via leaves none", () => {
    assertReplaced(INVITE, new MessageEdit(request(INVITE)).removeTopVia().toString(), VIA, "");
  });

  const marks: readonly (readonly [before: string, params: string, after: string])[] = [
    ["SIP/2.0/UDP a", ";received=192.0.2.1", "SIP/2.0/UDP a;received=192.0.2.1"],
    ["SIP/2.0/UDP a;branch=b;rport", ";received=192.0.2.1;rport=5060", "SIP/2.0/UDP a;branch=b;rport=5060;received=192.0.2.1"],
    ["SIP/2.0/UDP a;rport;branch=b", ";received=192.0.2.1;rport=5060", "SIP/2.0/UDP a;rport=5060;branch=b;received=192.0.2.1"],
    ["SIP/2.0/UDP a;received=6.6.6.6;branch=b", ";received=192.0.2.1", "SIP/2.0/UDP a;received=192.0.2.1;branch=b"],
    ["SIP/2.0/UDP a;received=6.6.6.6;RECEIVED=7.7.7.7;branch=b", ";received=192.0.2.1", "SIP/2.0/UDP a;received=192.0.2.1;branch=b"],
    ["SIP/2.0/UDP a;RPORT=1", ";rport=5060", "SIP/2.0/UDP a;rport=5060"],
    ["SIP/2.0/UDP a;rport, SIP/2.0/UDP b;rport", ";rport=5060", "SIP/2.0/UDP a;rport=5060, SIP/2.0/UDP b;rport"],
    ["SIP/2.0/UDP a , SIP/2.0/UDP b;received=x", ";received=y", "SIP/2.0/UDP a;received=y , SIP/2.0/UDP b;received=x"],
    ["SIP/2.0/UDP a ; rport ; branch = b", ";rport=1", "SIP/2.0/UDP a ;rport=1 ; branch = b"],
    ["SIP/2.0/UDP\r\n a;branch=b", ";received=::1", "SIP/2.0/UDP\r\n a;branch=b;received=::1"],
    ['SIP/2.0/UDP a;x=";received=9"', ";received=1.1.1.1", 'SIP/2.0/UDP a;x=";received=9";received=1.1.1.1'],
    ["SIP/2.0/UDP a;rportx;branch=b", ";rport=2", "SIP/2.0/UDP a;rportx;branch=b;rport=2"],
  ];
  for (const [before, params, after] of marks) {
    it(`markTopVia(${JSON.stringify(params)}) makes ${JSON.stringify(after)}`, () => {
      const text = inviteWith([`Via: ${before}`], ["Via"]);
      assertReplaced(
        text,
        edited(text, (edit) => edit.markTopVia(params)),
        before,
        after,
      );
    });
  }
  it("mark the Via that came, also when one is put before it first", () => {
    for (const edit of [
      (list: MessageEdit) => list.markTopVia(";rport=9").prependVia("SIP/2.0/UDP p"),
      (list: MessageEdit) => list.prependVia("SIP/2.0/UDP p").markTopVia(";rport=9"),
    ]) {
      assertReplaced(INVITE, edited(INVITE, edit), VIA, `Via: SIP/2.0/UDP p\r\n${VIA.replace("rport", "rport=9")}`);
    }
  });
});

describe("Record-Route and Route edits, RFC 3261 §16.4 and §16.6", () => {
  it("prependRecordRoute() goes before the first one, or behind the Vias", () => {
    assertReplaced(
      INVITE,
      edited(INVITE, (edit) => edit.prependRecordRoute("<sip:p;lr>")),
      VIA,
      `${VIA}Record-Route: <sip:p;lr>\r\n`,
    );
    const has = inviteWith(["Via: SIP/2.0/UDP b", "X: y", "Record-Route: <sip:q;lr>"]);
    assertReplaced(
      has,
      edited(has, (edit) => edit.prependRecordRoute("<sip:p;lr>")),
      "Record-Route:",
      "Record-Route: <sip:p;lr>\r\nRecord-Route:",
    );
  });

  const ROUTES = ["Route: <sip:a;lr>, <sip:b;lr>", "X-Between: 1", "route:<sip:c;lr>", "Route: <sip:d;lr> ,\r\n\t<sip:e;lr>;x=y"];
  const text = inviteWith(ROUTES);
  const all = ["<sip:a;lr>", "<sip:b;lr>", "<sip:c;lr>", "<sip:d;lr>", "<sip:e;lr>;x=y"];
  for (let count = 0; count <= 7; count++) {
    it(`removeTopRoutes(${count}) removes the first ${count} of five values`, () => {
      const out = edited(text, (edit) => edit.removeTopRoutes(count));
      assert.deepEqual(request(out).list(H.Route), all.slice(count));
      const others = (whole: string) => whole.split(/\r\n(?![ \t])/).filter((line) => !/^route/i.test(line));
      assert.deepEqual(others(out), others(text));
    });
    it(`removeLastRoute() ${count} times removes the last ${count} of five values`, () => {
      const out = edited(text, (edit) => {
        for (let i = 0; i < count; i++) edit.removeLastRoute();
      });
      assert.deepEqual(request(out).list(H.Route), all.slice(0, Math.max(0, 5 - count)));
    });
  }
  it("removeTopRoutes() keeps the spelling of what stays on the line", () => {
    assertReplaced(
      text,
      edited(text, (edit) => edit.removeTopRoutes(1)),
      "Route: <sip:a;lr>, <sip:b;lr>",
      "Route: <sip:b;lr>",
    );
    assertReplaced(
      text,
      edited(text, (edit) => edit.removeLastRoute()),
      "Route: <sip:d;lr> ,\r\n\t<sip:e;lr>;x=y",
      "Route: <sip:d;lr>",
    );
  });
  it("prependRoute() and appendRoute() go around those that came", () => {
    const out = edited(text, (edit) =>
      edit.appendRoute("<sip:y>").prependRoute("<sip:x;lr>").prependRoute("<sip:w;lr>").appendRoute("<sip:z>"),
    );
    assert.deepEqual(request(out).list(H.Route), ["<sip:w;lr>", "<sip:x;lr>", ...all, "<sip:y>", "<sip:z>"]);
  });
  it("prependRoute() and appendRoute() without a Route go behind the Vias, behind a new Record-Route", () => {
    const out = edited(INVITE, (edit) => edit.appendRoute("<sip:y>").prependRoute("<sip:x;lr>").prependRecordRoute("<sip:p;lr>"));
    assertReplaced(INVITE, out, VIA, `${VIA}Record-Route: <sip:p;lr>\r\nRoute: <sip:x;lr>\r\nRoute: <sip:y>\r\n`);
  });
  it("a strict router gets the Request-URI as the last Route (§16.6 step 6)", () => {
    const out = edited(text, (edit) => edit.removeTopRoutes(1).appendRoute("<sip:bob@biloxi.example.com>").setRequestUri("sip:a"));
    assert.deepEqual(request(out).list(H.Route), [...all.slice(1), "<sip:bob@biloxi.example.com>"]);
    assert.equal(request(out).uri, "sip:a");
  });
});

describe("setMaxForwards()", () => {
  it("writes over the number and keeps the spelling", () => {
    assertReplaced(
      INVITE,
      edited(INVITE, (edit) => edit.setMaxForwards(69)),
      "Max-Forwards: 70",
      "Max-Forwards: 69",
    );
    const odd = inviteWith(["MAX-FORWARDS :\t0070 "], ["Max-Forwards"]);
    assertReplaced(
      odd,
      edited(odd, (edit) => edit.setMaxForwards(69)),
      "MAX-FORWARDS :\t0070 ",
      "MAX-FORWARDS :\t69 ",
    );
  });
  it("adds the header when there is none (RFC 3261 §16.6 step 3)", () => {
    const none = inviteWith([], ["Max-Forwards"]);
    assertReplaced(
      none,
      edited(none, (edit) => edit.setMaxForwards(70)),
      "\r\n\r\nv=0",
      "\r\nMax-Forwards: 70\r\n\r\nv=0",
    );
  });
  it("the last number counts", () => {
    for (const text of [INVITE, inviteWith([], ["Max-Forwards"])]) {
      const out = edited(text, (edit) => edit.setMaxForwards(5).setMaxForwards(4));
      assert.deepEqual(linesOf(out, "Max-Forwards"), ["Max-Forwards: 4"]);
    }
  });
});

describe("all the edits of a forward", () => {
  it("touch only what they edit", () => {
    const text = inviteWith(["Route: <sip:p;lr>", "X-Unknown:  keep  this\r\n\tas it is "]);
    const out = edited(text, (edit) =>
      edit
        .setRequestUri("sip:bob@192.0.2.4")
        .removeTopRoutes(1)
        .markTopVia(";received=192.0.2.9;rport=5066")
        .prependVia("SIP/2.0/UDP p;branch=z9hG4bKp")
        .prependRecordRoute("<sip:p;lr;did=1.2>")
        .setMaxForwards(69),
    );
    const want = text
      .replace("sip:bob@biloxi.example.com SIP", "sip:bob@192.0.2.4 SIP")
      .replace("Route: <sip:p;lr>\r\n", "")
      .replace(
        VIA,
        () =>
          `Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\n${VIA.replace("rport", "rport=5066;received=192.0.2.9")}Record-Route: <sip:p;lr;did=1.2>\r\n`,
      )
      .replace("Max-Forwards: 70", "Max-Forwards: 69");
    assert.equal(out, want);
  });
  it("of a response on its way back", () => {
    const text = `SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\n${VIA}From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n`;
    assert.equal(new MessageEdit(response(text)).removeTopVia().toString(), text.replace("Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\n", ""));
  });
});

describe("a message with lines that end in LF alone", () => {
  it("goes on with CRLF in all of its head, also where it is folded; its body stays (RFC 3261 §7)", () => {
    const came = INVITE.replace("\r\n\r\n", "\r\nX: a\r\n  b\r\n\r\n").replace("v=0\n", "v\n\r\n");
    for (const lineEnds of [/\r\n(?=X)/, /\r\n(?= {2}b)/, /\r\n(?=Via)/, /\r\n(?=\r\n)/, /\r\n(?=v)/]) {
      const spoiled = came.replace(lineEnds, "\n");
      const out = new MessageEdit(request(spoiled)).setHeader("Y", "z").toString();
      assert.equal(out, new MessageEdit(request(came)).setHeader("Y", "z").toString(), String(lineEnds));
      assert.equal(new MessageEdit(request(spoiled)).toString(), request(spoiled).raw, "without edits it is what came");
    }
  });
});
