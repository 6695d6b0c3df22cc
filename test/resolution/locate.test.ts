import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Dns, type DnsAnswer, locate, type Transport, targetOfUri } from "../../src/resolution/index.ts";
import { parseSipUri } from "../../src/sip/index.ts";

type Zone = Readonly<Record<string, readonly string[] | "down">>;

/** Answers from a table: `NAPTR x`, `SRV x` and `A x`, each record as its numbers and texts with blanks between them. */
class TableDns implements Dns {
  readonly asked: string[] = [];
  readonly #zone: Zone;
  readonly #local: readonly string[];
  constructor(zone: Zone, local: readonly string[] = []) {
    this.#zone = zone;
    this.#local = local;
  }
  naptr = (name: string) =>
    this.#answer(`NAPTR ${name}`, ([order, preference, flags = "", service = "", replacement = ""]) => ({
      ...{ order: Number(order), preference: Number(preference), flags, service, regexp: "" },
      replacement: replacement === "." ? "" : replacement,
    }));
  srv = (name: string) =>
    this.#answer(`SRV ${name}`, ([priority, weight, port, target = ""]) => ({
      ...{ priority: Number(priority), weight: Number(weight), port: Number(port) },
      target: target === "." ? "" : target,
    }));
  addresses = (name: string) => this.#answer(`A ${name}`, ([ip = ""]) => ip);
  isLocal = async (host: string) => this.#local.includes(host);

  async #answer<R>(question: string, parse: (words: string[]) => R): Promise<DnsAnswer<R>> {
    this.asked.push(question);
    const found = this.#zone[question];
    if (found === "down") return { outcome: "failed", reason: "nobody answers" };
    if (found === undefined) return { outcome: "none", ttlS: 60 };
    return { outcome: "found", records: found.map((text) => parse(text.split(" "))), ttlS: question.startsWith("A") ? 100 : 50 };
  }
}

async function find(uri: string, zone: Zone, served: readonly Transport[] = ["udp"], local: readonly string[] = []) {
  const dns = new TableDns(zone, local);
  const location = await locate(targetOfUri(parseSipUri(uri)), dns, served);
  const where =
    location.outcome === "found" ? location.addresses.map(({ ip, port, transport }) => `${transport} ${ip} ${port}`) : location.reason;
  return { where, location, asked: dns.asked };
}

const ALL: readonly Transport[] = ["udp", "tcp", "tls"];
const NAPTR_ALL = {
  "NAPTR x.test": ["50 50 s SIPS+D2T _sips._tcp.x.test", "90 50 s SIP+D2T _sip._tcp.x.test", "100 50 s SIP+D2U _sip._udp.x.test"],
  "SRV _sips._tcp.x.test": ["1 0 5061 c.test"],
  "SRV _sip._tcp.x.test": ["1 0 5070 b.test"],
  "SRV _sip._udp.x.test": ["1 0 5080 a.test"],
  "A a.test": ["192.0.2.1"],
  "A b.test": ["192.0.2.2"],
  "A c.test": ["192.0.2.3"],
};

describe("RFC 3263 §4.1: the transport, and what is asked for", () => {
  const cases: [name: string, uri: string, served: readonly Transport[], zone: Zone, where: readonly string[], asked: readonly string[]][] =
    [
      ["an IPv4 address is used as it is", "sip:192.0.2.9", ["udp"], {}, ["udp 192.0.2.9 5060"], []],
      ["an IPv6 address with a port too", "sip:[2001:db8::9]:6000", ["udp"], {}, ["udp 2001:db8::9 6000"], []],
      ["an address in a sips URI is reached over TLS", "sips:192.0.2.9", ALL, {}, ["tls 192.0.2.9 5061"], []],
      ["transport= decides for an address", "sip:192.0.2.9;transport=tcp", ALL, {}, ["tcp 192.0.2.9 5060"], []],
      [
        "transport=tcp in a sips URI is TLS",
        "sips:x.test:5063;transport=tcp",
        ALL,
        { "A x.test": ["192.0.2.1"] },
        ["tls 192.0.2.1 5063"],
        ["A x.test"],
      ],
      [
        "a port leaves only addresses to be asked for",
        "sip:x.test:5090",
        ALL,
        { ...NAPTR_ALL, "A x.test": ["192.0.2.4", "2001:db8::4"] },
        ["udp 192.0.2.4 5090", "udp 2001:db8::4 5090"],
        ["A x.test"],
      ],
      [
        "a transport leaves no NAPTR records to be asked for",
        "sip:x.test;transport=TCP",
        ALL,
        NAPTR_ALL,
        ["tcp 192.0.2.2 5070"],
        ["SRV _sip._tcp.x.test", "A b.test"],
      ],
      [
        "neither: the NAPTR record of the lowest order that we can take",
        "sip:X.test.",
        ALL,
        NAPTR_ALL,
        ["tls 192.0.2.3 5061"],
        ["NAPTR x.test", "SRV _sips._tcp.x.test", "A c.test"],
      ],
      [
        "what we do not have is passed over",
        "sip:x.test",
        ["udp"],
        NAPTR_ALL,
        ["udp 192.0.2.1 5080"],
        ["NAPTR x.test", "SRV _sip._udp.x.test", "A a.test"],
      ],
      [
        "of one order, the lower preference",
        "sip:x.test",
        ALL,
        {
          ...NAPTR_ALL,
          "NAPTR x.test": ["5 9 s SIP+D2T _sip._tcp.x.test", "5 2 S sip+d2u _sip._udp.x.test", "5 1 s E2U+sip _sip._tcp.x.test"],
        },
        ["udp 192.0.2.1 5080"],
        ["NAPTR x.test", "SRV _sip._udp.x.test", "A a.test"],
      ],
      [
        "a sips URI takes none that is not secure",
        "sips:x.test",
        ALL,
        { ...NAPTR_ALL, "NAPTR x.test": ["1 1 s SIP+D2T _sip._tcp.x.test", "9 9 s SIPS+D2T _sips._tcp.x.test"] },
        ["tls 192.0.2.3 5061"],
        ["NAPTR x.test", "SRV _sips._tcp.x.test", "A c.test"],
      ],
      [
        "a NAPTR record whose SRV records are missing gives way to the next",
        "sip:x.test",
        ALL,
        { ...NAPTR_ALL, "NAPTR x.test": ["1 1 s SIP+D2T _sip._tcp.y.test", "2 1 s SIP+D2U _sip._udp.x.test"] },
        ["udp 192.0.2.1 5080"],
        ["NAPTR x.test", "SRV _sip._tcp.y.test", "SRV _sip._udp.x.test", "A a.test"],
      ],
      [
        "without NAPTR records: SRV records, the first of our transports first",
        "sip:x.test",
        ["tcp", "udp"],
        { ...NAPTR_ALL, "NAPTR x.test": ["1 1 u E2U+sip ."] },
        ["tcp 192.0.2.2 5070"],
        ["NAPTR x.test", "SRV _sip._tcp.x.test", "A b.test"],
      ],
      [
        "without those of ours: nobody else's, then addresses and the usual port",
        "sip:x.test",
        ["udp"],
        { "A x.test": ["192.0.2.4"] },
        ["udp 192.0.2.4 5060"],
        ["NAPTR x.test", "SRV _sip._udp.x.test", "SRV _sip._tcp.x.test", "SRV _sips._tcp.x.test", "A x.test"],
      ],
      ["a name of one label is for the machine", "sip:pbx", ["udp"], { "A pbx": ["192.0.2.5"] }, ["udp 192.0.2.5 5060"], ["A pbx"]],
      ["WebSocket has no SRV records", "sip:x.test;transport=ws", ["ws"], { "A x.test": ["192.0.2.5"] }, ["ws 192.0.2.5 80"], ["A x.test"]],
      [
        "an SRV record may name an address",
        "sip:x.test;transport=udp",
        ["udp"],
        { "SRV _sip._udp.x.test": ["1 1 5066 192.0.2.8"] },
        ["udp 192.0.2.8 5066"],
        ["SRV _sip._udp.x.test"],
      ],
    ];
  for (const [name, uri, served, zone, where, asked] of cases) {
    it(`${name}: ${uri}`, async () => {
      const found = await find(uri, zone, served);
      assert.deepEqual({ where: found.where, asked: found.asked }, { where, asked });
    });
  }

  it("a host that the machine itself knows has no NAPTR and SRV records", async () => {
    const found = await find("sip:x.test", { ...NAPTR_ALL, "A x.test": ["192.0.2.6"] }, ["udp"], ["x.test"]);
    assert.deepEqual([found.where, found.asked], [["udp 192.0.2.6 5060"], ["A x.test"]]);
  });
});

describe("a target that cannot be used says why", () => {
  const cases: [uri: string, zone: Zone, want: string][] = [
    ["sip:192.0.2.1;transport=tcp", {}, "it asks for tcp, this version sends over UDP only"],
    ["sips:x.test", {}, "it asks for tls, this version sends over UDP only"],
    ["sips:x.test;transport=udp", {}, "it asks for udp and security, this version sends over UDP only"],
    ["sip:x.test;transport=carrier-pigeon", {}, "it asks for carrier-pigeon, this version sends over UDP only"],
    [
      "sip:x.test",
      { "NAPTR x.test": ["1 1 s SIPS+D2T _sips._tcp.x.test", "2 1 s SIP+D2T _sip._tcp.x.test"] },
      "its NAPTR records offer SIPS+D2T, SIP+D2T, this version sends over UDP only",
    ],
    ["sip:x.test", { "NAPTR x.test": ["1 1 s SIP+D2U _sip._udp.x.test"] }, "its NAPTR records lead to no SRV record"],
    [
      "sip:x.test",
      { "SRV _sip._tcp.x.test": ["1 1 5060 a.test"], "A x.test": ["192.0.2.1"] },
      "its SRV records offer tcp, this version sends over UDP only",
    ],
    ["sip:x.test", { "SRV _sip._udp.x.test": ["0 0 0 ."], "A x.test": ["192.0.2.1"] }, "its SRV records say that there is no such service"],
    ["sip:x.test", { "SRV _sip._udp.x.test": ["1 1 5060 gone.test"] }, "the hosts of its SRV records have no address"],
    ["sip:x.test", {}, "it has no address"],
  ];
  for (const [uri, zone, want] of cases) {
    it(`${uri}: ${want}`, async () => {
      const { location, where } = await find(uri, zone);
      assert.deepEqual([location.outcome, where], ["none", want]);
    });
  }

  it("that nobody answered is no proof that there is nothing", async () => {
    for (const down of ["NAPTR x.test", "SRV _sip._udp.x.test", "A x.test"]) {
      const { location, where } = await find("sip:x.test", { [down]: "down" });
      assert.deepEqual([location.outcome, where], ["failed", "nobody answers"], down);
    }
  });

  it("what is found though somebody did not answer is only a part", async () => {
    const half = await find("sip:x.test", {
      "SRV _sip._udp.x.test": ["1 1 5060 a.test", "2 1 5060 b.test"],
      "A a.test": ["192.0.2.1"],
      "A b.test": "down",
    });
    assert.deepEqual([half.where, half.location.outcome === "found" && half.location.isPartial], [["udp 192.0.2.1 5060"], true]);
    const whole = await find("sip:x.test", { "A x.test": ["192.0.2.1"] });
    assert.equal(whole.location.outcome === "found" && whole.location.isPartial, false);
  });
});

describe("what comes of the records", () => {
  it("the shortest time to live of all answers, negative ones too", async () => {
    const ttlOf = async (uri: string, zone: Zone) => {
      const { location } = await find(uri, zone);
      return location.outcome === "found" ? location.ttlS : undefined;
    };
    assert.equal(await ttlOf("sip:x.test:5060", { "A x.test": ["192.0.2.1"] }), 100);
    assert.equal(await ttlOf("sip:x.test", { "A x.test": ["192.0.2.1"] }), 60);
    assert.equal(await ttlOf("sip:x.test;transport=udp", NAPTR_ALL), 50);
    assert.equal(await ttlOf("sip:192.0.2.1", {}), Number.POSITIVE_INFINITY);
  });

  it("addresses in an order that is always the same, with the place of their SRV record", async () => {
    const records = ["20 5 5061 c.test", "10 0 5060 b.test", "10 60 5060 a.test"];
    const zone = { "A a.test": ["192.0.2.1", "2001:db8::1"], "A b.test": ["192.0.2.2"], "A c.test": ["192.0.2.3"] };
    for (const order of [records, [...records].reverse()]) {
      const { location } = await find("sip:x.test", { ...zone, "SRV _sip._udp.x.test": order });
      assert.deepEqual(location.outcome === "found" && location.addresses, [
        { ip: "192.0.2.1", port: 5060, transport: "udp", srv: { entry: 0, priority: 10, weight: 60 } },
        { ip: "2001:db8::1", port: 5060, transport: "udp", srv: { entry: 0, priority: 10, weight: 60 } },
        { ip: "192.0.2.2", port: 5060, transport: "udp", srv: { entry: 1, priority: 10, weight: 0 } },
        { ip: "192.0.2.3", port: 5061, transport: "udp", srv: { entry: 2, priority: 20, weight: 5 } },
      ]);
    }
  });

  it("each address once, 32 at most, of the 16 records that come first", async () => {
    const records = Array.from({ length: 100 }, (_, i) => `${i} 0 5060 h${i}.test`);
    const hosts = Object.fromEntries(records.map((_, i) => [`A h${i}.test`, Array.from({ length: 9 }, (_, k) => `192.0.${i % 2}.${k}`)]));
    const { where, asked } = await find("sip:x.test;transport=udp", { "SRV _sip._udp.x.test": records, ...hosts });
    assert.equal(where.length, 18);
    assert.equal(asked.length, 17);
    const many = await find("sip:x.test:5060", { "A x.test": Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`) });
    assert.equal(many.where.length, 32);
  });
});
