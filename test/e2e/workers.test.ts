import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { runCaller, startCallee } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.90.1";
const CALLER = "127.0.90.2";
const CALLEE = "127.0.90.3";

/** A route that has the thread die which handles a call to `crash`. */
const SCRIPT = `export function request(call) {
  if (call.ruriUser === "crash") process.exit(9);
  if (call.lb.start(1, "pstn")) call.relay();
  else call.reply(503, "No destination");
}
`;

interface Place {
  readonly address: string;
  readonly port: number;
}

interface Call {
  readonly invite: string;
  readonly delivered: string;
  readonly answer: string;
  /** The port of ours that requests inside the call go to. */
  readonly port: number;
}

function placeIn(text: string): Place {
  const [, address = "", port = "0"] = /(127\.[\d.]+):(\d+)/.exec(text) ?? [];
  return { address, port: Number(port) };
}

/** As a callee answers: to where the topmost Via says. */
function answer(callee: UdpPeer, received: string, status: number, toTag = "callee"): void {
  const headers = [`Contact: <sip:callee@${callee.sentBy}>`];
  callee.send(responseTo(received, status, { toTag, headers }), placeIn(headersOf(received, "Via")[0]!));
}

function ofCall(text: string, callId: string): boolean {
  return headerOf(text, "Call-ID") === callId;
}

function inside(call: Call, method: string, from: "caller" | "callee", peer: UdpPeer): string {
  const { delivered, answer: final } = call;
  const [own, other] = from === "caller" ? ["From", "To"] : ["To", "From"];
  return request({
    method,
    uri: /<(.*)>/.exec(headerOf(from === "caller" ? final : delivered, "Contact"))![1]!,
    ...{ sentBy: peer.sentBy, from: headerOf(final, own), to: headerOf(final, other), callId: headerOf(final, "Call-ID") },
    cseq: method === "ACK" ? 1 : 2,
    routes: headersOf(delivered, "Record-Route"),
  });
}

describe("two threads that handle SIP", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-workers-"));
    const script = join(folder, "route.ts");
    writeFileSync(script, SCRIPT);
    [caller, callee] = [await UdpPeer.open(CALLER), await UdpPeer.open(CALLEE)];
    headroom = await startHeadroom(
      `sip: { workers: 2 }\ntm: { fr_timeout: 5 }\nrouting: { script: "${script}", rules: [] }`,
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=100" }],
      ADDRESS,
    );
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all([caller?.close(), callee?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function begin(user = "service"): Promise<string> {
    const invite = request({ uri: `sip:${user}@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    caller.send(invite, headroom);
    return invite;
  }

  async function establish(): Promise<Call> {
    const invite = await begin();
    const callId = headerOf(invite, "Call-ID");
    const delivered = await callee.next("the INVITE", (text) => text.startsWith("INVITE ") && ofCall(text, callId));
    answer(callee, delivered, 200);
    const final = await caller.next("the answer", (text) => statusOf(text) === 200 && ofCall(text, callId));
    const route = placeIn(headerOf(delivered, "Record-Route"));
    const call = { invite, delivered, answer: final, port: route.port };
    caller.send(inside(call, "ACK", "caller", caller), route);
    await callee.next("the ACK", (text) => text.startsWith("ACK ") && ofCall(text, callId));
    return call;
  }

  async function hangUp(call: Call, from: "caller" | "callee"): Promise<void> {
    const [one, other] = from === "caller" ? [caller, callee] : [callee, caller];
    const callId = headerOf(call.answer, "Call-ID");
    one.send(inside(call, "BYE", from, one), { address: ADDRESS, port: call.port });
    const bye = await other.next("the BYE", (text) => text.startsWith("BYE ") && ofCall(text, callId));
    other.send(responseTo(bye, 200), placeIn(headersOf(bye, "Via")[0]!));
    await one.next("its answer", (text) => statusOf(text) === 200 && ofCall(text, callId) && headerOf(text, "CSeq").includes("BYE"));
  }

  async function dialogs(): Promise<number> {
    return ((await headroom.mi("dlg_list")) as { Dialogs: unknown[] }).Dialogs.length;
  }

  it("share calls of one caller, each named at a port of its own; loads and lists show those of both, and either side hangs up", async () => {
    const calls: Call[] = [];
    for (let i = 0; i < 16; i++) calls.push(await establish());
    assert.deepEqual([...new Set(calls.map(({ port }) => port))].sort(), [headroom.port + 1, headroom.port + 2]);
    assert.deepEqual(await headroom.loads(), [16]);
    await waitFor("all calls are listed", 3_000, async () => (await dialogs()) === 16);
    for (const [i, call] of calls.entries()) await hangUp(call, i % 2 === 0 ? "caller" : "callee");
    await headroom.untilIdle();
  });

  it("know a copy of an INVITE that comes to the other one: it makes no second call, and CANCEL ends the first", async () => {
    const others = await Promise.all(Array.from({ length: 6 }, () => UdpPeer.open(CALLER)));
    try {
      for (let i = 0; i < 4; i++) {
        const invite = await begin();
        const callId = headerOf(invite, "Call-ID");
        const delivered = await callee.next("the INVITE", (text) => text.startsWith("INVITE ") && ofCall(text, callId));
        answer(callee, delivered, 180);
        for (const other of others) other.send(invite, headroom);
        await sleep(50);
        const cancel = invite
          .replace(/^INVITE /, "CANCEL ")
          .replace(/CSeq: \d+ INVITE/, "CSeq: 1 CANCEL")
          .replace(/Contact: .*\r\n/, "");
        others[i]!.send(cancel, headroom);
        const cancelled = await callee.next("the CANCEL", (text) => text.startsWith("CANCEL ") && ofCall(text, callId));
        callee.send(responseTo(cancelled, 200), placeIn(headersOf(cancelled, "Via")[0]!));
        answer(callee, delivered, 487);
        await caller.next("487", (text) => statusOf(text) === 487 && ofCall(text, callId));
        caller.send(invite.replace(/^INVITE /, "ACK ").replace(/CSeq: \d+ INVITE/, "CSeq: 1 ACK"), headroom);
        assert.equal(callee.received.filter((text) => text.startsWith("INVITE ") && ofCall(text, callId)).length, 1);
      }
      await headroom.untilIdle();
    } finally {
      await Promise.all(others.map((other) => other.close()));
    }
  });

  it("together give a destination no more calls than it takes", async () => {
    await headroom.replaceRows([{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    await waitFor("the threads have the table", 3_000, async () => (await headroom.list())[0]?.Resources[0]?.max === 5);
    await sleep(100);
    const invites = await Promise.all(Array.from({ length: 30 }, () => begin()));
    const callIds = new Set(invites.map((text) => headerOf(text, "Call-ID")));
    const isOurs = (text: string): boolean => callIds.has(headerOf(text, "Call-ID"));
    const refused = (): number =>
      new Set(caller.received.filter((text) => statusOf(text) === 503 && isOurs(text)).map((text) => headerOf(text, "Call-ID"))).size;
    await waitFor("25 are refused", 3_000, () => refused() === 25);
    const delivered = callee.received.filter((text) => text.startsWith("INVITE ") && isOurs(text));
    assert.equal(new Set(delivered.map((text) => headerOf(text, "Call-ID"))).size, 5);
    assert.deepEqual(await headroom.loads(), [5]);
    for (const text of delivered) answer(callee, text, 486);
    await headroom.untilIdle();
    await headroom.replaceRows([{ uri: `sip:${callee.sentBy}`, resources: "pstn=100" }]);
  });

  it("both learn what an operator decides", async () => {
    await headroom.mi("lb_status", [1, 0]);
    await sleep(200);
    for (let i = 0; i < 6; i++) {
      const callId = headerOf(await begin(), "Call-ID");
      await caller.next("503", (text) => statusOf(text) === 503 && ofCall(text, callId));
    }
    await headroom.mi("lb_status", [1, 1]);
    await sleep(200);
    for (let i = 0; i < 4; i++) await hangUp(await establish(), "caller");
    const call = await establish();
    const callId = headerOf(call.answer, "Call-ID");
    await waitFor("it is listed", 3_000, async () => (await dialogs()) === 1);
    await headroom.mi("dlg_end_dlg", [callId]);
    for (const peer of [caller, callee]) {
      const bye = await peer.next("a BYE", (text) => text.startsWith("BYE ") && ofCall(text, callId));
      peer.send(responseTo(bye, 200), placeIn(headersOf(bye, "Via")[0]!));
    }
    await headroom.untilIdle();
  });

  it("go on when one of them dies: another one takes its place and its calls, and the loads are right", async () => {
    const calls: Call[] = [];
    for (let i = 0; i < 16; i++) calls.push(await establish());
    assert.equal(new Set(calls.map(({ port }) => port)).size, 2);
    await waitFor("all calls are known", 3_000, async () => (await dialogs()) === 16);
    await begin("crash");
    await waitFor("the next one is there", 30_000, () => headroom.log().includes("takes calls again"));
    assert.deepEqual(await headroom.loads(), [16]);
    for (const call of calls) await hangUp(call, "caller");
    for (let i = 0; i < 4; i++) await hangUp(await establish(), "callee");
    await headroom.untilIdle();
  });

  it("carry calls of sipp", async () => {
    const sipp = await startCallee({ scenario: "callee", address: CALLEE });
    await headroom.replaceRows([{ uri: sipp.uri, resources: "pstn=100" }]);
    await sleep(100);
    const { successful, failed, errors } = await runCaller({
      ...{ scenario: "caller", address: CALLER, target: `${headroom.address}:${headroom.port}`, calls: 100, rate: 100, holdMs: 200 },
    });
    assert.deepEqual({ successful, failed, errors }, { successful: 100, failed: 0, errors: "" });
    await headroom.untilIdle();
    await sipp.stop();
  });

  it("are refused together with what is for one, with a sentence", async () => {
    const text = `sip: { workers: 2, listen: ["udp:${ADDRESS}:5070", "tcp:${ADDRESS}:5070"] }`;
    await assert.rejects(startHeadroom(text, [], ADDRESS), /sip\.workers: found 2, want 1, as sip\.listen has other transports than udp/);
  });
});
