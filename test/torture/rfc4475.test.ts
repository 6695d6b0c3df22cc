import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildResponse, H, MessageEdit, parseMessage, tryParseSipUri, uriParam, uriScheme, viaParam } from "../../src/sip/index.ts";
import { fault, message, request, response } from "../sip/messages.ts";

/** An OPTIONS with everything it needs, and with `lines` before its other headers; `without` names headers to leave out. */
function options(lines: readonly string[], without: readonly string[] = [], start = "OPTIONS sip:user@example.com SIP/2.0"): string {
  const method = start.slice(0, start.indexOf(" "));
  const rest = [
    "Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKtorture",
    "Max-Forwards: 70",
    "From: <sip:caller@example.net>;tag=323",
    "To: <sip:user@example.com>",
    "Call-ID: torture.example.net",
    `CSeq: 60 ${method}`,
    "Content-Length: 0",
  ].filter((line) => !without.some((name) => line.startsWith(`${name}:`)));
  return message([start, ...lines, ...rest]);
}

/** The message goes through a proxy with nothing but the proxy's own edits. */
function assertForwards(text: string): void {
  const sent = request(text);
  assert.equal(new MessageEdit(sent).toString(), text);
  const forwarded = request(
    new MessageEdit(sent).prependVia("SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKproxy").prependRecordRoute("<sip:192.0.2.77;lr>").toString(),
  );
  for (let i = 0; i < sent.headerCount; i++)
    assert.ok(forwarded.headers(sent.headerNameAt(i)).includes(sent.headerValueAt(i)), sent.headerNameAt(i));
  assert.equal(forwarded.body, sent.body);
}

describe("valid messages, in the manner of RFC 4475 §3.1.1", () => {
  it("3.1.1.1 a short tortuous INVITE: folding all over, odd case and order, compact and unknown names, values that look like lists", () => {
    const text = message(
      [
        "INVITE sip:dnrc-chair@example.com;unknownparam SIP/2.0",
        "tO :\r\n sip:dnrc-chair@example.com ;   tag    = 77aa",
        'f   : "A \\\\\\""       <sip:a@example.com>\r\n  ;\r\n  tag = 98x',
        "mAx-fOrWaRdS: 0068",
        "Call-ID: tortuous@192.0.2.1",
        "Content-Length   : 4",
        "cseq: 0009\r\n  INVITE",
        "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skd",
        "s :",
        "NewHeader:   new value\r\n continued new value",
        "UnknownWithUnusualValue: ;;,,;;,;",
        "Content-Type: application/sdp",
        "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ik8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30h",
        'm:"Quoted string \\"\\"" <sip:a@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33',
      ],
      "v=0\n",
    );
    const invite = request(text);
    assert.equal(invite.toTag, "77aa");
    assert.equal(invite.from.displayName, 'A \\"');
    assert.equal(invite.fromTag, "98x");
    assert.equal(invite.maxForwards, 68);
    assert.equal(invite.cseqNumber, 9);
    assert.equal(invite.topVia.transport, "UDP");
    assert.equal(invite.topVia.branch, "390skd");
    assert.equal(invite.list(H.Via).length, 3);
    assert.equal(invite.header("Subject"), "");
    assert.equal(invite.header("UnknownWithUnusualValue"), ";;,,;;,;");
    assert.equal(invite.header("newheader"), "new value continued new value");
    assert.equal(invite.header("Contact")?.includes("secondparam"), true);
    assertForwards(text);
  });

  it("3.1.1.2 wide range of characters: in the method, the user part, tags, branch and reason", () => {
    const method = "!interesting-Method0123456789_*+`.%indeed'~";
    const uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    const call = "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{";
    const text = options(
      [
        "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
        `To: "BEL:\\\x07 NUL:\\\0 DEL:\\\x7f" <${uri}>`,
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\xd1\x80\";tag=_token~1'+`*%!-.",
        `Call-ID: ${call}`,
        "extensionHeader-!.%*+_`'~: \xef\xbb\xbf\xe5\xa4\xa7",
      ],
      ["To", "From", "Call-ID"],
      `${method} ${uri} SIP/2.0`,
    );
    const parsed = request(text);
    assert.equal(parsed.method, method);
    assert.equal(parsed.cseqMethod, method);
    assert.equal(parsed.to.uri, uri);
    assert.equal(parsed.to.displayName, "BEL:\x07 NUL:\0 DEL:\x7f");
    assert.equal(parsed.callId, call);
    assert.equal(parsed.fromTag, "_token~1'+`*%!-.");
    assert.equal(parsed.topVia.branch, "z9hG4bK-.!%66*_+`'~");
    assert.equal(tryParseSipUri(uri)?.host, "example.com");
    assertForwards(text);
  });

  it("3.1.1.3 escaped % in a user part: nothing is unescaped on the way", () => {
    const uri = "sip:sips%3Auser%40example.com@example.net";
    const text = options([], [], `INVITE ${uri} SIP/2.0`);
    assert.equal(request(text).uri, uri);
    assert.equal(tryParseSipUri(uri)?.user, "sips%3Auser%40example.com");
    assertForwards(text);
  });

  it("3.1.1.4 escaped nulls in URIs", () => {
    const text = options(
      ["Contact: <sip:%00@host5.example.com>", "Contact: <sip:%00%00@host5.example.com>"],
      ["To"],
      "REGISTER sip:example.com SIP/2.0",
    ).replace("\r\nContact", "\r\nTo: sip:null-%00-null@example.com\r\nContact");
    assert.equal(request(text).to.uri, "sip:null-%00-null@example.com");
    assert.equal(request(text).headers("Contact").length, 2);
    assertForwards(text);
  });

  it("3.1.1.5 % that escapes nothing: a method and tokens may hold it", () => {
    const text = options([], ["Call-ID", "To"], "RE%47IST%45R sip:registrar.example.com SIP/2.0").replace(
      "\r\nVia",
      '\r\nTo: "%Z%45" <sip:resource@example.com>\r\nCall-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\r\nVia',
    );
    assert.equal(request(text).method, "RE%47IST%45R");
    assert.equal(request(text).to.displayName, "%Z%45");
  });

  it("3.1.1.6 no white space between display name and <", () => {
    assert.equal(request(options(["From: caller<sip:caller@example.com>;tag=323"], ["From"])).from.displayName, "caller");
  });

  it("3.1.1.7 long values in header fields", () => {
    const long = (text: string) => `${text.repeat(Math.ceil(2_000 / text.length))}`;
    const lines = [
      `To: "I have a user name of ${long("extreme")} proportion"<sip:user@example.com:6000;unknownparam1=${long("value")};longparamname${long("x")}=1>`,
      `From: sip:amazinglylongcallername@example.net;tag=${long("12982982982")};unknownheaderparam${long("name")}=${long("y")};unknownValuelessparam${long("n")}`,
      `Call-ID: longreq.one${long("really")}longcallid`,
      `Unknown-${long("Long")}-Name: unknown-${long("long")}-value`,
      ...Array.from({ length: 40 }, (_, i) => `Via: SIP/2.0/TCP sip${i}.example.com;branch=${i}`),
    ];
    const text = options(lines, ["To", "From", "Call-ID"]);
    assert.equal(request(text).list(H.Via).length, 41);
    assert.equal(request(text).fromTag.length, 2_002);
    assertForwards(text);
  });

  it("3.1.1.8 bytes behind a body: they are no part of the message", () => {
    const register = options([], [], "REGISTER sip:example.com SIP/2.0");
    const parsed = request(`${register}${options([], [], "INVITE sip:joe@example.com SIP/2.0")}`);
    assert.equal(parsed.method, "REGISTER");
    assert.equal(parsed.raw, register);
  });

  it("3.1.1.9 semicolon-separated parameters in a user part", () => {
    const uri = "sip:user;par=u%40example.net@example.com";
    const parsed = tryParseSipUri(uri);
    assert.equal(parsed?.user, "user;par=u%40example.net");
    assert.equal(parsed?.params, "");
    assertForwards(options([], [], `OPTIONS ${uri} SIP/2.0`));
  });

  it("3.1.1.10 Vias of known and unknown transports", () => {
    const transports = ["TCP", "SCTP", "TLS", "UNKNOWN"];
    const text = options(transports.map((transport, i) => `Via: SIP/2.0/${transport} t${i}.example.com;branch=z9hG4bK${i}`));
    assert.equal(request(text).topVia.transport, "TCP");
    assert.equal(request(options([`Via: SIP/2.0/UNKNOWN t;branch=z9hG4bK1`])).topVia.transport, "UNKNOWN");
    assertForwards(text);
  });

  it("3.1.1.11 a multipart body with binary in it passes byte for byte", () => {
    const body = `--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\nContent-Transfer-Encoding: binary\r\n\r\n0\x82\x01R\x06\x09*\x86H\0\r\n\r\n--7a9cbec02ceef655--\r\n`;
    const text = `${options([`l: ${body.length}`], ["Content-Length"], "MESSAGE sip:kumiko@example.org SIP/2.0")}${body}`;
    assert.equal(request(text).body, body);
    assertForwards(text);
  });

  it("3.1.1.12 unusual reason phrase; 3.1.1.13 empty reason phrase", () => {
    for (const reason of ["= 2**3 * 5**2 \xd0\xbd\xd0\xbe \xd1\x81\xd1\x82\xd0\xbe", ""]) {
      const text = options([], ["Max-Forwards"]).replace("OPTIONS sip:user@example.com SIP/2.0", `SIP/2.0 100 ${reason}`);
      assert.equal(response(text).reason, reason);
      assert.equal(new MessageEdit(response(text)).toString(), text);
    }
  });
});

describe("invalid messages, in the manner of RFC 4475 §3.1.2", () => {
  const cases: readonly (readonly [name: string, text: string, want: string])[] = [
    [
      "3.1.2.1 extraneous separators in a Via",
      options(["Via: SIP/2.0/UDP 192.0.2.15;;,;,,"], ["Via"]).replace("\r\n\r\n", '\r\nContact: "Joe" <sip:joe@example.org>;;;;\r\n\r\n'),
      "bad-via 400 answerable",
    ],
    ["3.1.2.2 Content-Length larger than the message", options(["Content-Length: 9999"], ["Content-Length"]), "short-body 400 answerable"],
    ["3.1.2.3 negative Content-Length", options(["Content-Length: -999"], ["Content-Length"]), "bad-content-length 400 answerable"],
    ["3.1.2.4 overlarge CSeq", options(["CSeq: 36893488147419103232 OPTIONS"], ["CSeq"]), "bad-cseq 400 answerable"],
    ["3.1.2.4 overlarge Max-Forwards", options(["Max-Forwards: 300"], ["Max-Forwards"]), "bad-max-forwards 400 answerable"],
    [
      "3.1.2.5 response with an overlarge CSeq",
      options(["CSeq: 9292394834772304023312 OPTIONS"], ["CSeq"]).replace(
        "OPTIONS sip:user@example.com SIP/2.0",
        "SIP/2.0 503 Service Unavailable",
      ),
      "bad-cseq 400",
    ],
    ["3.1.2.6 unterminated quoted string in To", options(['To: "Mr. J. User <sip:j.user@example.com>'], ["To"]), "bad-to 400 answerable"],
    ["3.1.2.7 <> around the Request-URI", options([], [], "INVITE <sip:user@example.com> SIP/2.0"), "bad-request-line 400 answerable"],
    [
      "3.1.2.8 white space in the Request-URI",
      options([], [], "INVITE sip:user@example.com; lr SIP/2.0"),
      "bad-request-line 400 answerable",
    ],
    [
      "3.1.2.9 several spaces in the start line",
      options([], [], "INVITE  sip:user@example.com  SIP/2.0"),
      "bad-request-line 400 answerable",
    ],
    ["3.1.2.10 spaces behind the start line", options([], [], "OPTIONS sip:user@example.com SIP/2.0  "), "bad-request-line 400 answerable"],
    [
      "3.1.2.11 escaped headers in the Request-URI pass as they are",
      options([], [], "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"),
      "accepted",
    ],
    ["3.1.2.12 a date in another time zone is none of a proxy's business", options(["Date: Fri, 01 Jan 2010 16:00:00 EST"]), "accepted"],
    [
      "3.1.2.13 name-addr without <> in a header that a proxy passes on",
      options(["Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"]),
      "accepted",
    ],
    [
      "3.1.2.14 spaces within an addr-spec",
      options(['To: "Watson, Thomas" < sip:t.watson@example.org >'], ["To"]),
      "bad-to 400 answerable",
    ],
    [
      "3.1.2.15 non-token characters in a display name",
      options(["From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43"], ["From"]),
      "bad-from 400 answerable",
    ],
    ["3.1.2.16 unknown protocol version", options([], [], "OPTIONS sip:t.watson@example.org SIP/7.0"), "bad-version 505 answerable"],
    ["3.1.2.17 method of the start line and of CSeq differ", options(["CSeq: 8 INVITE"], ["CSeq"]), "cseq-method 400 answerable"],
    [
      "3.1.2.18 the same with an unknown method",
      options(["CSeq: 8 INVITE"], ["CSeq"], "NEWMETHOD sip:user@example.com SIP/2.0"),
      "cseq-method 400 answerable",
    ],
    [
      "3.1.2.19 overlarge response code",
      options([]).replace("OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 4294967301 better not break the receiver"),
      "bad-status-line 400",
    ],
  ];
  for (const [name, text, want] of cases) {
    it(`${name}: ${want}`, () => {
      if (want !== "accepted") assert.equal(fault(text), want);
      else assertForwards(text);
    });
  }

  it("each that is answered gets an answer that can be parsed, when what it repeats can", () => {
    for (const [name, text] of cases) {
      const parsed = parseMessage(text);
      if (parsed.kind !== "malformed" || parsed.answerable === undefined) continue;
      const answer = buildResponse(parsed.answerable, parsed.status, parsed.reason, { toTag: "t" });
      const again = parseMessage(answer);
      if (/CSeq|in To|in a Via|display name|addr-spec/.test(name)) continue;
      assert.ok(again.kind === "response" && again.status === parsed.status, name);
    }
  });
});

describe("transaction and application layer, in the manner of RFC 4475 §3.2 and §3.3", () => {
  it("3.2.1 a branch that is the cookie and nothing else is read as it is", () => {
    assert.equal(request(options(["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"], ["Via"])).topVia.branch, "z9hG4bK");
  });
  it("3.3.1 missing Call-ID, From and To", () => {
    assert.equal(fault(options([], ["Call-ID", "From", "To"])), "missing-from 400");
  });
  it("3.3.2 Request-URI with an unknown scheme; 3.3.3 with a known one that is not SIP; 3.3.4 unknown schemes in To and From", () => {
    for (const uri of ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002"]) {
      const text = options([`To: <${uri}>`], ["To"], `OPTIONS ${uri} SIP/2.0`);
      assert.equal(request(text).uri, uri);
      assert.equal(request(text).to.uri, uri);
      assert.equal(tryParseSipUri(uri), undefined);
      assert.ok(uriScheme(uri) !== "");
    }
  });
  it("3.3.5 Proxy-Require and Require can be listed", () => {
    const parsed = request(
      options([
        "Require: nothingSupportsThis, nothingSupportsThisEither",
        "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
      ]),
    );
    assert.deepEqual(parsed.list(H.Require), ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert.deepEqual(parsed.list(H.ProxyRequire), ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
  });
  it("3.3.8 several values in fields that take one", () => {
    const lines = [
      "CSeq: 8 OPTIONS",
      "From: <sip:other@example.net>;tag=8",
      "To: <sip:other@example.com>",
      "Call-ID: other",
      "Max-Forwards: 5",
      "Content-Length: 1",
    ];
    for (const line of lines) assert.match(fault(options([line])), /^duplicate-[a-z-]+ 400 answerable$/, line);
  });
  it("3.3.9 several Content-Length values", () =>
    assert.equal(fault(options(["Content-Length: 8"])), "duplicate-content-length 400 answerable"));
  it("3.3.10 a 200 with a broadcast Via is a message; where it goes is for others to refuse", () => {
    const text = options(["Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1;received=255.255.255.255"]).replace(
      "OPTIONS sip:user@example.com SIP/2.0",
      "SIP/2.0 200 OK",
    );
    assert.equal(response(text).topVia.received, "255.255.255.255");
  });
  it("3.3.11 Max-Forwards of zero", () => assert.equal(request(options(["Max-Forwards: 0"], ["Max-Forwards"])).maxForwards, 0));
  it("3.3.13 unknown URI and header parameters", () => {
    const text = options(["Contact: <sip:+19725552222@gw1.example.net;unknownparam>;q=0.9;another=x"]);
    assertForwards(text);
    assert.equal(uriParam(";unknownparam;lr", "unknownparam"), "");
  });
});

describe("backward compatibility, in the manner of RFC 4475 §3.4.1", () => {
  it("an INVITE of RFC 2543: no branch, no tag, no Max-Forwards, no Content-Length", () => {
    const text = message(
      [
        "INVITE sip:UserB@example.com SIP/2.0",
        "Via: SIP/2.0/UDP iftgw.example.com;x=1",
        "From: <sip:+13035551111@ift.client.example.net;user=phone>",
        "Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>",
        "To: sip:+16505552222@ss1.example.net;user=phone",
        "Call-ID: inv2543.1717@ift.client.example.com",
        "CSeq: 56 INVITE",
        "Content-Type: application/sdp",
      ],
      "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.5\r\n",
    );
    const parsed = request(text);
    assert.equal(parsed.topVia.branch, "");
    assert.equal(viaParam(parsed.topVia, "x"), "1");
    assert.equal(parsed.fromTag, "");
    assert.equal(parsed.maxForwards, undefined);
    assert.equal(parsed.body.length, 48);
    assertForwards(text);
  });
});
