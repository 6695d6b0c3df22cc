import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Endpoint, Listener } from "../../src/transaction/index.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { MAX_PEERS, type NetworkOptions, SipNetwork } from "../../src/transport/network.ts";
import { TransportCounters, UdpListener } from "../../src/transport/udp.ts";
import { hasIpv6Loopback } from "../support/loopback.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const toClose: { close(): Promise<void> }[] = [];

after(async () => {
  for (const open of toClose) await open.close();
});

/** A machine with these interfaces, whatever this one has. */
const locals = new LocalAddresses(
  () => 0,
  () => ({
    eth0: [
      { address: "192.0.2.2", netmask: "255.255.255.0", family: "IPv4", mac: "", internal: false, cidr: "192.0.2.2/24" },
      { address: "2001:db8::2", netmask: "", family: "IPv6", mac: "", internal: false, cidr: "2001:db8::2/64", scopeid: 0 },
    ],
  }),
);

async function networkOn(addresses: readonly string[], options: Partial<NetworkOptions> = {}): Promise<SipNetwork> {
  const network = new SipNetwork({ locals, advertised: null, locate: () => [], isAllowed: () => true, ...options });
  for (const address of addresses) {
    const listener = await UdpListener.open({
      address,
      port: 0,
      advertised: options.advertised ?? null,
      locals,
      counters: new TransportCounters(),
      receive: () => {},
      fault: (error) => assert.fail(String(error)),
    });
    network.add(listener);
  }
  toClose.push(network);
  return network;
}

/** The only, or the first, listener. */
function first(network: SipNetwork): UdpListener {
  return network.listeners[0] as UdpListener;
}

describe("SipNetwork.isOwn()", () => {
  const cases: { bound: string; advertised?: string; own: string[]; foreign: string[] }[] = [
    { bound: "127.0.0.1", own: ["127.0.0.1", "localhost"], foreign: ["127.0.0.2", "192.0.2.2", "::1", "sip.example.net", ""] },
    { bound: "127.0.0.2", own: ["127.0.0.2"], foreign: ["127.0.0.1", "localhost", "192.0.2.2"] },
    {
      bound: "0.0.0.0",
      own: ["192.0.2.2", "127.0.0.1", "127.0.21.83", "localhost"],
      foreign: ["192.0.2.3", "203.0.113.1", "sip.example.net", ""],
    },
    { bound: "127.0.0.1", advertised: "SIP.example.net", own: ["sip.example.net", "127.0.0.1", "localhost"], foreign: ["example.net"] },
    { bound: "0.0.0.0", advertised: "203.0.113.5", own: ["203.0.113.5", "192.0.2.2", "127.0.0.1"], foreign: ["203.0.113.6"] },
    { bound: "127.0.0.1", advertised: "[2001:DB8::5]", own: ["2001:db8::5", "127.0.0.1"], foreign: ["2001:db8::6"] },
    ...(hasIpv6Loopback()
      ? [
          { bound: "::1", own: ["::1", "localhost"], foreign: ["127.0.0.1", "2001:db8::2"] },
          { bound: "::", own: ["2001:db8::2", "localhost"], foreign: ["2001:db8::3"] },
        ]
      : []),
  ];
  for (const { bound, advertised, own, foreign } of cases) {
    it(`bound to ${bound}${advertised === undefined ? "" : `, advertised as ${advertised}`}: ${own.join(", ")} with its port`, async () => {
      const network = await networkOn([bound], { advertised: advertised ?? null });
      const { port } = first(network);
      for (const host of own) assert.equal(network.isOwn(host, port), true, `${host} is ours`);
      for (const host of foreign) assert.equal(network.isOwn(host, port), false, `${host} is not ours`);
      for (const host of [...own, ...foreign]) assert.equal(network.isOwn(host, port + 1), false, `${host} with another port`);
    });
  }

  for (const advertised of ["sip.example.net:5070", "[2001:db8::5]:5070"]) {
    it(`advertised with a port, ${advertised}: that port is ours under this name, the bound one is not`, async () => {
      const network = await networkOn(["127.0.0.1"], { advertised });
      const host = advertised.startsWith("[") ? "2001:db8::5" : "sip.example.net";
      assert.equal(network.isOwn(host, 5070), true);
      assert.equal(network.isOwn(host, first(network).port), false);
      assert.equal(network.isOwn("127.0.0.1", first(network).port), true);
      assert.equal(network.isOwn("127.0.0.1", 5070), false);
    });
  }

  it("knows each of several listeners by its own port", async () => {
    const network = await networkOn(["127.0.0.1", "127.0.0.2"]);
    const [one, two] = network.listeners as [UdpListener, UdpListener];
    assert.equal(network.isOwn("127.0.0.1", one.port), true);
    assert.equal(network.isOwn("127.0.0.2", two.port), true);
    assert.equal(network.isOwn("127.0.0.1", two.port), one.port === two.port);
    assert.equal(network.isOwn("127.0.0.2", one.port), one.port === two.port);
  });

  it("owns nothing before it has a listener", async () => {
    assert.equal((await networkOn([])).isOwn("127.0.0.1", 5060), false);
  });
});

describe("SipNetwork.isPeer()", () => {
  const wellFormed = ["udp:192.0.2.9:5060", "192.0.2.10:5070", "tls:SIP.example.net:5061", "udp:[2001:DB8::9]:5060"];
  const others = [
    "",
    "192.0.2.11",
    "udp:0.0.0.0:5060",
    "udp:[::]:5060",
    "[2001:db8::12:5060",
    "udp:a b:5060",
    "192.0.2.13:5060x",
    "ftp:192.0.2.14:5060",
  ];

  it("knows the addresses of other nodes as they are spelled in a URI, with their port, and nothing else", async () => {
    const network = await networkOn(["127.0.0.1"]);
    assert.equal(network.isPeer("192.0.2.9", 5060), false);
    network.setPeers([...wellFormed, ...others]);
    for (const [host, port] of [
      ["192.0.2.9", 5060],
      ["192.0.2.10", 5070],
      ["sip.example.net", 5061],
      ["2001:db8::9", 5060],
      ["2001:db8:0::9", 5060],
    ] as const)
      assert.equal(network.isPeer(host, port), true, host);
    for (const [host, port] of [
      ["192.0.2.9", 5061],
      ["192.0.2.11", 5060],
      ["0.0.0.0", 5060],
      ["::", 5060],
      ["127.0.0.1", 5060],
      ["", 5060],
    ] as const)
      assert.equal(network.isPeer(host, port), false, host);
    network.setPeers(["192.0.2.20:5060"]);
    assert.deepEqual([network.isPeer("192.0.2.9", 5060), network.isPeer("192.0.2.20", 5060)], [false, true]);
  });

  it("knows no more than the first of too many", async () => {
    const network = await networkOn(["127.0.0.1"]);
    network.setPeers(Array.from({ length: MAX_PEERS + 1 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:5060`));
    assert.equal(network.isPeer("10.0.0.0", 5060), true);
    assert.equal(network.isPeer(`10.0.${MAX_PEERS >> 8}.${MAX_PEERS & 255}`, 5060), false);
  });
});

describe("SipNetwork.endpoint()", () => {
  it("sends through the preferred listener when its family fits", async () => {
    const network = await networkOn(["127.0.0.1", "127.0.0.2"]);
    for (const preferred of network.listeners) {
      assert.deepEqual(network.endpoint("127.0.21.84", 5080, "udp", preferred), {
        transport: "udp",
        address: "127.0.21.84",
        port: 5080,
        listener: preferred,
      });
    }
  });

  it("takes another listener when the preferred one is of loopback and the peer is elsewhere, and the other way round", async () => {
    const network = await networkOn(["127.0.0.1", "0.0.0.0"]);
    const [loopback, wildcard] = network.listeners as [UdpListener, UdpListener];
    assert.equal(network.endpoint("203.0.113.9", 5060, "udp", loopback)?.listener, wildcard);
    assert.equal(network.endpoint("127.0.21.84", 5060, "udp", loopback)?.listener, loopback);
    assert.equal(network.endpoint("127.0.21.84", 5060, "udp", wildcard)?.listener, wildcard);
    assert.equal(network.endpoint("203.0.113.9", 5060, "udp", wildcard)?.listener, wildcard);
  });

  it("looks for the facing one also when the preferred listener is of the other family", async () => {
    const network = await networkOn(["127.0.0.1", "0.0.0.0"]);
    const six = { transport: "udp", address: "2001:db8::2", port: 5060, family: 6, sentByFor: () => "" } as const;
    assert.equal(network.endpoint("203.0.113.9", 5060, "udp", six)?.listener, network.listeners[1]);
    assert.equal(network.endpoint("127.0.21.84", 5060, "udp", six)?.listener, network.listeners[0]);
  });

  it("keeps a loopback listener towards a peer elsewhere when there is no other", async () => {
    const one = await networkOn(["127.0.0.1"]);
    assert.equal(one.endpoint("203.0.113.9", 5060, "udp", first(one))?.listener, first(one));
    const two = await networkOn(["127.0.0.1", "127.0.0.2"]);
    assert.equal(two.endpoint("203.0.113.9", 5060, "udp", first(two))?.listener, first(two));
  });

  it("takes the listener of the peer's family, and has no endpoint without one", async () => {
    const v4 = await networkOn(["127.0.0.1"]);
    assert.equal(v4.endpoint("2001:db8::9", 5060, "udp", first(v4)), undefined);
    const both = await networkOn(hasIpv6Loopback() ? ["127.0.0.1", "::1"] : ["127.0.0.1", "127.0.0.2"]);
    const [one, two] = both.listeners as [UdpListener, UdpListener];
    const expected: Listener | undefined = two.family === 6 ? two : undefined;
    assert.equal(both.endpoint("::1", 5060, "udp", one)?.listener, expected);
    assert.equal(both.endpoint("127.0.21.84", 5060, "udp", two)?.listener, two.family === 6 ? one : two);
  });

  it("has no endpoint for a transport that is not UDP, or a port outside of 1 to 65535", async () => {
    const network = await networkOn(["127.0.0.1"]);
    for (const transport of ["tcp", "tls", "ws", "wss", "sctp", ""])
      assert.equal(network.endpoint("127.0.21.84", 5060, transport, first(network)), undefined);
    for (const port of [0, -1, 65_536])
      assert.equal(network.endpoint("127.0.21.84", port, "udp", first(network)), undefined, `port ${port}`);
    for (const port of [1, 65_535]) assert.equal(network.endpoint("127.0.21.84", port, "udp", first(network))?.port, port);
  });

  it("has no endpoint without any listener", async () => {
    const elsewhere = await networkOn(["127.0.0.1"]);
    const empty = await networkOn([]);
    assert.equal(empty.endpoint("::1", 5060, "udp", first(elsewhere)), undefined);
  });
});

describe("SipNetwork", () => {
  it("sends through the listener of the endpoint", async () => {
    const network = await networkOn(["127.0.0.1", "127.0.0.2"]);
    const peer = await UdpPeer.open("127.0.0.1");
    toClose.push(peer);
    for (const listener of network.listeners) {
      network.send(`through ${listener.address}`, { transport: "udp", address: peer.address, port: peer.port, listener });
      await peer.next(listener.address, (text) => text === `through ${listener.address}`);
    }
  });

  it("asks for names and permissions where it was told to", async () => {
    const seen: string[] = [];
    const network = await networkOn(["127.0.0.1"], {
      locate: ({ host }) => {
        seen.push(host);
        return [{ ip: "192.0.2.7", port: 5060, transport: "udp" }];
      },
      isAllowed: ({ address }) => address === "127.0.21.85",
    });
    const target = { host: "sip.example.net", port: undefined, transport: undefined, isSecure: false };
    assert.deepEqual(network.locate(target), [{ ip: "192.0.2.7", port: 5060, transport: "udp" }]);
    assert.deepEqual(seen, ["sip.example.net"]);
    const source = (address: string): Endpoint => ({ transport: "udp", address, port: 5060, listener: first(network) });
    assert.equal(network.isAllowed(source("127.0.21.85")), true);
    assert.equal(network.isAllowed(source("127.0.21.86")), false);
  });

  it("gives up every port when it is closed", async () => {
    const network = await networkOn(["127.0.0.1", "0.0.0.0"]);
    await network.close();
    for (const { address, port } of network.listeners) {
      const listener = await UdpListener.open({
        address,
        port,
        advertised: null,
        locals,
        counters: new TransportCounters(),
        receive: () => {},
        fault: (error) => assert.fail(String(error)),
      });
      await listener.close();
    }
  });
});
