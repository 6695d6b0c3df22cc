import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Static } from "typebox";
import { stringify } from "yaml";
import { defaultOf, pathsByName, type Reading, readValue, type SchemaView } from "../../src/config/read-values.ts";
import { checkRegistrar, RegistrarSchema } from "../../src/config/schema-registrar.ts";
import { readYamlTree } from "../../src/config/yaml-tree.ts";
import { registrarSettings } from "../../src/registrar/index.ts";

const VIEW = RegistrarSchema as unknown as SchemaView;
const ACCOUNT = { user: "fs", password: "secret word", resources: "pstn=30" };

function read(section: object): { readonly keys: Static<typeof RegistrarSchema>; readonly messages: string[] } {
  const messages: string[] = [];
  const reading: Reading = {
    set: new Map(),
    refused: [],
    pathsByName: pathsByName(VIEW),
    report: (_, message) => void messages.push(message),
  };
  const keys = readValue(VIEW, readYamlTree(stringify(section), {}, reading.report), "registrar", reading) as Static<
    typeof RegistrarSchema
  >;
  if (messages.length === 0) checkRegistrar(keys, reading);
  return { keys, messages };
}

describe("the section registrar", () => {
  it("has no accounts by default, and offers MD5", () => {
    const keys = defaultOf(VIEW) as Static<typeof RegistrarSchema>;
    assert.deepEqual([keys.accounts, keys.algorithms, keys.realm], [[], ["MD5"], "headroom"]);
  });
  it("becomes the settings of a registrar", () => {
    const { keys, messages } = read({ accounts: [{ ...ACCOUNT, group: 4, attrs: "a={host}" }], algorithms: "SHA-256", nonce_ttl: 60 });
    assert.deepEqual(messages, []);
    const settings = registrarSettings(keys);
    assert.deepEqual([settings.algorithms, settings.nonceTtlMs, settings.transports], [["SHA-256"], 60_000, ["udp"]]);
    assert.deepEqual(settings.accounts, [
      {
        user: "fs",
        password: "secret word",
        ha1: {},
        group: 4,
        resources: "pstn=30",
        attrs: "a={host}",
        probeMode: 2,
        maxRegistrations: 100,
        minExpiresS: 30,
        maxExpiresS: 120,
        trustContact: false,
      },
    ]);
  });
  it("takes hashes in place of a password", () => {
    const { keys, messages } = read({ accounts: [{ user: "fs", resources: "a=1", ha1: "0".repeat(32) }] });
    assert.deepEqual(messages, []);
    assert.deepEqual(registrarSettings(keys).accounts[0]?.ha1, { MD5: "0".repeat(32) });
  });
  const good = [
    { name: "any user", account: { ...ACCOUNT, user: "*" } },
    { name: "a user that is a number", account: { ...ACCOUNT, user: 1000 } },
    { name: "an event socket by placeholder", account: { ...ACCOUNT, resources: "pstn=fs://:ClueCon@{host}:8021; conf=20" } },
  ];
  for (const { name, account } of good) it(`takes ${name}`, () => assert.deepEqual(read({ accounts: [account] }).messages, []));
  const bad: { readonly name: string; readonly section: object; readonly want: RegExp }[] = [
    { name: "no user", section: { accounts: [{ password: "x", resources: "a=1" }] }, want: /found no key "user"/ },
    { name: "no resources", section: { accounts: [{ user: "fs", password: "x" }] }, want: /found no key "resources"/ },
    { name: "no password", section: { accounts: [{ user: "fs", resources: "a=1" }] }, want: /found no password, want password, ha1 or/ },
    {
      name: "an empty password",
      section: { accounts: [{ ...ACCOUNT, password: "" }] },
      want: /a value that is not shown here, want a text that is not empty/,
    },
    { name: "a password and its hash", section: { accounts: [{ ...ACCOUNT, ha1: "0".repeat(32) }] }, want: /both a password and a hash/ },
    {
      name: "a hash for any user",
      section: { accounts: [{ user: "*", resources: "a=1", ha1: "0".repeat(32) }] },
      want: /a hash for the user "\*"/,
    },
    {
      name: "a hash that nobody can use",
      section: { accounts: [{ user: "u", resources: "a=1", ha1_sha256: "0".repeat(64) }] },
      want: /found no hash for MD5/,
    },
    {
      name: "a hash of another length",
      section: { accounts: [{ user: "u", resources: "a=1", ha1: "00" }] },
      want: /want 32 hexadecimal digits/,
    },
    { name: "a user twice", section: { accounts: [ACCOUNT, ACCOUNT] }, want: /the user "fs" twice/ },
    { name: "a user with a quote", section: { accounts: [{ ...ACCOUNT, user: 'a"' }] }, want: /want "\*", or 1 to 64 letters/ },
    {
      name: "resources without capacity",
      section: { accounts: [{ ...ACCOUNT, resources: "pstn" }] },
      want: /not shown here, want resources with capacities/,
    },
    {
      name: "a placeholder that stands for nothing",
      section: { accounts: [{ ...ACCOUNT, resources: "pstn=fs://:se{cret}@{hots}:8021" }] },
      want: /not shown here, want no placeholder but \{host\}, \{port\}, \{user\}: \{hots\} stands for nothing$/,
    },
    {
      name: "resources that it cannot tell from a password",
      section: { accounts: [{ ...ACCOUNT, resources: "pstn=fs:/:se{cret}" }] },
      want: /not shown here, want resources with capacities/,
    },
    {
      name: "times that contradict",
      section: { accounts: [{ ...ACCOUNT, min_expires: 600 }] },
      want: /min_expires 600 above max_expires 120/,
    },
    { name: "no algorithm at all", section: { algorithms: [] }, want: /algorithms: found an empty list, want "MD5"/ },
    { name: "an algorithm that there is not", section: { algorithms: ["SHA-1"] }, want: /want "MD5" or "SHA-256"/ },
    { name: "a realm with a quote", section: { realm: 'a"b' }, want: /without quotes/ },
  ];
  for (const { name, section, want } of bad) {
    it(`refuses ${name}`, () => {
      const { messages } = read(section);
      assert.equal(messages.length, 1, messages.join("\n"));
      assert.match(messages[0] ?? "", want);
      assert.doesNotMatch(messages[0] ?? "", /secret word/);
    });
  }
});
