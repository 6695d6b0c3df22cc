import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { ConfigError, parseConfig, readDistributorSetup } from "../../src/config/index.ts";

const FIXTURE = resolve(import.meta.dirname, "../fixtures/distributor/distributor.conf.xml");

const read = (yaml: string) => readDistributorSetup(parseConfig(yaml, "h.yaml", {}));

describe("the lists of the distributor", () => {
  it("are none unless something names some", () => {
    assert.deepEqual(read(""), { lists: [], nodes: {}, problems: [] });
  });

  it("are those of the configuration, then those of the file", () => {
    const { lists, nodes } = read(`distributor: { list_file: "${FIXTURE}", lists: { mine: [{ name: a }] }, nodes: { a: 7 } }`);
    assert.deepEqual(
      lists.map(({ name }) => name),
      ["mine", "test", "even", "two", "three", "solo", "zeroed", "empty"],
    );
    assert.deepEqual(nodes, { a: "7" });
  });

  it("have those that rules name, in upper or lower case", () => {
    const yaml = `distributor: { list_file: "${FIXTURE}" }\nrouting: { rules: [{ distribute: TEST }, { match: { method: MESSAGE }, distribute: empty }] }`;
    assert.equal(read(yaml).lists.length, 7);
  });

  it("do not matter to rules that a script replaces", () => {
    assert.deepEqual(read("routing: { script: a.ts, rules: [{ distribute: nosuch }] }").lists, []);
  });

  it("are told apart from names that no list has", () => {
    const { problems } = read(
      "distributor: { lists: { l: [{ name: north }, { name: 2 }] }, nodes: { north: 1, 2: 7, nroth: 1, east: 3 } }",
    );
    assert.deepEqual(problems, ['distributor.nodes has no effect for "nroth", "east": no list has a node of this name']);
  });

  const many = Array.from({ length: 25 }, (_, i) => `l${i}: []`).join(", ");
  const refused: { name: string; yaml: string; want: RegExp }[] = [
    {
      name: "a rule that names none of them",
      yaml: "distributor: { lists: { a: [], b: [] } }\nrouting: { rules: [{ distribute: c }] }",
      want: /^h\.yaml: routing\.rules\[0\]\.distribute: found "c", want one of "a", "b"$/,
    },
    {
      name: "a rule that names one when there are none",
      yaml: "routing: { rules: [{ distribute: c }] }",
      want: /found "c", want a list of distributor\.lists or distributor\.list_file, which have none$/,
    },
    {
      name: "the same with more names than anybody reads",
      yaml: `distributor: { lists: { ${many} } }\nrouting: { rules: [{ distribute: c }] }`,
      want: /"l19", or one of 5 more$/,
    },
    {
      name: "a file that is not there",
      yaml: "distributor: { list_file: /nowhere/distributor.conf.xml }",
      want: /^\/nowhere\/distributor\.conf\.xml: there is no such file/,
    },
  ];
  for (const { name, yaml, want } of refused) {
    it(`refuse ${name}`, () => {
      assert.throws(
        () => read(yaml),
        (error) => error instanceof ConfigError && want.test(error.message),
      );
    });
  }
});
