import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const BALANCER = "127.0.82.1";
const TIMEOUT_MS = 5_000;

/** What the script does is in the user of the Request-URI; what it finds out goes into the answer. */
const SCRIPT = `
export function request(call) {
  const tell = (value) => call.reply(480, "Told", { "X-Told": JSON.stringify(value) });
  switch (call.ruriUser) {
    case "all": return void (call.ds.selectDst(1, "parallel") && call.relay());
    case "hash": return void (call.ds.selectDst(1, 7, { key: call.header("X-Key") }) && call.relay());
    case "routes": return void (call.ds.selectRoutes("9=8;1=8", "r") && call.relay());
    case "list": call.ds.select(1, 8, { limit: 2 }); return void tell(call.ds.list.map(({ uri }) => uri));
    case "from": return void tell({ from: call.ds.isFromList(2)?.attr("Name") ?? null, other: call.ds.isFromList(1) ?? null, exists: call.ds.listExists(2), code: call.ds.code, active: call.ds.isActive(1), gone: call.ds.listExists(77), late: call.ds.code });
    case "socket": return void (call.ds.selectDst(3, 8) && call.relay());
    case "none": return void tell([call.ds.selectDst(99, 4), call.ds.code, call.ds.failure, call.ds.nextDst(), call.ds.failure]);
  }
}
export function failure(call) {
  if (call.status === 503 && call.ds.markDst("tp") && call.ds.nextDomain()) call.relay();
}
`;

describe("the functions of the dispatcher in a script", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-ds-"));
  let headroom: Headroom;
  let caller: UdpPeer;
  let [one, two]: UdpPeer[] = [];
  /** Those that SIP is taken on: the usual one, and one that a destination names. */
  const ports: number[] = [];

  before(async () => {
    caller = await UdpPeer.open("127.0.82.2");
    [one, two] = await Promise.all([3, 4].map((n) => UdpPeer.open(`127.0.82.${n}`)));
    for (let i = 0; i < 2; i++) ports.push(await freeUdpPort(BALANCER));
    const script = join(folder, "routes.mjs");
    writeFileSync(script, SCRIPT);
    const sets = [
      {
        id: 1,
        destinations: [
          { uri: `sip:${one!.sentBy}`, priority: 2 },
          { uri: `sip:${two!.sentBy}`, priority: 1 },
        ],
      },
      { id: 2, destinations: [{ uri: `sip:${caller.sentBy}`, attrs: "name=caller" }] },
      { id: 3, destinations: [{ uri: `sip:${one!.sentBy}`, socket: `udp:${BALANCER}:${ports[1]}` }] },
    ];
    const config = {
      dispatcher: { sets, ds_probing_threshold: 2 },
      routing: { script },
      tm: { fr_timeout: 2 },
      sip: { listen: ports.map((port) => `udp:${BALANCER}:${port}`) },
    };
    headroom = await startHeadroom(stringify(config), [], BALANCER);
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all([caller, one, two].map((peer) => peer?.close()));
    rmSync(folder, { recursive: true });
  });

  const proxy = (): { address: string; port: number } => ({ address: BALANCER, port: ports[0]! });

  function send(user: string, headers: readonly string[] = []): { callId: string; invite: string } {
    const invite = request({ uri: `sip:${user}@${BALANCER}:${ports[0]}`, sentBy: caller.sentBy, headers });
    caller.send(invite, proxy());
    return { callId: headerOf(invite, "Call-ID"), invite };
  }

  function at(peer: UdpPeer, callId: string, method = "INVITE"): Promise<string> {
    return waitFor(`${method} at ${peer.sentBy}`, TIMEOUT_MS, () =>
      peer.received.find((text) => text.startsWith(`${method} `) && headerOf(text, "Call-ID") === callId),
    );
  }

  function answerOf(callId: string, from = 200): Promise<string> {
    return waitFor("the answer", TIMEOUT_MS, () =>
      caller.received.find(
        (text) => statusOf(text) >= from && headerOf(text, "Call-ID") === callId && headerOf(text, "CSeq").endsWith("INVITE"),
      ),
    );
  }

  async function told(user: string): Promise<unknown> {
    return JSON.parse(headerOf(await answerOf(send(user).callId), "X-Told"));
  }

  function answer(peer: UdpPeer, text: string, status: number): void {
    peer.send(responseTo(text, status, { toTag: `t${peer.port}`, headers: [`Contact: <sip:callee@${peer.sentBy}>`] }), proxy());
  }

  it("send a call to all of a set at once: who accepts first has it, the others are cancelled", async () => {
    const { callId } = send("all");
    const [first, second] = [await at(one!, callId), await at(two!, callId)];
    answer(one!, first, 180);
    answer(two!, second, 180);
    answer(two!, second, 200);
    assert.equal(statusOf(await answerOf(callId)), 200);
    const cancel = await at(one!, callId, "CANCEL");
    answer(one!, cancel, 200);
    answer(one!, first, 487);
    await at(one!, callId, "ACK");
    const accepted = await answerOf(callId);
    assert.match(headerOf(accepted, "Contact"), new RegExp(two!.sentBy), "the one that answered");
    const parts = {
      uri: `sip:callee@${two!.sentBy}`,
      sentBy: caller.sentBy,
      from: headerOf(accepted, "From"),
      to: headerOf(accepted, "To"),
      callId,
    };
    for (const [method, cseq] of [
      ["ACK", 1],
      ["BYE", 2],
    ] as const) {
      caller.send(request({ ...parts, method, cseq, routes: routesOf(accepted).reverse() }), proxy());
      const arrived = await at(two!, callId, method);
      if (method === "BYE") answer(two!, arrived, 200);
    }
    await headroom.untilIdle();
  });

  it("answer with the best of all responses when all fail, and wait for the last one", async () => {
    const { callId } = send("all");
    const [first, second] = [await at(one!, callId), await at(two!, callId)];
    answer(one!, first, 486);
    await at(one!, callId, "ACK");
    assert.equal(
      caller.received.some((text) => statusOf(text) >= 300 && headerOf(text, "Call-ID") === callId),
      false,
    );
    answer(two!, second, 404);
    assert.equal(statusOf(await answerOf(callId)), 486);
  });

  it("cancel all when the caller does", async () => {
    const { callId, invite } = send("all");
    const [first, second] = [await at(one!, callId), await at(two!, callId)];
    answer(one!, first, 180);
    answer(two!, second, 180);
    await answerOf(callId, 180);
    caller.send(invite.replace(/^INVITE /, "CANCEL ").replace(/(\r\nCSeq: *\d+) INVITE/i, "$1 CANCEL"), proxy());
    for (const [peer, text] of [
      [one!, first],
      [two!, second],
    ] as const) {
      answer(peer, await at(peer, callId, "CANCEL"), 200);
      answer(peer, text, 487);
    }
    assert.equal(statusOf(await answerOf(callId)), 487);
    await headroom.untilIdle();
  });

  it("hash what the script says, and give each key one destination", async () => {
    const takers = new Map<string, Set<UdpPeer>>();
    for (const key of ["a", "b", "c", "d", "e", "f", "a", "b", "c", "d", "e", "f"]) {
      const { callId } = send("hash", [`X-Key: ${key}`]);
      const [peer, text] = await Promise.any([one!, two!].map(async (peer) => [peer, await at(peer, callId)] as const));
      answer(peer, text, 486);
      await answerOf(callId);
      takers.set(key, (takers.get(key) ?? new Set()).add(peer));
    }
    assert.deepEqual(
      [...takers.values()].map(({ size }) => size),
      [1, 1, 1, 1, 1, 1],
    );
    assert.equal(new Set([...takers.values()].flatMap((peers) => [...peers])).size, 2);
  });

  it("choose from several sets, rewrite the Request-URI, mark and go on", async () => {
    const { callId } = send("routes");
    const first = await at(one!, callId);
    assert.match(first, new RegExp(`^INVITE sip:routes@${one!.sentBy} `));
    answer(one!, first, 503);
    const second = await at(two!, callId);
    assert.match(second, new RegExp(`^INVITE sip:routes@${two!.sentBy} `));
    await headroom.untilLogged(/of set 1 is TP, was AX/);
    answer(two!, second, 486);
    assert.equal(statusOf(await answerOf(callId)), 486);
  });

  it("list what a selection goes on to, within its limit, and tell where a request comes from", async () => {
    assert.deepEqual(await told("list"), [`sip:${one!.sentBy}`, `sip:${two!.sentBy}`]);
    assert.deepEqual(await told("from"), { from: "caller", other: null, exists: true, code: 1, active: true, gone: false, late: -1 });
    assert.deepEqual(await told("none"), [false, -1, "no-set", false, "no-selection"]);
  });

  it("send from the socket that the destination names", async () => {
    const { callId } = send("socket");
    const text = await at(one!, callId);
    assert.match(headerOf(text, "Via"), new RegExp(`${BALANCER}:${ports[1]};`));
    answer(one!, text, 486);
    assert.equal(statusOf(await answerOf(callId)), 486);
  });
});
