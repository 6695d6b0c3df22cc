import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Dispatcher,
  MAX_SET_SIZE,
  parseListFile,
  parseReplyCodes,
  readAttributes,
  readRows,
  readSets,
  type WrittenRecord,
  writeAttributes,
} from "../../src/dispatch/index.ts";
import { parseRoutes } from "../../src/dispatch/routes.ts";
import { Bench, parseUri } from "./support.ts";

function attributes(text: string) {
  const read = readAttributes(text);
  assert.ok(typeof read !== "string", String(read));
  return read;
}

describe("attributes of a destination, as Kamailio 5.6 reads them", () => {
  it("knows its names in any case", () => {
    const text =
      "Duid=abc;MAXLOAD=20;weight=5;rweight=7;cc=1;latency=24;socket=udp:192.0.2.1:5060;sockname=one;ping_socket=udp:192.0.2.2:5060;" +
      "ping_from=sip:p@example.com;obproxy=sip:192.0.2.3;ocmin=5;ocmax=90;ocrate=10;my=xyz;";
    const { attributes: read, problems } = attributes(text);
    assert.deepEqual(problems, []);
    const { all, ...named } = read;
    assert.deepEqual(named, {
      body: text.slice(0, -1),
      duid: "abc",
      maxLoad: 20,
      weight: 5,
      relativeWeight: 7,
      congestionControl: true,
      latencyMs: 24,
      socket: "udp:192.0.2.1:5060",
      socketName: "one",
      pingSocket: "udp:192.0.2.2:5060",
      pingFrom: "sip:p@example.com",
      outboundProxy: "sip:192.0.2.3",
      ocMin: 5,
      ocMax: 90,
      ocRate: 10,
    });
    assert.equal(all.get("my"), "xyz");
  });
  const weights: { text: string; want: number; problems?: number }[] = [
    { text: "weight=5", want: 5 },
    { text: 'weight="7"', want: 7 },
    { text: "weight='7'", want: 7 },
    { text: " weight = 7 ", want: 7 },
    { text: "weight=+5", want: 5 },
    { text: "weight=05", want: 5 },
    { text: "weight=5;weight=6", want: 5 },
    { text: ";weight=5", want: 5 },
    { text: "a=b;;weight=5", want: 5 },
    { text: "a;weight=5", want: 5 },
    { text: 'a=b"c";weight=5', want: 5 },
    { text: 'a="x;weight=9";weight=5', want: 5 },
    { text: "=b;weight=5", want: 5 },
    { text: "a=b,weight=5", want: 0 },
    { text: "weight=300", want: 300 },
    { text: "weight=0", want: 0, problems: 1 },
    { text: "weight=-1", want: 0, problems: 1 },
    { text: "weight=x", want: 0, problems: 1 },
    { text: "weight=", want: 0, problems: 1 },
    { text: "weight=1000001", want: 0, problems: 1 },
    { text: "", want: 0 },
    { text: ";", want: 0 },
  ];
  for (const { text, want, problems = 0 } of weights) {
    it(`reads ${JSON.stringify(text)} as weight ${want}`, () => {
      const read = attributes(text);
      assert.equal(read.attributes.weight, want);
      assert.equal(read.problems.length, problems);
    });
  }
  for (const text of ['a="x', "a='x", 'a="b"x;weight=5', "x".repeat(2000), Array.from({ length: 65 }, (_, i) => `a${i}=1`).join(";")]) {
    it(`refuses ${text.slice(0, 20)}`, () => assert.equal(typeof readAttributes(text), "string"));
  }
  it("keeps the bounds of overload control in order", () => {
    const bounds = (text: string) => {
      const { ocMin, ocMax, ocRate } = attributes(text).attributes;
      return [ocMin, ocMax, ocRate];
    };
    assert.deepEqual(bounds(""), [0, 100, 0]);
    assert.deepEqual(bounds("ocmin=10"), [10, 100, 10]);
    assert.deepEqual(bounds("ocmin=50;ocmax=40;ocrate=90"), [0, 40, 40]);
    assert.deepEqual(bounds("ocmax=0;ocrate=90"), [0, 100, 90]);
    assert.deepEqual(bounds("ocmax=101;ocmin=101;ocrate=101"), [0, 100, 0]);
  });
  it("reads again what it writes", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.oneof(fc.integer(), fc.boolean(), fc.stringMatching(/^[ -~]{0,12}$/))),
        (values) => {
          const text = writeAttributes(values);
          if (text === undefined) return;
          const { all } = attributes(text).attributes;
          const want = Object.entries(values).map(([name, value]) => [
            name,
            typeof value === "boolean" ? String(Number(value)) : String(value),
          ]);
          assert.deepEqual(Object.fromEntries(all), Object.fromEntries(want));
        },
      ),
    );
  });
  it("reads any text, or says why not", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        const read = readAttributes(text);
        assert.ok(typeof read === "string" || read.attributes.weight >= 0);
      }),
    );
  });
});

describe("the list file of Kamailio", () => {
  const lines: { line: string; want: Partial<WrittenRecord> | undefined; problem?: RegExp }[] = [
    { line: "1 sip:10.0.0.1", want: { setId: 1, uri: "sip:10.0.0.1", flags: 0, priority: 0, attrs: "" } },
    {
      line: "\t 2\tsip:10.0.0.1:5080;px=vx  8 5 duid=abc;my=xyz \r",
      want: { setId: 2, uri: "sip:10.0.0.1:5080;px=vx", flags: 8, priority: 5, attrs: "duid=abc;my=xyz" },
    },
    { line: "1 sip:10.0.0.1 0x8", want: { flags: 8 } },
    { line: "1 sip:10.0.0.1#comment", want: { uri: "sip:10.0.0.1" } },
    { line: "1 sip:10.0.0.1 # comment", want: { flags: 0 } },
    { line: "1 sip:10.0.0.1 0 3 # comment", want: { priority: 3, attrs: "" } },
    { line: "1 sip:10.0.0.1 0 0 a=b#c", want: { attrs: "a=b#c" } },
    { line: "1 sip:10.0.0.1 0 0 a=b # c", want: { attrs: "a=b" } },
    { line: "1 sip:10.0.0.1 0 0 a=b c=d", want: { attrs: "a=b" }, problem: /"c=d" of line 1: want attributes without blanks/ },
    { line: "", want: undefined },
    { line: "  # 1 sip:10.0.0.1", want: undefined },
    { line: "x sip:10.0.0.1", want: undefined, problem: /line 1: want the id of a set.* not "x"/ },
    { line: "-1 sip:10.0.0.1", want: undefined, problem: /id of a set/ },
    { line: "1", want: undefined, problem: /want the URI/ },
    { line: "1 # x", want: undefined, problem: /want the URI/ },
    { line: "1 sip:10.0.0.1 0abc", want: undefined, problem: /want flags as a number.* not "0abc"/ },
    { line: "1 sip:10.0.0.1 0 high", want: undefined, problem: /want a priority/ },
    { line: "1 sip:10.0.0.1 0 99999999999", want: undefined, problem: /want a priority/ },
    { line: `1 sip:${"x".repeat(2000)}`, want: undefined, problem: /want at most 1472 characters/ },
  ];
  for (const { line, want, problem } of lines) {
    it(`reads ${JSON.stringify(line.slice(0, 50))}`, () => {
      const { records, problems } = parseListFile(line);
      assert.equal(records.length, want === undefined ? 0 : 1);
      for (const [key, value] of Object.entries(want ?? {})) assert.equal(records[0]![key as keyof WrittenRecord], value, key);
      assert.equal(problems.length, problem === undefined ? 0 : 1, String(problems));
      if (problem !== undefined) assert.match(problems[0]!, problem);
    });
  }
  it("tells the line of what is wrong, also of what only the check finds", () => {
    const { records, problems } = parseListFile('# sets\n1 sip:10.0.0.1\n\noops\n1 tel:123\n1 sip:10.0.0.2 64\n1 sip:10.0.0.3 0 0 a="x\n');
    assert.match(problems.join("\n"), /^Cannot use line 4: /);
    const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri });
    const result = dispatcher.replace(records);
    assert.equal(result.added, 1);
    assert.match(
      result.problems.join("\n"),
      /"tel:123" of line 5: want a SIP URI.*\n.*line 6: want flags from 0 to 63, not 64\n.*line 7: want a closing quote/s,
    );
  });
  it("reads any text", () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => assert.ok(parseListFile(text).records.length <= text.length)));
  });
});

describe("rows of the table, version 4, and sets of a configuration", () => {
  it("become the same records as lines of a file", () => {
    const { records } = parseListFile("1 sip:10.0.0.1 8 5 duid=a;weight=3\n2 sip:10.0.0.2");
    const rows = readRows([
      { id: 7, setid: 1, destination: "sip:10.0.0.1", flags: 8, priority: 5n, attrs: "duid=a;weight=3;", description: "one" },
      { id: 9, setid: "2", destination: "sip:10.0.0.2", flags: null, priority: null, attrs: null, description: null },
    ]);
    const sets = readSets([
      { id: 1, destinations: [{ uri: "sip:10.0.0.1", flags: 8, priority: 5, attrs: { duid: "a", weight: 3 } }] },
      { id: 2, destinations: [{ uri: "sip:10.0.0.2" }] },
    ]);
    const bare = (all: readonly WrittenRecord[]) => all.map(({ place: _, description: __, ...record }) => record);
    assert.deepEqual(bare(rows.records), bare(records));
    assert.deepEqual(bare(sets.records), bare(records));
    assert.deepEqual(
      rows.records.map(({ place }) => place),
      ["row 7", "row 9"],
    );
  });
  it("adds columns of ds_db_extra_attrs", () => {
    const { records } = readRows([{ setid: 1, destination: "sip:10.0.0.1", attrs: "a=b;", prefix: "49", socket: "" }], {
      pref: "prefix",
      socket: "socket",
    });
    assert.equal(records[0]!.attrs, "a=b;pref=49");
  });
  it("leaves out what holds no numbers", () => {
    assert.match(readRows([{ setid: "x", destination: "sip:10.0.0.1" }]).problems.join(), /row 1: want whole numbers/);
    assert.match(
      readSets([{ id: 1, destinations: [{ uri: "sip:10.0.0.1", attrs: { "a b": 1 } }] }]).problems.join(),
      /set 1, destination 1/,
    );
  });
});

describe("bounds of what is written", () => {
  it("keeps a set at its size, and the sentences at what somebody reads", () => {
    const line = (i: number) => `1 sip:10.0.${i >> 8}.${i & 255}`;
    const { records } = parseListFile(Array.from({ length: MAX_SET_SIZE + 500 }, (_, i) => line(i)).join("\n"));
    const result = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri }).replace(records);
    assert.equal(result.added, MAX_SET_SIZE);
    assert.equal(result.problems.length, 101);
    assert.match(result.problems.at(-1)!, /400 further/);
  });
  it("gives a URI without scheme one, as Kamailio does", () => {
    assert.deepEqual(new Bench("1 10.0.0.11").uris(), ["sip:10.0.0.11"]);
  });
  it("refuses all for one when it is strict", () => {
    const bench = new Bench("1 sip:10.0.0.1");
    const { records } = parseListFile("1 sip:10.0.0.2\n1 tel:1");
    assert.equal(bench.dispatcher.replace(records, true).isApplied, false);
    assert.deepEqual(bench.uris(), ["sip:10.0.0.1"]);
  });
});

describe("rules of ds_select_routes and codes of ds_ping_reply_codes", () => {
  it("are read", () => {
    assert.deepEqual(parseRoutes("1=8;2=round-robin;"), [
      { set: 1, algorithm: 8 },
      { set: 2, algorithm: 4 },
    ]);
    const codes = parseReplyCodes("class=2;code=403;code=488;class=300;");
    assert.ok(typeof codes !== "string");
    assert.deepEqual(
      [[...codes.codes], [...codes.classes]],
      [
        [403, 488],
        [2, 3],
      ],
    );
  });
  for (const rules of ["", "x", "1=", "1=nothing", "=4", "1=4,2=4", "9999999999=1", Array.from({ length: 33 }, () => "1=4").join(";")]) {
    it(`refuses rules ${JSON.stringify(rules.slice(0, 20))}`, () => assert.equal(typeof parseRoutes(rules), "string"));
  }
  for (const codes of ["403", "code=99", "code=700", "class=7", "class=0", "kind=4", "code=4x"]) {
    it(`refuses codes ${codes}`, () => assert.match(String(parseReplyCodes(codes)), /^Cannot use ".*" in ds_ping_reply_codes: want/));
  }
});
