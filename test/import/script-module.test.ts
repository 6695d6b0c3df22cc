import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { importCfg } from "../../src/import/index.ts";

const ROOT = join(import.meta.dirname, "../..");
const FIXTURE = readFileSync(join(ROOT, "test/fixtures/import/beyond-rules.cfg"), "utf8");

function moduleOf(cfg: string, flavor?: "opensips" | "kamailio"): string {
  const { module } = importCfg(cfg, { flavor, script: "routes.ts" });
  assert.ok(module !== undefined);
  return module;
}

/** What the statements of a main route become, without indentation and lines of the script. */
function translated(script: string, flavor?: "opensips" | "kamailio"): string[] {
  const [, body = ""] =
    /function routeMain\(_?call: Call\): number \{\n([\s\S]*?)\n\}/.exec(moduleOf(`route {\n${script}\n}`, flavor)) ?? [];
  return body
    .split("\n")
    .map((line) => line.trim().replace(/ \/\/ line \d+$/, ""))
    .filter((line) => line !== "return 1;");
}

describe("the route module that an import makes", () => {
  it("has no mistake that the compiler finds, whatever the script", () => {
    const scripts = [
      FIXTURE,
      'route { $var(i) = 1 + 2; $var(i) += 3; $var(t) = "a`\u0024{b}\\"" + $rU; if ($si == 10.0.0.0/8 and src_ip != 192.0.2.1) { $rd = "x.example:5070"; } if (!$avp(no)) exit; }',
      'route { while ($var(i) < 5) { $var(i) = $var(i) + 1; if ($var(i) == 3) break; } switch ($rU) { case "1": exit; } drop(); xlog("late"); }',
      'route { if (route(1)) { setflag(3); } if (isflagset(3) || pike_check_req()) t_relay("udp:192.0.2.1:5060"); append_hf("no colon"); }\nroute[1] { if ($si == "192.0.2.1") return -1; if (mystery()) { return($var(x)); } return(0); }\nroute[a-b] { }\nroute[a_b] { route(a-b); }',
      'request_route { if (!ds_select_dst("1", "4", "3")) { sl_send_reply("404", "None"); exit; } t_on_failure("F"); t_relay(); }\nfailure_route[F] { if (t_check_status("5..|408")) { ds_mark_dst("ip"); if (ds_next_dst()) { t_on_failure("F"); t_relay(); } } $var(x) = $xavp(_dsdst_=>attrs); }',
      'route { if ($hdr(X-*/) == "*/") { xlog("*/ \u0024{x} `"); } lb_count_call($si, $sp, -1, "a"); lb_is_destination($si, $sp, 1, 1); }',
    ];
    const folder = mkdtempSync(join(tmpdir(), "headroom-import-"));
    try {
      const files = scripts.map((_, i) => `made${i}.ts`);
      for (const [i, script] of scripts.entries()) writeFileSync(join(folder, `made${i}.ts`), moduleOf(script));
      writeFileSync(join(folder, "package.json"), '{"type":"module"}');
      const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8"));
      const options = {
        ...compilerOptions,
        paths: { "headroom-sip": [join(ROOT, "src/index.ts")] },
        typeRoots: [join(ROOT, "node_modules/@types")],
      };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }));
      const { status, stdout } = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8", timeout: 60_000 });
      assert.equal(status, 0, stdout);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("names the line of the script behind each statement, and asks for what has no counterpart", () => {
    const { module = "", findings, lines } = importCfg(FIXTURE, { script: "./routes.ts" });
    assert.match(module, /call\.ruriUser = "49" \+ call\.ruriUser; \/\/ line 24\n/);
    assert.match(module, /if \(call\.lb\.code === -2\) \{ \/\/ line 40\n/);
    assert.match(
      module,
      /const decide = \{\n {2}\/\*\* check_address\(1, \$si, \$sp, \$proto\), line 34 \*\/\n {2}line34: undefined as boolean \| undefined,\n\};/,
    );
    assert.deepEqual(
      findings.filter(({ fate }) => fate === "todo" || fate === "security").map(({ line, fate }) => [line, fate]),
      [
        [34, "security"],
        [38, "todo"],
      ],
    );
    assert.ok(lines.some(({ text }) => text === '  script: "./routes.ts"'));
    assert.ok(!lines.some(({ text }) => text.includes("rules")));
  });

  const statements = [
    { cfg: 'strip(2); prefix("+49");', ts: ["call.ruriUser = call.ruriUser.slice(2);", 'call.ruriUser = "+49" + call.ruriUser;'] },
    { cfg: '$ru = "sip:" + $rU + "@192.0.2.1";', ts: [`call.requestUri = \`sip:\${call.ruriUser}@192.0.2.1\`;`] },
    { cfg: 'lb_start(2, "a;b", "rx");', ts: ['call.lb.start(2, "a;b", "r");'] },
    { cfg: 'append_hf("X-A: $fU\\r\\n");', ts: ['call.addHeader("X-A", call.from.user);'] },
    { cfg: "$T_fr_timeout = 2;", ts: ["call.answerWithinMs = 2 * 1000;"] },
    { cfg: 'xlog("L_ERR", "no $rU");', ts: [`call.log.error(\`no \${call.ruriUser}\`);`] },
    { cfg: 'if (has_totag()) { exit; } record_route(); create_dialog("P");', ts: ['call.createDialog("P");'] },
    {
      cfg: 'if ($rU == "1") { exit; } else if ($rU == "2") { exit; }',
      ts: ['if (same(call.ruriUser, "1")) {', "return 0;", '} else if (same(call.ruriUser, "2")) {', "return 0;", "}"],
    },
    { cfg: 'if (t_check_status("486|6..")) exit;', ts: ['if (call.statusIs("486|6..")) {', "return 0;", "}"] },
    { cfg: 'if (t_check_status("^50")) exit;', ts: ["if (matches(String(call.status), /^50/)) {", "return 0;", "}"] },
    { cfg: "ds_select_dst(1, 4);", ts: ["call.ds.selectDst(1, 11);"] },
    { cfg: 'ds_select_dst("1", "4");', ts: ["call.ds.selectDst(1, 4);"], flavor: "kamailio" as const },
    {
      cfg: "if (ds_is_in_list($si, 0, 3)) exit;",
      ts: ['if (call.ds.isFromList(3, 3, "sip:" + call.source.address) !== undefined) {', "return 0;", "}"],
    },
    { cfg: 'ds_select_routes("1=8;2=4", "r");', ts: ['call.ds.selectRoutes("1=8;2=4", "r");'], flavor: "kamailio" as const },
    { cfg: 'lb_count_call($si, $sp, -1, "a");', ts: ['call.lb.countCall(call.source.address, call.source.port, -1, "a");'] },
    {
      cfg: 'switch ($rU) { case "1": strip(1); break; default: exit; }',
      ts: ['if (same(call.ruriUser, "1")) {', "call.ruriUser = call.ruriUser.slice(1);", "} else {", "return 0;", "}"],
    },
    { cfg: "rtpengine_offer();", ts: ["// line 2, not translated: rtpengine_offer(): media is not relayed"] },
  ];
  for (const { cfg, ts, flavor } of statements) it(`writes ${ts[0]} for ${cfg}`, () => assert.deepEqual(translated(cfg, flavor), ts));

  it("ends soon with scripts that are made to be long or deep", () => {
    const chain = `if ($rU == "1") { exit; } ${'else if ($rU == "2") { exit; } '.repeat(40)}`;
    const scripts = [
      `route { ${"if (a() && b() || !c()) ".repeat(60)} exit; }`,
      `route { ${chain.repeat(100)} }`,
      `route { ${'if (x()) { xlog("x"); }\n'.repeat(20_000)} }`,
      `route { ${'$var(a) = $var(a) + "b" + '.repeat(5_000)} "c"; }`,
    ];
    for (const script of scripts) {
      const { module = "", findings } = importCfg(script, { script: "routes.ts" });
      assert.ok(findings.length <= 2_000 && module.length < 5_000_000);
    }
  });

  it("lets nothing of the script out of a text or a comment", () => {
    const made = moduleOf(
      'route { xlog("`\u0024{process.exit()}`\\"; process.exit(); //"); mystery("*/ process.exit(); /*\n process.exit();"); }\nroute[\n] { }',
    );
    const withoutTexts = made.replace(/"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(withoutTexts, /process/);
  });
});

describe("what keeps strangers out, in a route module", () => {
  it("has no answer until somebody gives one, in either polarity", () => {
    for (const script of [
      'if (!check_address("1", "$si")) exit;',
      'if (check_address("1", "$si")) { lb_start(1, "a"); t_relay(); exit; } exit;',
      'if (www_authorize("", "s") && $rU == "1") { t_relay(); }',
      'check_source_address("1"); if ($rc < 0) exit;',
      '$var(r) = mystery(); if ($var(r) == 1) { send_reply(403, "no"); exit; }',
      'if (is_inside()) { t_relay(); exit; } if (!www_authorize("", "s")) exit;',
    ]) {
      const made = moduleOf(`route { ${script} lb_start(1, "a"); t_relay(); }`);
      assert.match(made, /line1\w*: undefined as boolean/, script);
      assert.match(made, /call\.reply\(403\);/, script);
    }
  });

  it("does not stand in the way of what is only written into the log", () => {
    assert.doesNotMatch(
      moduleOf('route { if (check_address("1", "$si")) { xlog("known"); } lb_start(1, "a"); t_relay(); }'),
      /undefined as/,
    );
  });
});

describe("a report of rules alone", () => {
  it("counts what a module could have", () => {
    assert.equal(importCfg('route { lb_start(1, "a"); t_relay(); }').beyondRules, 0);
    assert.equal(importCfg('route { prefix("9"); lb_start(1, "a"); t_relay(); }').beyondRules, 1);
  });
});
