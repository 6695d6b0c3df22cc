import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { compileReplyCodes } from "../../src/health/index.ts";
import { ProbeLine, Prober } from "../../src/probing/index.ts";
import { TICK_MS, TimerWheel } from "../../src/transaction/index.ts";
import { RandomTokens } from "../../src/transport/chance.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { TransportCounters, UdpListener } from "../../src/transport/udp.ts";
import { ipv4Addresses } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const OUR_ADDRESS = "127.0.0.2";
const INTERVAL_MS = 400;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Running {
  readonly balancer: Balancer;
  readonly prober: Prober;
  readonly faults: unknown[];
}

/** The prober as the server runs it: real sockets, real time. */
async function startProber(peers: readonly UdpPeer[], timeoutMs: number, addresses: readonly string[] = [OUR_ADDRESS]): Promise<Running> {
  const nowMs = (): number => performance.now();
  const faults: unknown[] = [];
  const wheel = new TimerWheel(nowMs(), (error) => faults.push(error));
  const ticker = setInterval(() => wheel.advance(nowMs()), TICK_MS);
  opened.push(() => clearInterval(ticker));
  const balancer = new Balancer({ below: () => 0, onStatus: (change) => prober.statusChanged(change) });
  balancer.replaceTable(peers.map((peer, i) => rowOf(i + 1, peer)));
  const locals = new LocalAddresses(nowMs);
  const ignore = (): void => undefined;
  const line = new ProbeLine({
    addresses,
    towards: (address) => locals.towards(address),
    openSocket: (address, receive) =>
      UdpListener.open({
        address,
        port: 0,
        advertised: null,
        locals,
        counters: new TransportCounters(),
        receive,
        fault: (error) => faults.push(error),
      }),
    wheel,
    chance: new RandomTokens(),
    nowMs,
    userAgent: "headroom",
  });
  const prober = new Prober({
    settings: {
      intervalMs: INTERVAL_MS,
      fastIntervalMs: 0,
      jitter: 0,
      method: "OPTIONS",
      from: "sip:prober@localhost",
      accepted: compileReplyCodes(["404"]),
      verbose: false,
      rise: 1,
      fall: 1,
      timeoutMs,
    },
    balancer,
    line,
    wheel,
    nowMs,
    wallMs: Date.now,
    random: Math.random,
    log: { debug: ignore, info: ignore, warn: ignore },
  });
  await prober.start();
  opened.push(() => prober.stop());
  return { balancer, prober, faults };
}

function rowOf(id: number, peer: UdpPeer): DestinationRow {
  const [ip = "", port = ""] = peer.sentBy.split(":");
  return {
    id,
    group: 1,
    uri: `sip:${peer.sentBy}`,
    resources: parseResources("pstn=10"),
    probeMode: 2,
    attrs: undefined,
    description: undefined,
    addresses: [{ ip, port: Number(port), transport: "udp" }],
  };
}

async function openPeer(address: string): Promise<UdpPeer> {
  const peer = await UdpPeer.open(address);
  opened.push(() => peer.close());
  return peer;
}

/** Answers every message that comes from now on; -1: silence. */
function answer(peer: UdpPeer, status: () => number, by: UdpPeer = peer, edit = (reply: string): string => reply): void {
  let seen = peer.received.length;
  const timer = setInterval(() => {
    for (const text of peer.received.slice(seen)) {
      if (status() > 0) by.send(edit(responseTo(text, status(), { toTag: "peer" })), senderOf(text));
    }
    seen = peer.received.length;
  }, 5);
  opened.push(() => clearInterval(timer));
}

function senderOf(probe: string): { address: string; port: number } {
  const [, address = "", port = ""] = /^SIP\/2\.0\/UDP ([^:]+):(\d+);/.exec(headerOf(probe, "Via")) ?? [];
  return { address, port: Number(port) };
}

describe("the prober on real sockets", () => {
  it("disables what falls silent or answers badly, and enables it within an interval of coming back", async () => {
    const [good, moody] = [await openPeer("127.0.0.3"), await openPeer("127.0.0.4")];
    let status = 404;
    answer(good, () => 200);
    answer(moody, () => status);
    const { balancer, prober, faults } = await startProber([good, moody], 300);
    const isEnabled = (id: number): boolean => balancer.isEnabled(balancer.destination(id)!);
    await waitFor("an answer of each", 3_000, () => prober.counters.good >= 2);
    assert.equal(isEnabled(2), true, "404 is accepted");

    status = -1;
    await waitFor("the silent destination is disabled", 3_000, () => !isEnabled(2));
    assert.equal(prober.counters.timeouts > 0, true);
    status = 200;
    const asked = moody.received.length;
    await waitFor("it is enabled again", 3_000, () => isEnabled(2));
    assert.ok(moody.received.length - asked <= 2, "by the first probe, or the one behind it"); // the first may be on its way already

    status = 503;
    await waitFor("the overloaded destination is disabled", 3_000, () => !isEnabled(2));
    assert.equal(isEnabled(1), true);
    const [first] = prober.figures();
    assert.ok(first!.latency.last > 0 && first!.latency.last < 200 && first!.latency.max >= first!.latency.average);
    assert.deepEqual(faults, []);
  });

  it("leaves from an address and port of its own, which the replies come back to", async () => {
    const peer = await openPeer("127.0.0.3");
    await startProber([peer], 300);
    const probe = await peer.nextRequest("OPTIONS");
    const { address, port } = senderOf(probe);
    assert.equal(address, OUR_ADDRESS);
    assert.ok(port > 1024 && port !== 5060);
    assert.equal(probe.split("\r\n", 1)[0], `OPTIONS sip:${peer.sentBy} SIP/2.0`);
  });

  it("ignores replies of somebody else, though they have the right branch", async () => {
    const [silent, forger] = [await openPeer("127.0.0.3"), await openPeer("127.0.0.9")];
    answer(silent, () => 200, forger);
    const { balancer, prober } = await startProber([silent], 300);
    await waitFor("the time-out", 3_000, () => !balancer.isEnabled(balancer.destination(1)!));
    await waitFor("forged replies", 3_000, () => prober.counters.ignored_source > 1);
    assert.equal(balancer.isEnabled(balancer.destination(1)!), false);
  });

  it("ignores replies with another branch, though they come from the right address", async () => {
    const peer = await openPeer("127.0.0.3");
    answer(
      peer,
      () => 200,
      peer,
      (reply) => reply.replace(/branch=\S+/, "branch=z9hG4bKguessed"),
    );
    const { balancer, prober } = await startProber([peer], 300);
    await waitFor("the time-out", 3_000, () => !balancer.isEnabled(balancer.destination(1)!));
    await waitFor("replies with another branch", 3_000, () => prober.counters.ignored_branch > 1);
    assert.deepEqual([balancer.isEnabled(balancer.destination(1)!), prober.counters.good], [false, 0]);
  });

  const reloads: readonly (readonly [string, (row: DestinationRow, other: DestinationRow) => readonly DestinationRow[]])[] = [
    ["taken the destination away", () => []],
    ["given it another address", (row, { addresses }) => [{ ...row, addresses }]],
    ["given its id to another one", (row, other) => [{ ...other, id: row.id }]],
  ];
  for (const [what, rowsAfter] of reloads) {
    it(`ignores the reply to a probe when a reload has ${what}`, async () => {
      const [peer, other] = [await openPeer("127.0.0.3"), await openPeer("127.0.0.4")];
      answer(other, () => 200);
      const { balancer, prober, faults } = await startProber([peer], 5_000);
      const probe = await peer.nextRequest("OPTIONS");
      balancer.replaceTable(rowsAfter(rowOf(1, peer), rowOf(2, other)));
      prober.tableChanged();
      peer.send(responseTo(probe, 503, { toTag: "peer" }), senderOf(probe));
      await waitFor("the reply is counted", 3_000, () => prober.counters.ignored_stale === 1);
      for (const destination of balancer.destinations()) assert.equal(balancer.isEnabled(destination), true);
      assert.deepEqual([prober.counters.bad, faults], [0, []]);
    });
  }

  it("finds each destination through the listen address that faces it, and judges none that it cannot send to", async () => {
    const outside = ipv4Addresses().find((address) => !address.startsWith("127."));
    const [near, far] = [await openPeer("127.0.0.3"), await openPeer(outside ?? "127.0.0.4")];
    for (const peer of [near, far]) answer(peer, () => 200);
    const { balancer, prober } = await startProber([near, far], 300, outside === undefined ? ["127.0.0.1"] : ["127.0.0.1", outside]);
    await waitFor("an answer of each", 3_000, () => prober.counters.good >= 2);
    const sources = [near, far].map((peer) => senderOf(peer.received[0] ?? "").address);
    assert.deepEqual(sources, ["127.0.0.1", outside ?? "127.0.0.1"]);
    assert.equal(prober.counters.disabled, 0);

    const lonely = await startProber([near], 300, ["127.0.0.1"]);
    const unreachable = {
      ...rowOf(1, near),
      uri: "sip:192.0.2.1",
      addresses: [{ ip: "192.0.2.1", port: 5060, transport: "udp" }],
    } as const;
    lonely.balancer.replaceTable([unreachable]);
    lonely.prober.tableChanged();
    await waitFor("two turns", 3_000, () => lonely.prober.counters.skipped_unreachable >= 2);
    assert.deepEqual([lonely.prober.counters.bad, balancer.isEnabled(balancer.destination(1)!)], [0, true]);
    assert.equal(lonely.balancer.isEnabled(lonely.balancer.destination(1)!), true);
  });

  it("cannot start on an address that this machine has not, and leaves no socket open", async () => {
    const peer = await openPeer("127.0.0.3");
    await assert.rejects(startProber([peer], 300, [OUR_ADDRESS, "2001:db8::1"]), /Cannot listen on udp:\[2001:db8::1\]/);
    assert.equal(await peer.staysSilent(INTERVAL_MS), true);
  });
});
