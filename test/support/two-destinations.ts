import assert from "node:assert/strict";
import { type Headroom, type Row, startHeadroom } from "./headroom.ts";
import type { RawCall } from "./raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "./sip-messages.ts";
import { UdpPeer } from "./udp-peer.ts";

const CALLER = "127.0.21.91";
const CALLEES = ["127.0.21.92", "127.0.21.93"] as const;
const FINAL_TIMEOUT_MS = 5_000;

/** The program with two destinations that do everything by hand. */
export interface Bench {
  readonly headroom: Headroom;
  readonly caller: UdpPeer;
  readonly one: UdpPeer;
  readonly two: UdpPeer;
  close(): Promise<void>;
}

export async function openBench(config: string, resources: readonly [string, string]): Promise<Bench> {
  const [caller, one, two] = (await Promise.all([CALLER, ...CALLEES].map((address) => UdpPeer.open(address)))) as [
    UdpPeer,
    UdpPeer,
    UdpPeer,
  ];
  const rows: Row[] = [one, two].map(({ sentBy }, i) => ({ uri: `sip:${sentBy}`, resources: resources[i] as string }));
  const headroom = await startHeadroom(config, rows);
  return {
    headroom,
    caller,
    one,
    two,
    async close() {
      await headroom.stop();
      await Promise.all([caller, one, two].map((peer) => peer.close()));
    },
  };
}

export function serviceOf({ address, port }: Headroom): string {
  return `sip:service@${address}:${port}`;
}

/** Sends an INVITE. @returns its Call-ID */
export function sendInvite({ headroom, caller }: Bench, uri: string = serviceOf(headroom)): string {
  const invite = request({ uri, sentBy: caller.sentBy });
  caller.send(invite, headroom);
  return headerOf(invite, "Call-ID");
}

/** Sends an INVITE and waits for its final answer, which is acknowledged by nobody and so may come again. */
export async function finalOf(bench: Bench, uri?: string): Promise<string> {
  const callId = sendInvite(bench, uri);
  return finalFor(bench.caller, callId);
}

export async function finalFor(peer: UdpPeer, callId: string): Promise<string> {
  return peer.next("final response", (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId, FINAL_TIMEOUT_MS);
}

/** The next INVITE of this call at `callee`; copies of those of other calls are passed over. */
export async function inviteAt(callee: UdpPeer, callId: string): Promise<string> {
  return callee.next("INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId);
}

/** The caller hangs up, and the other side agrees. */
export async function hangUp(headroom: Headroom, call: RawCall, caller: UdpPeer, callee: UdpPeer): Promise<void> {
  caller.send(call.fromCaller("BYE", 2), headroom);
  callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
  assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
  await headroom.untilIdle();
}

/** The callee takes a call that waits at it; the caller hangs up. */
export async function answerAndHangUp({ headroom, caller }: Bench, callee: UdpPeer, delivered: string): Promise<void> {
  callee.send(responseTo(delivered, 200, { toTag: "answers", headers: [`Contact: <sip:callee@${callee.sentBy}>`] }), headroom);
  const answer = await finalFor(caller, headerOf(delivered, "Call-ID"));
  assert.equal(statusOf(answer), 200);
  const inside = (method: string, cseq: number): string =>
    request({
      method,
      cseq,
      uri: `sip:callee@${callee.sentBy}`,
      sentBy: caller.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
      callId: headerOf(answer, "Call-ID"),
      routes: [headerOf(answer, "Record-Route")],
    });
  caller.send(inside("ACK", 1), headroom);
  await callee.nextRequest("ACK");
  caller.send(inside("BYE", 2), headroom);
  callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
  assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
  await headroom.untilIdle();
}
