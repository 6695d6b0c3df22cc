import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startHeadroom } from "../support/headroom.ts";
import { freeUdpPort } from "../support/net.ts";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

const PROXY = "127.0.46.2";
const CALLER = "127.0.46.3";
const DYING = "127.0.46.4";
const OTHER = "127.0.46.5";

describe("a destination over TCP whose process dies", () => {
  it("costs the call that waits for its answer no time: it is sent to the next one at once, as are those that come then", async () => {
    const [dying, other] = [await TcpServer.open(DYING), await TcpServer.open(OTHER)];
    const port = await freeUdpPort(PROXY);
    const headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}"] }, tm: { fr_timeout: 20 }, routing: { rules: [{ group: 1, resources: pstn, failover_on: [transport], max_failovers: 3 }] } }`,
      [
        { uri: `sip:${DYING}:${dying.port};transport=tcp`, resources: "pstn=100" },
        { uri: `sip:${OTHER}:${other.port};transport=tcp`, resources: "pstn=10" },
      ],
      PROXY,
    );
    const caller = await TcpPeer.connect({ address: PROXY, port }, CALLER);
    const call = async (): Promise<number> => {
      const callId = unique("die");
      const sentBy = `${CALLER}:${caller.port}`;
      const invite = request({ sentBy, uri: `sip:service@${PROXY}:${port}`, callId }).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
      const sinceMs = performance.now();
      caller.send(invite);
      if (!dying.peers.every(({ isClosed }) => isClosed) || dying.peers.length === 0) {
        const victim = await dying.peer();
        await victim.next("the INVITE that is never answered", (text) => text.includes(callId));
        victim.socket.resetAndDestroy();
        await dying.close();
      }
      const answering = await other.peer();
      answering.send(responseTo(await answering.next("INVITE", (text) => text.startsWith("INVITE ") && text.includes(callId)), 486));
      const final = await caller.next("final response", (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId);
      assert.equal(statusOf(final), 486);
      return performance.now() - sinceMs;
    };
    try {
      for (const which of ["the call that waits", "the next call"]) {
        const tookMs = await call();
        assert.ok(tookMs < 2_000, `${which} took ${tookMs} ms, fr_timeout is 20 s`);
      }
    } finally {
      await headroom.stop();
      await caller.close();
      await other.close();
    }
  });
});

describe("a destination over TCP that closes its connection as a request comes", () => {
  it("gets the request again on a new connection, once and with the same branch, and no other destination has the call; so does its BYE", async () => {
    const [closing, other] = [await TcpServer.open(DYING), await TcpServer.open(OTHER)];
    const port = await freeUdpPort(PROXY);
    const headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tcp:${PROXY}:${port}"] }, tm: { fr_timeout: 20 }, routing: { rules: [{ group: 1, resources: pstn, failover_on: [transport], disable_on: [transport], max_failovers: 3 }] } }`,
      [
        { uri: `sip:${DYING}:${closing.port};transport=tcp`, resources: "pstn=100" },
        { uri: `sip:${OTHER}:${other.port};transport=tcp`, resources: "pstn=10" },
      ],
      PROXY,
    );
    const caller = await TcpPeer.connect({ address: PROXY, port }, CALLER);
    const callId = unique("close");
    const send = (method: string, more: { cseq: number; from?: string; to?: string; routes?: string[]; uri?: string }): void =>
      caller.send(
        request({ method, sentBy: `${CALLER}:${caller.port}`, uri: `sip:service@${PROXY}:${port}`, callId, ...more }).replace(
          "SIP/2.0/UDP",
          "SIP/2.0/TCP",
        ),
      );
    const final = (method: string): Promise<string> =>
      caller.next(`final response to ${method}`, (text) => statusOf(text) >= 200 && headerOf(text, "CSeq").endsWith(method));
    const asked =
      (method: string) =>
      (text: string): boolean =>
        text.startsWith(`${method} `) && text.includes(callId);
    try {
      const sentBy = `${CALLER}:${caller.port}`;
      caller.send(request({ sentBy, uri: `sip:service@${PROXY}:${port}`, callId: unique("before") }).replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
      const first = await closing.peer();
      first.send(responseTo(await first.next("INVITE", (text) => text.startsWith("INVITE ")), 486));
      await final("INVITE");
      send("INVITE", { cseq: 1 });
      const lost = await first.next("INVITE", asked("INVITE"));
      first.socket.resetAndDestroy();
      const second = await closing.peer(1);
      const again = await second.next("INVITE", asked("INVITE"));
      assert.equal(headerOf(again, "Via"), headerOf(lost, "Via"));
      const contact = `sip:callee@${DYING}:${closing.port};transport=tcp`;
      second.send(responseTo(again, 200, { toTag: "b", headers: [`Contact: <${contact}>`] }));
      const ok = await final("INVITE");
      const inside = {
        from: headerOf(ok, "From"),
        to: headerOf(ok, "To"),
        routes: headersOf(again, "Record-Route").reverse(),
        uri: contact,
      };
      send("ACK", { cseq: 1, ...inside });
      await second.next("ACK", asked("ACK"));
      send("BYE", { cseq: 2, ...inside });
      await second.next("BYE", asked("BYE"));
      second.socket.end();
      const third = await closing.peer(2);
      third.send(responseTo(await third.next("BYE", asked("BYE")), 200));
      assert.equal(statusOf(await final("BYE")), 200);
      assert.equal(other.peers.length, 0);
      assert.deepEqual(
        (await headroom.list()).map(({ enabled }) => enabled),
        ["yes", "yes"],
      );
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await caller.close();
      for (const server of [closing, other]) await server.close();
    }
  });
});
