import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EventListener } from "../support/event-listener.ts";
import { flood } from "../support/flood.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { runCaller, startCallee } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.26.1";
const CALLEE = "127.0.26.2";
const FLOODER = "127.0.26.3";
const OTHER = "127.0.26.4";

async function statistics(headroom: Headroom): Promise<Record<string, number>> {
  return (await headroom.mi("get_statistics", [["all"]])) as Record<string, number>;
}

const pikeList = async (headroom: Headroom): Promise<{ IP: string; refused: number }[]> =>
  ((await headroom.mi("pike_list")) as { IPs: { IP: string; refused: number }[] }).IPs;

/** The tests' own program looks at neither. */
const AS_SHIPPED = "overload: { max_lag: 0.5, max_utilization: 0.98 }";

/** Noise of all kinds: line ends, HTTP, STUN, RTP, bytes, half a message, letters. */
const JUNK = [
  "\r\n\r\n\r\n\r\n\r\n\r\n",
  `GET / HTTP/1.1\r\nHost: example.com\r\nAccept: ${"x".repeat(300)}\r\n\r\n`,
  "\x00\x01\x00\x08\x21\x12\xa4\x42AAAAAAAAAAAA",
  `\x80\x08${"\xd5".repeat(170)}`,
  "\xff".repeat(1_200),
  "INVITE sip:nobody@example.com without an end",
  "x".repeat(600),
];

describe("a flood of junk", () => {
  it("of 20,000 datagrams a second for 10 s costs none of 50 calls a second", async (t: TestContext) => {
    const callee = await startCallee({ scenario: "callee", address: CALLEE });
    const headroom = await startHeadroom(`tm: { fr_timeout: 5 }\n${AS_SHIPPED}`, [{ uri: callee.uri, resources: "pstn=1000" }]);
    try {
      const target = `${headroom.address}:${headroom.port}`;
      const [sent, calls, midway] = await Promise.all([
        flood({ to: headroom, from: FLOODER, ratePerS: 20_000, durationMs: 10_000, datagrams: JUNK }),
        runCaller({ scenario: "caller", address: CALLER, target, calls: 500, rate: 50, timeoutMs: 60_000 }),
        sleep(5_000).then(() => statistics(headroom)),
      ]);
      const counted = await statistics(headroom);
      const junk = ["empty", "binary", "text", "endless"].map((kind) => counted[`overload:junk_${kind}`] ?? 0);
      const dropped = junk.reduce((sum, count) => sum + count, 0);
      const perSecond = Math.round((sent.sent * 1000) / sent.tookMs);
      t.diagnostic(`sent ${sent.sent} (${sent.failed} not taken) in ${Math.round(sent.tookMs)} ms: ${perSecond} a second`);
      t.diagnostic(`dropped as junk ${dropped}, by kind ${junk.join(", ")}; retransmissions of the caller ${calls.retransmissions}`);
      t.diagnostic(`event loop after 5 s: ${midway["overload:utilization_percent"]} % busy, lag ${midway["overload:lag_ms"]} ms`);
      assert.deepEqual([calls.successful, calls.failed], [500, 0], calls.errors);
      assert.ok(perSecond >= 18_000, `only ${perSecond} datagrams a second were sent`);
      assert.ok(dropped > sent.sent * 0.9, `${dropped} of ${sent.sent} arrived`);
      for (const count of junk) assert.ok(count > 0);
      assert.deepEqual([sent.received, counted["overload:overloads"], counted["overload:bans"]], [0, 0, 0]);
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await callee.stop();
    }
  });
});

describe("a source that floods INVITEs", () => {
  it("is banned while the calls of others go on, and may go on when its ban is lifted", async (t: TestContext) => {
    const callee = await startCallee({ scenario: "callee", address: CALLEE });
    const config = JSON.stringify({
      overload: { sampling_time_unit: 1, reqs_density_per_unit: 300 },
      routing: { rules: [{ group: 1, resources: "pstn", match: { ruri_user: "^service$" } }] },
    });
    const headroom = await startHeadroom(config, [{ uri: callee.uri, resources: "pstn=1000" }]);
    const events = await EventListener.open(headroom);
    const flooder = await UdpPeer.open(FLOODER);
    try {
      const uri = `sip:service@${headroom.address}:${headroom.port}`;
      const datagrams = Array.from({ length: 20_000 }, () => request({ uri: "sip:nobody@192.0.2.1", sentBy: `${FLOODER}:5060` }));
      const [sent, calls] = await Promise.all([
        flood({ to: headroom, from: FLOODER, ratePerS: 4_000, durationMs: 5_000, datagrams }),
        runCaller({
          scenario: "caller",
          address: CALLER,
          target: `${headroom.address}:${headroom.port}`,
          calls: 200,
          rate: 40,
          timeoutMs: 60_000,
        }),
      ]);
      t.diagnostic(`sent ${sent.sent} requests in ${Math.round(sent.tookMs)} ms`);
      assert.deepEqual([calls.successful, calls.failed], [200, 0], calls.errors);
      const [ban] = await pikeList(headroom);
      assert.equal(ban?.IP, FLOODER);
      assert.ok(ban.refused > sent.sent * 0.8, `${ban.refused} of ${sent.sent} refused`);
      await headroom.untilLogged(new RegExp(`source ${FLOODER} sends too many requests`));
      await waitFor("the event of the ban", 2_000, () =>
        events.events.some(({ name, params }) => name === "E_PIKE_BLOCKED" && params["ip"] === FLOODER),
      );

      const options = (): void => flooder.send(request({ method: "OPTIONS", uri, sentBy: flooder.sentBy }), headroom);
      options();
      assert.equal(await flooder.staysSilent(300), true);
      assert.equal(await headroom.mi("pike_rm", [FLOODER]), "OK");
      options();
      assert.equal(statusOf(await flooder.nextFinal("OPTIONS")), 200);
      assert.deepEqual(await pikeList(headroom), []);
      await waitFor("the event of its end", 2_000, () =>
        events.events.some(({ name, params }) => name === "E_PIKE_UNBLOCKED" && params["reason"] === "lifted"),
      );
    } finally {
      events.close();
      await headroom.stop();
      await callee.stop();
      await flooder.close();
    }
  });
});

/** Holds up everything for a while, for each call to this user. */
const BLOCKING_ROUTE = `
export function request(call) {
  if (call.requestUri.startsWith("sip:block@")) {
    const until = performance.now() + 150;
    while (performance.now() < until);
    call.reply(480, "Blocked");
  } else if (call.lb.start(1, "pstn")) call.relay();
  else call.reply(503, "Full");
}
`;

describe("an event loop that lags", () => {
  it("has new calls refused with Retry-After while a call that is up goes on, and takes them when it is over", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-lag-"));
    const script = join(folder, "route.js");
    writeFileSync(script, BLOCKING_ROUTE);
    const [caller, other, callee] = await Promise.all([CALLER, OTHER, CALLEE].map((address) => UdpPeer.open(address)));
    assert.ok(caller && other && callee);
    const config = JSON.stringify({ routing: { script }, overload: { max_lag: 0.1, retry_after: 4 } });
    const headroom = await startHeadroom(config, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }]);
    const events = await EventListener.open(headroom);
    const told = (state: string) => events.events.find(({ name, params }) => name === "E_OVERLOAD" && params["state"] === state);
    const invite = (user: string): void =>
      other.send(request({ uri: `sip:${user}@${headroom.address}:${headroom.port}`, sentBy: other.sentBy }), headroom);
    let blocking: NodeJS.Timeout | undefined;
    try {
      const call = await establish(headroom, caller, callee);
      blocking = setInterval(() => invite("block"), 200); // one at least in each sample; were they faster, one turn of the loop would take them all
      const refusal = await other.next("a refusal", (text) => statusOf(text) === 503, 15_000);
      clearInterval(blocking);
      assert.equal(headerOf(refusal, "Retry-After"), "4");
      invite("service");
      await other.next("the refusal of a usual call", (text) => statusOf(text) === 503 && headerOf(text, "To").includes("sip:service@"));
      caller.send(call.fromCaller("BYE", 2), headroom);
      callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
      assert.equal(told("began")?.params["cause"], "lag");
      const over = await waitFor("the end of the overload", 10_000, () => told("ended"));
      assert.ok(Number(over.params["refused"]) >= 2);
      await establish(headroom, caller, callee);
      await headroom.untilLogged(/overload: the event loop stands still too long.*overload is over/s);
    } finally {
      clearInterval(blocking);
      events.close();
      await headroom.stop();
      await Promise.all([caller, other, callee].map((peer) => peer.close()));
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a stop", () => {
  it("lets a call that rings be answered, refuses new ones with Retry-After, and leaves", async () => {
    const [caller, callee] = await Promise.all([CALLER, CALLEE].map((address) => UdpPeer.open(address)));
    assert.ok(caller && callee);
    const headroom = await startHeadroom("sip: { stop_timeout: 8 }", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }]);
    try {
      const uri = `sip:service@${headroom.address}:${headroom.port}`;
      caller.send(request({ uri, sentBy: caller.sentBy }), headroom);
      const ringing = await callee.nextRequest("INVITE");
      const contact = `Contact: <sip:callee@${callee.sentBy}>`;
      callee.send(responseTo(ringing, 180, { toTag: "r", headers: [contact] }), headroom);
      await caller.next("180", (text) => statusOf(text) === 180);
      headroom.signal("SIGTERM");
      await waitFor("it stops", 2_000, () => headroom.log().includes("new calls are refused"));
      caller.send(request({ uri, sentBy: caller.sentBy }), headroom);
      const refused = await caller.nextFinal("INVITE");
      assert.deepEqual([statusOf(refused), headerOf(refused, "Retry-After")], [503, "10"]);
      callee.send(responseTo(ringing, 200, { toTag: "r", headers: [contact] }), headroom);
      assert.equal(statusOf(await caller.next("200", (text) => statusOf(text) === 200)), 200);
      await waitFor("it has left", 2_000, () => headroom.log().includes('"stopped"'));
    } finally {
      await headroom.stop();
      await Promise.all([caller.close(), callee.close()]);
    }
  });

  it("leaves at once at the second SIGTERM", async () => {
    const [caller, callee] = await Promise.all([CALLER, CALLEE].map((address) => UdpPeer.open(address)));
    assert.ok(caller && callee);
    const headroom = await startHeadroom("sip: { stop_timeout: 60 }", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }]);
    try {
      caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
      callee.send(responseTo(await callee.nextRequest("INVITE"), 180, { toTag: "r" }), headroom);
      await caller.next("180", (text) => statusOf(text) === 180);
      headroom.signal("SIGTERM");
      await waitFor("it stops", 2_000, () => headroom.log().includes("new calls are refused"));
      await sleep(300);
      assert.doesNotMatch(headroom.log(), /"stopped"/);
    } finally {
      const askedAtMs = performance.now();
      await headroom.stop(); // the second SIGTERM; wants exit code 0
      assert.ok(performance.now() - askedAtMs < 2_000);
      await Promise.all([caller.close(), callee.close()]);
    }
  });
});
