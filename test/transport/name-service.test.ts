import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, mock } from "node:test";
import { type DnsAnswer, parseNameServer } from "../../src/resolution/index.ts";
import type { DnsClient } from "../../src/transport/dns-client.ts";
import { HostsFile, parseHosts } from "../../src/transport/hosts-file.ts";
import { NameService } from "../../src/transport/name-service.ts";

type Answers = Readonly<Record<string, DnsAnswer<string>>>;

/** A name service between a hosts file, name servers and a system that answer from tables, and what each was asked. */
function service(
  answers: Answers,
  { isSystem = true, system = {} }: { isSystem?: boolean; system?: Readonly<Record<string, string[]>> } = {},
) {
  const [asked, lookedUp]: [string[], string[]] = [[], []];
  const query = async (name: string, type: string) => {
    asked.push(`${type} ${name}`);
    return answers[`${type} ${name}`] ?? { outcome: "none", ttlS: 60 };
  };
  const names = new NameService({
    client: { query: query as DnsClient["query"] },
    hosts: { addresses: async (host) => (host === "local.test" ? ["192.0.2.77"] : undefined) },
    isSystem,
    parallelLookups: 3,
    lookup: async (host) => {
      lookedUp.push(host);
      return system[host] ?? Promise.reject(Object.assign(new Error("x"), { code: host.includes("down") ? "EAI_AGAIN" : "ENOTFOUND" }));
    },
  });
  return { names, asked, lookedUp };
}

const v4 = { outcome: "found", records: ["192.0.2.1"], ttlS: 50 } as const;
const v6 = { outcome: "found", records: ["2001:db8::1"], ttlS: 40 } as const;
const down = { outcome: "failed", reason: "nobody" } as const;

describe("NameService.addresses()", () => {
  const cases: [name: string, host: string, answers: Answers, want: DnsAnswer<string>][] = [
    [
      "both families, IPv4 first, the shorter time",
      "a.test",
      { "A a.test": v4, "AAAA a.test": v6 },
      { ...v4, records: ["192.0.2.1", "2001:db8::1"], ttlS: 40 },
    ],
    ["one family will do when the other fails", "a.test", { "A a.test": v4, "AAAA a.test": down }, v4],
    ["a failure is no proof that there is nothing", "a.test", { "AAAA a.test": down }, down],
    ["nothing", "a.test", {}, { outcome: "none", ttlS: 60 }],
    [
      "the hosts file goes before everything",
      "local.test",
      { "A local.test": v4 },
      { outcome: "found", records: ["192.0.2.77"], ttlS: 30 },
    ],
  ];
  for (const [name, host, answers, want] of cases) {
    it(name, async () => assert.deepEqual(await service(answers).names.addresses(host), want));
  }

  it("asks the system for names of one label, and nobody else", async () => {
    const { names, asked } = service({}, { isSystem: false, system: { pbx: ["192.0.2.5"] } });
    assert.deepEqual(await names.addresses("pbx"), { outcome: "found", records: ["192.0.2.5"], ttlS: 30 });
    assert.deepEqual(await names.addresses("nobody"), { outcome: "none", ttlS: 30 });
    assert.deepEqual(await names.addresses("down"), { outcome: "failed", reason: "the name servers do not answer" });
    assert.deepEqual(asked, []);
  });

  it("asks the system for what its name servers do not know, for its search domains, but not when others are configured", async () => {
    const system = { "pbx.lab": ["192.0.2.6"] };
    assert.deepEqual(await service({}, { system }).names.addresses("pbx.lab"), { outcome: "found", records: ["192.0.2.6"], ttlS: 30 });
    const own = service({}, { system, isSystem: false });
    assert.deepEqual(await own.names.addresses("pbx.lab"), { outcome: "none", ttlS: 60 });
    assert.deepEqual(own.lookedUp, []);
  });

  it("begins no more look-ups while the system still works on three that were given up", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const ends: ((addresses: string[]) => void)[] = [];
      const names = new NameService({
        client: { query: async () => down },
        hosts: { addresses: async () => undefined },
        isSystem: true,
        parallelLookups: 3,
        lookup: () => new Promise((resolve) => ends.push(resolve)),
      });
      const asked = ["a", "b", "c", "d"].map((host) => names.addresses(host));
      await new Promise(setImmediate);
      mock.timers.tick(5_000);
      const late = await Promise.all(asked);
      assert.deepEqual(new Set(late.map((answer) => answer.outcome)), new Set(["failed"]));
      const next = names.addresses("e");
      await new Promise(setImmediate);
      assert.equal(ends.length, 3);
      ends[0]!(["192.0.2.1"]);
      await new Promise(setImmediate);
      assert.equal(ends.length, 4, "d is looked up for nobody any more, e is");
      ends[3]!(["192.0.2.5"]);
      assert.deepEqual(await next, { outcome: "found", records: ["192.0.2.5"], ttlS: 30 });
    } finally {
      mock.timers.reset();
    }
  });

  it("finds localhost on this machine", async () => {
    const names = new NameService({
      client: { query: async () => down },
      hosts: new HostsFile(() => 0, "/nowhere"),
      isSystem: true,
      parallelLookups: 3,
    });
    const answer = await names.addresses("localhost");
    assert.equal(answer.outcome === "found" && answer.records[0], "127.0.0.1");
  });
});

describe("HostsFile", () => {
  it("reads hosts with all their names, and passes over the rest", () => {
    const text =
      "# x\n127.0.0.1 localhost\n2001:db8::1\tPbx.test. pbx # both\n192.0.2.1 pbx.test\n::zz bad\nnonsense\n192.0.2.1 pbx.test\n";
    assert.deepEqual(Object.fromEntries(parseHosts(text)), {
      localhost: ["127.0.0.1"],
      "pbx.test": ["192.0.2.1", "2001:db8::1"],
      pbx: ["2001:db8::1"],
    });
  });

  it("looks again after five seconds, and does without a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-hosts-"));
    try {
      const file = join(folder, "hosts");
      let nowMs = 0;
      const hosts = new HostsFile(() => nowMs, file);
      assert.equal(await hosts.addresses("a.test"), undefined);
      writeFileSync(file, "192.0.2.1 a.test\n");
      assert.equal(await hosts.addresses("a.test"), undefined);
      nowMs = 5_000;
      assert.deepEqual(await hosts.addresses("a.test"), ["192.0.2.1"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("parseNameServer()", () => {
  const cases: [text: string, want: [string, number] | undefined][] = [
    ["192.0.2.53", ["192.0.2.53", 53]],
    ["192.0.2.53:5353", ["192.0.2.53", 5353]],
    ["2001:db8::53", ["2001:db8::53", 53]],
    ["[2001:db8::53]", ["2001:db8::53", 53]],
    ["[2001:db8::53]:5353", ["2001:db8::53", 5353]],
    ["ns.test", undefined],
    ["192.0.2.53:0", undefined],
    ["192.0.2.53:70000", undefined],
    ["192.0.2.256", undefined],
    ["[192.0.2.1]", undefined],
    ["", undefined],
    ["[]:53", undefined],
  ];
  for (const [text, want] of cases) {
    it(`reads "${text}"`, () => assert.deepEqual(parseNameServer(text), want && { address: want[0], port: want[1] }));
  }
});
