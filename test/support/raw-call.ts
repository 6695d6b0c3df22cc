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

/** What is not as usual about a call. */
export interface CallOptions {
  /** Request-URI; without it one of the proxy. */
  readonly uri?: string;
  /** Where the callee reaches the proxy, when that is not where the caller does. */
  readonly calleeProxy?: Proxy;
  /** Further headers of the INVITE. */
  readonly headers?: readonly string[];
}

/** Makes a call by hand: INVITE, 180, 200, ACK. */
export async function establish(proxy: Proxy, caller: UdpPeer, callee: UdpPeer, options: CallOptions = {}): Promise<RawCall> {
  const { uri = `sip:service@${proxy.address}:${proxy.port}`, calleeProxy = proxy, headers = [] } = options;
  const toTag = unique("t");
  const invite = request({ uri, sentBy: caller.sentBy, headers });
  caller.send(invite, proxy);
  // Of this call: answers to others that nobody acknowledged come again.
  const callId = headerOf(invite, "Call-ID");
  const delivered = await callee.next("the INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId);
  const contact = `Contact: <sip:callee@${callee.sentBy}>`;
  callee.send(responseTo(delivered, 180, { toTag, headers: [contact] }), calleeProxy);
  callee.send(responseTo(delivered, 200, { toTag, headers: [contact] }), calleeProxy);
  const answer = await caller.next("its final answer", (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId);
  assert.equal(statusOf(answer), 200);

  const uriOf = (nameAddr: string): string => /<([^>]*)>/.exec(nameAddr)?.[1] ?? nameAddr;
  const from = headerOf(answer, "From");
  const to = headerOf(answer, "To");
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
        routes: routesOf(answer).reverse(),
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
        routes: routesOf(delivered),
      }),
  };
  caller.send(call.fromCaller("ACK", 1), proxy);
  await callee.nextRequest("ACK");
  return call;
}

/** The Record-Routes of a message, one value each. Those of the tests have no comma inside. */
export function routesOf(message: string): string[] {
  return headersOf(message, "Record-Route").flatMap((line) => line.split(/\s*,\s*/));
}
