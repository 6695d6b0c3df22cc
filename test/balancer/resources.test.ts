import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BalancerError, canonicalIp, parseRequestedResources, parseResources } from "../../src/balancer/index.ts";

describe("the resources column", () => {
  const good: [column: string, want: [string, number][]][] = [
    [
      "transc=32; conf=20",
      [
        ["transc", 32],
        ["conf", 20],
      ],
    ],
    [
      " transcoding = 9 ; conference=1 ",
      [
        ["transcoding", 9],
        ["conference", 1],
      ],
    ],
    ["t=0;", [["t", 0]]],
    [
      "conf/s=85;conf/b=85;conf=1",
      [
        ["conf/s", 85],
        ["conf/b", 85],
        ["conf", 1],
      ],
    ],
    ["A-b_9=2147483647", [["A-b_9", 2147483647]]],
    ["t=007", [["t", 7]]],
  ];
  for (const [column, want] of good) {
    it(`"${column}" is read`, () =>
      assert.deepEqual(
        parseResources(column).map(({ name, capacity }) => [name, capacity]),
        want,
      ));
  }

  const bad: [column: string, message: RegExp][] = [
    ["", /^Cannot parse resources "": the list is empty; want name=number, such as "transc=32"$/],
    [" ; ", /name=number|no capacity/],
    ["transcoding", /"transcoding" has no capacity/],
    ["t=1;;c=2", /"" has no capacity/],
    ["t=", /capacity "" of "t" must be a whole number from 0 to 2147483647$/],
    ["t=-3", /capacity "-3" of "t"/],
    ["t=+3", /capacity "\+3" of "t"/],
    ["t=0x10", /capacity "0x10" of "t"/],
    ["t=1.5", /capacity "1\.5" of "t"/],
    ["t=2147483648", /capacity "2147483648" of "t"/],
    ["channels=fs://user:pass@host", /resources "channels=fs:\/\/…": capacity "…" of "channels" must be a whole number/],
    ["channels=fs:/:s3@h", /resources "channels=fs:\/…": capacity "…" of "channels" must be a whole number/],
    ["channels=FS::s3@h;a=1", /resources "channels=FS:…": capacity "…" of "channels" must/],
    ["channels=fs//:s3@h", /resources "channels=fs\/\/…": capacity "…" of "channels" must/],
    ["=3", /name "" must be 1 to 64 letters, digits, "_" or "-", then optionally "\/s" or "\/b"$/],
    ["a b=3", /name "a b" must be/],
    ["conf/x=3", /name "conf\/x" must be/],
    ["t=1;t=2", /"t" stands twice; want each name once$/],
    [`${"n".repeat(65)}=1`, /must be 1 to 64/],
    [Array.from({ length: 65 }, (_, i) => `n${i}=1`).join(";"), /want at most 64 of them$/],
  ];
  for (const [column, message] of bad) {
    it(`"${column.slice(0, 40)}" is refused with a reason`, () => {
      assert.throws(
        () => parseResources(column),
        (error) => error instanceof BalancerError && error.code === "BAD_RESOURCES" && message.test(error.message),
      );
    });
  }

  it("never throws anything else, and gives back what was written", () => {
    fc.assert(
      fc.property(fc.string(), (column) => {
        try {
          parseResources(column);
        } catch (error) {
          assert.ok(error instanceof BalancerError);
        }
      }),
    );
    const spec = fc.record(
      { name: fc.stringMatching(/^[A-Za-z0-9_-]{1,20}(\/[sb])?$/), capacity: fc.nat(2 ** 31 - 1) },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.uniqueArray(spec, { selector: ({ name }) => name, minLength: 1, maxLength: 64 }), (specs) => {
        assert.deepEqual(parseResources(specs.map(({ name, capacity }) => `${name}=${capacity}`).join(";")), specs);
      }),
    );
  });
});

describe("the resources that a call asks for", () => {
  const cases: [list: string, want: string[] | undefined][] = [
    ["transcoding;conference", ["transcoding", "conference"]],
    [" transcoding ; conference ", ["transcoding", "conference"]],
    ["t;", ["t"]],
    ["t; ", ["t"]],
    ["t;t", ["t", "t"]],
    ["", undefined],
    [" ", undefined],
    [";", undefined],
    [";t", undefined],
    ["t;;c", undefined],
    ["t=1", undefined],
    ["x".repeat(4097), undefined],
  ];
  for (const [list, want] of cases) it(`"${list.slice(0, 40)}"`, () => assert.deepEqual(parseRequestedResources(list), want));
});

describe("one spelling for each IP address", () => {
  const cases: [text: string, want: string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["256.0.2.1", undefined],
    ["192.0.2", undefined],
    ["192.0.2.1.", undefined],
    ["192.0.2.01", undefined],
    ["::", "0:0:0:0:0:0:0:0"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["[::1]", "0:0:0:0:0:0:0:1"],
    ["2001:DB8::000a", "2001:db8:0:0:0:0:0:a"],
    ["2001:db8:0:0:0:0:0:a", "2001:db8:0:0:0:0:0:a"],
    ["64:ff9b::192.0.2.33", "64:ff9b:0:0:0:0:c000:221"],
    ["::ffff:192.0.2.33", "192.0.2.33"],
    ["::ffff:c000:0221", "192.0.2.33"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["1:2:3:4:5:6:7:8::", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["1::2::3", undefined],
    [":::", undefined],
    ["1:", undefined],
    ["192.0.2.1::", undefined],
    ["12345::", undefined],
    ["fe80::1%eth0", undefined],
    ["host", undefined],
    ["", undefined],
    ["[", undefined],
    ["1".repeat(100), undefined],
  ];
  for (const [text, want] of cases) it(`"${text.slice(0, 40)}"`, () => assert.equal(canonicalIp(text), want));
});
