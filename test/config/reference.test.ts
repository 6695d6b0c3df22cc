import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Balancer } from "../../src/balancer/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import { configurationReference } from "../../src/config/reference.ts";
import { createRouter } from "../../src/server/routers.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const REFERENCE = join(ROOT, "docs", "configuration.md");

describe("the documentation of the configuration", () => {
  it("docs/configuration.md says what the schema says (UPDATE_REFERENCE=1 writes it anew)", () => {
    if (process.env["UPDATE_REFERENCE"]) writeFileSync(REFERENCE, configurationReference());
    assert.equal(readFileSync(REFERENCE, "utf8"), configurationReference());
  });

  it("every configuration in examples/ is right and gives no notice", () => {
    const files = readdirSync(join(ROOT, "examples")).filter((name) => name.endsWith(".yaml"));
    assert.deepEqual(files.sort(), ["dispatcher.yaml", "freeswitch.yaml", "headroom.yaml", "health.yaml", "registrar.yaml"]);
    const nodes = readdirSync(join(ROOT, "examples", "cluster")).filter((name) => name.endsWith(".yaml"));
    assert.deepEqual(nodes.sort(), ["node1.yaml", "node2.yaml"]);
    for (const file of [...files, ...nodes.map((name) => join("cluster", name))]) {
      assert.deepEqual(loadConfig(join(ROOT, "examples", file), {}).notices, [], file);
    }
  });

  it("the rules of every configuration in examples/ make a route", async () => {
    for (const file of [
      "dispatcher.yaml",
      "freeswitch.yaml",
      "headroom.yaml",
      "health.yaml",
      "registrar.yaml",
      "cluster/node1.yaml",
      "cluster/node2.yaml",
    ]) {
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const config = loadConfig(join(ROOT, "examples", file), {});
      const router = await createRouter(config, { balancer: new Balancer({ below: () => 0 }), log });
      assert.ok(router.handles("INVITE"), file);
    }
  });
});
