import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AnsweringPeer } from "../support/answering-peer.ts";
import { DnsServer } from "../support/dns-server.ts";
import { type Headroom, type Row, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { request } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

/** Long enough for two refreshes of records with the shortest time to live that is obeyed, 5 s. */
const REFRESH_MS = 14_000;

let dns: DnsServer;
let caller: UdpPeer;
let [one, two]: UdpPeer[] = [];

before(async () => {
  dns = await DnsServer.open("127.0.21.60");
  caller = await UdpPeer.open("127.0.21.61");
  one = await UdpPeer.open("127.0.21.62");
  two = await UdpPeer.open("127.0.21.63");
});
after(async () => {
  await Promise.all([dns.close(), caller.close(), one?.close(), two?.close()]);
});

async function withHeadroom(rows: readonly Row[], use: (headroom: Headroom) => Promise<void>): Promise<void> {
  const headroom = await startHeadroom(`sip: { dns_servers: ["${dns.text}"] }`, rows);
  try {
    await use(headroom);
  } finally {
    await headroom.stop();
  }
}

/** Points the SRV record of a name at a peer. */
function point(name: string, peer: UdpPeer, ttlS = 5): void {
  dns.set(`_sip._udp.${name}`, { type: "SRV", priority: 1, weight: 1, port: peer.port, target: `host.${name}`, ttlS });
  dns.set(`host.${name}`, { type: "A", ip: peer.address, ttlS });
}

async function resolution(headroom: Headroom, name: string): Promise<number> {
  const statistics = (await headroom.mi("get_statistics", { statistics: [`resolution:${name}`] })) as Record<string, number>;
  return statistics[`resolution:${name}`] ?? Number.NaN;
}

describe("a destination that is known by a name", () => {
  it("is found by NAPTR, SRV and address, and follows them without a reload; its load and status stay", async () => {
    dns.set("farm.test", { type: "NAPTR", order: 1, preference: 1, flags: "s", service: "SIP+D2U", replacement: "_sip._udp.farm.test" });
    point("farm.test", one!);
    await withHeadroom([{ uri: "sip:farm.test", resources: "pstn=10" }], async (headroom) => {
      const call = await establish(headroom, caller, one!);
      point("farm.test", two!);
      await waitFor("the change is in the log", REFRESH_MS, () =>
        headroom.log().includes('Addresses of \\"farm.test\\" have changed from'),
      );
      assert.deepEqual(await headroom.loads(), [1]);
      await establish(headroom, caller, two!);
      assert.deepEqual(await headroom.loads(), [2]);
      assert.ok((await resolution(headroom, "refreshes")) >= 1);
      caller.send(call.fromCaller("BYE", 2), headroom);
      await one!.nextRequest("BYE");
    });
  });

  it("that nobody can resolve at the start takes calls as soon as it can be resolved", async () => {
    dns.negativeTtlS = 5;
    await withHeadroom([{ uri: "sip:late.test", resources: "pstn=10" }], async (headroom) => {
      assert.deepEqual(await headroom.list(), []);
      await headroom.untilLogged(/Row 1 is skipped: .*host \\"late.test\\" cannot be resolved: it has no address/);
      point("late.test", one!);
      await waitFor("it is in the table", REFRESH_MS, async () => (await headroom.list()).length === 1);
      await establish(headroom, caller, one!);
      await headroom.untilLogged(/Row 1 takes calls: its host can be resolved now/);
    });
  });

  it("that could not be resolved is asked for again at a reload, however long that was to hold", async () => {
    dns.negativeTtlS = 3_600;
    await withHeadroom([{ uri: "sip:mended.test", resources: "pstn=10" }], async (headroom) => {
      assert.deepEqual(await headroom.list(), []);
      point("mended.test", one!);
      await headroom.mi("lb_reload");
      assert.equal((await headroom.list()).length, 1);
    });
  });

  it("stays where it was while the name server is dead, and when the zone loses it", async () => {
    point("farm.test", one!);
    await withHeadroom([{ uri: "sip:farm.test", resources: "pstn=10" }], async (headroom) => {
      dns.misbehave = () => "silence";
      try {
        await waitFor("somebody notes it", 30_000, async () => (await resolution(headroom, "stale_used")) >= 1);
        await establish(headroom, caller, one!);
        await headroom.mi("lb_reload");
        assert.equal((await headroom.list()).length, 1);
      } finally {
        dns.misbehave = () => undefined;
      }
    });
  });

  it("that offers only TCP is not usable, and the log says so", async () => {
    dns.set("tcp.test", { type: "NAPTR", order: 1, preference: 1, flags: "s", service: "SIP+D2T", replacement: "_sip._tcp.tcp.test" });
    await withHeadroom([{ uri: "sip:tcp.test", resources: "pstn=10" }], async (headroom) => {
      assert.deepEqual(await headroom.list(), []);
      await headroom.untilLogged(/its NAPTR records offer SIP\+D2T, this version sends over UDP only/);
    });
  });
});

describe("the addresses of one destination (RFC 3263 §4.3)", () => {
  it("are tried one after the other, with a new branch and one lease, before the balancer is asked", async () => {
    const gone = await UdpPeer.open("127.0.21.64");
    const silent = await UdpPeer.open("127.0.21.65");
    const alive = await AnsweringPeer.open("127.0.21.66");
    const port = (text: string): number => Number(text.split(":").at(-1));
    const record = (priority: number, address: string, text: string) => {
      dns.set(`h${priority}.set.test`, { type: "A", ip: address });
      return { type: "SRV", priority, weight: 0, port: port(text), target: `h${priority}.set.test` } as const;
    };
    dns.set("_sip._udp.set.test", record(1, "127.0.21.65", silent.sentBy), record(2, "127.0.21.66", alive.uri));
    await gone.close();
    const rows = [
      { uri: "sip:set.test", resources: "pstn=10" },
      { uri: "sip:127.0.21.67:5060", resources: "pstn=1" },
    ];
    try {
      await withHeadroom(rows, async (headroom) => {
        const send = async (): Promise<number> => {
          const startedMs = performance.now();
          caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
          const answer = await caller.nextFinal("INVITE", 5_000);
          assert.match(answer, /^SIP\/2\.0 200 /);
          return performance.now() - startedMs;
        };
        assert.ok((await send()) > 900, "the first address had fr_timeout");
        assert.ok((await send()) < 900, "and is now tried last");
        assert.deepEqual(await headroom.loads(), [2, 0]);
        const [first] = await headroom.list();
        assert.equal(first?.enabled, "yes", "one address is not the destination");
        const statistics = (await headroom.mi("get_statistics", { statistics: ["tm:address_failovers", "tm:failovers"] })) as object;
        assert.deepEqual(Object.values(statistics), [1, 0]);
      });
      assert.equal(alive.calls.size, 2);
    } finally {
      await Promise.all([silent.close(), alive.close()]);
    }
  });
});

describe("a next hop that is a name", () => {
  it("is found by its SRV records, too, and asked for once", async () => {
    point("next.test", two!, 300);
    const headroom = await startHeadroom(
      `
sip: { dns_servers: ["${dns.text}"] }
routing: { outbound: { next_hop: "sip:next.test" } }
`,
      [{ uri: `sip:${one!.sentBy}`, resources: "pstn=10" }],
    );
    try {
      for (let i = 0; i < 2; i++) {
        one!.send(request({ uri: "sip:+4930123@elsewhere.test", sentBy: one!.sentBy }), headroom);
        await two!.nextRequest("INVITE");
      }
      assert.equal(dns.times("_sip._udp.next.test", "SRV"), 1);
    } finally {
      await headroom.stop();
    }
  });
});
