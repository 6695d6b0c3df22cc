import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ImportSyntaxError, importCfg, parseCfg } from "../../src/import/index.ts";

const INSTALLED = globSync("/etc/kamailio/*.cfg");

/** The statements of the main block. */
const main = (body: string) => parseCfg(`route {\n${body}\n}`).blocks[0]?.body ?? [];

describe("parseCfg()", () => {
  it("reads sockets, modules, parameters and blocks, each with its line", () => {
    const cfg = parseCfg(
      'socket=udp:192.0.2.1:5060 as 203.0.113.1:5060\n# a comment\nloadmodule "lib/tm.so"\nmodparam("tm", "fr_timeout", 5)\nroute[A] { exit; }',
    );
    assert.deepEqual(cfg.settings, [
      {
        name: "socket",
        words: ["udp:192.0.2.1:5060", "as", "203.0.113.1:5060"],
        text: "udp:192.0.2.1:5060 as 203.0.113.1:5060",
        line: 1,
      },
    ]);
    assert.deepEqual(cfg.modules, [{ name: "tm", line: 3 }]);
    assert.deepEqual(cfg.params, [{ module: "tm", name: "fr_timeout", value: "5", line: 4 }]);
    assert.deepEqual(cfg.blocks, [{ type: "route", name: "A", line: 5, body: [{ kind: "call", line: 5, name: "exit", args: [] }] }]);
    assert.deepEqual(cfg.problems, []);
  });

  it("gives a parameter of several modules to each", () => {
    assert.deepEqual(
      parseCfg('modparam("usrloc|dialog", "db_mode", 2)').params.map(({ module }) => module),
      ["usrloc", "dialog"],
    );
  });

  it("skips comments of all three kinds, also within blocks, but no mark within a text", () => {
    assert.deepEqual(
      main('xlog("# no comment // none /* none */"); # one\n// two exit;\n/* three\n exit; */ drop();').map((each) =>
        each.kind === "call" ? [each.name, each.args[0], each.line] : each.kind,
      ),
      [
        ["xlog", "# no comment // none /* none */", 2],
        ["drop", undefined, 5],
      ],
    );
  });

  it("reads IPv6 sockets, sockets of all addresses and variables with anything in their brackets", () => {
    const { settings } = parseCfg("listen=udp:[2001:db8::1]:5060\nlisten=tcp:*:5070\n");
    assert.deepEqual(
      settings.map(({ words }) => words),
      [["udp:[2001:db8::1]:5060"], ["tcp:*:5070"]],
    );
    assert.deepEqual(main("$var(a) = $(ru{uri.user}) + $hdr(X-A);")[0], {
      kind: "assign",
      line: 2,
      target: "$var(a)",
      operator: "=",
      value: "$(ru{uri.user}) + $hdr(X-A)",
      parts: [
        { kind: "variable", text: "$(ru{uri.user})", line: 2 },
        { kind: "sign", text: "+", line: 2 },
        { kind: "variable", text: "$hdr(X-A)", line: 2 },
      ],
    });
  });

  it("knows && before ||, ! before both, brackets, and the words of Kamailio", () => {
    const [statement] = main('if (!a() || b() && ($rU =~ "^1" or not c("x", 1))) exit; else if (d()) drop;');
    assert.equal(statement?.kind, "if");
    if (statement?.kind !== "if") return;
    assert.deepEqual(statement.test, {
      kind: "or",
      left: { kind: "not", of: { kind: "call", line: 2, name: "a", args: [] } },
      right: {
        kind: "and",
        left: { kind: "call", line: 2, name: "b", args: [] },
        right: {
          kind: "or",
          left: { kind: "compare", line: 2, left: "$rU", operator: "=~", right: "^1" },
          right: { kind: "not", of: { kind: "call", line: 2, name: "c", args: ["x", "1"] } },
        },
      },
    });
    assert.equal(statement.otherwise[0]?.kind, "if");
  });

  it("carries out Kamailio's preprocessor", () => {
    const cfg = parseCfg(
      '#!KAMAILIO\n#!define A\n#!define URL "mysql://x"\n#!substdef "!IP!192.0.2.9!g"\n#!subst "/PW/secret/"\n' +
        '#!ifdef A\nmodparam("dispatcher", "db_url", URL)\n#!ifdef B\nport=1\n#!else\nport=2\n#!endif\n#!else\nport=3\n#!endif\nlisten=udp:IP:5060\nmodparam("x", "y", "a:PW")',
    );
    assert.equal(cfg.flavor, "kamailio");
    assert.deepEqual(
      cfg.params.map(({ value, line }) => [value, line]),
      [
        ["mysql://x", 7],
        ["a:secret", 17],
      ],
    );
    assert.deepEqual(
      cfg.settings.map(({ text }) => text),
      ["2", "udp:192.0.2.9:5060"],
    );
  });

  it("tells of lines that it does not understand and of files that it does not read, and goes on", () => {
    const { problems, params } = parseCfg('include_file "more.cfg"\nsome words\nmodparam("tm", "x")\nmodparam("tm", "fr_timeout", 1)');
    assert.deepEqual(
      problems.map(({ line }) => line),
      [1, 2, 3],
    );
    assert.equal(params.length, 1);
  });

  for (const [name, text, line] of [
    ["a text", '\nxlog("no end', 2],
    ["a comment", "/* no end", 1],
    ["a block", "route {\n exit;\n", 2],
    ["blocks beyond all depth", `route {${"{".repeat(200)}`, 1],
    ["brackets beyond all depth", `route { if (${"(".repeat(5000)}`, 1],
  ] as const)
    it(`refuses ${name} without end, and says where`, () => {
      assert.throws(
        () => parseCfg(text),
        (error: Error) => error instanceof ImportSyntaxError && error.message.includes(`line ${line}`),
      );
    });

  it("reads what Kamailio's package installs without a line that is not understood but its includes", () => {
    for (const file of INSTALLED) {
      const { problems, blocks, flavor } = parseCfg(readFileSync(file, "utf8"));
      assert.deepEqual([problems.filter(({ text }) => !text.startsWith("the file")), flavor], [[], "kamailio"]);
      assert.ok(blocks.length > 10);
    }
  });

  it("answers every text within its bounds: with a configuration or with a sentence", () => {
    const word = fc.constantFrom(
      "route",
      "[",
      "]",
      "{",
      "}",
      "if",
      "(",
      ")",
      "else",
      "&&",
      "||",
      "!",
      ";",
      '"a"',
      "$rU",
      "==",
      "lb_start",
      "t_relay",
      "exit",
      "=",
      ",",
      "route(A)",
      "route[A] {",
      "#!ifdef A\n",
      "\n",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 60 }).map((words) => words.join(" ")),
    );
    fc.assert(
      fc.property(text, (cfg) => {
        try {
          importCfg(cfg);
        } catch (error) {
          assert.ok(error instanceof ImportSyntaxError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("ends soon with scripts that are made to have endless ways", () => {
    const twice = 'if ($rU =~ "1") { xlog("a"); } else { xlog("b"); }\n'.repeat(400);
    const loops =
      'route[A] { route(A); route(A); }\nfailure_route[f] { route(A); route(A); if (lb_next()) { t_on_failure("f"); t_relay(); } }';
    const { findings } = importCfg(`route { route(A); ${twice} lb_start(1, "a"); t_on_failure("f"); t_relay(); }\n${loops}`);
    assert.ok(findings.length < 2_000);
    const deep = `${"if (isflagset(1)) {".repeat(60)} route(A); ${"}".repeat(60)}`;
    const flat = 'if (has_totag()) { xlog("x"); }\n'.repeat(20_000);
    for (const script of [
      `route { route(A); ${flat} }\nroute[A] { ${deep} }`,
      `route { lb_start(1, "a"); t_on_failure("f"); t_relay(); }\nfailure_route[f] { route(A); }\nroute[A] { ${deep} }`,
      `route { ${'if ($rU =~ "1") '.repeat(60)} exit; }`,
    ])
      assert.ok(importCfg(script).findings.length < 2_000);
  });
});
