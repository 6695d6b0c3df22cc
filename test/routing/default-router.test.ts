import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import type { Router } from "../../src/proxy/ports.ts";
import { createDefaultRouter, type RoutingRuleSpec } from "../../src/routing/index.ts";
import { parseMessage, SipResponse } from "../../src/sip/index.ts";
import { FakeCall, type FakeCallOptions, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const REJECT = { no_capacity: 503, no_destination: 504, bad_resource: 500 };

function rule(spec: Partial<RoutingRuleSpec> = {}): RoutingRuleSpec {
  const defaults = {
    match: {},
    group: 1,
    resources: "pstn",
    flags: "",
    failover_on: ["408", "5xx"],
    max_failovers: 3,
    disable_on: ["408"],
  };
  return { ...defaults, ...spec };
}

function makeRouter(balancer: Balancer, ...rules: RoutingRuleSpec[]): { router: Router; log: FakeLog } {
  const log = new FakeLog();
  return { router: createDefaultRouter({ rules, reject: REJECT }, { balancer, log }), log };
}

function route(router: Router, balancer: Balancer, options?: FakeCallOptions): FakeCall {
  const call = new FakeCall(balancer, options);
  assert.equal(router.request(call), undefined, "the default route never waits");
  return call;
}

function provisional(status: number): SipResponse {
  const message = parseMessage(
    `SIP/2.0 ${status} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n`,
  );
  assert.ok(message instanceof SipResponse);
  return message;
}

function targets(call: FakeCall): (number | undefined)[] {
  return call.sent.map(({ target }) => target);
}

describe("the default route: first selection", () => {
  it("sends an INVITE to the destination with the largest free slot, Request-URI untouched", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30", "pstn=20");
    const { router } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    assert.deepEqual(call.sent, [{ requestUri: "sip:1000@balancer.example", destinationUri: uriOf(2), target: 2, headers: [] }]);
    assert.ok(call.dialogOpened);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 1, 0]);
  });

  it("hands group, resources and flags of the rule to the balancer", () => {
    const balancer = makeBalancer([1, "pstn=100"], [7, "pstn=10;vm=1"], [7, "pstn=4;vm=4"], [7, "pstn=9"]);
    const { router } = makeRouter(balancer, rule({ group: 7, resources: "pstn; vm", flags: "r" }));
    assert.deepEqual(targets(route(router, balancer)), [2], "10/10 and 1/1 free: 100 %, first of equals");
    assert.deepEqual(targets(route(router, balancer)), [3]);
  });

  const refusals: { name: string; resources: string; want: [number, string]; table: string[]; disable?: boolean }[] = [
    { name: "-2, all full", resources: "pstn", table: ["pstn=0"], want: [503, "Service full"] },
    { name: "-3, all disabled", resources: "pstn", table: ["pstn=5"], disable: true, want: [504, "No destination available"] },
    { name: "-3, nobody has both resources", resources: "pstn;vm", table: ["pstn=5", "vm=5"], want: [504, "No destination available"] },
    { name: "-4, nobody knows the resource", resources: "fax", table: ["pstn=5"], want: [500, "Bad resource"] },
    { name: "-4, the table is empty", resources: "pstn", table: [], want: [500, "Bad resource"] },
  ];
  for (const { name, resources, table, want, disable } of refusals) {
    it(`answers ${want.join(" ")}: ${name}`, () => {
      const balancer = makeBalancer(...table);
      if (disable) balancer.setStatus(1, false, "mi");
      const { router, log } = makeRouter(balancer, rule({ resources }));
      const call = route(router, balancer);
      assert.deepEqual(call.replies, [{ status: want[0], reason: want[1], headers: [] }]);
      assert.deepEqual(call.sent, []);
      assert.deepEqual(call.load.leases, []);
      assert.equal(log.lines.at(-1)?.fields["callId"], "fake-call@192.0.2.200");
    });
  }

  it("gives the answer of a rule that has one, opens no dialog and counts nothing, and logs the note", () => {
    const balancer = makeBalancer("pstn=10");
    const { router, log } = makeRouter(balancer, rule({ answer: 403, note: "decide about line 7", resources: "" }), rule());
    const call = route(router, balancer);
    assert.deepEqual([call.replies.map(({ status }) => status), call.sent, loadsOf(balancer, "pstn")], [[403], [], [0]]);
    assert.equal(call.dialogOpened, false);
    assert.equal(log.lines[0]?.message, "Call answered 403 by its rule: decide about line 7");
  });

  it("answers 404 to a request that no rule is for, and logs it", () => {
    const balancer = makeBalancer("pstn=10");
    const { router, log } = makeRouter(balancer, rule({ match: { ruri_user: "^2" } }));
    const call = route(router, balancer);
    assert.deepEqual(call.replies, [{ status: 404, reason: "No route", headers: [] }]);
    assert.equal(call.dialogOpened, false);
    assert.equal(log.lines[0]?.message, "No rule matches, answered 404");
    assert.equal(log.lines[0]?.fields["requestUri"], "sip:1000@balancer.example");
  });

  it("goes to the next destination when the chosen one cannot be used, as after a transport error", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30", "pstn=20");
    const { router } = makeRouter(balancer, rule());
    const call = new FakeCall(balancer);
    call.unusable.add(uriOf(2));
    router.request(call);
    assert.deepEqual(targets(call), [3]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0, 1]);
  });

  it("answers no_destination when none of them can be used", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30");
    const { router } = makeRouter(balancer, rule());
    const call = new FakeCall(balancer);
    for (const id of [1, 2]) call.unusable.add(uriOf(id));
    router.request(call);
    assert.deepEqual(call.replies, [{ status: 504, reason: "No destination available", headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0]);
  });

  it("answers nothing itself when the caller has cancelled meanwhile", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30");
    const { router } = makeRouter(balancer, rule());
    const call = new FakeCall(balancer);
    call.cancelled = true;
    router.request(call);
    assert.deepEqual(call.replies, []);
    assert.deepEqual(call.sent, []);
  });
});

describe("the default route: failover", () => {
  it("tries further destinations in the order of their free slots, at most max_failovers of them", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20", "pstn=30", "pstn=40", "pstn=50");
    const { router } = makeRouter(balancer, rule({ max_failovers: 2 }));
    const call = route(router, balancer);
    for (let i = 0; i < 3; i++) router.failure(call.failBranch(500));
    assert.deepEqual(targets(call), [5, 4, 3]);
    assert.deepEqual(call.replies, [], "the best response goes to the caller");
    call.end();
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0, 0, 0, 0]);
  });

  const cases: { name: string; failoverOn: string[]; status: number; cause: "response" | "timeout" | "transport-error"; next: boolean }[] =
    [
      { name: "a 408 response", failoverOn: ["408"], status: 408, cause: "response", next: true },
      { name: "a local time-out when 408 is listed", failoverOn: ["408"], status: 408, cause: "timeout", next: true },
      { name: "a local time-out when 408 is not listed", failoverOn: ["5xx"], status: 408, cause: "timeout", next: false },
      { name: "a transport error when 503 is listed", failoverOn: ["503"], status: 503, cause: "transport-error", next: true },
      { name: "a transport error when 5xx is listed", failoverOn: ["5xx"], status: 503, cause: "transport-error", next: true },
      { name: "a transport error when neither is listed", failoverOn: ["408", "500"], status: 503, cause: "transport-error", next: false },
      { name: "486 when it is listed", failoverOn: ["486"], status: 486, cause: "response", next: true },
      { name: "486 when it is not listed", failoverOn: ["408", "5xx"], status: 486, cause: "response", next: false },
      { name: "5xx when nothing is listed", failoverOn: [], status: 500, cause: "response", next: false },
    ];
  for (const { name, failoverOn, status, cause, next } of cases) {
    it(`${next ? "moves on" : "stays"} after ${name}`, () => {
      const balancer = makeBalancer("pstn=10", "pstn=20");
      const { router } = makeRouter(balancer, rule({ failover_on: failoverOn, disable_on: [] }));
      const call = route(router, balancer);
      router.failure(call.failBranch(status, cause));
      assert.deepEqual(targets(call), next ? [2, 1] : [2]);
    });
  }

  it("never moves on after CANCEL, and disables nothing for it", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20");
    const { router } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    call.cancelled = true;
    router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(targets(call), [2]);
    assert.ok(balancer.isEnabled(balancer.destination(2)!));
  });

  it("disables what disable_on names, then moves on", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20");
    const { router, log } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    router.failure(call.failBranch(408, "timeout"));
    assert.ok(!balancer.isEnabled(balancer.destination(2)!));
    assert.ok(balancer.isAutoReenable(balancer.destination(2)!));
    assert.deepEqual(targets(call), [2, 1]);
    assert.ok(log.lines.some(({ level, fields }) => level === "warn" && fields["destination"] === 2));
    router.failure(call.failBranch(500));
    assert.ok(balancer.isEnabled(balancer.destination(1)!), "500 is not in disable_on");
  });

  it("says once that a destination is disabled, however many calls fail there", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30");
    const { router, log } = makeRouter(balancer, rule());
    const calls = Array.from({ length: 5 }, () => route(router, balancer));
    for (const call of calls) router.failure(call.failBranch(408, "timeout"));
    assert.equal(log.lines.filter(({ message }) => message === "Destination disabled after a failed call").length, 1);
    assert.deepEqual(
      calls.map((call) => targets(call)),
      calls.map(() => [2, 1]),
    );
  });

  it("a call from before a destination was enabled again moves on, and disables nothing", () => {
    const balancer = makeBalancer("pstn=10", "pstn=30");
    const { router, log } = makeRouter(balancer, rule());
    const [first, second] = [route(router, balancer), route(router, balancer)];
    router.failure(first.failBranch(408, "timeout"));
    balancer.setStatus(2, true, "probe");
    router.failure(second.failBranch(408, "timeout"));
    assert.ok(balancer.isEnabled(balancer.destination(2)!), "a probe has found it alive since");
    assert.deepEqual(targets(second), [2, 1]);
    assert.equal(log.lines.filter(({ level }) => level === "warn").length, 1);
    router.failure(route(router, balancer).failBranch(408, "timeout"));
    assert.ok(!balancer.isEnabled(balancer.destination(2)!), "a call from after it disables");
  });

  it("a call that rang until it timed out moves on, and disables nothing", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20", "pstn=30");
    const { router } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    router.reply?.(call, provisional(180));
    router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(targets(call), [3, 2]);
    assert.ok(balancer.isEnabled(balancer.destination(3)!), "the destination is alive, the callee did not pick up");
    router.failure(call.failBranch(408, "timeout"));
    assert.ok(!balancer.isEnabled(balancer.destination(2)!), "this one was silent");
  });

  it("100 Trying alone does not show that a destination is alive", () => {
    const balancer = makeBalancer("pstn=10");
    const { router } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    router.reply?.(call, provisional(100));
    router.failure(call.failBranch(408, "timeout"));
    assert.ok(!balancer.isEnabled(balancer.destination(1)!));
  });

  it("disables without moving on when only disable_on names the status", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20");
    const { router } = makeRouter(balancer, rule({ failover_on: [], disable_on: ["503"] }));
    const call = route(router, balancer);
    router.failure(call.failBranch(503));
    assert.ok(!balancer.isEnabled(balancer.destination(2)!));
    assert.deepEqual(targets(call), [2]);
  });

  it("passes over full destinations and gives the slot of the failed one back when nothing is found", () => {
    const balancer = makeBalancer("pstn=0", "pstn=1");
    const { router } = makeRouter(balancer, rule());
    const call = route(router, balancer);
    router.failure(call.failBranch(503));
    assert.deepEqual(targets(call), [2]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0]);
    assert.deepEqual(call.replies, []);
  });

  it("never comes back to a destination, whatever order they fail in", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20", "pstn=30");
    const { router } = makeRouter(balancer, rule({ max_failovers: 100 }));
    const call = route(router, balancer);
    for (let i = 0; i < 10; i++) router.failure(call.failBranch(500));
    assert.deepEqual(targets(call), [3, 2, 1]);
  });

  it("counts destinations that cannot be used as tries", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20", "pstn=30", "pstn=40");
    const { router } = makeRouter(balancer, rule({ max_failovers: 2 }));
    const call = route(router, balancer);
    call.unusable.add(uriOf(3)).add(uriOf(2));
    router.failure(call.failBranch(500));
    assert.deepEqual(targets(call), [4]);
  });

  it("a call keeps its rule when another router takes over in between", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20");
    const { router } = makeRouter(balancer, rule({ failover_on: ["486"] }));
    const call = route(router, balancer);
    const { router: reloaded } = makeRouter(balancer, rule({ failover_on: [] }));
    reloaded.failure(call.failBranch(486));
    assert.deepEqual(targets(call), [2, 1]);
  });
});

describe("the default route: methods", () => {
  it("handles INVITE, and further methods only when a rule names them", () => {
    const { router } = makeRouter(makeBalancer(), rule(), rule({ match: { method: ["MESSAGE", "SUBSCRIBE"] } }));
    const handled = ["INVITE", "MESSAGE", "SUBSCRIBE", "REGISTER", "OPTIONS", "BYE", "invite", ""].filter((method) =>
      router.handles(method),
    );
    assert.deepEqual(handled, ["INVITE", "MESSAGE", "SUBSCRIBE"]);
    assert.ok(makeRouter(makeBalancer()).router.handles("INVITE"), "also without any rule: it is answered 404");
  });

  it("counts a request other than INVITE until its transaction ends", () => {
    const balancer = makeBalancer("pstn=10", "im=5");
    const { router } = makeRouter(balancer, rule(), rule({ match: { method: "MESSAGE" }, resources: "im" }));
    const call = route(router, balancer, { method: "MESSAGE" });
    assert.deepEqual(targets(call), [2]);
    assert.deepEqual(loadsOf(balancer, "im"), [0, 1]);
    call.end();
    assert.deepEqual(loadsOf(balancer, "im"), [0, 0]);
  });
});

describe("the default route: matching", () => {
  const cases: { name: string; match: RoutingRuleSpec["match"]; options: FakeCallOptions; want: boolean }[] = [
    { name: "the empty match: INVITE", match: {}, options: {}, want: true },
    { name: "the empty match: MESSAGE", match: {}, options: { method: "MESSAGE" }, want: false },
    { name: "user", match: { ruri_user: "^1\\d{3}$" }, options: { uri: "sip:1000@h" }, want: true },
    { name: "user, another", match: { ruri_user: "^1\\d{3}$" }, options: { uri: "sip:10000@h" }, want: false },
    { name: "user without its password", match: { ruri_user: "^bob$" }, options: { uri: "sip:bob:secret@h" }, want: true },
    { name: "user of a tel URI", match: { ruri_user: "^\\+49" }, options: { uri: "tel:+4930;phone-context=x" }, want: true },
    { name: "user, there is none", match: { ruri_user: "." }, options: { uri: "sip:h.example" }, want: false },
    { name: "user in UTF-8", match: { ruri_user: "^jörg$" }, options: { uri: "sip:j\xc3\xb6rg@h" }, want: true },
    { name: "host", match: { ruri_host: "Conf.Example" }, options: { uri: "sip:1@cONF.example:5070;x=y" }, want: true },
    { name: "host, another", match: { ruri_host: "conf.example" }, options: { uri: "sip:1@example" }, want: false },
    { name: "host, IPv6 with brackets", match: { ruri_host: "[2001:DB8::1]" }, options: { uri: "sip:1@[2001:db8::1]:5060" }, want: true },
    { name: "one of two hosts", match: { ruri_host: ["a.example", "b.example"] }, options: { uri: "sip:1@b.example" }, want: true },
    { name: "source", match: { source: "192.0.2.0/24" }, options: { address: "192.0.2.9" }, want: true },
    { name: "source, another", match: { source: "192.0.2.0/24" }, options: { address: "198.51.100.9" }, want: false },
    { name: "source, IPv6", match: { source: "2001:db8::/32" }, options: { address: "2001:db8::9" }, want: true },
    { name: "source, IPv4 on an IPv6 socket", match: { source: "192.0.2.0/24" }, options: { address: "::ffff:192.0.2.9" }, want: true },
    { name: "header", match: { header: { "x-tenant": "^acme$" } }, options: { headers: ["X-Tenant: acme"] }, want: true },
    { name: "header, absent", match: { header: { "X-Tenant": "" } }, options: {}, want: false },
    { name: "header, second of that name", match: { header: { "X-A": "^2$" } }, options: { headers: ["X-A: 1", "X-A: 2"] }, want: true },
    { name: "header, compact form", match: { header: { Subject: "urgent" } }, options: { headers: ["s: an urgent call"] }, want: true },
    { name: "both headers", match: { header: { "X-A": "1", "X-B": "1" } }, options: { headers: ["X-A: 1", "X-B: 2"] }, want: false },
    {
      name: "everything at once",
      match: { method: "INVITE", ruri_user: "^1", ruri_host: "h.example", source: "10.0.0.0/8", header: { "X-A": "1" } },
      options: { uri: "sip:1@h.example", address: "10.1.1.1", headers: ["X-A: 1"] },
      want: true,
    },
    {
      name: "keys that are null",
      match: { method: null, ruri_user: null, ruri_host: null, source: null, header: null },
      options: {},
      want: true,
    },
  ];
  for (const { name, match, options, want } of cases) {
    it(`${want ? "matches" : "does not match"} ${name}`, () => {
      const balancer = makeBalancer("pstn=10");
      const { router } = makeRouter(balancer, rule({ match }));
      assert.equal(route(router, balancer, options).sent.length, want ? 1 : 0);
    });
  }

  it("takes the first rule that matches", () => {
    const balancer = makeBalancer([1, "pstn=9"], [2, "pstn=9"], [3, "pstn=9"]);
    const { router } = makeRouter(
      balancer,
      rule({ match: { ruri_user: "^9" }, group: 1 }),
      rule({ match: { ruri_user: "^1" }, group: 2 }),
      rule({ group: 3 }),
    );
    assert.deepEqual(targets(route(router, balancer, { uri: "sip:911@h" })), [1]);
    assert.deepEqual(targets(route(router, balancer, { uri: "sip:1911@h" })), [2]);
    assert.deepEqual(targets(route(router, balancer, { uri: "sip:5@h" })), [3]);
  });
});

describe("rules that cannot be used", () => {
  const cases: [spec: Partial<RoutingRuleSpec>, message: RegExp][] = [
    [{ match: { method: "invite" } }, /^Cannot use routing\.rules\[0\]\.match\.method "invite": want a SIP method in upper case/],
    [{ match: { method: "BYE" } }, /^Cannot use routing\.rules\[0\]\.match\.method "BYE": it follows the route of its dialog/],
    [{ match: { ruri_user: "(" } }, /^Cannot use routing\.rules\[0\]\.match\.ruri_user "\(": want a regular expression/],
    [{ match: { source: "10.0.0.0/99" } }, /^Cannot use source "10\.0\.0\.0\/99": want an address or a CIDR block/],
    [{ match: { header: { "X A": "1" } } }, /^Cannot use routing\.rules\[0\]\.match\.header "X A": want the name of a header/],
    [{ match: { header: { "X-A": "[" } } }, /^Cannot use routing\.rules\[0\]\.match\.header\.X-A "\[": want a regular expression/],
    [{ resources: "" }, /^Cannot use routing\.rules\[0\]\.resources "": want different resource names/],
    [{ resources: "pstn;pstn" }, /^Cannot use routing\.rules\[0\]\.resources "pstn;pstn"/],
    [{ resources: "pstn=4" }, /^Cannot use routing\.rules\[0\]\.resources "pstn=4"/],
    [{ resources: "a b" }, /^Cannot use routing\.rules\[0\]\.resources "a b"/],
    [{ failover_on: ["2xx"] }, /^Cannot use routing\.rules\[0\]\.failover_on "2xx": want a status code from 300 to 699/],
    [{ disable_on: ["abc"] }, /^Cannot use routing\.rules\[0\]\.disable_on "abc"/],
    [{ max_failovers: -1 }, /^Cannot use routing\.rules\[0\]\.max_failovers -1: want a whole number from 0/],
  ];
  for (const [spec, message] of cases) {
    it(`refuses ${JSON.stringify(spec)}`, () => {
      assert.throws(() => makeRouter(makeBalancer(), rule(spec)), { name: "RoutingError", message });
    });
  }
});
