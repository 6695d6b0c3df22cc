import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Config, parseConfig } from "../../src/config/index.ts";
import { type Fate, importCfg } from "../../src/import/index.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures/import");

const read = (name: string) => importCfg(readFileSync(join(FIXTURES, name), "utf8"));
const textOf = (imported: ReturnType<typeof importCfg>) => imported.lines.map(({ text }) => text).join("\n");
/** The configuration as a start would read it: what is not accepted throws. */
const started = (imported: ReturnType<typeof importCfg>): Config => parseConfig(textOf(imported), "headroom.yaml", {});
const told = (imported: ReturnType<typeof importCfg>, fate: Fate) =>
  imported.findings.filter((finding) => finding.fate === fate).map(({ line, text }) => `${line}: ${text}`);

/** What a script with one selection becomes. */
function rulesOf(script: string, flavor?: "opensips" | "kamailio") {
  return started(importCfg(script, { flavor })).routing.rules;
}

describe("the load balancer of OpenSIPS' menu", () => {
  const imported = read("loadbalancer.cfg");
  const config = started(imported);

  it("has its sockets, timers, database and management where they belong", () => {
    assert.deepEqual(config.sip.listen.map(String).length, 2);
    assert.equal(config.sip.advertised_address, "203.0.113.10:5060");
    assert.equal(config.sip.server_header, "edge");
    assert.deepEqual([config.tm.fr_timeout, config.tm.fr_inv_timeout], [5, 30]);
    assert.equal(config.load_balancer.db_url, "mysql://opensips:opensipsrw@localhost/opensips");
    assert.deepEqual([config.dialog.default_timeout, config.dialog.persistence], [21_600, "sqlite"]);
    assert.equal(config.mi_http.listen, "127.0.0.1:8000");
    assert.equal(config.log.level, "info");
  });

  it("has a rule for each selection, in the order of the script, with the failure route in it", () => {
    const failure = { failover_on: ["408", "5xx", "6xx"], max_failovers: 100, disable_on: ["408"] };
    const rules = config.routing.rules.map(({ match, group, resources, flags, dialog_flags, failover_on, max_failovers, disable_on }) => ({
      match,
      group,
      resources,
      flags,
      dialog_flags,
      failover_on,
      max_failovers,
      disable_on,
    }));
    assert.deepEqual(rules, [
      { match: { ruri_user: "^1[0-9]{3}$" }, group: 2, resources: "conf;pstn", flags: "r", dialog_flags: "bye-on-timeout", ...failure },
      { match: {}, group: 1, resources: "channel", flags: "", dialog_flags: "", ...failure },
    ]);
  });

  it("tells what is not taken over, with the line", () => {
    assert.deepEqual(told(imported, "left"), [
      "36: parameters of module acc (2): Headroom has no part for it",
      "99: do_accounting(log): there is no accounting: events tell of calls",
      "110: the answer 500 to calls that find no destination: routing.reject is one for all rules, and is 486",
    ]);
  });
});

describe("a node of a cluster before FreeSWITCHes", () => {
  const imported = read("freeswitch-cluster.cfg");
  const text = textOf(imported);

  it("counts calls of destinations, takes capacities from FreeSWITCH, and answers by the code of the selection", () => {
    assert.match(text, /fetch_freeswitch_stats: true\n {2}initial_freeswitch_load: 15/);
    assert.match(text, /outbound:\n {4}resources: "channel"\n {4}group: -1\n {4}limit: false/);
    assert.match(text, /reject:\n {4}no_capacity: 486\n {4}no_destination: 480/);
    assert.match(text, /flags: "s", failover_on: \["408", "503"\], max_failovers: 1, disable_on: \[\]/);
    assert.match(text, /node_id: 2\n {2}sharing_tags: \["vip\/1=backup"\]/);
  });

  it("tells what is to be done: an interface, the management's address, Redis", () => {
    assert.deepEqual(told(imported, "todo"), [
      "0: nodes of a cluster share a Redis: set cluster.redis_url",
      '3: socket udp:eth0:5060: "eth0" is a name, sip.listen wants an IP address',
      "17: mi_http.listen is 127.0.0.1:8888, for this machine alone: another address needs mi_http.auth.bearer_tokens",
    ]);
  });
});

describe("a dispatcher of Kamailio", () => {
  const imported = read("dispatcher.cfg");
  const config = started(imported);

  it("has its parameters under their names, times in seconds, and what the preprocessor leaves", () => {
    assert.equal(config.dispatcher.db_url, "mysql://kamailio:secret@localhost/kamailio");
    assert.deepEqual(
      [config.dispatcher.ds_ping_interval, config.dispatcher.ds_probing_mode, config.dispatcher.ds_inactive_threshold],
      [10, 1, 3],
    );
    assert.deepEqual([config.tm.fr_timeout, config.tm.fr_inv_timeout], [5, 30]);
    assert.equal(config.sip.listen.length, 1);
    assert.equal(config.sip.advertised_address, "203.0.113.20:5060");
  });

  it("has a rule a set, first the one that asks for a source", () => {
    assert.deepEqual(
      config.routing.rules.map(({ match, dispatch, failover_on, disable_on }) => [
        match.source?.toString(),
        dispatch?.set,
        dispatch?.algorithm,
        dispatch?.limit,
        failover_on,
        disable_on,
      ]),
      [
        ["10.1.2.3", 2, "8", 0, ["500", "timeout"], ["500", "timeout"]],
        [undefined, 1, "4", 3, ["500", "timeout"], ["500", "timeout"]],
      ],
    );
    assert.deepEqual([config.routing.reject.no_capacity, config.routing.reject.no_destination], [404, 404]);
  });
});

describe("importCfg()", () => {
  const failing = (body: string) => rulesOf(`route { lb_start(1, "a"); t_on_failure("f"); t_relay(); }\nfailure_route[f] { ${body} }`)[0];
  const cases = [
    { name: "a pattern", body: 'if (t_check_status("(408)|(5[0-9][0-9])")) { if (lb_next()) t_relay(); }', on: ["408", "5xx"], off: [] },
    { name: "a pattern of tens", body: 'if (t_check_status("50[0-9]") && lb_next()) t_relay();', on: ["50x"], off: [] },
    { name: "a negated pattern", body: 'if (!t_check_status("[456]..")) lb_next();', on: ["3xx"], off: [] },
    {
      name: "an exit before",
      body: 'if (t_check_status("6[0-9][0-9]|486")) exit; if (t_check_status("(48[0-9])|6..")) lb_next();',
      on: ["480", "481", "482", "483", "484", "485", "487", "488", "489"],
      off: [],
    },
    {
      name: "codes that are compared",
      body: "if ($T_reply_code >= 500) { lb_disable_dst(); lb_next(); }",
      on: ["5xx", "6xx"],
      off: ["5xx", "6xx"],
    },
    {
      name: "local time-outs",
      body: 'if (t_local_replied("all")) { lb_disable_dst(); } lb_next();',
      on: ["3xx", "4xx", "5xx", "6xx"],
      off: ["timeout", "transport"],
    },
    { name: "nothing", body: 'xlog("failed");', on: [], off: [] },
  ];
  for (const { name, body, on, off } of cases)
    it(`makes failover_on and disable_on of ${name} in a failure route`, () => {
      const rule = failing(body);
      assert.deepEqual([rule?.failover_on, rule?.disable_on], [on, off]);
    });

  it("counts failure routes that arm each other, and takes one that arms itself for endless", () => {
    assert.equal(failing("if (lb_next()) t_relay();")?.max_failovers, 1);
    assert.equal(failing('if (lb_next()) { t_on_failure("f"); t_relay(); }')?.max_failovers, 100);
    const chain =
      'route { lb_start(1, "a"); t_on_failure("1"); t_relay(); }\nfailure_route[1] { if (lb_next()) { t_on_failure("2"); t_relay(); } }\nfailure_route[2] { if (lb_next()) t_relay(); }';
    assert.equal(rulesOf(chain)[0]?.max_failovers, 2);
  });

  it("fails over nowhere when no failure route is armed", () => {
    const [rule] = rulesOf('route { if (!lb_start(1, "a")) { exit; } t_relay(); }');
    assert.deepEqual([rule?.failover_on, rule?.max_failovers, rule?.disable_on], [[], 0, []]);
  });

  const matches = [
    { test: '$rU =~ "^9"', match: { ruri_user: "^9" } },
    { test: '$rU == "1.0"', match: { ruri_user: "^1\\.0$" } },
    { test: '$rd == "conf.example.net"', match: { ruri_host: ["conf.example.net"] } },
    { test: '$si == "192.0.2.7"', match: { source: ["192.0.2.7"] } },
    { test: "src_ip == 192.0.2.7", match: { source: ["192.0.2.7"] } },
    { test: '$hdr(X-Tenant) == "acme"', match: { header: { "X-Tenant": "^acme$" } } },
    { test: '$rU =~ "^9" && $si == "192.0.2.7"', match: { ruri_user: "^9", source: ["192.0.2.7"] } },
    { test: 'is_method("INVITE") && !($rU !~ "^9")', match: { ruri_user: "^9" } },
    { test: 'uri =~ "^sip:9[0-9]*@"', match: { ruri_user: "^9[0-9]*$" } },
  ];
  for (const { test, match } of matches)
    it(`asks ${test} by match`, () => {
      const rules = rulesOf(`route { if (${test}) { lb_start(2, "b"); } else { lb_start(1, "a"); } t_relay(); }`);
      assert.deepEqual(
        rules.map((rule) => [rule.match, rule.group]),
        [
          [match, 2],
          [{}, 1],
        ],
      );
    });

  it("tells where capital letters make a difference that they do not make there", () => {
    const imported = importCfg(
      'route {\n if ($rU =~ "^conf") { lb_start(2, "b"); t_relay(); exit; }\n if ($rU =~ "^\\d[[:digit:]]") { lb_start(3, "c"); t_relay(); exit; }\n lb_start(1, "a"); t_relay();\n}',
    );
    assert.deepEqual(
      told(imported, "changed").map((line) => line.slice(0, 26)),
      ['2: condition "$rU =~ ^conf'],
    );
  });

  it("tells of each condition, call and change that a rule cannot have, with its line", () => {
    const imported = importCfg(
      'route {\n if ($avp(x) > 5) { prefix("9"); }\n $ru = "sip:a@b";\n rtpengine_offer();\n lb_start(1, "$var(r)");\n lb_start(1, "a");\n t_relay();\n}',
    );
    assert.deepEqual(
      imported.findings.filter(({ fate }) => fate === "left").map(({ line }) => line),
      [2, 2, 3, 4, 5],
    );
    assert.equal(started(imported).routing.rules.length, 1);
  });

  it("tells of a second selection where the first has found nothing", () => {
    const imported = importCfg(
      'route {\n if (!lb_start(1, "a"))\n if (!lb_start(2, "a")) { send_reply(503, "Full"); exit; }\n t_relay();\n}',
    );
    assert.deepEqual(
      started(imported).routing.rules.map(({ group }) => group),
      [1],
    );
    assert.match(told(imported, "left").join(), /^3: another selection/);
  });

  it("follows route() with its return, and a script of old versions with numbers as names", () => {
    const rules = rulesOf(
      'route { route(1); lb_start(1, "a"); route(2); }\nroute[1] { if (has_totag()) { exit; } return; }\nroute[2] { t_on_failure("1"); t_relay(); }\nfailure_route[1] { if (lb_next()) t_relay(); }',
    );
    assert.deepEqual([rules.length, rules[0]?.max_failovers], [1, 1]);
  });

  it("keeps a text that would mean the environment as it is, and shows no password", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a password
    const url = "mysql://u:${HOME}@h/d";
    const imported = importCfg(
      `modparam("load_balancer", "db_url", "${url}")\nmodparam("load_balancer", "db_table", "lb")\nmodparam("dialog", "cachedb_url", "memcached://u:secret@h")`,
    );
    assert.equal(started(imported).load_balancer.db_url, url);
    assert.doesNotMatch(JSON.stringify(imported.findings), /secret/);
  });

  it("takes the parameters of OpenSIPS' dispatcher in Kamailio's form, and says what to do about its table", () => {
    const imported = importCfg(
      'modparam("dispatcher", "options_reply_codes", "501, 403")\nmodparam("dispatcher", "ds_ping_interval", 7)\nmodparam("dispatcher", "db_url", "mysql://u:secret@h/d")\nmodparam("dispatcher", "partition", "p2: db_url=x")',
    );
    const { dispatcher } = started(imported);
    assert.deepEqual([dispatcher.ds_ping_reply_codes, dispatcher.ds_ping_interval, dispatcher.db_url], ["code=501;code=403", 7, null]);
    assert.deepEqual(
      told(imported, "todo").map((line) => line.slice(0, 2)),
      ["3:", "4:"],
    );
  });

  it("leaves a secure listener out as long as there is no certificate", () => {
    const imported = importCfg("listen=udp:192.0.2.1:5060\nlisten=tls:192.0.2.1:5061\n");
    assert.equal(started(imported).sip.listen.length, 1);
    assert.match(told(imported, "todo").join(), /tls:192\.0\.2\.1:5061 is not in sip\.listen/);
  });

  it("knows parameters by their own names only, whatever a configuration calls them", () => {
    const imported = importCfg('modparam("constructor", "x", 1)\nmodparam("tm", "__proto__", 1)\nmodparam("tm", "toString", 1)');
    assert.deepEqual(imported.lines, []);
    assert.equal(told(imported, "left").length, 3);
  });
});

describe("what keeps strangers out", () => {
  const GUARDS = [
    'if (!check_source_address("1")) { send_reply(403, "no"); exit; }',
    'if (check_address("1", "$si", "$sp", "any")) { xlog("known"); } else { exit; }',
    'if (!www_authorize("", "subscriber")) { www_challenge("", "0"); exit; }',
    'www_authorize("", "subscriber"); if ($rc < 0) { exit; }',
    "if (!is_from_gw()) exit;",
    'if (!ds_is_from_list("3")) { exit; }',
    'if ($tls_peer_verified != "1") { exit; }',
    'if ($si =~ "^203") { exit; }',
    'if (mystery()) { send_reply(403, "no"); exit; }',
    'if (!route(KNOWN)) { send_reply(403, "no"); exit; }',
    'if (is_inside()) { lb_start(1, "a"); t_relay(); exit; } route(KNOWN);',
    'while (allow_trusted()) { xlog("x"); }',
    "$var(ok) = allow_trusted();",
  ];
  for (const guard of GUARDS)
    it(`refuses all calls in rules as long as nobody has decided about ${guard}`, () => {
      const imported = importCfg(
        `route { ${guard} lb_start(1, "a"); t_relay(); }\nroute[KNOWN] { if (!allow_trusted()) return(-1); return(1); }`,
      );
      assert.equal(
        rulesOf(`route { ${guard} lb_start(1, "a"); t_relay(); }\nroute[KNOWN] { if (!allow_trusted()) return(-1); }`)[0]?.answer,
        403,
      );
      assert.equal(told(imported, "security").length > 0, true);
    });

  it("leaves other conditions as they are, and says so", () => {
    const script = 'route { if (mystery()) { send_reply(480, "no"); exit; } lb_start(1, "a"); t_relay(); }';
    assert.deepEqual(
      rulesOf(script).map(({ answer }) => answer),
      [undefined],
    );
    assert.deepEqual(told(importCfg(script), "security"), []);
    assert.match(told(importCfg(script), "left").join(), /mystery/);
  });

  it("sets what module pike has where nothing is set", () => {
    const { overload } = started(importCfg("route { if (!pike_check_req()) exit; }"));
    assert.deepEqual([overload.reqs_density_per_unit, overload.sampling_time_unit], [30, 2]);
  });

  it("keeps passwords out of the report", () => {
    const { findings } = importCfg(
      'odd "mysql://u:secret:p@w@h/d" thing\nroute { if (!pv_www_authenticate("realm", "secret", "0")) exit; sql_query("mysql://u:secret@h", "x"); lb_start(1, "a"); t_relay(); }',
    );
    assert.equal(findings.length > 2, true);
    assert.doesNotMatch(JSON.stringify(findings), /secret/);
  });
});

describe("what a script refuses or leaves", () => {
  it("is a rule that answers, before those that would take its calls", () => {
    const rules = rulesOf(
      'route { if ($rU == "911") { send_reply(404, "no"); exit; } if ($si == "192.0.2.66") { drop; } if ($rU =~ "^1") { t_relay(); exit; } lb_start(1, "a"); t_relay(); }',
    );
    assert.deepEqual(
      rules.map(({ match, answer }) => [match, answer]),
      [
        [{ ruri_user: "^911$" }, 404],
        [{ source: ["192.0.2.66"] }, 403],
        [{ ruri_user: "^1" }, 404],
        [{}, undefined],
      ],
    );
  });

  it("leaves no rule at all, which is not the default that takes all calls", () => {
    assert.deepEqual(rulesOf('route { xlog("x"); }'), []);
  });

  it("follows each case of a switch, those that fall through and the default", () => {
    const rules = rulesOf(
      'route { switch ($rU) { case "1": lb_start(1, "a"); break; case "2": case "3": lb_start(2, "a"); break; default: send_reply(404, "x"); exit; } t_relay(); }',
    );
    assert.deepEqual(
      rules.map(({ match, answer, group }) => [match.ruri_user, answer ?? group]),
      [
        ["^1$", 1],
        ["^2$", 2],
        ["^3$", 2],
        [undefined, 404],
      ],
    );
  });

  it("goes by what a block returns", () => {
    const script = (code: string) =>
      `route { if (route(X)) lb_start(1, "a"); else lb_start(2, "a"); t_relay(); }\nroute[X] { return${code}; }`;
    assert.deepEqual(
      ["", "(1)", "(-1)", " -1", "(0)"].map((code) => rulesOf(script(code)).map(({ group }) => group)),
      [[1], [1], [2], [2], []],
    );
  });

  it("reads lines that end as in Windows, behind a byte order mark", () => {
    const text = '\uFEFF#!KAMAILIO\r\n#!define SET \\\r\n "1"\r\nrequest_route {\r\n if (ds_select_dst(SET, "4")) t_relay();\r\n}\r\n';
    assert.deepEqual([importCfg(text).flavor, rulesOf(text)[0]?.dispatch?.routes ?? rulesOf(text)[0]?.dispatch?.set], ["kamailio", 1]);
  });
});
