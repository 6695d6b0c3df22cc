import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import type { FailureCause, Router } from "../../src/proxy/ports.ts";
import { createDefaultRouter, RoutingCounters, type RoutingRuleSpec } from "../../src/routing/index.ts";
import { parseMessage, SipResponse } from "../../src/sip/index.ts";
import { FakeCall, FakeLog, makeBalancer, uriOf } from "./fake-call.ts";

interface Made {
  readonly balancer: Balancer;
  readonly router: Router;
  readonly counters: RoutingCounters;
  readonly log: FakeLog;
  readonly call: FakeCall;
}

/** A call that one rule has sent to the first of three destinations: 3, then 2, then 1. */
function start(spec: Partial<RoutingRuleSpec>, unusable: readonly number[] = []): Made {
  const balancer = makeBalancer("pstn=10", "pstn=20", "pstn=30");
  const counters = new RoutingCounters();
  const log = new FakeLog();
  const rule = {
    match: {},
    group: 1,
    resources: "pstn",
    flags: "",
    failover_on: ["408", "5xx"],
    max_failovers: 9,
    disable_on: ["408"],
    ...spec,
  };
  const reject = { no_capacity: 503, no_destination: 504, bad_resource: 500 };
  const router = createDefaultRouter({ rules: [rule], reject }, { balancer, log, counters });
  const call = new FakeCall(balancer);
  for (const id of unusable) call.unusable.add(uriOf(id));
  router.request(call);
  return { balancer, router, counters, log, call };
}

function targets({ call }: Made): (number | undefined)[] {
  return call.sent.map(({ target }) => target);
}

function enabled({ balancer }: Made): boolean[] {
  return balancer.destinations().map((destination) => balancer.isEnabled(destination));
}

function stops({ counters }: Made): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).filter(([name, count]) => name.startsWith("failover_") && count > 0));
}

function provisional(status: number, body = ""): SipResponse {
  const message = parseMessage(
    `SIP/2.0 ${status} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  assert.ok(message instanceof SipResponse);
  return message;
}

describe("failover_on and disable_on by cause", () => {
  const failures: Record<string, [status: number, cause: FailureCause]> = {
    "408 from the destination": [408, "response"],
    "no answer": [408, "timeout"],
    "503 from the destination": [503, "response"],
    "nothing could be sent": [503, "transport-error"],
  };
  const rows: readonly (readonly [list: string[], moved: string[]])[] = [
    [["timeout"], ["no answer"]],
    [["transport"], ["nothing could be sent"]],
    [
      ["timeout", "transport"],
      ["no answer", "nothing could be sent"],
    ],
    [["408"], ["408 from the destination", "no answer"]],
    [["503"], ["503 from the destination", "nothing could be sent"]],
    [[], []],
  ];
  for (const [list, moved] of rows) {
    for (const [name, [status, cause]] of Object.entries(failures)) {
      const does = moved.includes(name);
      it(`${JSON.stringify(list)} ${does ? "holds" : "lacks"}: ${name}`, () => {
        const failover = start({ failover_on: list, disable_on: [] });
        failover.router.failure(failover.call.failBranch(status, cause));
        assert.deepEqual(targets(failover), does ? [3, 2] : [3]);
        assert.deepEqual(enabled(failover), [true, true, true]);
        const disable = start({ failover_on: [], disable_on: list });
        disable.router.failure(disable.call.failBranch(status, cause));
        assert.deepEqual(targets(disable), [3]);
        assert.deepEqual(enabled(disable), [true, true, !does]);
      });
    }
  }

  it('a target that cannot be used is "transport"', () => {
    assert.deepEqual(targets(start({ failover_on: ["transport"] }, [3, 2])), [1]);
    const made = start({ failover_on: ["timeout"], disable_on: ["transport"] }, [3]);
    assert.deepEqual(made.call.replies, [{ status: 504, reason: "No destination available", headers: [] }]);
    assert.deepEqual(enabled(made), [true, true, false]);
  });

  it('"timeout" in disable_on spares a destination that rang', () => {
    const made = start({ disable_on: ["timeout"] });
    made.router.reply?.(made.call, provisional(180));
    made.router.failure(made.call.failBranch(408, "timeout"));
    assert.deepEqual(enabled(made), [true, true, true]);
    made.router.failure(made.call.failBranch(408, "timeout"));
    assert.deepEqual(enabled(made), [true, false, true]);
  });
});

describe("failover_budget", () => {
  it("0 and nothing at all are no budget", () => {
    for (const spec of [{}, { failover_budget: 0 }]) {
      const made = start(spec);
      made.call.ageMs = 3_600_000;
      made.router.failure(made.call.failBranch(500));
      assert.deepEqual(targets(made), [3, 2]);
      assert.equal(made.call.sent[1]?.answerWithinMs, undefined);
    }
  });

  it("the first attempt may take all of fr_timeout, the others only what is left", () => {
    const made = start({ failover_budget: 8 });
    made.call.ageMs = 5_000;
    made.router.failure(made.call.failBranch(408, "timeout"));
    made.call.ageMs = 6_500;
    made.router.failure(made.call.failBranch(500));
    assert.deepEqual(
      made.call.sent.map(({ target, answerWithinMs }) => [target, answerWithinMs]),
      [
        [3, undefined],
        [2, 3_000],
        [1, 1_500],
      ],
    );
  });

  const rows: readonly (readonly [ageMs: number, moves: boolean])[] = [
    [0, true],
    [7_500, true],
    [7_501, false],
    [8_000, false],
    [60_000, false],
  ];
  for (const [ageMs, moves] of rows) {
    it(`of 8 s: a call of ${ageMs} ms ${moves ? "goes to" : "does not go to"} another destination`, () => {
      const made = start({ failover_budget: 8 });
      made.call.ageMs = ageMs;
      made.router.failure(made.call.failBranch(503));
      assert.deepEqual(targets(made), moves ? [3, 2] : [3]);
      assert.deepEqual(stops(made), moves ? {} : { failover_budget_spent: 1 });
      if (!moves) assert.equal(made.log.lines.at(-1)?.message, "No further destination tried: the rule's failover_budget is used up");
    });
  }

  it("a destination that was cut short by it is not disabled, one that had its time is", () => {
    const made = start({ failover_budget: 8 });
    made.call.ageMs = 5_000;
    made.router.failure(made.call.failBranch(408, "timeout"));
    made.call.ageMs = 8_000;
    made.call.cutShort = true;
    made.router.failure(made.call.failBranch(408, "timeout"));
    assert.deepEqual(targets(made), [3, 2]);
    assert.deepEqual(enabled(made), [true, true, false]);
  });

  it("targets that cannot be used do not outlast it", () => {
    const made = start({ failover_budget: 8 });
    made.call.unusable.add(uriOf(2)).add(uriOf(1));
    Object.defineProperty(made.call, "ageMs", {
      get() {
        return made.balancer.counters.nexts * 4_000;
      },
    });
    made.router.failure(made.call.failBranch(500));
    assert.deepEqual(targets(made), [3]);
    assert.equal(made.balancer.counters.nexts, 2);
    assert.deepEqual(stops(made), { failover_budget_spent: 1 });
  });
});

describe("early_media_failover", () => {
  const media: readonly (readonly [name: string, response: SipResponse, isMedia: boolean])[] = [
    ["183 without a body", provisional(183), true],
    ["183 with a body", provisional(183, "v=0"), true],
    ["180 with a body", provisional(180, "v=0"), true],
    ["180 without a body", provisional(180), false],
    ["100 with a body", provisional(100, "v=0"), false],
  ];
  for (const [name, response, isMedia] of media) {
    it(`false: ${isMedia ? "no failover" : "failover"} after ${name}`, () => {
      const made = start({ early_media_failover: false, disable_on: ["503"] });
      made.router.reply?.(made.call, response);
      made.router.failure(made.call.failBranch(503));
      assert.deepEqual(targets(made), isMedia ? [3] : [3, 2]);
      assert.deepEqual(stops(made), isMedia ? { failover_after_media: 1 } : {});
      assert.deepEqual(enabled(made), [true, true, false], "disable_on does not ask for media");
    });
    it(`true: failover after ${name}`, () => {
      const made = start({ early_media_failover: true });
      made.router.reply?.(made.call, response);
      made.router.failure(made.call.failBranch(503));
      assert.deepEqual(targets(made), [3, 2]);
    });
  }

  it("false: what the first destination played counts for the second, too", () => {
    const made = start({ early_media_failover: false });
    made.router.failure(made.call.failBranch(503));
    made.router.reply?.(made.call, provisional(183));
    made.router.failure(made.call.failBranch(503));
    assert.deepEqual(targets(made), [3, 2]);
  });
});

describe("why a call goes no further", () => {
  it("max_failovers is reached", () => {
    const made = start({ max_failovers: 1 });
    for (let i = 0; i < 2; i++) made.router.failure(made.call.failBranch(500));
    assert.deepEqual([targets(made), stops(made)], [[3, 2], { failover_max_reached: 1 }]);
    assert.equal(
      made.log.lines.at(-1)?.message,
      "No further destination tried: the rule's max_failovers, or what one call may try at all, is reached",
    );
  });

  it("no destination is left", () => {
    const made = start({});
    for (let i = 0; i < 3; i++) made.router.failure(made.call.failBranch(500));
    assert.deepEqual([targets(made), stops(made)], [[3, 2, 1], { failover_no_destination: 1 }]);
  });

  it("a failure that failover_on does not name, and a CANCEL, are no such thing", () => {
    const made = start({});
    made.router.failure(made.call.failBranch(404));
    made.call.cancelled = true;
    made.router.failure(made.call.failBranch(503));
    assert.deepEqual([targets(made), stops(made)], [[3], {}]);
  });
});

describe("rules that cannot be used", () => {
  for (const failover_budget of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`refuses a failover_budget of ${failover_budget}`, () => {
      assert.throws(() => start({ failover_budget }), {
        name: "RoutingError",
        message: `Cannot use routing.rules[0].failover_budget ${failover_budget}: want seconds from 0`,
      });
    });
  }
});
