import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImportSyntaxError, importCfg, type ReadInclude } from "../../src/import/index.ts";

/** Files by name, as a folder would have them. */
function folder(files: Readonly<Record<string, string>>): ReadInclude {
  return (path) => {
    const text = Object.hasOwn(files, path) ? files[path] : undefined;
    if (text === undefined) throw new ImportSyntaxError(`Cannot read the configuration: ENOENT: no such file "${path}"`);
    return { name: path, text };
  };
}

const linesOf = (text: string, files: Readonly<Record<string, string>>) =>
  importCfg(text, { read: folder(files) }).lines.map((line) => line.text);

describe("files that a configuration includes", () => {
  it("stand where they are named, outside and within blocks, in both forms", () => {
    const text = 'include_file "top.cfg"\nroute {\n#!include_file "route.cfg"\n t_relay();\n}\n';
    const lines = linesOf(text, { "top.cfg": "log_level=4\nlisten=udp:192.0.2.1:5060\n", "route.cfg": 'lb_start(7, "pstn");' });
    assert.ok(lines.includes('  level: "debug"'));
    assert.ok(lines.some((line) => line.includes('group: 7, resources: "pstn"')));
  });

  it("define words for what follows them, and are left alone where nothing is read", () => {
    const text = '#!include_file "local.cfg"\n#!ifdef NEVER\ninclude_file "gone.cfg"\n#!endif\nlog_level=LEVEL\n';
    const { findings } = importCfg(text, { flavor: "kamailio", read: folder({ "local.cfg": "#!define LEVEL 4\n" }) });
    assert.deepEqual(
      findings.map(({ text: words }) => words),
      ["log_level is log.level"],
    );
  });

  it("are named in the report, with their own lines", () => {
    const { findings } = importCfg('log_level=2\ninclude_file "more.cfg"\n', {
      flavor: "opensips",
      read: folder({ "more.cfg": "\n\nfoo_bar=1\n" }),
    });
    assert.deepEqual(findings.at(-1), { line: 3, file: "more.cfg", fate: "left", text: "foo_bar has no counterpart" });
  });

  it("name themselves in the reason when one cannot be read to its end", () => {
    assert.throws(() => importCfg('include_file "a.cfg"\n', { flavor: "opensips", read: folder({ "a.cfg": "\nroute {\n if (" }) }), {
      name: "ImportSyntaxError",
      message: /Cannot read line 3 of a\.cfg: /,
    });
  });

  it("may be missing, which the report says of include_file and not of import_file", () => {
    const told = importCfg('include_file "a.cfg"\nimport_file "b.cfg"\nlog_level=2\n', { flavor: "kamailio", read: folder({}) }).findings;
    assert.deepEqual(
      told.map(({ line, fate }) => [line, fate]),
      [
        [1, "left"],
        [3, "taken"],
      ],
    );
  });

  it("may include each other only so deep, and be only so many and so long", () => {
    const circle = importCfg('include_file "a.cfg"\n', {
      flavor: "opensips",
      read: folder({ "a.cfg": 'include_file "a.cfg"\n' }),
    }).findings;
    assert.match(circle[0]?.text ?? "", /files include each other more than 10 deep/);
    const many = importCfg('include_file "a.cfg"\n'.repeat(300), { read: folder({ "a.cfg": "" }) }).findings;
    assert.match(many[0]?.text ?? "", /want at most 200 files/);
    const long = importCfg('include_file "a.cfg"\n'.repeat(5), { read: folder({ "a.cfg": "#".repeat(900_000) }) }).findings;
    assert.match(long[0]?.text ?? "", /want at most 2000000 characters/);
  });
});

describe("a configuration with a mistake", () => {
  it("is read to its end when a quote and a bracket are not closed, and says where", () => {
    const text =
      'route {\n sql_query("db", "insert into t values (1\n xlog("two\nlines");\n lb_start(3, "pstn");\n t_relay();\n}\nlog_level=2\n';
    const { lines, findings } = importCfg(text);
    assert.ok(lines.some((line) => line.text.includes("group: 3")));
    assert.ok(findings.some(({ line, text: words }) => line === 2 && /a text begins that nothing ends/.test(words)));
    assert.ok(findings.some(({ text: words }) => /a bracket is open, want "\)"/.test(words)));
  });
});
