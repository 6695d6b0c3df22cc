import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DnsClient } from "../../src/transport/dns-client.ts";
import { type Asked, DnsServer, message, nameBytes, rawRecord, record, uint16 } from "../support/dns-server.ts";

let server: DnsServer;
let client: DnsClient;
let id = 0;

beforeEach(async () => {
  server = await DnsServer.open();
  client = new DnsClient({ servers: () => [server], below: () => ++id, nowMs: () => performance.now() });
});
afterEach(() => server.close());

describe("DnsClient.query()", () => {
  it("answers addresses of both families, with the shortest time to live", async () => {
    server.set(
      "a.test",
      { type: "A", ip: "192.0.2.1", ttlS: 70 },
      { type: "A", ip: "192.0.2.2", ttlS: 60 },
      { type: "AAAA", hex: "20010db8000000000000000000000001" },
    );
    assert.deepEqual(await client.query("a.test", "A"), { outcome: "found", records: ["192.0.2.1", "192.0.2.2"], ttlS: 60 });
    assert.deepEqual(await client.query("a.test", "AAAA"), { outcome: "found", records: ["2001:db8::1"], ttlS: 300 });
  });

  it("answers SRV and NAPTR records; the root as a target is an empty name", async () => {
    const [one, none] = [
      { priority: 1, weight: 2, port: 5070, target: "a.test" },
      { priority: 0, weight: 0, port: 0, target: "" },
    ];
    server.set("_sip._udp.test", { type: "SRV", ...one, ttlS: 9 }, { type: "SRV", ...none, ttlS: 9 });
    assert.deepEqual(await client.query("_sip._udp.test", "SRV"), { outcome: "found", records: [one, none], ttlS: 9 });
    const naptr = { order: 1, preference: 2, flags: "S", service: "SIP+D2U", regexp: "!^.*$!x!", replacement: "_sip._udp.test" };
    server.set("test", { type: "NAPTR", ...naptr });
    assert.deepEqual(await client.query("test", "NAPTR"), { outcome: "found", records: [naptr], ttlS: 300 });
  });

  it("follows aliases, within one answer and with further questions, and takes their time to live into account", async () => {
    server.set("one.test", { type: "CNAME", target: "two.test", ttlS: 5 }).set("two.test", { type: "CNAME", target: "a.test" });
    server.set("a.test", { type: "A", ip: "192.0.2.1" });
    assert.deepEqual(await client.query("one.test", "A"), { outcome: "found", records: ["192.0.2.1"], ttlS: 5 });
    server.misbehave = (asked) => {
      const first = server.zone.get(asked.name)?.[0];
      return first?.type === "CNAME" ? message(asked, { answers: [record(undefined, first)] }) : undefined;
    };
    assert.deepEqual(await client.query("one.test", "A"), { outcome: "found", records: ["192.0.2.1"], ttlS: 5 });
    assert.equal(server.times("two.test", "A"), 1);
  });

  it("ends in an alias of nothing with what the answer says of that", async () => {
    server.set("one.test", { type: "CNAME", target: "gone.test" });
    assert.deepEqual(await client.query("one.test", "A"), { outcome: "none", ttlS: 60 });
  });

  it("asks again over TCP when an answer was cut, and takes as many records as a name may have", async () => {
    server.set("many.test", ...Array.from({ length: 100 }, (_, i) => ({ type: "A", ip: `192.0.2.${i}` }) as const));
    const answer = await client.query("many.test", "A");
    assert.equal(answer.outcome === "found" && answer.records.length, 64);
    assert.deepEqual(
      server.asked.map(({ transport }) => transport),
      ["udp", "tcp"],
    );
    assert.equal(client.counters.tcp_questions, 1);
  });

  const negatives: [name: string, prepare: () => void, ttlS: number][] = [
    ["a name that does not exist, by its SOA record", () => undefined, 60],
    ["a name without such records, by its SOA record", () => server.set("x.test", { type: "CNAME", target: "y.test" }).set("y.test"), 60],
    ["a name without an SOA record, for ten seconds", () => (server.negativeTtlS = undefined), 10],
  ];
  for (const [name, prepare, ttlS] of negatives) {
    it(`tells how long a negative answer holds (RFC 2308 §5): ${name}`, async () => {
      prepare();
      assert.deepEqual(await client.query("x.test", "SRV"), { outcome: "none", ttlS });
    });
  }

  it("asks without EDNS a server that does not know it (RFC 6891 §7)", async () => {
    server.set("a.test", { type: "A", ip: "192.0.2.1" });
    server.misbehave = (asked) => (asked.hasEdns ? message(asked, { rcode: 1 }) : undefined);
    assert.equal((await client.query("a.test", "A")).outcome, "found");
    assert.deepEqual(
      server.asked.map(({ hasEdns }) => hasEdns),
      [true, false],
    );
  });

  for (const rcode of [2, 5]) {
    it(`asks the next server when one answers code ${rcode}, and that one first from then on`, async () => {
      const other = await DnsServer.open();
      try {
        other.set("a.test", { type: "A", ip: "192.0.2.9" });
        server.misbehave = (asked) => message(asked, { rcode });
        const both = new DnsClient({ servers: () => [server, other], below: () => ++id, nowMs: () => performance.now() });
        assert.deepEqual(await both.query("a.test", "A"), { outcome: "found", records: ["192.0.2.9"], ttlS: 300 });
        await both.query("a.test", "A");
        assert.equal(server.asked.length, 1);
      } finally {
        await other.close();
      }
    });
  }

  it("says who did not answer and how", async () => {
    server.misbehave = (asked) => message(asked, { rcode: 2 });
    const want = { outcome: "failed", reason: "the name servers do not answer (127.0.0.1 answers SERVFAIL)" };
    assert.deepEqual(await client.query("a.test", "A"), want);
    assert.equal(client.counters.unanswered, 1);
    const nobody = new DnsClient({ servers: () => [], below: () => 1, nowMs: () => 0 });
    assert.deepEqual(await nobody.query("a.test", "A"), { outcome: "failed", reason: "there is no name server" });
  });

  it("gives a server that is silent up in time", async () => {
    server.misbehave = () => "silence";
    const startedMs = performance.now();
    const answer = await client.query("a.test", "A");
    assert.equal(answer.outcome === "failed" && answer.reason, "the name servers do not answer (127.0.0.1: no answer in time)");
    assert.ok(performance.now() - startedMs < 4_000);
    assert.equal(server.asked.length, 2);
  });

  for (const name of ["", "a..test", `${"x".repeat(64)}.test`, `${"abcdefg.".repeat(32)}test`, "a b.test", "ä.test"]) {
    it(`asks nobody for ${JSON.stringify(name.slice(0, 20))}, which is no name`, async () => {
      assert.equal((await client.query(name, "A")).outcome, "failed");
      assert.equal(server.asked.length, 0);
    });
  }
});

describe("hostile answers", () => {
  const good = (asked: Asked): Buffer => message(asked, { answers: [record(undefined, { type: "A", ip: "192.0.2.1" })] });
  const [loopToSelf, forward] = [Buffer.from([0xc0, 24]), Buffer.from([0xc0, 60])];
  const passedOver: [name: string, forge: (asked: Asked) => Buffer][] = [
    [
      "of another id",
      (asked) => message({ ...asked, id: asked.id ^ 1 }, { answers: [record(undefined, { type: "A", ip: "192.0.2.66" })] }),
    ],
    ["to another question", (asked) => good({ ...asked, question: Buffer.concat([nameBytes("b.test"), uint16(1), uint16(1)]) })],
    [
      "to the same name and another type",
      (asked) => good({ ...asked, question: Buffer.concat([nameBytes("a.test"), uint16(28), uint16(1)]) }),
    ],
    ["that is a question", (asked) => Buffer.concat([uint16(asked.id), uint16(0x0100), good(asked).subarray(4)])],
    ["of no bytes", () => Buffer.alloc(0)],
    ["that ends within its header", (asked) => good(asked).subarray(0, 7)],
    ["that ends within a record", (asked) => good(asked).subarray(0, -2)],
    ["with a record longer than the message", (asked) => Buffer.concat([good(asked).subarray(0, -6), uint16(500), Buffer.alloc(4)])],
    ["with an address of three bytes", (asked) => message(asked, { answers: [rawRecord(nameBytes("a.test"), 1, 9, Buffer.alloc(3))] })],
    ["with an address of nine bytes", (asked) => message(asked, { answers: [rawRecord(nameBytes("a.test"), 1, 9, Buffer.alloc(9))] })],
    ["with a name that points at itself", (asked) => message(asked, { answers: [rawRecord(loopToSelf, 1, 9, Buffer.alloc(4))] })],
    ["with a name that points forward", (asked) => message(asked, { answers: [rawRecord(forward, 5, 9, Buffer.alloc(99))] })],
    [
      "with an alias that points at its own record",
      (asked) => message(asked, { answers: [rawRecord(nameBytes("a.test"), 5, 9, Buffer.from([1, 120, 0xc0, 42]))] }),
    ],
    [
      "with a name of 300 characters",
      (asked) => message(asked, { answers: [rawRecord(nameBytes("abcdefghi.".repeat(30).slice(0, -1)), 1, 9, Buffer.alloc(4))] }),
    ],
    [
      "with a label of a reserved kind",
      (asked) => message(asked, { answers: [rawRecord(Buffer.from([0x80, 1, 0]), 1, 9, Buffer.alloc(4))] }),
    ],
    [
      "with more records than any name has",
      (asked) => message(asked, { answers: Array.from({ length: 600 }, () => record(undefined, { type: "A", ip: "192.0.2.66" })) }),
    ],
    ["that says it has 65535 records", (asked) => Buffer.concat([good(asked).subarray(0, 6), uint16(65_535), good(asked).subarray(8)])],
    ["of 60 kB of nothing", () => Buffer.alloc(60_000)],
  ];
  for (const [name, forge] of passedOver) {
    it(`an answer ${name} is passed over, and the true one behind it is taken`, async () => {
      server.misbehave = (asked) => [forge(asked), good(asked)];
      assert.deepEqual(await client.query("a.test", "A"), { outcome: "found", records: ["192.0.2.1"], ttlS: 300 });
      assert.equal(client.counters.strange_answers, 1);
    });
  }

  it("records of other names are not taken", async () => {
    server.misbehave = (asked) =>
      message(asked, { answers: [record("b.test", { type: "A", ip: "192.0.2.66" }), record(undefined, { type: "A", ip: "192.0.2.1" })] });
    assert.deepEqual(await client.query("a.test", "A"), { outcome: "found", records: ["192.0.2.1"], ttlS: 300 });
  });

  it("aliases in a circle end", async () => {
    server.set("a.test", { type: "CNAME", target: "b.test" }).set("b.test", { type: "CNAME", target: "a.test" });
    assert.match(JSON.stringify(await client.query("a.test", "A")), /more than 8 aliases, or they go in a circle/);
    assert.ok(server.asked.length <= 9);
  });

  it("aliases without end, each with a question of its own, end", async () => {
    server.misbehave = (asked) => message(asked, { answers: [record(undefined, { type: "CNAME", target: `n${asked.id}.test` })] });
    assert.match(JSON.stringify(await client.query("a.test", "A")), /more than 8 aliases/);
    assert.ok(server.asked.length <= 9);
  });

  it("a time to live with the highest bit set is 0 (RFC 2181 §8)", async () => {
    server.set("a.test", { type: "A", ip: "192.0.2.1", ttlS: 0x8000_0000 });
    assert.deepEqual(await client.query("a.test", "A"), { outcome: "found", records: ["192.0.2.1"], ttlS: 0 });
  });

  it("a flood of forged answers ends the question, which is then asked again", async () => {
    server.misbehave = (asked) => (server.asked.length > 1 ? good(asked) : Array.from({ length: 100 }, () => Buffer.alloc(20)));
    assert.equal((await client.query("a.test", "A")).outcome, "found");
    assert.ok(client.counters.strange_answers >= 50);
  });

  it("no bytes whatever throw or hang", async () => {
    let seed = 7;
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff);
    const { decodeResponse } = await import("../../src/transport/dns-message.ts");
    const whole = message(
      { id: 1, question: Buffer.concat([nameBytes("a.test"), uint16(35), uint16(1)]) },
      {
        answers: [
          record(undefined, { type: "NAPTR", order: 1, preference: 1, flags: "s", service: "SIP+D2U", replacement: "b.test" }),
          record(undefined, { type: "CNAME", target: "c.test" }),
        ],
      },
    );
    assert.equal(decodeResponse(whole, 1, "a.test", "NAPTR")?.answers.length, 2);
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(whole.subarray(0, 12 + (random() % (whole.length - 11))));
      for (let k = random() % 5; k >= 0; k--) bytes[4 + (random() % (bytes.length - 4))] = random() >> 8;
      decodeResponse(bytes, 1, "a.test", "NAPTR");
    }
  });
});
