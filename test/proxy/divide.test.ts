import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ShareOfFormer, ShareOfNext } from "../../src/proxy/index.ts";
import { parseMessage, type SipRequest, type SipResponse } from "../../src/sip/index.ts";
import type { Endpoint } from "../../src/transaction/index.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, request, responseTo } from "../support/sip-messages.ts";

const CALLER = "198.51.100.1";
const OURS = "192.0.2.1:5060";

interface Half {
  readonly net: SimNetwork;
  readonly passed: string[];
}

function sourceOf(net: SimNetwork): Endpoint {
  return { transport: "udp", address: CALLER, port: 5060, listener: net.listener4 };
}

function read(text: string): SipRequest | SipResponse {
  const message = parseMessage(text);
  assert.notEqual(message.kind, "malformed", text);
  return message as SipRequest | SipResponse;
}

function inviteText(callId: string, branch: string): string {
  return request({ uri: "sip:service@192.0.2.1", sentBy: `${CALLER}:5060`, callId, branch, from: `<sip:a@${CALLER}>;tag=a` });
}

function inside(text: string, method: string, toTag: string, cseq = 2): string {
  return request({
    ...{ method, cseq, uri: "sip:service@192.0.2.1", sentBy: `${CALLER}:5060`, callId: headerOf(text, "Call-ID") },
    ...{ from: headerOf(text, "From"), to: `${headerOf(text, "To")};tag=${toTag}` },
  });
}

/** Of the branch of another request: its ACK or CANCEL. */
function of(text: string, method: string): string {
  return text.replace(/^INVITE/, method).replace("CSeq: 1 INVITE", `CSeq: 1 ${method}`);
}

function former(): Half & { share: ShareOfNext } {
  const net = new SimNetwork();
  const passed: string[] = [];
  const share = new ShareOfNext(net.core, (text) => passed.push(text));
  return { net, passed, share };
}

function next(): Half & { share: ShareOfFormer } {
  const net = new SimNetwork();
  const passed: string[] = [];
  const share = new ShareOfFormer(net.core, (text) => passed.push(text));
  return { net, passed, share };
}

describe("two processes that share an address", () => {
  it("the one that takes over leaves copies, ACK and CANCEL of requests that the other one has begun to it, and takes all others", () => {
    const { net, passed, share } = next();
    const invite = inviteText("call-1", "z9hG4bKold");
    const before = new SimNetwork();
    before.proxy.receive(invite, sourceOf(before));
    share.note(before.layer.knownRequests());
    const taken = (text: string): boolean => share.takes(read(text), text, sourceOf(net));
    assert.ok(taken(invite));
    assert.ok(taken(of(invite, "CANCEL")));
    assert.ok(taken(of(invite, "ACK").replace(/To: [^\r]*/, "$&;tag=b")));
    // The same request by another way (RFC 3261 §8.2.2.2) is refused by who has the first one.
    assert.ok(taken(inviteText("call-1", "z9hG4bKother")));
    assert.equal(passed.length, 4);
    assert.ok(!taken(inviteText("call-2", "z9hG4bKnew")));
    assert.ok(!taken(of(inviteText("call-2", "z9hG4bKnew"), "CANCEL")));
  });

  it("answers go to who has sent the request; what neither has sent is looked at by the one before first", () => {
    const { net, passed, share } = next();
    net.proxy.receive(inviteText("call-1", "z9hG4bKmine"), sourceOf(net));
    const [sent] = [...net.dialogs.list()];
    assert.ok(sent !== undefined);
    const answer = (branch: string): string =>
      responseTo(request({ sentBy: OURS, branch, callId: "call-1", from: "<sip:a@198.51.100.1>;tag=a" }), 180, { toTag: "b" });
    const mine = answer(sent.inviteBranch);
    assert.ok(!share.takes(read(mine), mine, sourceOf(net)));
    const other = answer("z9hG4bKtheirs");
    assert.ok(share.takes(read(other), other, sourceOf(net)));
    assert.deepEqual(passed, [other]);
  });

  it("requests inside a call go to who sets it up, their copies too when the call has been handed over, and those of unknown calls to the one before", () => {
    const { net, passed, share } = next();
    const invite = inviteText("call-1", "z9hG4bKmine");
    net.proxy.receive(invite, sourceOf(net));
    const [dialog] = [...net.dialogs.list()];
    assert.ok(dialog !== undefined);
    const prack = inside(invite, "PRACK", "b");
    assert.ok(!share.takes(read(prack), prack, sourceOf(net)));
    share.calls.add(dialog.did);
    assert.ok(share.takes(read(prack), prack, sourceOf(net)));
    share.calls.delete(dialog.did);
    assert.ok(share.takes(read(prack), prack, sourceOf(net)));
    const info = inside(invite, "INFO", "b", 3);
    assert.ok(!share.takes(read(info), info, sourceOf(net)));
    const unknown = inside(inviteText("call-9", "z9hG4bKx"), "BYE", "b");
    assert.ok(share.takes(read(unknown), unknown, sourceOf(net)));
    assert.deepEqual(passed, [prack, prack, unknown]);
  });

  it("the one before keeps what it has begun, and gives the rest away; while it still has the sockets it only leaves registrations", () => {
    const { net, passed, share } = former();
    const invite = inviteText("call-1", "z9hG4bKold");
    net.proxy.receive(invite, sourceOf(net));
    const taken = (text: string): boolean => share.takes(read(text), text, sourceOf(net));
    const register = request({ method: "REGISTER", uri: "sip:192.0.2.1", sentBy: `${CALLER}:5060` });
    const other = inviteText("call-2", "z9hG4bKnew");
    assert.ok(taken(register));
    assert.ok(!taken(other));
    assert.deepEqual(passed, []);
    share.hasSwitched = true;
    assert.ok(!taken(invite));
    assert.ok(!taken(of(invite, "CANCEL")));
    assert.ok(!taken(inside(invite, "PRACK", "b")));
    assert.ok(taken(other));
    assert.ok(taken(inside(other, "BYE", "b")));
    assert.ok(taken(register));
    const [dialog] = [...net.dialogs.list()];
    assert.ok(dialog !== undefined);
    dialog.pending = undefined; // it was answered, and is the other one's
    assert.ok(taken(inside(invite, "BYE", "b")));
    assert.equal(passed.length, 4);
  });

  it("a message that was looked at by the other one is processed, whoever it seems to belong to", () => {
    const { net, passed, share } = next();
    net.core.divide = share;
    const invite = inviteText("call-1", "z9hG4bKold");
    share.note([...knownOf(invite)]);
    net.proxy.receive(invite, sourceOf(net));
    assert.equal(net.dialogs.size, 0);
    net.proxy.receive(invite, sourceOf(net), true);
    assert.equal(net.dialogs.size, 1);
    assert.deepEqual(passed, [invite]);
  });
});

function knownOf(invite: string): Iterable<string> {
  const net = new SimNetwork();
  net.proxy.receive(invite, sourceOf(net));
  return net.layer.knownRequests();
}
