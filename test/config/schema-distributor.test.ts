import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Static } from "typebox";
import { pathsByName, type Reading, readValue, type SchemaView } from "../../src/config/read-values.ts";
import { configuredLists, DistributorSchema } from "../../src/config/schema-distributor.ts";
import { readYamlTree } from "../../src/config/yaml-tree.ts";

const VIEW = DistributorSchema as unknown as SchemaView;

/** Reads the section as the loader does with the whole file. */
function read(yaml: string): { values: Static<typeof DistributorSchema>; problems: string[] } {
  const problems: string[] = [];
  const reading: Reading = {
    set: new Map(),
    refused: [],
    pathsByName: pathsByName(VIEW),
    report: ({ line }, message) => problems.push(`${line}: ${message}`),
  };
  const tree = readYamlTree(yaml, {}, reading.report);
  return { values: readValue(VIEW, tree, "distributor", reading) as Static<typeof DistributorSchema>, problems };
}

describe("the section distributor of the configuration", () => {
  it("is empty by default", () => {
    assert.deepEqual(read(""), { values: { list_file: null, lists: {}, nodes: {} }, problems: [] });
  });

  it("holds lists in the order of their nodes, numbers as names among them, and what the names stand for", () => {
    const { values, problems } = read(`
list_file: distributor.conf.xml
lists:
  my_list_001:
    - { name: gw2, weight: 9 }
    - { name: 7 }
    - name: "sip:192.0.2.9"
  empty: []
nodes:
  gw2: 12
  gw3: sip:192.0.2.10:5060;transport=UDP
`);
    assert.deepEqual(problems, []);
    assert.deepEqual(configuredLists(values), [
      {
        name: "my_list_001",
        nodes: [
          { name: "gw2", weight: 9 },
          { name: "7", weight: 1 },
          { name: "sip:192.0.2.9", weight: 1 },
        ],
      },
      { name: "empty", nodes: [] },
    ]);
    assert.deepEqual(values.nodes, { gw2: "12", gw3: "sip:192.0.2.10:5060;transport=UDP" });
  });

  const refused: { name: string; yaml: string; want: RegExp }[] = [
    {
      name: "a weight below 0",
      yaml: "lists: { l: [{ name: a, weight: -1 }] }",
      want: /lists\.l\[0\]\.weight: found -1, want a whole number/,
    },
    { name: "a weight that is no number", yaml: "lists: { l: [{ name: a, weight: many }] }", want: /found "many"/ },
    { name: "a node without a name", yaml: "lists: { l: [{ weight: 1 }] }", want: /found no key "name"/ },
    { name: "a name with a blank, which no command could say", yaml: 'lists: { l: [{ name: "a b" }] }', want: /without blanks/ },
    { name: "a list with one", yaml: 'lists: { "my list": [] }', want: /found the name "my list"/ },
    { name: "nodes that are no list", yaml: "lists: { l: { a: 1 } }", want: /lists\.l: found a mapping, want a list/ },
    {
      name: "a target that is no URI",
      yaml: "nodes: { a: nowhere }",
      want: /nodes\.a: found "nowhere", want the id of a destination, or a SIP URI/,
    },
    {
      name: "a target that needs TLS",
      yaml: 'nodes: { a: "sips:192.0.2.10" }',
      want: /nodes\.a: found "sips:192\.0\.2\.10", want .*reached over UDP/,
    },
    { name: "a target that needs TCP", yaml: 'nodes: { a: "sip:192.0.2.10;transport=tcp" }', want: /want .*reached over UDP/ },
    { name: "an unknown key", yaml: "listfile: x", want: /did you mean "list_file"/ },
  ];
  for (const { name, yaml, want } of refused) {
    it(`refuses ${name}`, () => {
      const { problems } = read(yaml);
      assert.equal(problems.length, 1, problems.join("\n"));
      assert.match(problems[0] ?? "", want);
    });
  }
});
