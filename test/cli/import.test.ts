import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { register as registerCheck } from "../../src/cli/check.ts";
import { register } from "../../src/cli/import.ts";
import { makeWorkplace, runCommand, type Workplace } from "../support/cli.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/import/loadbalancer.cfg");

let place: Workplace;
let cfg: string;
let output: string;
before(() => {
  place = makeWorkplace();
  cfg = join(dirname(place.config), "opensips.cfg");
  output = join(dirname(place.config), "made.yaml");
});
after(() => place.remove());

describe("headroom import", () => {
  it("writes a file that headroom check accepts and that nobody else may read, and reports on standard output", async () => {
    writeFileSync(cfg, readFileSync(FIXTURE, "utf8").replace(/"mysql:[^"]*"/g, `"sqlite:${place.database}"`));
    const { printed, complained, exitCode } = await runCommand(register, "import", cfg, "--output", output);
    assert.deepEqual([complained, exitCode], [[], 0]);
    assert.match(printed[0] ?? "", /opensips\.cfg, a configuration of OpenSIPS: 1 to do, 3 not taken over, /);
    assert.ok(printed.includes(`not taken over: ${cfg}:99: do_accounting(log): there is no accounting: events tell of calls`));
    assert.equal(statSync(output).mode & 0o777, 0o600);
    const checked = await runCommand(registerCheck, "check", "--config", output);
    assert.deepEqual([checked.complained, checked.exitCode], [[], 0]);
    assert.match(checked.printed.at(-1) ?? "", /made\.yaml can be used$/);
  });

  it("replaces no file unless it is told to", async () => {
    writeFileSync(cfg, "log_level=4\n");
    writeFileSync(output, "mine");
    const refused = await runCommand(register, "import", cfg, "-o", output);
    assert.match(refused.complained.join(), /it is there already, want another name or --force/);
    assert.deepEqual([refused.exitCode, readFileSync(output, "utf8")], [1, "mine"]);
    await runCommand(register, "import", cfg, "-o", output, "--force");
    assert.match(readFileSync(output, "utf8"), /^# Made by .*\nlog:\n {2}level: "debug"\n$/);
  });

  it("prints the new file alone on standard output when it is to write none", async () => {
    writeFileSync(cfg, "log_level=2\nfoo_bar=1\n");
    const { printed, complained } = await runCommand(register, "import", cfg);
    assert.deepEqual(printed.slice(1), ["log:", '  level: "info"']);
    assert.ok(complained.includes(`not taken over: ${cfg}:2: foo_bar has no counterpart`));
  });

  it("reads included files beside the one that includes them, and names them in the report", async () => {
    writeFileSync(cfg, 'include_file "part.cfg"\ninclude_file "/"\n');
    writeFileSync(place.path("part.cfg"), "log_level=2\nfoo_bar=1\n");
    const { printed, complained } = await runCommand(register, "import", cfg);
    assert.deepEqual(printed.slice(1), ["log:", '  level: "info"']);
    assert.ok(complained.includes(`not taken over: ${place.path("part.cfg")}:2: foo_bar has no counterpart`));
    assert.match(complained.join("\n"), /:2: the file "\/" is not read \(Cannot read the configuration: \/ is not a file\)/);
  });

  it("makes a comment of a value that a key does not take, and says what is wanted", async () => {
    writeFileSync(cfg, 'modparam("load_balancer", "probing_method", "INVITE")\nmodparam("tm", "fr_timeout", 100000)\nlog_level=2\n');
    const { printed, complained } = await runCommand(register, "import", cfg);
    assert.ok(printed.includes("  # fr_timeout: 100000"));
    assert.match(
      complained.join("\n"),
      /to do: .*opensips\.cfg:2: .*tm\.fr_timeout: found 100000, want .*; the line stands in the new file as a comment/,
    );
  });

  it("answers with JSON when asked", async () => {
    writeFileSync(cfg, "log_level=2\n");
    const { printed } = await runCommand(register, "import", cfg, "--json", "--from", "kamailio");
    const { flavor, findings } = JSON.parse(printed.join("\n"));
    assert.deepEqual([flavor, findings], ["kamailio", [{ line: 1, fate: "taken", text: "log_level is log.level" }]]);
  });

  it("ends with 1 and the reason for a file that is not there or cannot be read to its end, and writes nothing", async () => {
    const missing = await runCommand(register, "import", join(dirname(cfg), "none.cfg"), "-o", `${output}.2`);
    assert.match(missing.complained.join(), /none\.cfg: Cannot read the configuration: ENOENT/);
    writeFileSync(cfg, "route { if (");
    const broken = await runCommand(register, "import", cfg, "-o", `${output}.2`);
    assert.match(broken.complained.join(), /opensips\.cfg: Cannot read line 1: /);
    assert.deepEqual([missing.exitCode, broken.exitCode, existsSync(`${output}.2`)], [1, 1, false]);
  });
});
