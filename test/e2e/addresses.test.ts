import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { hasIpv6Loopback, ipv4Addresses } from "../support/loopback.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { type CallOptions, establish, type Proxy as ProxyAddress, routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.71";
const CALLEE = "127.0.21.72";
const STRANGER = "127.0.21.75";

/** Hangs up from one side; the other one gets BYE and its answer comes back. */
async function hangUp(
  bye: string,
  from: UdpPeer,
  to: UdpPeer,
  fromProxy: ProxyAddress,
  toProxy: ProxyAddress = fromProxy,
): Promise<string> {
  from.send(bye, fromProxy);
  const arrived = await to.nextRequest("BYE");
  to.send(responseTo(arrived, 200), toProxy);
  assert.equal(statusOf(await from.nextFinal("BYE")), 200);
  return arrived;
}

/** Two calls, one that each side ends. @returns the first one's INVITE as the callee got it */
async function callBothWays(
  headroom: Headroom,
  caller: UdpPeer,
  callee: UdpPeer,
  proxy: ProxyAddress = headroom,
  options: CallOptions = {},
): Promise<string> {
  const { calleeProxy = proxy } = options;
  const first = await establish(proxy, caller, callee, options);
  assert.deepEqual(await headroom.loads(), [1]);
  await hangUp(first.fromCaller("BYE", 2), caller, callee, proxy, calleeProxy);
  await headroom.untilIdle();
  const second = await establish(proxy, caller, callee, options);
  assert.deepEqual(await headroom.loads(), [1]);
  await hangUp(second.fromCallee("BYE", 1), callee, caller, calleeProxy, proxy);
  await headroom.untilIdle();
  return first.delivered;
}

/** Host and port of the topmost Via. */
function viaOf(message: string): string {
  return /^SIP\/2\.0\/UDP ([^;\s]+)/.exec(headerOf(message, "Via"))?.[1] ?? "";
}

/** Record-Routes with the changing `did` left out. */
function recordRoutes(message: string): string[] {
  return routesOf(message).map((value) => value.replace(/;did=[^;>]+/, ""));
}

async function statusOfOptions(uri: string, peer: UdpPeer, proxy: ProxyAddress): Promise<number> {
  peer.send(request({ method: "OPTIONS", uri, sentBy: peer.sentBy }), proxy);
  return statusOf(await peer.nextFinal("OPTIONS"));
}

describe("a listener on 0.0.0.0", () => {
  let headroom: Headroom;
  let callee: UdpPeer;
  let port: number;
  before(async () => {
    port = await freeUdpPort("0.0.0.0");
    callee = await UdpPeer.open(CALLEE);
    headroom = await startHeadroom(`sip: { listen: ["udp:0.0.0.0:${port}"] }`, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
  });
  after(async () => {
    await headroom?.stop();
    await callee.close();
  });

  for (const address of ipv4Addresses()) {
    it(`answers OPTIONS at ${address}, an address of this machine, and carries calls that come there`, async () => {
      const proxy = { address, port };
      const caller = await UdpPeer.open(address);
      assert.equal(await statusOfOptions(`sip:${address}:${port}`, caller, proxy), 200);
      const delivered = await callBothWays(headroom, caller, callee, proxy, { calleeProxy: { address: "127.0.0.1", port } });
      assert.equal(viaOf(delivered), `127.0.0.1:${port}`, "the address that the callee can reach");
      // The callee is on loopback; a caller elsewhere needs an address of its own (RFC 5658 §4).
      const one = [`<sip:127.0.0.1:${port};lr>`];
      const two = [`<sip:127.0.0.1:${port};lr;r2=on>`, `<sip:${address}:${port};lr;r2=on>`];
      assert.deepEqual(recordRoutes(delivered), address === "127.0.0.1" ? one : two);
      await caller.close();
    });
  }

  it("answers OPTIONS to localhost and to any address of loopback, and 405 to OPTIONS for another host", async () => {
    const caller = await UdpPeer.open(CALLER);
    const proxy = { address: "127.0.0.1", port };
    for (const host of ["localhost", "127.0.0.1", "127.0.21.79"])
      assert.equal(await statusOfOptions(`sip:${host}:${port}`, caller, proxy), 200);
    for (const host of ["203.0.113.1", "sip.example.net"]) assert.equal(await statusOfOptions(`sip:${host}:${port}`, caller, proxy), 405);
    await caller.close();
  });

  it("wrote no error", () => {
    assert.doesNotMatch(headroom.log(), /"level":"(error|fatal)"/);
  });
});

describe("an IPv4 caller and a destination on [::1]", () => {
  it("reach each other through two listeners, each with a Record-Route of its own (RFC 5658 §4); without IPv6 nothing starts", async () => {
    const caller = await UdpPeer.open(CALLER);
    const v4 = { address: "127.0.0.2", port: await freeUdpPort("127.0.0.2") };
    const v6 = { address: "::1", port: v4.port };
    const config = `sip: { listen: ["udp:127.0.0.2:${v4.port}", "udp:[::1]:${v6.port}"] }`;
    if (!hasIpv6Loopback()) {
      await assert.rejects(startHeadroom(config), /ended with 1.*Cannot listen on udp:\[::1\]/s);
      await caller.close();
      return;
    }
    const callee = await UdpPeer.open("::1");
    const headroom = await startHeadroom(config, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    try {
      const delivered = await callBothWays(headroom, caller, callee, v4, { calleeProxy: v6 });
      assert.equal(viaOf(delivered), `[::1]:${v6.port}`);
      assert.deepEqual(recordRoutes(delivered), [`<sip:[::1]:${v6.port};lr;r2=on>`, `<sip:127.0.0.2:${v4.port};lr;r2=on>`]);
      for (const [proxy, peer, uri] of [
        [v4, caller, `sip:127.0.0.2:${v4.port}`],
        [v6, callee, `sip:[::1]:${v6.port}`],
      ] as const)
        assert.equal(await statusOfOptions(uri, peer, proxy), 200);
    } finally {
      await headroom.stop();
      await callee.close();
      await caller.close();
    }
  });

  it("a destination on IPv6 without a listener for it: the caller is answered, and nothing stays counted", async () => {
    const caller = await UdpPeer.open(CALLER);
    const headroom = await startHeadroom("", [{ uri: "sip:[::1]:5060", resources: "pstn=5" }]);
    try {
      caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
      assert.ok(statusOf(await caller.nextFinal("INVITE")) >= 500);
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await caller.close();
    }
  });
});

describe("sip.allow", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let stranger: UdpPeer;
  before(async () => {
    [caller, callee, stranger] = await Promise.all([UdpPeer.open(CALLER), UdpPeer.open(CALLEE), UdpPeer.open(STRANGER)]);
    const rows = [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }];
    headroom = await startHeadroom(`sip: { allow: ["${CALLER}/32", "198.51.100.0/24", "2001:db8::/32"] }`, rows);
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all([caller.close(), callee.close(), stranger.close()]);
  });

  const service = (): string => `sip:service@${headroom.address}:${headroom.port}`;

  for (const method of ["INVITE", "OPTIONS", "MESSAGE"]) {
    it(`refuses ${method} from a stranger with 403, passes nothing on and counts it`, async () => {
      stranger.send(request({ method, uri: service(), sentBy: stranger.sentBy }), headroom);
      assert.equal(statusOf(await stranger.nextFinal(method)), 403);
      assert.deepEqual(callee.received, []);
      await headroom.untilIdle();
    });
  }

  it("has counted every refusal", async () => {
    const statistics = (await headroom.mi("get_statistics", { statistics: ["core:not_allowed"] })) as Record<string, number>;
    assert.deepEqual(statistics, { "core:not_allowed": 3 });
  });

  it("lets callers of the list in, and the callee hang up", async () => {
    await callBothWays(headroom, caller, callee);
  });

  it("lets a stranger take part in a call that exists: only initial requests are refused", async () => {
    const call = await establish(headroom, caller, callee);
    // The caller has moved to another address, as one behind NAT does.
    await hangUp(call.fromCaller("BYE", 2).replaceAll(caller.sentBy, stranger.sentBy), stranger, callee, headroom);
    await headroom.untilIdle();
  });

  it("lets destinations in, whatever their port, until they are none any more", async () => {
    const other = await UdpPeer.open(CALLEE); // the address of the destination, another port
    for (const destination of [callee, other]) assert.equal(await statusOfOptions(service(), destination, headroom), 200);
    other.send(request({ uri: service(), sentBy: other.sentBy }), headroom);
    const delivered = await callee.nextRequest("INVITE");
    callee.send(responseTo(delivered, 486, { toTag: "busy" }), headroom);
    assert.equal(statusOf(await other.nextFinal("INVITE")), 486);

    await headroom.replaceRows([{ uri: `sip:${CALLER}`, resources: "pstn=5" }]);
    assert.equal(await statusOfOptions(service(), callee, headroom), 403);
    await headroom.replaceRows([{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    assert.equal(await statusOfOptions(service(), callee, headroom), 200);
    await other.close();
  });
});

describe("sip.advertised_address", () => {
  const cases = [
    { advertised: "sip.example.net:5070", name: "with a port", want: () => "sip.example.net:5070" },
    { advertised: "203.0.113.5", name: "without a port", want: (bound: number) => `203.0.113.5:${bound}` },
    { advertised: "[2001:db8::5]:5070", name: "of IPv6", want: () => "[2001:db8::5]:5070" },
  ];
  for (const { advertised, name, want } of cases) {
    it(`${name}, "${advertised}", stands in Via and Record-Route, and is known again in Via, Route and Request-URI`, async () => {
      const [caller, callee] = await Promise.all([UdpPeer.open(CALLER), UdpPeer.open(CALLEE)]);
      const rows = [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }];
      const headroom = await startHeadroom(`sip: { advertised_address: "${advertised}" }`, rows);
      try {
        const expected = want(headroom.port);
        const delivered = await callBothWays(headroom, caller, callee, headroom, { uri: `sip:service@${expected}` });
        assert.equal(viaOf(delivered), expected);
        assert.deepEqual(recordRoutes(delivered), [`<sip:${expected};lr>`]);
        assert.doesNotMatch(
          delivered.replace(/^[^\r]*|^To: .*$/gm, (line) => (/^(INVITE|To:)/.test(line) ? "" : line)),
          /127\.0\.0\.2/,
        );
        assert.equal(await statusOfOptions(`sip:${expected}`, caller, headroom), 200);
        assert.equal(await statusOfOptions(`sip:${headroom.address}:${headroom.port}`, caller, headroom), 200);
      } finally {
        await headroom.stop();
        await Promise.all([caller.close(), callee.close()]);
      }
    });
  }

  it("does not hide where a response belongs: one whose Via is a stranger's is dropped", async () => {
    const [caller, callee] = await Promise.all([UdpPeer.open(CALLER), UdpPeer.open(CALLEE)]);
    const rows = [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }];
    const headroom = await startHeadroom('sip: { advertised_address: "sip.example.net:5070" }', rows);
    try {
      caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
      const delivered = await callee.nextRequest("INVITE");
      callee.send(responseTo(delivered, 486, { toTag: "wrong" }).replaceAll("sip.example.net:5070", "sip.example.org:5070"), headroom);
      await waitFor("the dropped response is counted", 2_000, async () => {
        const { "core:drop_replies": dropped } = (await headroom.mi("get_statistics", { statistics: ["core:drop_replies"] })) as Record<
          string,
          number
        >;
        return dropped === 1;
      });
      callee.send(responseTo(delivered, 486, { toTag: "right" }), headroom);
      assert.match(headerOf(await caller.nextFinal("INVITE"), "To"), /;tag=right$/);
    } finally {
      await headroom.stop();
      await Promise.all([caller.close(), callee.close()]);
    }
  });
});
