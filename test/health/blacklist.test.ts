import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { Blacklists, parseBlacklist } from "../../src/health/index.ts";
import { splitUri } from "../../src/routing/request-uri.ts";

type Address = DestinationRow["addresses"][number];

function row(id: number, group: number, uri: string, ...addresses: Address[]): DestinationRow {
  return { id, group, uri, resources: parseResources("pstn=1"), probeMode: 0, attrs: undefined, description: undefined, addresses };
}

function udp(ip: string, port = 5060): Address {
  return { ip, port, transport: "udp" };
}

function balancerOf(...rows: DestinationRow[]): Balancer {
  const balancer = new Balancer({ below: () => 0 });
  balancer.replaceTable(rows);
  return balancer;
}

function listsOver(balancer: Balancer, ...definitions: string[]): Blacklists {
  return new Blacklists(definitions, balancer, (uri) => splitUri(uri).host);
}

const FARM = balancerOf(
  row(1, 1, "sip:192.0.2.1", udp("192.0.2.1")),
  row(2, 3, "sip:192.0.2.2:5080", udp("192.0.2.2", 5080)),
  row(3, 4, "sip:Media.Example.net", udp("192.0.2.3"), udp("192.0.2.33")),
  row(4, 9, "sip:192.0.2.4", udp("192.0.2.4")),
  row(5, 1, "sip:[2001:db8::5]", udp("2001:db8::5")),
  row(6, 1, "sips:192.0.2.6", { ip: "192.0.2.6", port: 5061, transport: "tls" }),
  row(7, 1, "sip:192.0.2.7", udp("192.0.2.7", 0)),
);

describe("lb_define_blacklist: definitions", () => {
  for (const [text, name, groups] of [
    ["list= 1,4,3", "list", [1, 4, 3]],
    ["blist2= 2,10,6", "blist2", [2, 10, 6]],
    ["  a-b_C  =  0 , 999999999  ", "a-b_C", [0, 999_999_999]],
    ["one=7", "one", [7]],
  ] as const) {
    it(`reads "${text}"`, () => {
      assert.deepEqual(parseBlacklist(text), { name, groups });
    });
  }

  for (const text of [
    "",
    "list",
    "list=",
    "=1",
    "list=1,",
    "list=,1",
    "list=-1",
    "list=1.5",
    "list=a",
    "li st=1",
    "list=1;2",
    "list=1=2",
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseBlacklist(text), {
        name: "BlacklistError",
        message: `Cannot use lb_define_blacklist "${text}": want a name and group numbers, such as "list= 1,4,3"`,
      });
    });
  }

  it("refuses names that are too long, and groups that are no numbers of ours", () => {
    assert.throws(() => parseBlacklist(`${"n".repeat(65)}=1`), { name: "BlacklistError" });
    assert.throws(() => parseBlacklist("n=1234567890"), { name: "BlacklistError" });
  });

  it("refuses a name that stands twice", () => {
    assert.throws(() => listsOver(FARM, "a=1", "b=2", "a=3"), {
      name: "BlacklistError",
      message: 'Cannot use lb_define_blacklist "a=3": list "a" is defined already, want each name once',
    });
  });

  it("knows its names", () => {
    const lists = listsOver(FARM, "b=1", "a=2");
    assert.deepEqual(lists.names, ["b", "a"]);
    assert.ok(lists.has("a"));
    assert.ok(!lists.has("c"));
    assert.ok(!lists.holds("c", { host: "192.0.2.1", port: 5060, transport: "udp" }));
  });
});

describe("lb_define_blacklist: what a list holds", () => {
  const lists = listsOver(FARM, "list= 1,4,3", "empty=77");
  const cases: { name: string; host: string; port?: number; transport?: string; want: boolean }[] = [
    { name: "a destination of its first group", host: "192.0.2.1", want: true },
    { name: "of another of its groups, by its port", host: "192.0.2.2", port: 5080, want: true },
    { name: "another port of a destination", host: "192.0.2.2", want: false },
    { name: "another transport", host: "192.0.2.1", transport: "tcp", want: false },
    { name: "a destination of a group that it does not name", host: "192.0.2.4", want: false },
    { name: "nobody's address", host: "192.0.2.200", want: false },
    { name: "every address that a name has", host: "192.0.2.33", want: true },
    { name: "the name itself", host: "media.example.net", want: true },
    { name: "the name in another case and with the dot of the root", host: "MEDIA.example.NET.", want: true },
    { name: "the name with another port", host: "media.example.net", port: 5070, want: false },
    { name: "another name", host: "media2.example.net", want: false },
    { name: "IPv6 in any spelling", host: "2001:0DB8:0:0::5", want: true },
    { name: "another IPv6 address", host: "2001:db8::6", want: false },
    { name: "IPv4 in IPv6", host: "::ffff:192.0.2.1", want: true },
    { name: "TLS on its port", host: "192.0.2.6", port: 5061, transport: "tls", want: true },
    { name: "a destination that has every port", host: "192.0.2.7", port: 40_000, want: true },
    { name: "no host", host: "", want: false },
    // The system (getaddrinfo) reads most of these as addresses: nobody can say which list they are in.
    { name: "an address as one number", host: "3221225985", want: true },
    { name: "leading zeros", host: "192.0.2.001", want: true },
    { name: "an address in hexadecimal", host: "0xc0000201", want: true },
    { name: "an address with a hexadecimal end", host: "192.0.0x201", want: true },
    { name: "a short address", host: "192.513", want: true },
    { name: "an address with the dot of the root", host: "192.0.2.1.", want: true },
    { name: "an address with a zone", host: "fe80::1%eth0", want: true },
    { name: "this machine, whatever its address", host: "0.0.0.0", want: true },
    { name: "this machine in IPv6", host: "::", want: true },
    { name: "a name that begins with digits", host: "192.0.2.1.example.net", want: false },
  ];
  for (const { name, host, port = 5060, transport = "udp", want } of cases) {
    it(`${want ? "holds" : "does not hold"} ${name}: ${transport} ${host} ${port}`, () => {
      assert.equal(lists.holds("list", { host, port, transport }), want);
    });
  }

  it("a list of groups without destinations holds no address", () => {
    assert.ok(!lists.holds("empty", { host: "192.0.2.1", port: 5060, transport: "udp" }));
  });
});

describe("lb_define_blacklist: reloads and statuses", () => {
  it("shows the table in use: rows that came, went or moved to another group", () => {
    const balancer = balancerOf(row(1, 1, "sip:192.0.2.1", udp("192.0.2.1")), row(2, 1, "sip:192.0.2.2", udp("192.0.2.2")));
    const lists = listsOver(balancer, "list=1");
    const held = (): string[] =>
      ["192.0.2.1", "192.0.2.2", "192.0.2.3"].filter((host) => lists.holds("list", { host, port: 5060, transport: "udp" }));
    assert.deepEqual(held(), ["192.0.2.1", "192.0.2.2"]);
    balancer.replaceTable([row(1, 2, "sip:192.0.2.1", udp("192.0.2.1")), row(3, 1, "sip:192.0.2.3", udp("192.0.2.3"))]);
    assert.deepEqual(held(), ["192.0.2.3"]);
    balancer.replaceTable([]);
    assert.deepEqual(held(), []);
  });

  it("an address is found without a look at the table, and names are gathered once a table", () => {
    const balancer = balancerOf(row(1, 1, "sip:192.0.2.1", udp("192.0.2.1")), row(2, 1, "sip:a.example", udp("192.0.2.2")));
    const taken: string[] = [];
    const lists = new Blacklists(["list=1", "other=2"], balancer, (uri) => {
      taken.push(uri);
      return splitUri(uri).host;
    });
    const holds = (host: string): boolean => lists.holds("list", { host, port: 5060, transport: "udp" });
    assert.deepEqual([holds("192.0.2.1"), holds("192.0.2.2"), taken], [true, true, []]);
    assert.deepEqual([holds("a.example"), holds("b.example"), taken], [true, false, ["sip:a.example"]]);
    balancer.replaceTable([row(3, 1, "sip:b.example", udp("192.0.2.3")), row(4, 3, "sip:c.example", udp("192.0.2.4"))]);
    assert.deepEqual([holds("a.example"), holds("b.example"), taken], [false, true, ["sip:a.example", "sip:b.example"]]);
  });

  it("a user part that reads like an address hides no name", () => {
    for (const uri of ["sip:192.0.2.1@a.example", "sip:192.0.2.1:x@a.example:5060", "sip:a.example;x=192.0.2.1", "sip:7;b@a.example"]) {
      const lists = listsOver(balancerOf(row(1, 1, uri, udp("192.0.2.1"))), "list=1");
      assert.ok(lists.holds("list", { host: "a.example", port: 5060, transport: "udp" }), uri);
    }
  });

  it("a reload that was refused changes nothing", () => {
    const balancer = balancerOf(row(1, 1, "sip:192.0.2.1", udp("192.0.2.1")));
    const lists = listsOver(balancer, "list=1");
    assert.throws(() => balancer.replaceTable([row(2, 1, "sip:192.0.2.2", udp("192.0.2.2")), row(2, 1, "sip:h", udp("192.0.2.3"))]));
    assert.ok(lists.holds("list", { host: "192.0.2.1", port: 5060, transport: "udp" }));
  });

  it("a disabled destination stays in its lists", () => {
    const balancer = balancerOf(row(1, 1, "sip:192.0.2.1", udp("192.0.2.1")));
    balancer.setStatus(1, false, "mi");
    assert.ok(listsOver(balancer, "list=1").holds("list", { host: "192.0.2.1", port: 5060, transport: "udp" }));
  });
});
