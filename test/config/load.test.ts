// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what the configuration file holds
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Value } from "typebox/value";
import { type Config, ConfigError, ConfigSchema, loadConfig } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, "h.yaml", environment);
}

/** The messages of a text that is refused. */
function problems(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parse(text, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split("\n");
  }
  return [];
}

describe("a configuration without any key", () => {
  for (const [name, text] of [
    ["an empty file", ""],
    ["a file of comments", "# nothing\n\n"],
    ["null", "null"],
    ["an empty mapping", "{}"],
    ["sections whose keys are all commented out", "sip:\n  # workers: 1\nrouting:\nmi_http: ~\n"],
  ] as const) {
    it(`is all defaults: ${name}`, () => {
      assert.deepEqual({ ...parse(text), file: undefined }, loadConfig(undefined, {}));
    });
  }

  it("has the documented defaults", () => {
    const config = parse("");
    assert.deepEqual(config.sip.listen, ["udp:0.0.0.0:5060"]);
    assert.deepEqual(config.tm, { fr_timeout: 5, fr_inv_timeout: 120 });
    assert.equal(config.load_balancer.db_url, "sqlite:headroom.db");
    assert.deepEqual(config.dialog, {
      default_timeout: 43200,
      audit_interval: 60,
      options_ping_interval: 30,
      reinvite_ping_interval: 300,
      race_condition_timeout: 5,
      ping_outage_timeout: 300,
      ping_missing_sessions: true,
      ping_restored_calls: true,
      persistence: "sqlite",
    });
    assert.deepEqual(config.routing.reject, { no_capacity: 503, no_destination: 503, bad_resource: 500 });
    assert.deepEqual(config.routing.rules, [
      {
        match: {},
        group: 1,
        resources: "pstn",
        flags: "",
        dialog_flags: "",
        failover_on: ["408", "5xx"],
        max_failovers: 3,
        failover_budget: 0,
        early_media_failover: true,
        disable_on: ["408"],
      },
    ]);
    assert.deepEqual(config.mi_http, {
      listen: "127.0.0.1:8888",
      root: "mi",
      auth: { bearer_tokens: [], tokens: [] },
      tls: { certificate: null, private_key: null },
      dashboard: true,
      max_requests: 500,
    });
    assert.deepEqual(config.notices, []);
  });

  it("gives each caller values of its own", () => {
    const [first, second] = [parse(""), parse("")];
    first.sip.listen.push("udp:127.0.0.1:1");
    first.routing.rules[0]!.failover_on.length = 0;
    assert.deepEqual(second.sip.listen, ["udp:0.0.0.0:5060"]);
    assert.deepEqual(second.routing.rules[0]!.failover_on, ["408", "5xx"]);
  });

  it("fits its own schema", () => {
    const { file: _, notices: __, ...values } = parse("");
    assert.ok(Value.Check(ConfigSchema, values));
  });
});

describe("a configuration file", () => {
  it("keeps what it says and fills in the rest", () => {
    const config = parse(`
sip: { listen: ["udp:127.0.0.1:5070", "udp:[::1]:5070"], allow: [10.0.0.0/8, "2001:db8::/32", 192.0.2.1] }
tm: { fr_timeout: 2 }
routing:
  rules:
    - match: { method: [INVITE, MESSAGE], ruri_user: "^\\\\+49", ruri_host: Example.net, source: 10.0.0.0/8, header: { X-Class: "^gold$" } }
      resources: transcoding;conference/s
      flags: rs
      failover_on: [408, 5xx, "50X"]
      disable_on: 408
      max_failovers: 0
`);
    assert.deepEqual(config.sip.listen, ["udp:127.0.0.1:5070", "udp:[::1]:5070"]);
    assert.deepEqual(config.tm, { fr_timeout: 2, fr_inv_timeout: 120 });
    assert.deepEqual(config.routing.rules, [
      {
        match: {
          method: ["INVITE", "MESSAGE"],
          ruri_user: "^\\+49",
          ruri_host: ["Example.net"],
          source: ["10.0.0.0/8"],
          header: { "X-Class": "^gold$" },
        },
        group: 1,
        resources: "transcoding;conference/s",
        flags: "rs",
        dialog_flags: "",
        failover_on: ["408", "5xx", "50X"],
        max_failovers: 0,
        failover_budget: 0,
        early_media_failover: true,
        disable_on: ["408"],
      },
    ]);
    const { file: _, notices: __, ...values } = config;
    assert.ok(Value.Check(ConfigSchema, values));
  });

  it("may use an alias, which stands where its anchor stands", () => {
    const text =
      "routing:\n  rules:\n    - { match: { source: 10.0.0.1 }, failover_on: &codes [408, 200] }\n    - { failover_on: *codes }\n";
    assert.deepEqual(problems(text), [
      'h.yaml:3:64: routing.rules[0].failover_on[1]: found 200, want a status code from 300 to 699, such as "408", "50x" or "5xx", or the word "timeout" or "transport"',
      'h.yaml:3:64: routing.rules[1].failover_on[1]: found 200, want a status code from 300 to 699, such as "408", "50x" or "5xx", or the word "timeout" or "transport"',
    ]);
  });

  it("says everything that is wrong at once, in the order of the places", () => {
    const text = `sip:
  lisen: x
  workers: 0
  listen: [udp:1.2.3.4]
tm: { fr_timeout: soon }
routing:
  rules:
    - match: { header: { "a b": x } }
      flags: x
mi_http: { listen: "0.0.0.0:8888" }
fr_timeout: 5
`;
    assert.deepEqual(problems(text), [
      'h.yaml:2:3: sip: found the unknown key "lisen", did you mean "listen"?',
      "h.yaml:3:12: sip.workers: found 0, want a whole number from 1 to 64",
      'h.yaml:4:12: sip.listen[0]: found "udp:1.2.3.4", want a transport, an IP address and a port, such as "udp:0.0.0.0:5060" or "udp:[::1]:5060"',
      'h.yaml:5:19: tm.fr_timeout: found "soon", want a whole number of seconds from 1 to 600',
      'h.yaml:8:26: routing.rules[0].match.header: found the name "a b", want a name of letters, digits and -.!%*_+`\'~',
      'h.yaml:9:14: routing.rules[0].flags: found "x", want letters out of "n", "r" and "s"',
      'h.yaml:10:20: mi_http.listen: found "0.0.0.0:8888", which others can reach, without a token in mi_http.auth: want a loopback address or at least one token',
      'h.yaml:11:1: found the unknown key "fr_timeout", did you mean "tm.fr_timeout"?',
    ]);
  });
});

describe("a value that is refused", () => {
  const cases: [name: string, text: string, want: RegExp][] = [
    ["a list where a mapping belongs", "- a", /h\.yaml:1:1: found a list of 1, want a mapping/],
    ["a text where a mapping belongs", "sip: udp", /1:6: sip: found "udp", want a mapping/],
    ["a mapping where a list belongs", "routing: { rules: { match: {} } }", /1:19: routing\.rules: found a mapping, want a list/],
    ["a number where a text belongs", "load_balancer: { db_table: 5 }", /found 5, want a table name .*, in quotes/],
    ["nothing where a number belongs", "tm: { fr_timeout: }", /tm\.fr_timeout: found nothing, want a whole number of seconds/],
    ["a fraction", "tm: { fr_timeout: 1.5 }", /found 1\.5, want a whole number/],
    ["infinity", "tm: { fr_timeout: .inf }", /found Infinity, want a whole number/],
    ["a word that is none of the list", "log: { level: loud }", /found "loud", want one of "trace", "debug"/],
    ["a number for a boolean", "load_balancer: { probing_verbose: 1 }", /found 1, want true or false/],
    ["an overlong text", `sip: { server_header: ${"x".repeat(1025)} }`, /want a text of at most 1024 characters, not 1025/],
    ["a Server header that breaks the line", 'sip: { server_header: "a\\r\\nVia: x" }', /want 1 to 200 printable ASCII/],
    ["a host name to listen on", "sip: { listen: [udp:localhost:5060] }", /want a transport, an IP address/],
    ["a port above 65535", "sip: { listen: [udp:127.0.0.1:65536] }", /want a transport, an IP address/],
    ["a transport of another world", "sip: { listen: [sctp:127.0.0.1:5060] }", /want a transport/],
    ["IPv6 without brackets", "sip: { listen: ['udp:::1:5060'] }", /want a transport/],
    ["the same socket twice", "sip: { listen: [udp:127.0.0.1:5060, 'UDP:127.0.0.1:5060'] }", /takes the same socket as "udp:127/],
    ["a socket for tcp and ws", "sip: { listen: [udp:0.0.0.0:1, tcp:0.0.0.0:1, ws:0.0.0.0:1] }", /"ws:0\.0\.0\.0:1", which takes the same/],
    ["no socket that this version serves", "sip: { listen: [tcp:0.0.0.0:5060] }", /found no udp entry/],
    ["no socket at all", "sip: { listen: [] }", /found no udp entry/],
    [
      "tls without a certificate",
      "sip: { listen: [udp:0.0.0.0:5060, tls:0.0.0.0:5061] }",
      /found "tls:0\.0\.0\.0:5061" without sip\.tls\.certificate/,
    ],
    [
      "a CIDR block that is too wide",
      "sip: { allow: [10.0.0.0/33] }",
      /1:16: sip\.allow\[0\]: found "10\.0\.0\.0\/33", want an address or a CIDR block/,
    ],
    ["an advertised port without a host", 'sip: { advertised_address: ":5060" }', /want a host or host:port/],
    ["a port 0 to advertise", 'sip: { advertised_address: "a.example:0" }', /want a host or host:port/],
    ["a two-slash file", "load_balancer: { db_url: 'sqlite://dir/x' }", /db_url: found a value that is not shown here, want sqlite:FILE/],
    ["an unknown database", "load_balancer: { db_url: 'oracle://x:secret@y' }", /found a value that is not shown here, want sqlite:FILE/],
    ["a table name with a quote", "load_balancer: { db_table: 'a\"b' }", /want a table name/],
    ["a resource list with capacities", "routing: { rules: [{ resources: 'a=1' }] }", /without capacities: these stand in the database/],
    ["a resource named twice", "routing: { rules: [{ resources: 'a;b;a' }] }", /"a" is named twice/],
    ["an empty resource list", "routing: { rules: [{ resources: ';' }] }", /want resource names/],
    ["a resource that no row can have", "routing: { rules: [{ resources: 'ä' }] }", /"ä" is not made of/],
    ["a success to fail over on", "routing: { rules: [{ failover_on: [2xx] }] }", /found "2xx", want a status code from 300 to 699/],
    ["a regular expression with a fault", "routing: { rules: [{ match: { ruri_user: '(' } }] }", /found "\("/],
    ["a regular expression that can hang", "routing: { rules: [{ match: { ruri_user: '(a+)+$' } }] }", /can take very long/],
    [
      "a method of a dialog",
      "routing: { rules: [{ match: { method: BYE } }] }",
      /match\.method: found "BYE": it follows the route of its dialog/,
    ],
    ["an empty list of methods", "routing: { rules: [{ match: { method: [] } }] }", /want a SIP method.*a list of 1 to/],
    [
      "a rule that balances and dispatches",
      "routing: { rules: [{ group: 1, dispatch: {} }] }",
      /found dispatch together with group, want one or the other/,
    ],
    [
      "a rule that distributes in a group",
      "routing: { rules: [{ group: 1, flags: r, distribute: a }] }",
      /distribute together with group, flags/,
    ],
    ["a rule that answers and dispatches", "routing: { rules: [{ answer: 403, dispatch: {} }] }", /found both answer and dispatch/],
    ["a rule that answers and names a group", "routing: { rules: [{ answer: 403, group: 2 }] }", /found answer together with group/],
    ["an answer that is none", "routing: { rules: [{ answer: 200 }] }", /answer/],
    ["a rule of two kinds", "routing: { rules: [{ distribute: a, dispatch: {} }] }", /found both dispatch and distribute/],
    ["a management interface for all", "mi_http: { listen: '0.0.0.0:8888' }", /want a loopback address or at least one token/],
    ["the same in IPv6", "mi_http: { listen: '[::]:8888' }", /want a loopback address or at least one token/],
    ["an IPv4-mapped address that is not loopback", "mi_http: { listen: '[::ffff:10.0.0.1]:8888' }", /want a loopback address/],
    [
      "a token that is quickly guessed",
      "mi_http: { auth: { bearer_tokens: [abc] } }",
      /found a value that is not shown here, want a text of at least 8/,
    ],
    ["a token that no header can carry", "mi_http: { auth: { bearer_tokens: ['a b c d e'] } }", /not shown here, want letters, digits/],
    ["a root with a slash in front", "mi_http: { root: /mi }", /want a path without a leading slash/],
    ["a key that is a list", "? [a]\n: b", /1:3: a key is not a name/],
    ["a key that stands twice", "sip:\n  workers: 1\n  workers: 2", /3:3: "workers" stands here a second time, the first is on line 2/],
    ["a key of the language", "__proto__: { x: 1 }", /found the unknown key "__proto__"/],
    ["an inherited name as a key", "constructor: 1", /found the unknown key "constructor"/],
    ["a tag", "sip: !!js/function 'x'", /not YAML: Unresolved tag/],
    ["two documents", "--- 1\n--- 2", /2:1: a second document starts here/],
    ["a bracket that is not closed", "sip: { listen: [a }", /1:19: not YAML: /],
    ["an alias for nothing", "sip: *nobody", /1:6: .*nobody/],
  ];
  for (const [name, text, want] of cases) {
    it(name, () => {
      const found = problems(text);
      assert.equal(found.length > 0, true, "it was accepted");
      assert.match(found.join("\n"), want);
      assert.doesNotMatch(found.join("\n"), /secret/);
    });
  }

  it("does not quote without end", () => {
    assert.ok(problems(`log: { level: ${"x".repeat(900)} }`).every((line) => line.length < 250));
  });
});

describe("the name that was meant", () => {
  for (const [text, meant] of [
    ["sip: { max_forward: 1 }", "max_forwards"],
    ["sip: { maxForwards: 1 }", "max_forwards"],
    ["loadbalancer: {}", "load_balancer"],
    ["load_balancer: { dburl: x }", "db_url"],
    ["routing: { rule: [] }", "rules"],
    ["routing: { rules: [{ resource: a }] }", "resources"],
    ["bearer_tokens: []", "mi_http.auth.bearer_tokens"],
  ] as const) {
    it(`${text}: ${meant}`, () => assert.ok(problems(text)[0]?.endsWith(`did you mean "${meant}"?`), problems(text)[0]));
  }

  it("is not guessed when nothing is near", () => {
    assert.match(problems("log: { colour: 1 }")[0] ?? "", /found the unknown key "colour", want one of level$/);
  });
});

describe("${NAME} in a value", () => {
  it("is replaced from the environment", () => {
    const config = parse('mi_http: { auth: { bearer_tokens: ["${TOKEN}", "x${A}y${A}zzzz"] } }', { TOKEN: "12345678", A: "-" });
    assert.deepEqual(config.mi_http.auth.bearer_tokens, ["12345678", "x-y-zzzz"]);
  });

  it("becomes a number or a boolean where one is wanted", () => {
    const config = parse("tm:\n  fr_timeout: ${T}\nload_balancer:\n  probing_verbose: ${V}\n", { T: "7", V: "false" });
    assert.equal(config.tm.fr_timeout, 7);
    assert.equal(config.load_balancer.probing_verbose, false);
  });

  it("is not looked at a second time", () => {
    assert.equal(parse("sip: { server_header: '${A}' }", { A: "${B}" }).sip.server_header, "${B}");
  });

  it("stands for itself behind a second dollar", () => {
    assert.equal(parse("sip: { server_header: '$${A} $5 $' }", {}).sip.server_header, "${A} $5 $");
  });

  it("is refused when the environment does not have it, once", () => {
    assert.deepEqual(problems("log: { level: '${LEVEL}' }"), ["h.yaml:1:15: the environment has no variable LEVEL, want it set"]);
    assert.deepEqual(problems("log: { level: '${toString}' }"), ["h.yaml:1:15: the environment has no variable toString, want it set"]);
  });

  it("is refused without a name", () => {
    assert.match(problems("log: { level: '${}' }")[0] ?? "", /found "\$\{" without a name/);
  });

  it("is never shown in a message", () => {
    const found = problems("log: { level: '${LEVEL}' }", { LEVEL: "hush" }).join("\n");
    assert.match(found, /found a value from the environment, want one of/);
    assert.doesNotMatch(found, /hush/);
  });

  it("comes with advice where YAML does not take it", () => {
    assert.match(problems("log: { level: ${LEVEL} }").join("\n"), /put "\$\{NAME\}" in quotes/);
  });
});

describe("a hostile file ends quickly with a sentence", () => {
  const bomb = [
    "a: &a [x,x,x,x,x,x,x,x,x]",
    ..."bcdefgh".split("").map((name, i) => {
      const last = "abcdefg"[i];
      return `${name}: &${name} [${Array(9).fill(`*${last}`).join(",")}]`;
    }),
  ].join("\n");
  const cases: [name: string, text: string, want: RegExp][] = [
    ["aliases that stand for billions", bomb, /more than \d+ (?:aliases|values)/],
    ["an anchor that holds itself", "a: &a [*a]", /nest deeper than 32 levels/],
    ["a hundred thousand brackets", "[".repeat(100_000), /nest deeper than 32 levels/],
    ["a nest that the parser takes", `${"[".repeat(200)}${"]".repeat(200)}`, /nest deeper than 32 levels/],
    ["too many values", `a: [${"1,".repeat(60_000)}]`, /more than 50000 values/],
    ["too many rules", `routing: { rules: [${"{},".repeat(1001)}] }`, /found a list of 1001, want a list of 0 to 1000/],
    ["control characters", "\u0000\u0001", /h\.yaml:1/],
  ];
  for (const [name, text, want] of cases) {
    it(name, () => {
      const found = problems(text);
      assert.match(found.join("\n"), want);
      assert.ok(found.length <= 11, `${found.length} lines`);
    });
  }
});

describe("a notice", () => {
  const cases: [text: string, want: RegExp | undefined][] = [
    ["load_balancer: { fetch_freeswitch_stats: true }", undefined],
    [
      "load_balancer: { initial_freeswitch_load: 5 }",
      /load_balancer\.initial_freeswitch_load has no effect: .*fetch_freeswitch_stats is false/,
    ],
    [
      "{ load_balancer: { fetch_freeswitch_stats: true }, freeswitch: { stale_heartbeats: 0, stale_action: disable } }",
      /freeswitch\.stale_action has no effect: freeswitch\.stale_heartbeats is 0/,
    ],
    ["{ load_balancer: { fetch_freeswitch_stats: true }, freeswitch: { sessions_per_call: measured, predict: false } }", undefined],
    ["load_balancer: { probing_interval: 30, probing_verbose: true, lb_define_blacklist: 'a=1' }", undefined],
    ["load_balancer: { probing_interval: 0 }", undefined],
    ["load_balancer: { probing_method: OPTIONS, cluster_id: 0, fetch_freeswitch_stats: false }", undefined],
    ["load_balancer: { db_url: 'mysql://u:secret@h/d', local_db_url: 'sqlite:own.db' }", undefined],
    ["load_balancer: { local_db_url: 'sqlite:own.db' }", /local_db_url has no effect: load_balancer\.db_url is an SQLite file/],
    [
      "{ dialog: { persistence: sqlite }, load_balancer: { db_url: 'postgres://u@h/d', local_db_url: 'sqlite::memory:' } }",
      /dialog\.persistence has no effect: load_balancer\.local_db_url is in memory/,
    ],
    ["sip: { workers: 4 }", /sip\.workers has no effect: this version runs one/],
    ["sip: { listen: [udp:0.0.0.0:5060, ws:0.0.0.0:5080], websocket: { origins: 'https://a.example' } }", undefined],
    ["sip: { websocket: { origins: 'https://a.example' } }", /sip\.websocket\.origins has no effect: sip\.listen has no ws and no wss/],
    ["sip: { tls: { certificate: a.pem } }", /sip\.tls\.certificate has no effect/],
    ["dialog: { persistence: sqlite }", undefined],
    [
      "{ dialog: { persistence: sqlite }, load_balancer: { db_url: 'sqlite::memory:' } }",
      /dialog\.persistence has no effect: .* in memory/,
    ],
    ["{ dialog: { persistence: sqlite }, cluster: { redis_url: 'redis://127.0.0.1' } }", undefined],
    ["dispatcher: { list_file: a }", undefined],
    ["dispatcher: { ds_ping_method: INFO }", /dispatcher\.ds_ping_method has no effect: dispatcher\.ds_ping_interval is 0/],
    ["dispatcher: { ds_ping_method: INFO, ds_ping_interval: 5 }", undefined],
    ["dispatcher: { table_name: gateways }", /table_name has no effect: dispatcher\.db_url names no database/],
    ["dispatcher: { db_url: 'mysql://u:secret@h/d' }", undefined],
    [
      "routing: { rules: [{ dispatch: { set: 1 }, disable_on: [408] }] }",
      /disable_on takes destinations out until somebody sets their state/,
    ],
    ["{ dispatcher: { ds_ping_interval: 9 }, routing: { rules: [{ dispatch: {}, disable_on: [408] }] } }", undefined],
    ["distributor: { list_file: a }", undefined],
    ["freeswitch: { event_heartbeat_interval: 5 }", /freeswitch\.event_heartbeat_interval has no effect/],
    ["routing: { script: a.ts, rules: [{}] }", /routing\.rules has no effect: routing\.script decides/],
    ["routing: { script: a.ts }", undefined],
    ["routing: { rules: [] }", /every call is refused/],
    ["routing: { rules: [{ dispatch: { set: 1 } }, {}] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{ distribute: a, resources: pstn, match: { source: 10.0.0.1 } }, {}] }", undefined],
    ["routing: { rules: [{ distribute: a }, {}] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{}, { match: { source: 10.0.0.1 } }] }", /routing\.rules\[1\] is never reached/],
    ["routing: { rules: [{}, { match: { method: MESSAGE } }] }", undefined],
  ];
  for (const [text, want] of cases) {
    it(want ? `is given for ${text}` : `is not given for ${text}`, () => {
      const { notices } = parse(text);
      assert.equal(notices.length, want ? 1 : 0, notices.join("\n"));
      if (want) assert.match(notices[0] ?? "", want);
      assert.doesNotMatch(notices.join("\n"), /secret/);
    });
  }
});
