import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import type { ProxyCall, Router } from "../../src/proxy/ports.ts";
import {
  type Call,
  createBlacklists,
  createScriptRouter,
  denyTargets,
  RoutingCounters,
  type RoutingPorts,
} from "../../src/routing/index.ts";
import { invite } from "../support/sim-call.ts";
import { balancingRouter, PROXY, SimNetwork } from "../support/sim-network.ts";
import { request, statusOf } from "../support/sip-messages.ts";
import { FakeCall, FakeLog, makeBalancer } from "./fake-call.ts";

const NOT_ALLOWED = [{ status: 403, reason: "Target Not Allowed", headers: [] }];
/** Where a caller stands in the simulation. */
const CALLER = "198.51.100.1";
const MEDIA = "203.0.113.1";

function portsOf(balancer: Balancer, ...definitions: string[]): RoutingPorts & { log: FakeLog; counters: RoutingCounters } {
  return { balancer, log: new FakeLog(), counters: new RoutingCounters(), blacklists: createBlacklists(definitions, balancer) };
}

/** A router that sends everything to its Request-URI, and counts what it sees. */
function relaying(): Router & { seen: number } {
  const router = {
    seen: 0,
    request(call: ProxyCall): void {
      router.seen++;
      call.relay();
    },
    failure: () => undefined,
    handles: () => true,
  };
  return router;
}

describe("routing.deny_targets", () => {
  const balancer = makeBalancer([1, "pstn=1"], [2, "pstn=1"], [3, "pstn=1"]);

  for (const [uri, refused] of [
    ["sip:1000@192.0.2.1", true],
    ["sip:1000@192.0.2.1:5060;transport=udp", true],
    ["sip:192.0.2.2", true],
    ["sip:1000@192.0.2.2:5061", false],
    ["sip:1000@192.0.2.1;transport=tcp", false],
    ["sips:1000@192.0.2.1", false],
    ["sip:1000@192.0.2.3", false],
    ["sip:1000@[::ffff:192.0.2.1]", true],
    ["sip:1000@3221225985", true],
    ["sip:1000@balancer.example;maddr=192.0.2.1", true],
    ["sip:1000@balancer.example;maddr=192.0.2.3", false],
    ["sip:1000@balancer.example;m%61ddr=192.0.2.1", true],
    ["sip:1000@balancer.example;%4D%41%44%44%52=192.0.2.1", true],
    ["sip:1000@balancer.example;maddr=192.0.2.3;maddr=192.0.2.1", true],
    ["sip:1000@balancer.example;maddr;x=y;MADDR=%5b::ffff:192.0.2.1%5D", true],
    ["sip:1000@balancer.example;maddr=[::ffff:192.0.2.1]", true],
    ["sip:1000@balancer.example;maddr=192%2E0%2e2.1", true],
    ["sip:1000@balancer.example;maddr=192.0.2.3;maddr=198.51.100.1", false],
    ["sip:1000@balancer.example;xmaddr=192.0.2.1;maddr", false],
    ["sip:1000@balancer.example", false],
    ["tel:+4930123456;phone-context=192.0.2.1", false],
    ["sip:@", false],
  ] as const) {
    it(`${refused ? "refuses" : "lets through"} an INVITE to ${uri}`, () => {
      const ports = portsOf(balancer, "media= 1,2");
      const inner = relaying();
      const call = new FakeCall(balancer);
      call.requestUri = uri;
      denyTargets(inner, ["media"], ports).request(call);
      assert.deepEqual(call.replies, refused ? NOT_ALLOWED : []);
      assert.equal(inner.seen, refused ? 0 : 1, "the router is not asked");
      assert.equal(ports.counters.denied_targets, refused ? 1 : 0);
      assert.equal(ports.log.lines.length, refused ? 1 : 0);
      assert.ok(!call.dialogOpened);
      if (refused) assert.deepEqual([ports.log.lines[0]?.fields["list"], ports.log.lines[0]?.fields["callId"]], ["media", call.callId]);
    });
  }

  it("refuses other methods as well, and looks at every list", () => {
    const ports = portsOf(balancer, "a=1", "b=2", "c=3");
    const router = denyTargets(relaying(), ["a", "b"], ports);
    for (const [id, refused] of [
      [1, true],
      [2, true],
      [3, false],
    ] as const) {
      const call = new FakeCall(balancer, { method: "MESSAGE", uri: `sip:192.0.2.${id}` });
      router.request(call);
      assert.deepEqual(call.replies, refused ? NOT_ALLOWED : []);
    }
  });

  it("without lists the router stays as it is", () => {
    const inner = relaying();
    assert.equal(denyTargets(inner, [], portsOf(balancer, "a=1")), inner);
  });

  it("passes everything else on to the router, with its promises", async () => {
    const asked: string[] = [];
    const inner: Router = {
      request: async () => void asked.push("request"),
      failure: async () => void asked.push("failure"),
      reply: () => void asked.push("reply"),
      handles: (method) => method === "MESSAGE",
    };
    const router = denyTargets(inner, ["a"], portsOf(balancer, "a=1"));
    const call = new FakeCall(balancer);
    assert.ok(router.request(call) instanceof Promise);
    assert.ok(router.failure(call) instanceof Promise);
    router.reply?.(call, {} as never);
    assert.deepEqual(asked, ["request", "failure", "reply"]);
    assert.deepEqual([router.handles("MESSAGE"), router.handles("INVITE")], [true, false]);
    assert.equal(denyTargets(relaying(), ["a"], portsOf(balancer, "a=1")).reply, undefined);
  });

  it("refuses a list that is not defined", () => {
    const name = "RoutingError";
    const wanted = 'Cannot use routing.deny_targets "x": want the name of a list of load_balancer.lb_define_blacklist, ';
    assert.throws(() => denyTargets(relaying(), ["x"], portsOf(balancer)), { name, message: `${wanted}and there is none` });
    assert.throws(() => denyTargets(relaying(), ["a", "x"], portsOf(balancer, "a=1", "b=2")), {
      name,
      message: `${wanted}which are "a", "b"`,
    });
    assert.throws(() => denyTargets(relaying(), ["x"], { balancer, log: new FakeLog() }), { name });
  });
});

describe("call.isBlacklisted()", () => {
  const balancer = makeBalancer([1, "pstn=1"], [2, "pstn=1"]);

  function inScript<T>(ports: RoutingPorts, use: (call: Call) => T): T {
    let result: T | undefined;
    const handler = (call: Call): void => {
      result = use(call);
    };
    createScriptRouter({ request: handler }, ports).request(new FakeCall(balancer));
    return result as T;
  }

  it("tells whether a URI points at a destination of the list", () => {
    const ports = portsOf(balancer, "media=1", "other=2");
    const answers = inScript(ports, (call) => [
      call.isBlacklisted("sip:x@192.0.2.1", "media"),
      call.isBlacklisted("sip:x@192.0.2.1:5060", "other"),
      call.isBlacklisted("sip:x@192.0.2.2", "other"),
      call.isBlacklisted(call.requestUri, "media"),
      call.isBlacklisted("tel:+49", "media"),
      call.isBlacklisted("", "media"),
      call.isBlacklisted("sip:jörg@192.0.2.1", "media"),
    ]);
    assert.deepEqual(answers, [true, false, true, false, false, false, true]);
    assert.equal(ports.counters.denied_targets, 0, "asking refuses nothing");
  });

  it("throws for a list that is not defined, and for what is no text", () => {
    const ports = portsOf(balancer, "media=1");
    assert.throws(() => inScript(ports, (call) => call.isBlacklisted("sip:x@h", "Media")), {
      name: "RoutingError",
      message: 'Cannot use blacklist "Media": want the name of a list of load_balancer.lb_define_blacklist, which are "media"',
    });
    assert.throws(() => inScript(ports, (call) => call.isBlacklisted(7 as never, "media")), { name: "RoutingError" });
    assert.throws(() => inScript(ports, (call) => call.useBlacklist("x")), { name: "RoutingError" });
    assert.throws(() => inScript({ balancer, log: new FakeLog() }, (call) => call.isBlacklisted("sip:x@h", "media")), {
      name: "RoutingError",
      message: /and there is none$/,
    });
  });
});

describe("what a name turns out to be when the request is about to be sent", () => {
  /** A network on which `names` resolve, with a router that sends everything where the Request-URI says. */
  function network(names: Record<string, string>, make?: (ports: RoutingPorts) => Router): { net: SimNetwork; counters: RoutingCounters } {
    const counters = new RoutingCounters();
    const net = new SimNetwork({
      resolve: (host) => Promise.resolve(names[host]),
      router: (balancer) => {
        const ports = { balancer, log: new FakeLog(), counters, blacklists: createBlacklists(["media= 1"], balancer) };
        return make?.(ports) ?? denyTargets(relaying(), ["media"], ports);
      },
    });
    return { net, counters };
  }

  async function ask(net: SimNetwork, uri: string, method = "INVITE"): Promise<number[]> {
    const caller = net.peer(CALLER);
    caller.send(request({ method, uri, sentBy: caller.sentBy }));
    await net.runAsync(50);
    return caller.inbox.splice(0).map(statusOf);
  }

  it("403 when the name has the address of a destination in the list; no message reaches it", async () => {
    const { net, counters } = network({ "sneaky.example": MEDIA });
    assert.deepEqual(await ask(net, "sip:1000@sneaky.example"), [100, 403]);
    net.peer(MEDIA).assertSilent();
    assert.equal(counters.denied_targets, 1);
    assert.ok(net.logged.some(({ message }) => message === "Request refused: its target is not allowed"));
    net.peer(CALLER).clear();
    net.finish();
  });

  it("what looks like an address and is none goes nowhere", async () => {
    const { net } = network({});
    assert.deepEqual(await ask(net, "sip:1000@3405803777"), [403]);
    net.peer(CALLER).clear();
    net.finish();
  });

  it("a name with another address, and another port of the same machine, are reached", async () => {
    const { net, counters } = network({ "fine.example": "203.0.113.77" });
    await ask(net, "sip:1000@fine.example");
    net.peer("203.0.113.77").take("INVITE");
    assert.equal(counters.denied_targets, 0);
  });

  it("what the balancer selects is reached, although its list is denied", async () => {
    const { net } = network({}, (ports) => denyTargets(balancingRouter(ports.balancer), ["media"], ports));
    const call = invite(net, { uri: `sip:service@${PROXY}` });
    call.caller.take(100);
    net.peer(MEDIA).take("INVITE");
  });

  it("a script's useBlacklist() has the same look at relay(), at the Request-URI and at the destination URI it sets", async () => {
    const targets = ["sip:sneaky.example", `sip:${MEDIA}`, undefined, "sip:fine.example"];
    let target: string | undefined;
    const relayed: boolean[] = [];
    const { net, counters } = network({ "sneaky.example": MEDIA, "fine.example": "203.0.113.77" }, (ports) =>
      createScriptRouter(
        {
          request(call: Call) {
            call.useBlacklist("media");
            call.useBlacklist("media");
            call.destinationUri = target;
            relayed.push(call.relay());
          },
        },
        ports,
      ),
    );
    for (target of targets.slice(0, 3)) assert.deepEqual(await ask(net, "sip:1000@sneaky.example"), [100, 403], target);
    target = targets[3];
    assert.deepEqual(await ask(net, `sip:1000@fine.example;maddr=${MEDIA}`), [100, 403], "the next hop would take it there");
    assert.deepEqual(await ask(net, "sip:1000@sneaky.example"), [100]);
    assert.deepEqual(relayed, [true, true, true, true, true]);
    assert.equal(counters.denied_targets, 4);
    net.peer(MEDIA).assertSilent();
    net.peer("203.0.113.77").take("INVITE");
  });
});
