import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseMaxBreadth, SipSyntaxError } from "../../src/sip/index.ts";
import { delivered, established, invite } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headersOf, responseTo, statusOf } from "../support/sip-messages.ts";

const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";

describe("RFC 5393 §5: Max-Breadth", () => {
  it("a request without one gets 60, the recommended value", () => {
    assert.deepEqual(headersOf(delivered(new SimNetwork()).delivered, "Max-Breadth"), ["60"]);
  });

  it("one that came goes on as it is: branches follow each other here, so each may have it all (§5.3.3.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Max-Breadth: 1"] });
    assert.deepEqual(headersOf(call.delivered, "Max-Breadth"), ["1"]);
    call.respond(503);
    assert.deepEqual(headersOf(net.peer(SECOND).take("INVITE"), "Max-Breadth"), ["1"]);
  });

  it("with none left the request is answered 440 and goes nowhere, of whatever method and inside a call, too", () => {
    const net = new SimNetwork();
    const { caller } = invite(net, { headers: ["Max-Breadth: 0"] });
    assert.match(caller.take(440), /^SIP\/2\.0 440 Max-Breadth Exceeded\r\n/);
    net.peer(FIRST).assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    const call = established(net);
    for (const [i, method] of ["INFO", "OPTIONS", "BYE"].entries()) {
      call.caller.send(call.fromCaller(method, i + 2, { headers: ["Max-Breadth: 0"] }));
      assert.equal(statusOf(call.caller.take(440)), 440, method);
    }
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("an OPTIONS for us goes no further, so it is answered whatever is left", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(
      call.invite
        .replaceAll("INVITE", "OPTIONS")
        .replace(/Via: .*/, `$&x\r\nMax-Breadth: 0`)
        .replace(/Call-ID: /, "$&o"),
    );
    call.caller.take(200);
  });

  it("one that is no number is answered 400", () => {
    for (const value of ["", "-1", "x", "1.5", "99999999999999999999", "1 2"]) {
      const net = new SimNetwork();
      const { caller } = invite(net, { headers: [`Max-Breadth: ${value}`] });
      assert.match(caller.take(400), /^SIP\/2\.0 400 Bad Max-Breadth\r\n/, value);
      net.finish();
    }
  });

  it("inside a call nobody forks, so none is added, and one that came passes", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2));
    const info = call.callee.take("INFO");
    assert.deepEqual(headersOf(info, "Max-Breadth"), []);
    call.callee.send(responseTo(info, 200));
    call.caller.send(call.fromCaller("INFO", 3, { headers: ["Max-Breadth: 7"] }));
    assert.deepEqual(headersOf(call.callee.take("INFO"), "Max-Breadth"), ["7"]);
  });

  it("is a number from 0 to 2147483647", () => {
    assert.equal(parseMaxBreadth(" 0060 "), 60);
    assert.equal(parseMaxBreadth("2147483647"), 2_147_483_647);
    for (const text of ["", "2147483648", "-1", "0x1"]) assert.throws(() => parseMaxBreadth(text), SipSyntaxError, text);
  });
});
