import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readDistributorFile } from "../../src/config/distributor-file.ts";
import { MAX_DISTRIBUTOR_LENGTH, parseDistributorXml } from "../../src/config/distributor-xml.ts";
import { ConfigError } from "../../src/config/index.ts";
import { Distributor } from "../../src/distributor/index.ts";
import { fixture } from "../distributor/recordings.ts";

const parse = (text: string) => parseDistributorXml(text, "d.xml");
const inLists = (text: string) => `<configuration name="distributor.conf"><lists>${text}</lists></configuration>`;
const oneNode = (attributes: string) => parse(inLists(`<list name="l"><node ${attributes}/></list>`)).lists[0]?.nodes[0];

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.doesNotMatch(error.message, /[\r\n]|\.$/);
    assert.ok(error.message.length < 400, `${error.message.length} characters`);
    return error.message;
  }
  throw new Error("nothing was refused");
}

describe("distributor.conf.xml", () => {
  it("is read as it is: lists, nodes and weights in their order", () => {
    const { lists, problems } = parse(fixture("distributor.conf.xml"));
    assert.deepEqual(problems, []);
    assert.deepEqual(
      lists.map(({ name, nodes }) => `${name}: ${nodes.map((node) => `${node.name}=${node.weight}`).join(" ")}`),
      ["test: foo1=1 foo2=9", "even: a=1 b=1", "two: a=2 b=3", "three: a=1 b=2 c=3", "solo: only=5", "zeroed: z0=0 z1=1", "empty: "],
    );
  });

  it("may have a declaration, a byte order mark, comments, a description, total-weight, and gateways named by UUID", () => {
    const { lists } = parse(`\ufeff<?xml version="1.0" encoding="utf-8"?>
      <!-- <!DOCTYPE in a comment> $\${domain} -->
      <configuration name="distributor.conf" description="Distributor Configuration">
        <lists>
          <list name="my_list_001" total-weight="2">
            <node name="978fefdd-45cd-4457-8ecd-5d82eaea3b12" weight="1"/> <!-- my_gateway_001 - its just comment with actual GW name -->
            <node name="1a8d448d-e06e-2dab-b6f9-4421a98e4d8e" weight="1"></node>
          </list>
        </lists>
      </configuration>`);
    const distributor = new Distributor({}, lists);
    const picks = [1, 2, 3].map(() => distributor.next("my_list_001")?.slice(0, 4));
    assert.deepEqual(picks, ["978f", "1a8d", "978f"]);
  });

  it("may stand in a whole FreeSWITCH document, beside other configurations", () => {
    const others = '<section name="dialplan"/><section name="configuration"><configuration name="acl.conf"><lists/></configuration>';
    const { lists } = parse(`<document type="freeswitch/xml">${others}${inLists('<list name="l"/>')}</section></document>`);
    assert.deepEqual(lists, [{ name: "l", nodes: [] }]);
  });

  it("decodes the characters that XML has names and numbers for, and no others", () => {
    assert.equal(oneNode('name="a&amp;b&lt;&gt;&quot;&apos;&#65;&#x42;" weight="1"')?.name, "a&b<>\"'AB");
    assert.equal(oneNode('name="&amp;lt;" weight="1"')?.name, "&lt;", "once only");
    assert.equal(oneNode('name="&x;&#x110000;&#9999999;" weight="1"')?.name, "&x;&#x110000;&#9999999;");
    assert.deepEqual(oneNode("weight='7'"), { name: "", weight: "7" });
    assert.deepEqual(oneNode('Name="x" WEIGHT="7"'), { name: "", weight: "" });
  });

  it("tells of what only FreeSWITCH can make use of, and uses the rest", () => {
    const { lists, problems } = parse(inLists('<X-PRE-PROCESS cmd="include" data="more.xml"/><list name="l"/>'));
    assert.equal(lists.length, 1);
    assert.match(problems[0] ?? "", /X-PRE-PROCESS/);
    const second = parse('<configuration><lists><list name="a"/></lists><lists><list name="b"/></lists></configuration>');
    assert.deepEqual([second.lists.map(({ name }) => name), second.problems.length], [["a"], 1]);
  });

  const refused: { name: string; text: string; want: RegExp }[] = [
    { name: "nothing", text: "", want: /no well-formed XML: Start tag expected$|cannot be read as XML/ },
    { name: "a text", text: "list test foo1 1", want: /no well-formed XML/ },
    { name: "a tag that is not closed", text: "\n<configuration>", want: /d\.xml:2:1: .*Unclosed tag/ },
    { name: "several of them", text: "<configuration><lists><list>", want: /d\.xml: .*several elements are not closed/ },
    { name: "tags that cross", text: "<configuration><lists></configuration></lists>", want: /d\.xml:1:\d+: .*closing tag/ },
    { name: "half a file", text: fixture("distributor.conf.xml").slice(0, 300), want: /XML/ },
    { name: "an attribute without quotes", text: inLists("<list name=a/>"), want: /well-formed XML/ },
    { name: "another configuration", text: '<configuration name="acl.conf"><lists/></configuration>', want: /found no <configuration/ },
    { name: "no lists", text: '<configuration name="distributor.conf"/>', want: /found no <lists>/ },
    { name: "names that JavaScript objects have", text: inLists('<list __proto__="x" name="l"/>'), want: /cannot be read as XML/ },
    { name: "elements of such names", text: "<__proto__><a/></__proto__>", want: /cannot be read as XML/ },
    {
      name: "a document type",
      text: `<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd">\n${inLists("")}`,
      want: /d\.xml:1:1: found a document type/,
    },
    { name: "one in lower case", text: `\n  <!doctype a>${inLists("")}`, want: /d\.xml:2:3: found a document type/ },
    { name: "one behind a comment", text: `<!-- x --><!DOCTYPE a>${inLists("")}`, want: /found a document type/ },
    {
      name: "entities that stand for billions",
      text: `<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>${inLists('<list name="&b;"/>')}`,
      want: /entities are not expanded/,
    },
    {
      name: "an entity that stands for a file",
      text: `<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>${inLists('<list name="&a;"/>')}`,
      want: /entities are not expanded/,
    },
    { name: "elements within elements", text: inLists("<a>".repeat(40) + "</a>".repeat(40)), want: /nested tags/ },
    { name: "a hundred thousand of them", text: "<a>".repeat(100_000), want: /nested tags/ },
    { name: "too much", text: inLists(" ".repeat(MAX_DISTRIBUTOR_LENGTH)), want: /more than 1048576 characters/ },
    { name: "a comment without an end", text: `${inLists("")}<!-- `, want: /XML/ },
    { name: "a long name of a tag", text: `<${"a".repeat(100_000)}`, want: /XML/ },
  ];
  for (const { name, text, want } of refused)
    it(`refuses ${name}`, () =>
      assert.match(
        refusal(() => parse(text)),
        want,
      ));

  it("takes no more than some seconds for the worst that fits in", () => {
    const size = MAX_DISTRIBUTOR_LENGTH - 100;
    const fill = (unit: string) => unit.repeat(Math.floor(size / unit.length));
    const worst = [fill("<"), fill("<a b='"), fill("<!--"), fill("]]>"), fill("&"), fill("\n"), `<a b="${fill("&#x41;")}"/>`, fill("<?")];
    const startedMs = performance.now();
    for (const text of worst) {
      refusal(() => parse(text));
      try {
        assert.deepEqual(parse(inLists(text)).lists, []);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }
    const { lists } = parse(inLists(fill('<list name="l"><node name="n" weight="1"/></list>').slice(0, -49)));
    assert.ok(lists.length > 20_000);
    assert.ok(new Distributor({}, lists).problems.length <= 101);
    assert.ok(performance.now() - startedMs < 20_000);
  });
});

describe("the file", () => {
  it("is read from disk, or refused with its name and the reason", () => {
    const folder = mkdtempSync(join(tmpdir(), "distributor-"));
    try {
      const file = join(folder, "distributor.conf.xml");
      writeFileSync(file, fixture("distributor.conf.xml"));
      assert.equal(readDistributorFile(file).lists.length, 7);
      writeFileSync(file, Buffer.from([0x3c, 0xff, 0xfe]));
      assert.match(
        refusal(() => readDistributorFile(file)),
        /not UTF-8/,
      );
      writeFileSync(file, Buffer.alloc(3 * MAX_DISTRIBUTOR_LENGTH + 1, " "));
      assert.match(
        refusal(() => readDistributorFile(file)),
        /more than 3145728 bytes/,
      );
      writeFileSync(file, "");
      assert.match(
        refusal(() => readDistributorFile(file)),
        /XML/,
      );
      assert.match(
        refusal(() => readDistributorFile(join(folder, "none.xml"))),
        /none\.xml: there is no such file/,
      );
      assert.match(
        refusal(() => readDistributorFile(folder)),
        /no regular file/,
      );
      assert.match(
        refusal(() => readDistributorFile("/dev/zero")),
        /no regular file/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
