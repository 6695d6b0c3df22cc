import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Call, RouteHandler } from "../../src/routing/index.ts";
import { createScriptRouter } from "../../src/routing/index.ts";
import { parseMessage, SipResponse } from "../../src/sip/index.ts";
import { FakeCall, type FakeCallOptions, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const balancer = makeBalancer("conf=10;vm=1", "conf=20");

/** Runs a request handler on a new call. */
function inRequest(handler: (call: Call) => void, options: FakeCallOptions = {}): { call: FakeCall; log: FakeLog } {
  const log = new FakeLog();
  const call = new FakeCall(balancer, options);
  createScriptRouter({ request: handler as RouteHandler }, { balancer, log }).request(call);
  return { call, log };
}

function inFailure(handler: (call: Call) => void, prepare: (call: FakeCall) => void): void {
  const call = new FakeCall(balancer);
  prepare(call);
  createScriptRouter({ request() {}, failure: handler }, { balancer, log: new FakeLog() }).failure(call);
}

function response(status: number, headers: readonly string[] = []): SipResponse {
  const lines = [
    `SIP/2.0 ${status} Besetzt \xc3\xbc`,
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
    "From: <sip:a@h>;tag=1",
    "To: <sip:b@h>;tag=2",
    "Call-ID: fake-call@192.0.2.200",
    "CSeq: 1 INVITE",
    ...headers,
    "Content-Length: 0",
    "",
    "",
  ];
  const message = parseMessage(lines.join("\r\n"));
  assert.ok(message instanceof SipResponse);
  return message;
}

describe("Call: what a script reads", () => {
  it("method, Call-ID, URIs, source, headers, body", () => {
    const options = {
      uri: "sip:bob:pw@Conf.Example:5070;x=y",
      headers: ["X-A: 1", "X-A:  2 ", "Subject: Gr\xc3\xbc\xc3\x9fe"],
      body: "v=0\r\n",
      address: "2001:db8::7",
      port: 5071,
    };
    inRequest((call) => {
      assert.equal(call.method, "INVITE");
      assert.equal(call.callId, "fake-call@192.0.2.200");
      assert.equal(call.requestUri, "sip:bob:pw@Conf.Example:5070;x=y");
      assert.equal(call.ruriUser, "bob");
      assert.equal(call.ruriHost, "conf.example");
      assert.equal(call.destinationUri, undefined);
      assert.deepEqual(call.source, { transport: "udp", address: "2001:db8::7", port: 5071 });
      assert.equal(call.header("x-a"), "1");
      assert.deepEqual(call.headers("X-A"), ["1", "2"]);
      assert.equal(call.header("s"), "Grüße");
      assert.equal(call.header("X-B"), undefined);
      assert.deepEqual(call.headers("X-B"), []);
      assert.equal(call.body, "v=0\r\n");
      assert.deepEqual(call.from, {
        uri: "sip:alice@example.net",
        user: "alice",
        host: "example.net",
        displayName: "Ali",
        tag: "from-tag",
      });
      assert.deepEqual(call.to, { uri: "sip:1000@balancer.example", user: "1000", host: "balancer.example", displayName: "", tag: "" });
      assert.equal(call.status, 0);
      assert.equal(call.statusIs("..."), false);
      assert.equal(call.response, undefined);
      assert.equal(call.failureCause, undefined);
      assert.equal(call.cancelled, false);
      assert.equal(call.destination, undefined);
      call.drop();
    }, options);
  });

  it("in failure(): status, cause and response", () => {
    inFailure(
      (call) => {
        assert.equal(call.status, 486);
        assert.ok(call.statusIs("4.."));
        assert.ok(!call.statusIs("48"));
        assert.equal(call.failureCause, "response");
        assert.equal(call.failovers, 1);
        assert.equal(call.response?.reason, "Besetzt ü");
        assert.equal(call.response?.header("retry-after"), "10");
        assert.deepEqual(call.response?.headers("X-None"), []);
      },
      (call) => {
        call.response = response(486, ["Retry-After: 10"]);
        call.failBranch(486);
      },
    );
  });

  it("in failure() after a time-out: 408 without a response", () => {
    inFailure(
      (call) => {
        assert.ok(call.statusIs("408|5.."));
        assert.equal(call.failureCause, "timeout");
        assert.equal(call.response, undefined);
      },
      (call) => call.failBranch(408, "timeout"),
    );
  });

  it("in reply(): the response on its way, and nothing can be decided", () => {
    const log = new FakeLog();
    const call = new FakeCall(balancer);
    const seen: number[] = [];
    const router = createScriptRouter(
      {
        request() {},
        reply(view) {
          seen.push(view.status, view.response?.status ?? 0);
          assert.ok(view.statusIs("1.."));
          assert.equal(view.relay(), false);
          assert.equal(view.reply(500), false);
          view.drop();
          assert.equal(view.lb.start(1, "conf"), false);
          assert.equal(view.lb.isDestination("192.0.2.1", 5060)?.id, 1);
        },
      },
      { balancer, log },
    );
    router.reply?.(call, response(180));
    assert.deepEqual(seen, [180, 180]);
    assert.deepEqual([call.sent, call.replies, call.dropped, call.load.leases], [[], [], false, []]);
    assert.equal(log.lines[0]?.message, "Cannot relay in reply(): a response on its way is only observed");
    assert.equal(log.lines.length, 4);
  });

  it("tells the age of the call, bounds the wait for an answer, and says when that ended a branch", () => {
    const call = new FakeCall(balancer);
    call.ageMs = 1_234;
    call.cutShort = true;
    const seen: unknown[] = [];
    const router = createScriptRouter(
      {
        request(view) {
          seen.push(view.ageMs, view.answerWithinMs, view.cutShort);
          view.answerWithinMs = 2_000;
          seen.push(view.answerWithinMs);
          view.relay();
        },
      },
      { balancer, log: new FakeLog() },
    );
    router.request(call);
    assert.deepEqual(seen, [1_234, undefined, true, 2_000]);
    assert.equal(call.sent[0]?.answerWithinMs, 2_000);
  });

  it("vars last from handler to handler", () => {
    const call = new FakeCall(balancer);
    const seen: unknown[] = [];
    const router = createScriptRouter(
      { request: (view) => view.vars.set("tenant", "acme"), failure: (view) => seen.push(view.vars.get("tenant")) },
      { balancer, log: new FakeLog() },
    );
    router.request(call);
    router.failure(call.failBranch(500));
    assert.deepEqual(seen, ["acme"]);
  });

  it("log lines carry the Call-ID, which a field cannot replace", () => {
    const { log } = inRequest((call) => {
      call.log.info("hello", { user: call.ruriUser, callId: "forged" });
      call.log.debug("a");
      call.log.warn("b");
      call.log.error("c");
      call.drop();
    });
    assert.deepEqual(log.lines[0], { level: "info", fields: { user: "1000", callId: "fake-call@192.0.2.200" }, message: "hello" });
    assert.deepEqual(
      log.lines.map(({ level }) => level),
      ["info", "debug", "warn", "error"],
    );
  });
});

describe("Call: what a script sets", () => {
  it("Request-URI, its user, destination URI and headers, in UTF-8 and each on one line", () => {
    const { call } = inRequest((view) => {
      view.requestUri = "sip:x@h;p=1";
      view.ruriUser = "jörg";
      view.destinationUri = "sip:192.0.2.99";
      view.addHeader("X-Name", "Jörg\r\nX-Evil: 1");
      view.removeHeader("X-Secret");
      view.relay();
    });
    assert.deepEqual(call.sent, [
      {
        requestUri: "sip:j%C3%B6rg@h;p=1",
        destinationUri: "sip:192.0.2.99",
        target: undefined,
        headers: [
          ["X-Name", "J\xc3\xb6rg  X-Evil: 1"],
          ["X-Secret", "(removed)"],
        ],
      },
    ]);
  });

  it("a destination URI of its own takes the place of the balancer's pick", () => {
    const { call } = inRequest((view) => {
      assert.ok(view.lb.start(1, "conf"));
      view.destinationUri = "sip:192.0.2.99";
      view.relay();
    });
    assert.equal(call.sent[0]?.target, undefined);
    call.end();
  });

  const refused: [name: string, action: (call: Call) => void, message: RegExp][] = [
    [
      "a Request-URI with a line break",
      (call) => (call.requestUri = "sip:a@h\r\nX: y"),
      /^Cannot set the Request-URI to "sip:a@h.*": want a URI/s,
    ],
    ["a Request-URI without scheme", (call) => (call.requestUri = "alice"), /want a URI without spaces/],
    ["an empty Request-URI", (call) => (call.requestUri = ""), /want a URI/],
    ["a destination URI that is none", (call) => (call.destinationUri = "192.0.2.1"), /^Cannot set the destination URI to "192\.0\.2\.1"/],
    ["a destination URI in angle brackets", (call) => (call.destinationUri = "sip:a>,<sip:b"), /want a URI/],
    ["a URI without end", (call) => (call.requestUri = `sip:${"a".repeat(5000)}@h`), /^Cannot set the Request-URI to "sip:a{96}…"/],
    ["a header name with a colon", (call) => call.addHeader("X: y", "z"), /^Cannot add header "X: y": want the name of a header/],
    ["a header of the proxy", (call) => call.addHeader("v", "z"), /^Cannot add header "v": the proxy writes it/],
    ["removing Call-ID", (call) => call.removeHeader("call-id"), /^Cannot remove header "call-id"/],
    ["a reply of 99", (call) => call.reply(99), /^Cannot reply with status "99": want a whole number from 100 to 699/],
    ["a reply of 200 to INVITE", (call) => call.reply(200), /^Cannot reply to INVITE with status 200: only a callee can accept a call/],
    ["a reply with a Via", (call) => call.reply(302, "", { Via: "x" }), /^Cannot send header "Via"/],
    [
      "a group that is no number",
      (call) => call.lb.start("1" as unknown as number, "conf"),
      /^Cannot run lb\.start for group "1": want a whole number/,
    ],
    [
      "resources that are no string",
      (call) => call.lb.start(1, undefined as unknown as string),
      /^Cannot run lb\.start with resources "undefined": want a string/,
    ],
    [
      "no time at all to answer",
      (call) => (call.answerWithinMs = 0),
      /^Cannot set answerWithinMs to "0": want milliseconds above 0, or undefined$/,
    ],
    ["an endless time", (call) => (call.answerWithinMs = Number.POSITIVE_INFINITY), /^Cannot set answerWithinMs to "Infinity"/],
    ["a time that is a text", (call) => (call.answerWithinMs = "5" as unknown as number), /^Cannot set answerWithinMs to "5"/],
    ["a status pattern that is none", (call) => call.statusIs("(4"), /^Cannot use status pattern "\(4"/],
  ];
  for (const [name, action, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => inRequest(action), { name: "RoutingError", message });
    });
  }

  it("no text of a script ever puts a second line into a message", () => {
    for (const text of ["a\rb", "a\nb", "a\r\n\r\nb", "a\0b", "\u2028", "ü\r\n"]) {
      const { call } = inRequest((view) => {
        view.addHeader("X", text);
        view.reply(503, text, { "X-A": text });
      });
      for (const written of [call.replies[0]?.reason ?? "", ...(call.replies[0]?.headers[0] ?? [])]) assert.ok(!/[\r\n\0]/.test(written));
    }
  });
});

describe("Call: decisions", () => {
  it("reply() hands over status, reason and headers", () => {
    const { call } = inRequest((view) => assert.equal(view.reply(480, "Später", { "Retry-After": "10" }), true));
    assert.deepEqual(call.replies, [{ status: 480, reason: "Sp\xc3\xa4ter", headers: [["Retry-After", "10"]] }]);
  });

  it("reply() without a reason leaves the phrase to the proxy", () => {
    const { call } = inRequest((view) => view.reply(404));
    assert.equal(call.replies[0]?.reason, undefined);
  });

  it("a provisional reply is no decision", () => {
    const { call } = inRequest((view) => {
      assert.ok(view.reply(183, "Looking for a place"));
      assert.ok(view.lb.start(1, "conf"));
      assert.ok(view.relay());
    });
    assert.equal(call.sent.length, 1);
    call.end();
  });

  it("200 may answer a request other than INVITE", () => {
    const { call } = inRequest((view) => view.reply(200, "OK"), { method: "REGISTER" });
    assert.equal(call.replies[0]?.status, 200);
  });

  for (const [name, decide] of [
    ["relay()", (call: Call) => call.relay()],
    ["reply()", (call: Call) => call.reply(503)],
    ["drop()", (call: Call) => call.drop()],
  ] as const) {
    it(`after ${name} nothing more is decided or counted`, () => {
      const { call, log } = inRequest((view) => {
        decide(view);
        assert.equal(view.relay(), false);
        assert.equal(view.reply(500), false);
        assert.equal(view.lb.start(1, "conf"), false);
        assert.equal(view.lb.code, -1);
        assert.equal(view.lb.countCall("192.0.2.1", 5060, -1, "conf"), false);
      });
      assert.equal(call.sent.length + call.replies.length + Number(call.dropped), 1);
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
      assert.deepEqual(log.lines, []);
    });
  }

  it("after CANCEL nothing is relayed or counted", () => {
    inFailure(
      (view) => {
        assert.ok(view.cancelled);
        assert.equal(view.lb.start(1, "conf"), false);
        assert.equal(view.relay(), false);
      },
      (call) => {
        call.cancelled = true;
        call.failBranch(487);
      },
    );
    assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
  });

  it("relay() to a target that cannot be used is no decision: the script may go on", () => {
    const log = new FakeLog();
    const call = new FakeCall(balancer);
    call.unusable.add(uriOf(2));
    const request: RouteHandler = (view) => {
      assert.ok(view.lb.start(1, "conf"));
      assert.equal(view.relay(), false);
      assert.ok(view.lb.next());
      assert.equal(view.relay(), true);
    };
    createScriptRouter({ request }, { balancer, log }).request(call);
    assert.equal(call.sent[0]?.target, 1);
    call.end();
  });
});

describe("Call: createDialog", () => {
  it("asks for what the flags say, and flags add up", () => {
    const { call } = inRequest((it) => {
      it.createDialog();
      it.createDialog("Pp");
      it.createDialog("reinvite-ping-callee, bye-on-timeout");
    });
    assert.equal(call.dialogFlags, 1 | 2 | 8 | 16);
  });

  it("refuses what it does not know", () => {
    inRequest((it) => {
      assert.throws(() => it.createDialog("Z"), /createDialog\("Z"\): want words/);
      assert.throws(() => it.createDialog(7 as never));
    });
  });
});
