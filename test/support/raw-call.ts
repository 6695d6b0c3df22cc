import assert from "node:assert/strict";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "./sip-messages.ts";
import type { UdpPeer } from "./udp-peer.ts";

/** Where the balancer takes SIP. */
export interface Proxy {
  readonly address: string;
  readonly port: number;
}

/** A call that is up between two peers that do everything by hand. */
export interface RawCall {
  readonly callId: string;
  /** The INVITE as the caller sent it, and as the callee got it. */
  readonly invite: string;
  readonly delivered: string;
  /** A request inside the dialog, from the caller to the callee. */
  fromCaller(method: string, cseq: number): string;
  /** A request inside the dialog, from the callee to the caller. */
  fromCallee(method: string, cseq: number): string;
}

/** Makes a call by hand: INVITE, 180, 200, ACK. */
export async function establish(proxy: Proxy, caller: UdpPeer, callee: UdpPeer): Promise<RawCall> {
  const toTag = unique("t");
  const invite = request({ uri: `sip:service@${proxy.address}:${proxy.port}`, sentBy: caller.sentBy });
  caller.send(invite, proxy);
  const delivered = await callee.nextRequest("INVITE");
  const contact = `Contact: <sip:callee@${callee.sentBy}>`;
  callee.send(responseTo(delivered, 180, { toTag, headers: [contact] }), proxy);
  callee.send(responseTo(delivered, 200, { toTag, headers: [contact] }), proxy);
  const answer = await caller.nextFinal("INVITE");
  assert.equal(statusOf(answer), 200);

  const uriOf = (nameAddr: string): string => /<([^>]*)>/.exec(nameAddr)?.[1] ?? nameAddr;
  const from = headerOf(answer, "From");
  const to = headerOf(answer, "To");
  const callId = headerOf(answer, "Call-ID");
  const call: RawCall = {
    callId,
    invite,
    delivered,
    fromCaller: (method, cseq) =>
      request({
        method,
        uri: uriOf(headerOf(answer, "Contact")),
        sentBy: caller.sentBy,
        from,
        to,
        callId,
        cseq,
        routes: headersOf(answer, "Record-Route").reverse(),
      }),
    fromCallee: (method, cseq) =>
      request({
        method,
        uri: uriOf(headerOf(delivered, "Contact")),
        sentBy: callee.sentBy,
        from: to,
        to: from,
        callId,
        cseq,
        routes: headersOf(delivered, "Record-Route"),
      }),
  };
  caller.send(call.fromCaller("ACK", 1), proxy);
  await callee.nextRequest("ACK");
  return call;
}
