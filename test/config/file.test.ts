import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ConfigError, loadConfig } from "../../src/config/index.ts";

describe("the file of a configuration", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "headroom-config-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  const fails = (file: string, want: RegExp) =>
    assert.throws(
      () => loadConfig(file, {}),
      (error) => error instanceof ConfigError && want.test(error.message),
    );

  it("is named in the configuration and in messages", () => {
    const file = join(folder, "good.yaml");
    writeFileSync(file, "\uFEFFtm: { fr_timeout: 9 }\r\n");
    assert.equal(loadConfig(file, {}).tm.fr_timeout, 9);
    assert.equal(loadConfig(file, {}).file, file);
    writeFileSync(file, "x: 1");
    fails(file, /good\.yaml:1:1: found the unknown key "x"/);
  });

  it("must be there when it was named", () => fails(join(folder, "none.yaml"), /none\.yaml: there is no such file/));

  it("must not be a directory", () => {
    mkdirSync(join(folder, "dir.yaml"));
    fails(join(folder, "dir.yaml"), /this is a directory/);
  });

  it("must be UTF-8", () => {
    writeFileSync(join(folder, "latin1.yaml"), Buffer.from([0x23, 0xe4, 0x0a]));
    fails(join(folder, "latin1.yaml"), /not UTF-8 text/);
  });

  it("must not be larger than 1 MiB, nor without end", () => {
    writeFileSync(join(folder, "huge.yaml"), "#".repeat(1_048_577));
    fails(join(folder, "huge.yaml"), /more than 1048576 bytes/);
    fails("/dev/zero", /more than 1048576 bytes/);
  });
});
