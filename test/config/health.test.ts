// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what the configuration file holds
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Value } from "typebox/value";
import { type Config, ConfigError, ConfigSchema } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

function parse(text: string, environment: Record<string, string> = {}): Config {
  const config = parseConfig(text, "h.yaml", environment);
  const { file: _, notices: __, ...values } = config;
  assert.ok(Value.Check(ConfigSchema, values));
  return config;
}

/** The messages of a text that is refused. */
function problems(text: string): string {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return "";
}

describe("the keys of health, by default", () => {
  const config = parse("");

  it("do as OpenSIPS does", () => {
    assert.deepEqual(config.health, {
      rise: 1,
      fall: 1,
      jitter: 0,
      fast_interval: 0,
      slow_start: 0,
      retry_after_max: 0,
      fail_open: false,
      max_calls_per_second: 0,
      breaker: { window: 0, min_calls: 10, failure_ratio: 0.5, open_for: 10, trial_calls: 3 },
    });
    const { probing_interval, probing_method, probing_from, probing_reply_codes, probing_verbose, lb_define_blacklist } =
      config.load_balancer;
    assert.deepEqual(
      { probing_interval, probing_method, probing_from, probing_reply_codes, probing_verbose, lb_define_blacklist },
      {
        probing_interval: 30,
        probing_method: "OPTIONS",
        probing_from: "sip:prober@localhost",
        probing_reply_codes: [],
        probing_verbose: false,
        lb_define_blacklist: [],
      },
    );
  });

  it("deny nothing and route calls from destinations like others", () => {
    assert.deepEqual([config.routing.deny_targets, config.routing.outbound], [[], null]);
  });

  it("tell nobody of events, and remember a thousand calls and events", () => {
    assert.deepEqual(config.events, { history: 1000, webhooks: [], webhook_queue: 1000, low_headroom_percent: 0 });
    assert.deepEqual(config.explain, { calls: 1000 });
  });
});

describe("the keys of health", () => {
  it("are taken as they stand", () => {
    const config = parse(`
health: { rise: 2, fall: 3, jitter: 0.25, fast_interval: 2, slow_start: 60, retry_after_max: 120, fail_open: true, max_calls_per_second: 50,
  breaker: { window: 30, failure_ratio: 1 } }
events: { history: 0, webhook_queue: 5, low_headroom_percent: 12.5,
  webhooks: [{ url: "https://hooks.example/a?b=c", events: E_LOAD_BALANCER_STATUS, secret: "12345678" }, { url: "http://192.0.2.1:8080" }] }
explain: { calls: 0 }
`);
    assert.equal(config.health.jitter, 0.25);
    assert.deepEqual(config.health.breaker, { window: 30, min_calls: 10, failure_ratio: 1, open_for: 10, trial_calls: 3 });
    assert.deepEqual(config.events, {
      history: 0,
      webhooks: [
        { url: "https://hooks.example/a?b=c", events: ["E_LOAD_BALANCER_STATUS"], secret: "12345678" },
        { url: "http://192.0.2.1:8080", events: [], secret: null },
      ],
      webhook_queue: 5,
      low_headroom_percent: 12.5,
    });
    assert.deepEqual(config.explain, { calls: 0 });
    assert.deepEqual(config.notices, []);
  });

  it("take a number with a fraction from the environment", () => {
    assert.equal(parse("health:\n  jitter: ${J}\n", { J: "0.1" }).health.jitter, 0.1);
  });

  it("take a rule's failures by their words, and its budget with a fraction", () => {
    const [rule] = parse(
      "routing: { rules: [{ failover_on: [timeout, transport, 503], disable_on: transport, failover_budget: 2.5, early_media_failover: false }] }",
    ).routing.rules;
    assert.deepEqual(rule?.failover_on, ["timeout", "transport", "503"]);
    assert.deepEqual(rule?.disable_on, ["transport"]);
    assert.deepEqual([rule?.failover_budget, rule?.early_media_failover], [2.5, false]);
  });
});

describe("load_balancer.probing_reply_codes", () => {
  for (const [text, codes] of [
    ["[404, '5xx']", ["404", "5xx"]],
    ["[501, 403]", ["501", "403"]],
    ["'501, 403'", ["501, 403"]],
    ["404", ["404"]],
    ["[]", []],
  ] as const) {
    it(`may be ${text}`, () =>
      assert.deepEqual(parse(`load_balancer: { probing_reply_codes: ${text} }`).load_balancer.probing_reply_codes, codes));
  }
});

describe("routing.outbound", () => {
  it("is off with null and without its keys", () => {
    for (const text of ["routing: { outbound: null }", "routing:\n  outbound:\n    # resources: conf\n"])
      assert.equal(parse(text).routing.outbound, null);
  });

  it("has the defaults of its keys", () => {
    assert.deepEqual(parse("routing: { outbound: { resources: conf } }").routing.outbound, {
      resources: "conf",
      group: -1,
      next_hop: null,
      limit: true,
      while_draining: "refuse",
      back_to_sender: false,
      any_port: false,
    });
    assert.equal(parse("routing: { outbound: {} }").routing.outbound?.resources, "pstn");
  });

  it("takes every key", () => {
    const switches = "limit: false, while_draining: accept, back_to_sender: true, any_port: true";
    const text = `routing: { outbound: { resources: 'a;b', group: 3, next_hop: 'sip:carrier.example:5080', ${switches} } }`;
    assert.deepEqual(parse(text).routing.outbound, {
      resources: "a;b",
      group: 3,
      next_hop: "sip:carrier.example:5080",
      limit: false,
      while_draining: "accept",
      back_to_sender: true,
      any_port: true,
    });
  });
});

describe("lists of lb_define_blacklist", () => {
  it("may be used by deny_targets, one or several", () => {
    const config = parse("load_balancer: { lb_define_blacklist: ['media= 1,4,3', 'vm=2'] }\nrouting: { deny_targets: [vm, media] }");
    assert.deepEqual(config.routing.deny_targets, ["vm", "media"]);
    assert.deepEqual(config.notices, []);
    assert.deepEqual(parse("load_balancer: { lb_define_blacklist: 'a=1' }\nrouting: { deny_targets: a }").routing.deny_targets, ["a"]);
  });
});

describe("a value of health that is refused", () => {
  const cases: [name: string, text: string, want: RegExp][] = [
    ["a share above one half", "health: { jitter: 0.6 }", /1:19: health\.jitter: found 0\.6, want a number from 0 to 0\.5/],
    ["no number", "health: { jitter: .nan }", /health\.jitter: found NaN, want a number/],
    ["no end", "events: { low_headroom_percent: .inf }", /found Infinity, want a number from 0 to 100/],
    ["a text for a number", "health: { jitter: '0.1' }", /found "0\.1", want a number/],
    [
      "a breaker that nothing opens",
      "health: { breaker: { failure_ratio: 0 } }",
      /breaker\.failure_ratio: found 0, want a number from 0\.01 to 1/,
    ],
    ["no good probe at all", "health: { rise: 0 }", /health\.rise: found 0, want a whole number from 1 to 1000/],
    ["half a probe", "health: { fall: 1.5 }", /health\.fall: found 1\.5, want a whole number/],
    ["a breaker that is a switch", "health: { breaker: true }", /health\.breaker: found true, want a mapping/],
    ["a slip of the pen", "health: { slowstart: 5 }", /health: found the unknown key "slowstart", did you mean "slow_start"\?/],
    ["a key in another place", "slow_start: 5", /found the unknown key "slow_start", did you mean "health\.slow_start"\?/],
    ["a key of outbound in another place", "routing: { next_hop: 'sip:a' }", /did you mean "routing\.outbound\.next_hop"\?/],
    [
      "a negative budget",
      "routing: { rules: [{ failover_budget: -1 }] }",
      /failover_budget: found -1, want a number of seconds from 0 to 600/,
    ],
    [
      "a reply code of no class",
      "load_balancer: { probing_reply_codes: [404, 7xx] }",
      /probing_reply_codes\[1\]: found "7xx", want a status code or a class/,
    ],
    ["a reply code among good ones", "load_balancer: { probing_reply_codes: '501, 40' }", /found "501, 40", want a status code or a class/],
    [
      "an INVITE as a probe",
      "load_balancer: { probing_method: INVITE }",
      /found "INVITE", want a method such as "OPTIONS", not INVITE, ACK or CANCEL/,
    ],
    ["a probe in lower case", "load_balancer: { probing_method: options }", /found "options", want a SIP method in upper case/],
    ["a list without groups", "load_balancer: { lb_define_blacklist: ['a='] }", /found "a=", want a name and group numbers/],
    [
      "a list that is defined twice",
      "load_balancer: { lb_define_blacklist: ['a=1', 'b=2', 'a = 3'] }",
      /1:54: load_balancer\.lb_define_blacklist\[2\]: found "a = 3", whose list "a" is defined already/,
    ],
    [
      "a list that is not defined",
      "load_balancer: { lb_define_blacklist: ['a=1', 'b=2'] }\nrouting: { deny_targets: [a, c] }",
      /2:30: routing\.deny_targets\[1\]: found "c", want one of "a", "b"/,
    ],
    [
      "a list where there is none",
      "routing: { deny_targets: c }",
      /1:26: routing\.deny_targets: found "c", want a list of .*which has none/,
    ],
    ["a list without a name", "routing: { deny_targets: ['a b'] }", /found "a b", want the name of a list/],
    [
      "a next hop over TCP without a listener",
      "routing: { outbound: { next_hop: 'sip:a;transport=tcp' } }",
      /outbound\.next_hop: found "sip:a;transport=tcp", want an entry of tcp in sip\.listen/,
    ],
    [
      "a next hop that must be secure without a listener",
      "routing: { outbound: { next_hop: 'sips:a' } }",
      /want an entry of tls in sip\.listen/,
    ],
    [
      "a next hop over SCTP",
      "routing: { outbound: { next_hop: 'sip:a;transport=sctp' } }",
      /want a SIP URI that is reached over UDP, TCP or TLS/,
    ],
    ["a next hop that is a number", "routing: { outbound: { next_hop: 5 } }", /outbound\.next_hop: found 5, want a SIP URI.* or null/],
    ["outbound as a switch", "routing: { outbound: true }", /routing\.outbound: found true, want a mapping: names with values or null/],
    ["outbound as a text", "routing: { outbound: conf }", /routing\.outbound: found "conf", want a mapping/],
    [
      "a capacity in outbound",
      "routing: { outbound: { resources: 'conf=1' } }",
      /outbound\.resources: found "conf=1", want .*without capacities/,
    ],
    [
      "another word for while_draining",
      "routing: { outbound: { while_draining: reject } }",
      /outbound\.while_draining: found "reject", want one of "refuse", "accept"/,
    ],
    ["a group below all", "routing: { outbound: { group: -2 } }", /outbound\.group: found -2, want a whole number from -1/],
    [
      "a webhook without an address",
      "events: { webhooks: [{ secret: '12345678' }] }",
      /1:22: events\.webhooks\[0\]: found no key "url", want http:/,
    ],
    ["a webhook that is commented out", "events:\n  webhooks:\n    -\n", /events\.webhooks\[0\]: found no key "url"/],
    [
      "a webhook of another world",
      "events: { webhooks: [{ url: 'ftp://hush.example' }] }",
      /url: found a value that is not shown here, want http:/,
    ],
    ["a password in an address", "events: { webhooks: [{ url: 'https://u:hush@a.example' }] }", /want http:.* without a user and password/],
    [
      "a short secret",
      "events: { webhooks: [{ url: 'https://a.example', secret: hush }] }",
      /secret: found a value that is not shown here, want a text of at least 8/,
    ],
    [
      "an event that has no such name",
      "events: { webhooks: [{ url: 'https://a.example', events: [status] }] }",
      /1:59: events\.webhooks\[0\]\.events\[0\]: found "status", want one of "E_LOAD_BALANCER_STATUS", "E_DLG_STATE_CHANGED", /,
    ],
    [
      "a misspelt event",
      "events: { webhooks: [{ url: 'https://a.example', events: [E_DLG_STATE_CHANGED, E_LOAD_BALANCER_STATE] }] }",
      /events\[1\]: found "E_LOAD_BALANCER_STATE", did you mean "E_LOAD_BALANCER_STATUS"\?/,
    ],
    [
      "an event in lower case",
      "events: { webhooks: [{ url: 'http://a', events: e_dlg_state_changed }] }",
      /did you mean "E_DLG_STATE_CHANGED"\?/,
    ],
    ["a queue of none", "events: { webhook_queue: 0 }", /webhook_queue: found 0, want a whole number from 1/],
    ["too many webhooks", `events: { webhooks: [${"{ url: 'http://a' },".repeat(17)}] }`, /found a list of 17, want a list of 0 to 16/],
  ];
  for (const [name, text, want] of cases) {
    it(name, () => {
      const found = problems(text);
      assert.match(found, want);
      assert.doesNotMatch(found, /hush/);
    });
  }
});

describe("a notice about health", () => {
  const cases: [text: string, wants: RegExp[]][] = [
    ["load_balancer: { probing_interval: 0 }", []],
    ["load_balancer: { probing_interval: 0 }\nhealth: { rise: 1, fast_interval: 0 }", []],
    [
      "load_balancer: { probing_interval: 0, probing_verbose: true, probing_reply_codes: 404 }\nhealth: { fall: 3, fast_interval: 5, slow_start: 5 }",
      [
        /^h\.yaml:1:83: load_balancer\.probing_reply_codes has no effect: load_balancer\.probing_interval is 0$/,
        /probing_verbose has no effect/,
        /health\.fall has no effect/,
        /health\.fast_interval has no effect: load_balancer\.probing_interval is 0/,
      ],
    ],
    [
      "health: { fast_interval: 30 }",
      [/health\.fast_interval has no effect: it is not shorter than load_balancer\.probing_interval, which is 30$/],
    ],
    ["health: { fast_interval: 29 }", []],
    ["health: { breaker: { open_for: 5 } }", [/health\.breaker\.open_for has no effect: health\.breaker\.window is 0/]],
    ["health: { breaker: { open_for: 10 } }", []],
    ["health: { breaker: { open_for: 5, window: 10 } }", []],
    ["events: { webhook_queue: 10 }", [/events\.webhook_queue has no effect: events\.webhooks is empty/]],
    ["routing: { script: a.ts, outbound: {} }", [/routing\.outbound has no effect: routing\.script decides where calls go/]],
    ["routing: { script: a.ts, outbound: null }", []],
    [
      "routing: { rules: [{ failover_budget: 0.5 }] }",
      [
        /^h\.yaml:1:39: routing\.rules\[0\]\.failover_budget 0\.5 lets no call fail over: a further destination gets 0\.5 seconds at least$/,
      ],
    ],
    [
      "routing: { rules: [{ failover_budget: 5.5 }] }",
      [/failover_budget 5\.5 lets no call fail over after a time-out: tm\.fr_timeout is 5 seconds, and a further/],
    ],
    ["routing: { rules: [{ failover_budget: 5.6 }] }", []],
    ["tm: { fr_timeout: 2 }\nrouting: { rules: [{ failover_budget: 3 }] }", []],
    ["routing: { rules: [{ failover_budget: 3, failover_on: [5xx, transport] }] }", []],
    ["routing: { rules: [{ failover_budget: 3, failover_on: timeout }] }", [/after a time-out/]],
    ["routing: { rules: [{ failover_budget: 0.1, max_failovers: 0 }] }", []],
    ["routing: { script: a.ts, rules: [{ failover_budget: 0.1 }] }", [/routing\.rules has no effect/]],
    ["load_balancer: { lb_define_blacklist: 'a=1' }\nrouting: { script: a.ts, deny_targets: a }", []],
  ];
  for (const [text, wants] of cases) {
    it(`${wants.length === 0 ? "is not given" : "is given"} for ${JSON.stringify(text)}`, () => {
      const { notices } = parse(text);
      assert.equal(notices.length, wants.length, notices.join("\n"));
      for (const [i, want] of wants.entries()) assert.match(notices[i] ?? "", want);
    });
  }
});
