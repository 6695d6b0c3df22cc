import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "../../src/config/index.ts";
import { configurationReference } from "../../src/config/reference.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const REFERENCE = join(ROOT, "docs", "configuration.md");

describe("the documentation of the configuration", () => {
  it("docs/configuration.md says what the schema says (UPDATE_REFERENCE=1 writes it anew)", () => {
    if (process.env["UPDATE_REFERENCE"]) writeFileSync(REFERENCE, configurationReference());
    assert.equal(readFileSync(REFERENCE, "utf8"), configurationReference());
  });

  it("examples/headroom.yaml is right and gives no notice", () => {
    assert.deepEqual(loadConfig(join(ROOT, "examples", "headroom.yaml"), {}).notices, []);
  });
});
