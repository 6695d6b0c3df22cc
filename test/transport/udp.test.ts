import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import type { Endpoint } from "../../src/transaction/index.ts";
import type { DatagramSockets } from "../../src/transport/datagram-socket.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { bracketed, TransportCounters, UdpListener, type UdpListenerOptions } from "../../src/transport/udp.ts";
import { allSockets } from "../support/datagram-sockets.ts";
import { hasIpv6Loopback, loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const TIMEOUT_MS = 2_000;
let sockets: DatagramSockets;

/** A listener, and all that it told. */
interface Bench {
  readonly listener: UdpListener;
  readonly counters: TransportCounters;
  readonly received: { readonly text: string; readonly source: Endpoint }[];
  readonly faults: string[];
}

const toClose: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

async function listen(options: Partial<UdpListenerOptions> = {}): Promise<Bench> {
  const counters = new TransportCounters();
  const received: Bench["received"] = [];
  const faults: string[] = [];
  const listener = await UdpListener.open({
    address: "127.0.0.1",
    port: 0,
    sockets,
    advertised: null,
    locals: new LocalAddresses(() => 0),
    counters,
    receive: (text, source) => received.push({ text, source }),
    fault: (error, action) => faults.push(`${action}: ${String(error)}`),
    ...options,
  });
  toClose.push(listener);
  return { listener, counters, received, faults };
}

async function peer(address: string): Promise<UdpPeer> {
  const opened = await UdpPeer.open(address);
  toClose.push(opened);
  return opened;
}

const everyByte = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));

for (const form of await allSockets()) {
  describe(`with ${form.name}`, () => {
    before(() => {
      sockets = form.sockets;
    });

    describe("UdpListener.open()", () => {
      for (const address of loopbacks()) {
        it(`binds ${address} and carries every byte both ways as one character`, async () => {
          const { listener, counters, received, faults } = await listen({ address });
          const other = await peer(address);
          assert.equal(listener.address, address);
          assert.equal(listener.family, address.includes(":") ? 6 : 4);
          assert.equal(listener.isWildcard, false);
          assert.ok(listener.port > 0, "port 0 lets the system choose");

          other.send(everyByte, listener);
          const { text, source } = await waitFor("the datagram", TIMEOUT_MS, () => received[0]);
          assert.equal(text, everyByte);
          assert.deepEqual(
            { ...source, listener: source.listener === listener },
            { transport: "udp", address, port: other.port, listener: true },
          );

          listener.send(everyByte, source);
          assert.equal(await other.next("the answer", () => true), everyByte);
          assert.deepEqual(
            { ...counters },
            { ...new TransportCounters(), received_messages: 1, sent_messages: 1, received_bytes: 256, sent_bytes: 256 },
          );
          assert.deepEqual(faults, []);
        });
      }

      it("binds ::1 where there is one, else refuses it in one sentence", async () => {
        if (hasIpv6Loopback()) assert.equal((await listen({ address: "::1" })).listener.family, 6);
        else await assert.rejects(listen({ address: "::1" }), /^Error: Cannot listen on udp:\[::1\]:0: [^\n]*[^.\n]$/);
      });

      for (const address of loopbacks()) {
        it(`refuses a port of ${address} that is taken, names it and says what to do`, async () => {
          const { listener } = await listen({ address });
          await assert.rejects(listen({ address, port: listener.port }), {
            message: `Cannot listen on udp:${bracketed(address)}:${listener.port}: another program uses this address and port; stop it, or change sip.listen`,
          });
        });
      }

      it("refuses an address of another machine, names it and says what to do", async () => {
        await assert.rejects(listen({ address: "203.0.113.1", port: 5060 }), {
          message: "Cannot listen on udp:203.0.113.1:5060: this machine has no such address; change sip.listen",
        });
      });

      it("refuses what is not an address, with the cause", async () => {
        await assert.rejects(listen({ address: "127.0.0.1.5" }), (error: Error) => {
          assert.match(error.message, /^Cannot listen on udp:127\.0\.0\.1\.5:0: \S[^\n]*$/);
          assert.ok(error.cause instanceof Error);
          return true;
        });
      });

      it("leaves nothing bound after a refusal", async () => {
        const { listener } = await listen();
        await assert.rejects(listen({ port: listener.port }));
        await listener.close();
        assert.equal((await listen({ port: listener.port })).listener.port, listener.port);
      });
    });

    describe("a listener on a wildcard", () => {
      const wildcards = hasIpv6Loopback() ? ["0.0.0.0", "::"] : ["0.0.0.0"];
      for (const wildcard of wildcards) {
        it(`${wildcard} takes what is sent to any address of its family`, async () => {
          const { listener, received } = await listen({ address: wildcard });
          assert.equal(listener.isWildcard, true);
          const targets = wildcard === "::" ? ["::1"] : ["127.0.0.1", "127.0.21.81"];
          const other = await peer(targets[0] as string);
          for (const address of targets) other.send(`to ${address} of this machine`, { address, port: listener.port });
          await waitFor("all datagrams", TIMEOUT_MS, () => received.length === targets.length);
          assert.deepEqual(
            received.map(({ text }) => text),
            targets.map((address) => `to ${address} of this machine`),
          );
          assert.equal(listener.sentByFor(targets[0] as string), `${bracketed(targets[0] as string)}:${listener.port}`);
        });
      }

      it("of IPv6 leaves the same port of IPv4 to another listener", async () => {
        const { listener } = await listen({ address: "0.0.0.0" });
        if (hasIpv6Loopback()) assert.equal((await listen({ address: "::", port: listener.port })).listener.port, listener.port);
        else await assert.rejects(listen({ address: "::1", port: listener.port }), /^Error: Cannot listen on udp:\[::1\]/);
      });
    });

    describe("UdpListener.sentByFor()", () => {
      const cases = [
        { name: "the bound address and port", address: "127.0.0.1", advertised: null, want: "127.0.0.1:PORT" },
        {
          name: "the advertised host with the bound port",
          address: "127.0.0.1",
          advertised: "sip.example.net",
          want: "sip.example.net:PORT",
        },
        { name: "the advertised host and port", address: "127.0.0.1", advertised: "203.0.113.5:5070", want: "203.0.113.5:5070" },
        {
          name: "the advertised IPv6 address with the bound port",
          address: "127.0.0.1",
          advertised: "[2001:db8::1]",
          want: "[2001:db8::1]:PORT",
        },
        {
          name: "the advertised IPv6 address and port",
          address: "127.0.0.1",
          advertised: "[2001:db8::1]:5070",
          want: "[2001:db8::1]:5070",
        },
        { name: "what is advertised on a wildcard too", address: "0.0.0.0", advertised: "203.0.113.5", want: "203.0.113.5:PORT" },
        { name: "on a wildcard the address that faces the peer", address: "0.0.0.0", advertised: null, want: "127.0.0.1:PORT" },
      ];
      for (const { name, address, advertised, want } of cases) {
        it(`is ${name}: ${want}`, async () => {
          const { listener } = await listen({ address, advertised });
          assert.equal(listener.sentByFor("127.0.21.82"), want.replace("PORT", String(listener.port)));
        });
      }
    });

    describe("UdpListener", () => {
      for (const keepAlive of ["", "\0", "\r\n", "\r\n\r\n", "\0\0\0\0\0\0\0"]) {
        it(`counts ${JSON.stringify(keepAlive)} as a keep-alive and passes it to nobody (RFC 5626 §3.5.1)`, async () => {
          const { listener, counters, received } = await listen();
          const other = await peer("127.0.0.1");
          other.send(keepAlive, listener);
          other.send("a message", listener);
          await waitFor("the message behind it", TIMEOUT_MS, () => received.length === 1);
          assert.equal(received[0]?.text, "a message");
          assert.deepEqual([counters.keepalives, counters.received_messages], [1, 2]);
        });
      }

      it("survives a receiver that throws, tells of it and goes on", async () => {
        const texts: string[] = [];
        const { listener, counters, faults } = await listen({
          receive: (text) => {
            texts.push(text);
            if (texts.length === 1) throw new Error("broken on purpose");
          },
        });
        const other = await peer("127.0.0.1");
        other.send("first message", listener);
        other.send("second message", listener);
        await waitFor("both messages", TIMEOUT_MS, () => texts.length === 2);
        assert.deepEqual(faults, ["process received message: Error: broken on purpose"]);
        assert.equal(counters.receive_faults, 1);
      });

      it("tells the sender, and only later, that an address cannot be reached", async () => {
        const { listener, counters } = await listen();
        const target: Endpoint = { transport: "udp", address: "203.0.113.1", port: 5060, listener }; // from loopback there is no way there
        const reasons: string[] = [];
        listener.send("for nobody", target, { transportError: (reason) => reasons.push(reason) });
        assert.equal(reasons.length, 0, "never during the call");
        await waitFor("the transport error", TIMEOUT_MS, () => reasons.length === 1);
        assert.match(reasons[0] as string, /203\.0\.113\.1/);
        assert.equal(counters.send_errors, 1);
      });

      it("tells the sender that a datagram is too long, and counts an error that has no owner", async () => {
        const { listener, counters } = await listen();
        const other = await peer("127.0.0.1");
        const target: Endpoint = { transport: "udp", address: other.address, port: other.port, listener };
        const reasons: string[] = [];
        listener.send("x".repeat(70_000), target, { transportError: (reason) => reasons.push(reason) });
        listener.send("x".repeat(70_000), target);
        await waitFor("both errors", TIMEOUT_MS, () => counters.send_errors === 2 && reasons.length === 1);
        assert.match(reasons[0] as string, /EMSGSIZE/);
      });

      it("asks no name server: a host name in an endpoint is an error of that message only", async () => {
        const { listener, counters, faults } = await listen();
        const reasons: string[] = [];
        listener.send(
          "for a name",
          { transport: "udp", address: "localhost", port: 5060, listener },
          { transportError: (reason) => reasons.push(reason) },
        );
        await waitFor("the error", TIMEOUT_MS, () => reasons.length === 1);
        assert.equal(counters.send_errors, 1);
        assert.deepEqual(faults, []);
      });

      it("takes and sends nothing after close(), which may be called twice", async () => {
        const { listener, counters, received } = await listen();
        const other = await peer("127.0.0.1");
        await listener.close();
        await listener.close();
        other.send("too late, all closed", listener);
        listener.send("too late, all closed", { transport: "udp", address: other.address, port: other.port, listener });
        assert.ok(await other.staysSilent(50));
        assert.deepEqual([received.length, counters.sent_messages], [0, 0]);
      });
    });
  });
}
