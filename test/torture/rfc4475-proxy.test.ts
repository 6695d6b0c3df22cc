import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { H } from "../../src/sip/index.ts";
import { request, response } from "../sip/messages.ts";
import { delivered } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf } from "../support/sip-messages.ts";
import { messageOf, messagesOf } from "./fixtures.ts";
import { asAnswerTo, assertAnswered, assertDropped, assertForwardedAsIs, passed } from "./through-proxy.ts";

/** The SHA-256 of the messages of §3.1.1, as their archive in appendix A has them: these are the ones that turn on single bytes. */
const SUMS: Readonly<Record<string, string>> = {
  wsinv: "d6f6cdee99cd0a1f8e3d9a0fdd67c877700e19ab86d8186dada06f61260e3e61",
  intmeth: "b957a8292c1c0a9851fe94705b90f94320738f43aacde64998e401f742ef688d",
  esc01: "be3a316d4ce5f69cad474646191e390dd4b50fc8371e44b5197fe1237781973e",
  escnull: "263fe2ecd12a5ccbb6c67b3174e9211d11da9b600e7d69666a86d2ee42873e90",
  esc02: "9a9c59449f00327b02071feafc8e5c2a261c98c818044167894cc17809a12199",
  lwsdisp: "d1b36b6316c12824f6f04bf6b1fd1f021cade9b74871693b9c3474cd9fa7f4e6",
  longreq: "185739292bc676760e5b1cca77c87705aa570240171c506ad76f8c35af0ecdaa",
  dblreq: "a6be48426565c2a705389c4ce2ea17e57b891cb13f80490a2cb9392c797b46ef",
  semiuri: "87bbaed6b4b354dbd3c5c7a20e66686303c63e43a0aa19b89de1ac75231611a2",
  transports: "33b4553a3b9418121b099ff07882535151edd6a1e81898c63a916aad2cbf90bc",
  mpart01: "92147c8e24997bac59629e1b163767697d0d6d499af87f89e325d69968bec3ba",
  unreason: "4f939d6ebf4817eea70f011d3209e83732872ffc20ffd304b244084dc392f4d7",
  noreason: "07e11e470a69fffa3674de805e5165d1351a9439a91045ee70c9570ea24ab4fe",
};

/** Bytes of the body, where Content-Length says otherwise on purpose or there is none. */
const UNTRUE_LENGTHS: readonly string[] = ["clerr", "ncl", "dblreq", "mcl01", "inv2543"];

describe("the messages of RFC 4475", () => {
  it("are all there, 49", () => assert.equal(messagesOf("rfc4475").size, 49));

  for (const [name, sum] of Object.entries(SUMS)) {
    it(`${name} has the bytes that its archive has`, () => {
      const bytes = Buffer.from(messageOf("rfc4475", name), "latin1");
      assert.equal(createHash("sha256").update(bytes).digest("hex"), sum);
    });
  }

  it("have bodies as long as their Content-Length says, but for those that are about that", () => {
    for (const [name, text] of messagesOf("rfc4475")) {
      if (UNTRUE_LENGTHS.includes(name)) continue;
      const end = text.indexOf("\r\n\r\n");
      const length = /^(?:content-length|l) *: *(\d+)/im.exec(text.slice(0, end))?.[1];
      assert.equal(text.length - end - 4, Number(length), name);
    }
  });
});

/** What a proxy has to do, and what the RFC says of it. */
type Case = readonly [name: string, what: "forwarded" | "dropped" | number, says: string];

const CASES: readonly Case[] = [
  ["intmeth", "forwarded", "3.1.1.2: a proxy will forward this request normally"],
  ["esc01", "forwarded", "3.1.1.3: a well-formed message; nothing is unescaped on the way"],
  ["escnull", "forwarded", "3.1.1.4: a parser must accept this as a well-formed message"],
  ["esc02", "forwarded", "3.1.1.5: a method that is unknown, and is not REGISTER"],
  ["lwsdisp", "forwarded", "3.1.1.6: no white space between a display name and < is legal"],
  ["longreq", "forwarded", "3.1.1.7: long values are well formed"],
  ["semiuri", "forwarded", "3.1.1.9: the semicolons are of the user part"],
  ["transports", "forwarded", "3.1.1.10: known and unknown transports in Via"],
  ["badinv01", 400, "3.1.2.1: should respond with a 400"],
  ["clerr", 400, "3.1.2.2: Content-Length larger than the datagram is 400"],
  ["ncl", 400, "3.1.2.3: a negative Content-Length is an error"],
  ["scalar02", 400, "3.1.2.4: should respond with a 400, for CSeq"],
  ["scalarlg", "dropped", "3.1.2.5: a response with such values is discarded"],
  ["quotbal", 400, "3.1.2.6: should respond with a 400"],
  ["ltgtruri", 400, "3.1.2.7: it is reasonable to reject it with a 400"],
  ["lwsruri", 400, "3.1.2.8: an element may reject it with a 400"],
  ["lwsstart", 400, "3.1.2.9: it is acceptable to reject it as malformed"],
  ["trws", 400, "3.1.2.10: it is acceptable to reject it as malformed"],
  ["baddate", "forwarded", "3.1.2.12: a proxy has no need to look at the Date"],
  ["regbadct", "forwarded", "3.1.2.13: the Contact is for the registrar to refuse"],
  ["badaspec", 400, "3.1.2.14: it is acceptable to reject it with a 400"],
  ["baddn", 400, "3.1.2.15: it is acceptable to reject it with a 400"],
  ["badvers", 505, "3.1.2.16: should respond with a 505"],
  ["mismatch01", 400, "3.1.2.17: should respond with a 400"],
  ["mismatch02", 400, "3.1.2.18: 501, or 400 as here"],
  ["bigcode", "dropped", "3.1.2.19: must be discarded"],
  ["badbranch", "forwarded", "3.2.1: it may fall back to the transaction identifiers of RFC 2543"],
  ["insuf", "dropped", "3.3.1: must not break; there is no Call-ID, From and To that an answer could repeat"],
  ["unkscm", 416, "3.3.2: must be rejected with a 416"],
  ["novelsc", 416, "3.3.3: must be rejected with a 416"],
  ["unksm2", "forwarded", "3.3.4: schemes in To, From and Contact are none of a proxy's business"],
  ["bext01", 420, "3.3.5: a proxy rejects it with a 420"],
  ["invut", "forwarded", "3.3.6: only endpoints look at Content-Type"],
  ["regaut01", "forwarded", "3.3.7: a proxy forwards an Authorization of any scheme"],
  ["multi01", 400, "3.3.8: an element would respond with a 400"],
  ["mcl01", 400, "3.3.9: should respond with a 400"],
  ["bcast", "dropped", "3.3.10: a response whose top Via is not ours must be discarded"],
  ["zeromf", 483, "3.3.11: it must not be forwarded, and 483 is the answer"],
  ["cparam01", "forwarded", "3.3.12: an unknown parameter of Contact"],
  ["cparam02", "forwarded", "3.3.13: an unknown parameter of the URI in Contact"],
  ["regescrt", "forwarded", "3.3.14: escaped headers in the URI of a Contact are for the registrar"],
  ["sdp01", "forwarded", "3.3.15: only endpoints look at Accept"],
];

describe("a message of RFC 4475 at the proxy", () => {
  for (const [name, what, says] of CASES) {
    it(`${name} is ${typeof what === "number" ? `answered ${what}` : what} (${says})`, () => {
      const text = messageOf("rfc4475", name);
      const passage = passed(text);
      if (what === "forwarded") assertForwardedAsIs(text, passage);
      else if (what === "dropped") assertDropped(passage);
      else assertAnswered(text, what, passage);
    });
  }

  it("wsinv is well formed (3.1.1.1): it has a To tag of no call here, so 481; without that and its Route it is forwarded as it is", () => {
    const text = messageOf("rfc4475", "wsinv");
    assertAnswered(text, 481, passed(text));
    const initial = text.replace(" ;   tag    = 1918181833n", "").replace(/Route:\r\n [^\r]*\r\n/, "");
    const passage = passed(initial);
    assertForwardedAsIs(initial, passage);
    const forwarded = passage.forwarded[0]!;
    assert.ok(forwarded.includes("\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"), "an unknown header is not interpreted");
    assert.ok(forwarded.includes("\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"), "folding stays as it is");
    assert.equal(request(forwarded).list(H.Via).length, 4);
  });

  it("dblreq ends with its Content-Length (3.1.1.8): the REGISTER is forwarded, and nothing of what is behind it", () => {
    const text = messageOf("rfc4475", "dblreq");
    const passage = passed(text);
    assertForwardedAsIs(text.slice(0, text.indexOf("\r\n\r\n") + 4), passage);
    assert.ok(!passage.forwarded[0]!.includes("INVITE"));
  });

  it("mpart01 has a Route that is not ours, which is 403 here; without it the binary body passes byte for byte (3.1.1.11)", () => {
    const text = messageOf("rfc4475", "mpart01");
    assertAnswered(text, 403, passed(text));
    const initial = text.replace("Route: <sip:127.0.0.1:5080>\r\n", "");
    const passage = passed(initial);
    assert.match(headersOf(passage.forwarded[0]!, "Via")[1]!, /-d87543-;rport=5060;received=198\.51\.100\.1$/);
    assert.ok(passage.forwarded[0]!.endsWith(text.slice(text.indexOf("\r\n\r\n"))));
    passage.net.finish();
  });

  it("unreason is no answer to anything of ours: dropped; as an answer to a call it passes with its reason phrase (3.1.1.12)", () => {
    const text = messageOf("rfc4475", "unreason");
    assertDropped(passed(text));
    const net = new SimNetwork();
    const call = delivered(net);
    call.callee.send(asAnswerTo(call.delivered, text));
    const answer = call.caller.take(200);
    assert.equal(answer.split("\r\n", 1)[0], text.split("\r\n", 1)[0]);
    assert.equal(response(answer).body, response(text).body);
  });

  it("noreason is a 100 with an empty reason phrase (3.1.1.13): taken as one, and as every 100 it stays here", () => {
    const text = messageOf("rfc4475", "noreason");
    assertDropped(passed(text));
    const net = new SimNetwork();
    const call = delivered(net);
    call.callee.send(asAnswerTo(call.delivered, text));
    call.caller.assertSilent();
    net.run(4_000);
    call.callee.assertSilent();
    call.respond(200);
    call.caller.take(200);
  });

  it("escruri is forwarded without the headers of its Request-URI: they must not appear there, nor as headers (3.1.2.11)", () => {
    const text = messageOf("rfc4475", "escruri");
    const passage = passed(text);
    assertForwardedAsIs(text, passage, "sip:user@example.com");
    assert.equal(request(passage.forwarded[0]!).indexOf(H.Route), -1);
  });

  it("badbranch: requests with a branch that is the cookie alone are told apart by what RFC 2543 has (3.2.1)", () => {
    const text = messageOf("rfc4475", "badbranch");
    const { net } = passed(text);
    net.peer("198.51.100.1").send(text);
    assert.equal(net.sent.length, 1, "a copy is a copy");
    net.peer("198.51.100.1").send(text.replace("CSeq: 8 ", "CSeq: 9 "));
    assert.equal(net.sent.length, 2, "another request of the same Call-ID is another request");
    net.finish();
  });

  it("bext01 is told which of its Proxy-Require are unknown; Require is not for us (3.3.5)", () => {
    const text = messageOf("rfc4475", "bext01");
    const answer = assertAnswered(text, 420, passed(text));
    assert.equal(headerOf(answer, "Unsupported"), "noProxiesSupportThis, norDoAnyProxiesSupportThis");
  });

  it("badvers is answered in our version, with the Via that it has (3.1.2.16)", () => {
    const text = messageOf("rfc4475", "badvers");
    const answer = assertAnswered(text, 505, passed(text));
    assert.match(headerOf(answer, "Via"), /^SIP\/7\.0\/UDP c\.example\.com;branch=z9hG4bKkdjuw;received=198\.51\.100\.1$/);
  });

  it("inv2543 has no tag in From, which a call here must have: 400; with one it is forwarded, without branch and Content-Length (3.4.1)", () => {
    const text = messageOf("rfc4475", "inv2543");
    assertAnswered(text, 400, passed(text));
    const tagged = text.replace("user=phone>", "user=phone>;tag=1");
    const passage = passed(tagged);
    assert.equal(passage.forwarded.length, 1);
    assert.equal(headerOf(passage.forwarded[0]!, "Max-Forwards"), "70");
    assert.equal(request(passage.forwarded[0]!).body, request(text).body);
    assert.equal(headersOf(passage.forwarded[0]!, "Record-Route").length, 2);
    passage.net.finish();
  });

  it("every message is in one of these tests", () => {
    const known = new Set(CASES.map(([name]) => name));
    for (const name of ["wsinv", "dblreq", "mpart01", "unreason", "noreason", "escruri", "inv2543"]) known.add(name);
    assert.deepEqual([...known].sort(), [...messagesOf("rfc4475").keys()].sort());
  });

  it("all of them, one after the other, leave a proxy behind that takes calls", () => {
    const { net } = passed(messageOf("rfc4475", "wsinv"));
    for (const text of messagesOf("rfc4475").values()) net.peer("198.51.100.1").send(text);
    net.finish();
    for (const address of ["198.51.100.1", "203.0.113.1"]) net.peer(address).clear();
    delivered(net).answerWith(200);
  });
});
