import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, before, describe, it } from "node:test";
import type { Endpoint } from "../../src/transaction/index.ts";
import type { DatagramSockets } from "../../src/transport/datagram-socket.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { createUdpSocket } from "../../src/transport/node-socket.ts";
import { GRACE_MS, isRefusal, MAX_GRACE_MS, REFUSED_MS, SILENCE_MS } from "../../src/transport/peer-socket.ts";
import { ANSWER_MS, IDLE_MS, LOOKS, PAUSE_MS, PeerSockets } from "../../src/transport/peer-sockets.ts";
import { SourceTable } from "../../src/transport/source-table.ts";
import { TransportCounters, UdpListener } from "../../src/transport/udp.ts";
import { openListeningSocket } from "../../src/transport/udp-socket.ts";
import { allSockets } from "../support/datagram-sockets.ts";
import { hasIpv6Loopback, loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { silentListener } from "../support/silent-listener.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const TIMEOUT_MS = 2_000;
let sockets: DatagramSockets;
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

class Owner {
  readonly reasons: string[] = [];
  transportError(reason: string): void {
    this.reasons.push(reason);
  }
}

async function listen(address: string, lasting: (address: string, port: number) => boolean = () => true) {
  const counters = new TransportCounters();
  const received: { text: string; source: Endpoint }[] = [];
  const faults: string[] = [];
  const clock = { nowMs: 0 };
  const listener = await UdpListener.open({
    address,
    port: 0,
    sockets,
    advertised: null,
    locals: new LocalAddresses(() => 0),
    counters,
    peers: { isLasting: lasting, nowMs: () => clock.nowMs },
    receive: (text, source) => received.push({ text, source }),
    fault: (error, action) => faults.push(`${action}: ${String(error)}`),
  });
  toClose.push(listener);
  return { listener, counters, received, faults, clock };
}

async function peer(address: string): Promise<UdpPeer> {
  const opened = await UdpPeer.open(address);
  toClose.push(opened);
  return opened;
}

function endpoint(listener: UdpListener, { address, port }: { readonly address: string; readonly port: number }): Endpoint {
  return { transport: "udp", address, port, listener };
}

/** An address where nobody listens any more. */
async function deserted(address: string): Promise<{ address: string; port: number }> {
  const gone = await UdpPeer.open(address);
  const place = { address: gone.address, port: gone.port };
  await gone.close();
  return place;
}

async function bound(address: string, port: number): Promise<Socket> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.bind({ address, port, exclusive: true });
  await once(socket, "listening");
  toClose.push(socket);
  return socket;
}

describe("isRefusal()", () => {
  const codes = { ECONNREFUSED: true, EHOSTUNREACH: true, EACCES: true, EMSGSIZE: false, EPROTO: false, ENOMEM: false };
  for (const [code, want] of Object.entries(codes)) {
    it(`says ${want} of ${code}`, () => assert.equal(isRefusal(Object.assign(new Error(code), { code })), want));
  }
});

for (const form of await allSockets()) {
  describe(`with ${form.name}`, () => {
    before(() => {
      sockets = form.sockets;
    });

    describe("a listener whose peers have sockets", () => {
      const places = [
        ...loopbacks().map((address) => ({ address, peers: address })),
        { address: "0.0.0.0", peers: "127.0.0.9" },
        ...(hasIpv6Loopback() ? [{ address: "::", peers: "::1" }] : []),
      ];
      for (const { address, peers } of places) {
        it(`on ${address} tells within milliseconds that nobody listens, to all who wait, and once`, async () => {
          const { listener, counters, faults } = await listen(address);
          const target = endpoint(listener, await deserted(peers));
          const [first, second] = [new Owner(), new Owner()];
          const sinceMs = performance.now();
          listener.send("request one", target, first);
          listener.send("request two", target, second);
          assert.deepEqual([first.reasons, second.reasons], [[], []], "never during the call");
          await waitFor("both", TIMEOUT_MS, () => first.reasons.length > 0 && second.reasons.length > 0);
          const tookMs = performance.now() - sinceMs;
          assert.ok(tookMs < 500, `${tookMs} ms`);
          assert.match(first.reasons[0] as string, /^refused \(ECONNREFUSED\): nobody listens at \S+ port \d+$/);
          assert.ok(counters.icmp_refused >= 1);
          assert.equal(counters.peer_sockets, 1);
          assert.deepEqual(faults, []);
        });

        it(`on ${address} sends from its own address and port, and takes answers and strangers' messages alike`, async () => {
          const { listener, counters, received } = await listen(address);
          const [known, stranger] = [await peer(peers), await peer(peers)];
          const seen: { address: string; port: number }[] = [];
          const socket = await bound(peers, 0);
          socket.on("message", (_bytes, { address, port }) => seen.push({ address, port }));
          listener.send("request", endpoint(listener, socket.address()), new Owner());
          listener.send("without a socket", endpoint(listener, socket.address()));
          await waitFor("both requests", TIMEOUT_MS, () => seen.length === 2);
          assert.equal(seen[0]?.port, listener.port);
          assert.deepEqual(seen[0], seen[1]);
          listener.send("request", endpoint(listener, known), new Owner());
          assert.equal(counters.peer_sockets, 2);
          const ours = { address: seen[0]?.address as string, port: listener.port };
          known.send("of the peer", ours);
          stranger.send("of a stranger", ours);
          await waitFor("both messages", TIMEOUT_MS, () => received.length === 2);
          assert.deepEqual(
            received.map(({ text, source }) => [text, source.port, source.listener === listener]).sort(),
            [
              ["of a stranger", stranger.port, true],
              ["of the peer", known.port, true],
            ].sort(),
          );
          assert.equal(counters.received_messages, 2);
        });
      }

      it("gives none to peers that are not lasting, nor for what has no owner", async () => {
        const { listener, counters } = await listen("127.0.0.1", (_address, port) => port === 9);
        listener.send("a request", endpoint(listener, { address: "127.0.0.1", port: 10 }), new Owner());
        listener.send("a response", endpoint(listener, { address: "127.0.0.1", port: 9 }));
        assert.equal(counters.peer_sockets, 0);
        listener.send("a request", endpoint(listener, { address: "127.0.0.1", port: 9 }), new Owner());
        assert.equal(counters.peer_sockets, 1);
      });

      it("does not lose a message to an error of the one before", async () => {
        const { listener } = await listen("127.0.0.1");
        const place = await deserted("127.0.0.1");
        const target = endpoint(listener, place);
        listener.send("refused", target, new Owner());
        // On loopback the error is there when the call has ended; the next send would be told of it instead of sending.
        const socket = createUdpSocket(place.address, false);
        toClose.push(socket);
        const texts: string[] = [];
        socket.on("message", (bytes) => texts.push(bytes.toString()));
        socket.bind({ ...place, exclusive: true });
        listener.send("arrives", target, new Owner());
        await waitFor("the message", TIMEOUT_MS, () => texts.length > 0);
        assert.deepEqual(texts, ["arrives"]);
      });

      it("tells nobody when the peer says something at once: a forged ICMP message, or one of before a restart", async () => {
        const { listener, counters, received } = await listen("127.0.0.1");
        const place = await deserted("127.0.0.1");
        const target = endpoint(listener, place);
        const owner = new Owner();
        listener.send("refused", target, owner);
        const restarted = createUdpSocket(place.address, false);
        toClose.push(restarted);
        restarted.bind({ ...place, exclusive: true });
        restarted.send("I am here again", listener.port, listener.address);
        await waitFor("the refusal and the sign of life", TIMEOUT_MS, () => counters.icmp_refused > 0 && received.length > 0);
        const later = new Owner();
        await new Promise((resolve) => setTimeout(resolve, 50));
        listener.send("arrives", target, later);
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.deepEqual([owner.reasons, later.reasons], [[], []]);
      });

      it("takes a peer that stays silent for refused for a second, as its host tells of one refusal a second", async () => {
        const { listener, clock, counters } = await listen("127.0.0.1");
        const place = await deserted("127.0.0.1");
        const target = endpoint(listener, place);
        const [first, second, third] = [new Owner(), new Owner(), new Owner()];
        listener.send("refused", target, first);
        await waitFor("the refusal", TIMEOUT_MS, () => first.reasons.length === 1);
        await bound(place.address, place.port); // as if it told of no further one
        clock.nowMs += REFUSED_MS - 1;
        listener.send("silence", target, second);
        await waitFor("the silence", TIMEOUT_MS, () => second.reasons.length === 1);
        clock.nowMs += 1;
        listener.send("patience", target, third);
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.deepEqual(third.reasons, []);
        assert.equal(counters.icmp_refused, 1);
      });

      it("gives a peer that has been started since a moment to say something, as it may have much to do", async () => {
        const { listener, clock } = await listen("127.0.0.1");
        const place = await deserted("127.0.0.1");
        const target = endpoint(listener, place);
        const [first, second] = [new Owner(), new Owner()];
        listener.send("refused", target, first);
        await waitFor("the refusal", TIMEOUT_MS, () => first.reasons.length === 1);
        const peer = await bound(place.address, place.port);
        clock.nowMs += 100;
        listener.send("question", target, second);
        const [, { address, port }] = (await once(peer, "message")) as [Buffer, { address: string; port: number }];
        setTimeout(() => peer.send("answer", port, address), 5 * GRACE_MS);
        await new Promise((resolve) => setTimeout(resolve, SILENCE_MS + 5 * GRACE_MS));
        assert.deepEqual(second.reasons, []);
      });

      it("waits longer for the sign of life of a peer whose answers take longer", async () => {
        const { listener, clock, counters } = await listen("127.0.0.1");
        const distant = await UdpPeer.open("127.0.0.1");
        const target = endpoint(listener, distant);
        listener.send("request", target, new Owner());
        await distant.next("the request", () => true);
        clock.nowMs += 60; // its answer was long under way
        distant.send("an answer", listener);
        await waitFor("the answer", TIMEOUT_MS, () => counters.received_messages === 1);
        await distant.close();
        const owner = new Owner();
        const sinceMs = performance.now();
        listener.send("request", target, owner);
        await waitFor("the refusal", TIMEOUT_MS, () => owner.reasons.length > 0);
        assert.ok(performance.now() - sinceMs >= MAX_GRACE_MS - 1);
      });

      it("fails a datagram that is too large by itself", async () => {
        const { listener, counters } = await listen("127.0.0.1");
        const target = endpoint(listener, await peer("127.0.0.1"));
        const [usual, large] = [new Owner(), new Owner()];
        listener.send("request", target, usual);
        listener.send("x".repeat(65_508), target, large);
        await waitFor("its failure", TIMEOUT_MS, () => large.reasons.length > 0);
        assert.match(large.reasons[0] as string, /EMSGSIZE/);
        assert.deepEqual([usual.reasons, counters.send_errors, counters.icmp_refused, counters.peer_sockets], [[], 1, 0, 1]);
      });
    });

    describe("PeerSockets", () => {
      async function open(max = 3, address = "127.0.0.1") {
        const { socket } = await openListeningSocket(sockets, address, 0, true);
        toClose.push(socket);
        const clock = { nowMs: 0 };
        const wanted = { lasting: true };
        const counters = new TransportCounters();
        const received: string[] = [];
        const faults: string[] = [];
        const peers = new PeerSockets({
          local: socket.address(),
          sockets,
          sources: new SourceTable(silentListener(address)),
          isLasting: () => wanted.lasting,
          nowMs: () => clock.nowMs,
          counters,
          received: (bytes, start, end) => void received.push(bytes.toString("latin1", start, end)),
          sendUnconnected: () => undefined,
          fault: (error) => faults.push(String(error)),
          max,
        });
        toClose.push(peers);
        const sweep = async (): Promise<number> => {
          peers.sweep();
          await new Promise(setImmediate);
          await new Promise(setImmediate);
          assert.equal(counters.peer_sockets, peers.size);
          return peers.size;
        };
        return { peers, clock, wanted, received, faults, sweep, port: socket.address().port };
      }

      it("keeps a socket that is used, and closes one that is idle for long", async () => {
        const { peers, clock, sweep } = await open();
        assert.ok(peers.find("127.0.0.9", 5060, true));
        clock.nowMs = IDLE_MS;
        assert.equal(await sweep(), 1);
        clock.nowMs = IDLE_MS + 1;
        assert.equal(await sweep(), 0);
        assert.equal(peers.find("127.0.0.9", 5060, false), undefined);
      });

      it("closes the one of a destination that is gone as soon as nothing can come any more", async () => {
        const { peers, clock, sweep, wanted } = await open();
        peers.find("127.0.0.9", 5060, true);
        wanted.lasting = false;
        clock.nowMs = ANSWER_MS;
        assert.equal(await sweep(), 1);
        clock.nowMs = ANSWER_MS + 1;
        assert.equal(await sweep(), 0);
      });

      it("has no more than it may, and gives the room of those least recently used, but never of those in use, to who wants some", async () => {
        const { peers, clock, sweep } = await open(3);
        for (const [i, port] of [5060, 5061, 5062].entries()) {
          clock.nowMs = i;
          assert.ok(peers.find("127.0.0.9", port, true));
        }
        assert.equal(peers.find("127.0.0.9", 5063, true), undefined);
        clock.nowMs = ANSWER_MS;
        assert.equal(await sweep(), 3, "all are in use");
        clock.nowMs = ANSWER_MS + 3;
        assert.equal(await sweep(), 3, "nobody has wanted room since");
        assert.equal(peers.find("127.0.0.9", 5063, true), undefined);
        assert.equal(await sweep(), 2);
        assert.equal(peers.find("127.0.0.9", 5060, false), undefined, "the oldest is gone");
        assert.ok(peers.find("127.0.0.9", 5061, false));
        assert.ok(peers.find("127.0.0.9", 5063, true));
      });

      it("reads what has come to a socket that it was about to close, and keeps it", async () => {
        const { peers, clock, port, received } = await open();
        const late = await peer("127.0.0.9");
        const socket = peers.find(late.address, late.port, true);
        assert.ok(socket);
        clock.nowMs = IDLE_MS + 1;
        late.send("just in time", { address: "127.0.0.1", port });
        await new Promise((resolve) => setTimeout(resolve, 0)); // sweeps are timers, too
        peers.sweep();
        await waitFor("the message", TIMEOUT_MS, () => received.length === 1);
        await new Promise(setImmediate);
        assert.equal(peers.size, 1);
      });

      it("gives a peer that no way leads to none for a while, which is no other peer's concern", async () => {
        const { peers, clock, faults, sweep } = await open();
        const unreachable = ["192.0.2.1", 5060, true] as const; // from 127.0.0.1
        for (let i = 0; i < 3; i++) assert.equal(peers.find(...unreachable), undefined);
        assert.ok(peers.find("127.0.0.9", 5060, true));
        clock.nowMs = PAUSE_MS;
        assert.equal(peers.find(...unreachable), undefined);
        assert.equal(await sweep(), 1);
        assert.deepEqual(faults, []);
      });

      it("keeps those behind a wildcard whose address still leads to their peer", async () => {
        const { peers, sweep } = await open(2 * LOOKS, "0.0.0.0");
        const opened = Array.from({ length: LOOKS + 3 }, (_, i) => peers.find("127.0.0.9", 5060 + i, true));
        for (let i = 0; i < 3; i++) assert.equal(await sweep(), LOOKS + 3);
        for (const [i, socket] of opened.entries()) {
          assert.ok(socket);
          assert.equal(socket, peers.find("127.0.0.9", 5060 + i, false));
          assert.equal(socket.isMisplaced(), false);
        }
      });

      it("opens none after close()", async () => {
        const { peers } = await open();
        peers.find("127.0.0.9", 5060, true);
        peers.close();
        assert.equal(peers.find("127.0.0.9", 5060, true), undefined);
        assert.equal(peers.size, 0);
      });
    });
  });
}
