import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Distributor } from "../../src/distributor/index.ts";
import type { Router } from "../../src/proxy/index.ts";
import {
  type Call,
  createBlacklists,
  createScriptRouter,
  denyTargets,
  NodeTargets,
  RoutingCounters,
  type RoutingPorts,
} from "../../src/routing/index.ts";
import { ReplaceableRouter } from "../../src/server/routers.ts";
import { delivered, established, type SimCall } from "../support/sim-call.ts";
import { balancingRouter, PROXY, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

/** Destinations of group 1: the first one gets the calls, the other one is what nobody may reach past the balancer. */
const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";
const STRANGER = "203.0.113.77";
const METHODS = ["INVITE", "UPDATE", "INFO", "REFER", "MESSAGE", "OPTIONS", "FROBNICATE"];
const NAMES: Record<string, string> = { "sneaky.example": SECOND, "fine.example": STRANGER };

interface World {
  readonly net: SimNetwork;
  readonly counters: RoutingCounters;
  readonly router: ReplaceableRouter;
  readonly ports: RoutingPorts;
}

/** A proxy that keeps callers from the destinations of group 1, with a router that balances calls to the proxy and relays others. */
function makeWorld(options: SimOptions = {}, make?: (ports: RoutingPorts) => Router): World {
  const counters = new RoutingCounters();
  let ports: RoutingPorts | undefined;
  let router: ReplaceableRouter | undefined;
  const net = new SimNetwork({
    resolve: (host) => (host in NAMES ? Promise.resolve(NAMES[host]) : undefined),
    ...options,
    router: (balancer) => {
      ports = {
        balancer,
        log: { debug() {}, info() {}, warn() {}, error() {} },
        counters,
        blacklists: createBlacklists(["media= 1"], balancer),
      };
      router = new ReplaceableRouter(make?.(ports) ?? denyTargets(mixedRouter(ports), ["media"], ports));
      return router;
    },
  });
  return { net, counters, router: router!, ports: ports! };
}

/** Calls to the proxy are balanced, others go where their Request-URI says. */
function mixedRouter({ balancer }: RoutingPorts): Router {
  const balancing = balancingRouter(balancer);
  return {
    ...balancing,
    request(call) {
      if (call.requestUri.includes(PROXY)) balancing.request(call);
      else call.relay();
    },
    failure: () => undefined,
  };
}

/** Sends a message and lets names be looked up. */
async function send(net: SimNetwork, from: SimPeer, text: string): Promise<void> {
  from.send(text);
  await net.runAsync(20);
}

/** Final answers that a peer has got, taken out. */
function answers(peer: SimPeer): number[] {
  return peer.inbox
    .splice(0)
    .map(statusOf)
    .filter((status) => status >= 200);
}

const withContact = (text: string, uri: string): string => text.replace(/^Contact: .*$/m, `Contact: <${uri}>`);

describe("a caller inside its call cannot choose what is kept from callers", () => {
  for (const method of METHODS) {
    it(`${method} with the address in the Request-URI or in a Route is answered 403 and changes nothing`, async () => {
      const { net, counters } = makeWorld();
      const call = established(net);
      const ours = headersOf(call.answer, "Record-Route").reverse();
      const cases: readonly { uri?: string; routes: readonly string[] }[] = [
        { uri: `sip:x@${SECOND}`, routes: ours },
        { uri: `sip:x@${SECOND}`, routes: [] },
        { uri: "sip:x@sneaky.example", routes: ours },
        { routes: [...ours, `<sip:${SECOND};lr>`] },
        { routes: [...ours, `<sip:${SECOND}>`] },
        { routes: [`<sip:${SECOND};lr>`] },
        { routes: [...ours, "<sip:sneaky.example;lr>"] },
        // The next hop is the callee itself, and would take it further.
        { uri: `sip:x@${FIRST};maddr=${SECOND}`, routes: ours },
        { uri: `sip:x@${FIRST};m%61ddr=${SECOND}`, routes: [] },
        { uri: `sip:x@${FIRST};maddr=${FIRST};MADDR=${SECOND}`, routes: ours },
        { uri: `sip:x@${STRANGER};maddr=[::ffff:${SECOND}]`, routes: ours },
        { routes: [...ours, `<sip:${FIRST};lr>`, `<sip:${SECOND};lr>`] },
        { routes: [...ours, `<sip:${STRANGER};lr>`, `<sip:${FIRST};lr>`, `<sip:${SECOND}>`] },
        { routes: [...ours, `<sip:${FIRST};lr;maddr=${SECOND}>`] },
        { uri: `sip:x@${SECOND}`, routes: [...ours, `<sip:${FIRST};lr>`] },
        { uri: `sip:x@${SECOND}`, routes: [...ours, `<sip:${STRANGER}>`] },
        // As a strict router before us would send it: our Route in the Request-URI, the target in the last Route.
        { uri: /<(.*)>/.exec(ours[0]!)![1]!, routes: [`<sip:x@${SECOND}>`] },
      ];
      let cseq = 1;
      for (const parts of cases) {
        await send(net, call.caller, call.fromCaller(method, ++cseq, parts));
        assert.deepEqual(answers(call.caller), [403], JSON.stringify(parts));
      }
      net.peer(SECOND).assertSilent();
      call.callee.assertSilent();
      assert.equal(counters.denied_targets, cases.length);
      assert.deepEqual(net.loads, [1, 0], "the call goes on");
      call.caller.send(call.fromCaller("BYE", 50));
      call.callee.send(responseTo(call.callee.take("BYE"), 200));
      assert.deepEqual(net.loads, [0, 0]);
      net.run(60_000);
      net.checkNothingLeft();
    });
  }

  it("an ACK there is dropped and counted", () => {
    const { net, counters } = makeWorld();
    const call = delivered(net);
    call.answerWith(200);
    const dropped = net.core.counters.drop_requests;
    call.caller.send(call.fromCaller("ACK", 1, { uri: `sip:x@${SECOND}` }));
    call.caller.send(call.fromCaller("ACK", 1, { uri: `sip:x@${FIRST};maddr=${SECOND}` }));
    net.peer(SECOND).assertSilent();
    call.callee.assertSilent();
    assert.deepEqual([net.core.counters.drop_requests, counters.denied_targets], [dropped + 2, 2]);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
  });

  it("nor somebody else who knows the tags, nor a BYE: the callee gets them without the targets that they name", async () => {
    const { net } = makeWorld();
    const call = established(net);
    const ours = headersOf(call.answer, "Record-Route").reverse();
    const strange = { uri: `sip:callee@${FIRST}:5060;maddr=${SECOND}`, routes: [...ours, `<sip:${FIRST};lr>`, `<sip:${SECOND};lr>`] };
    await send(net, net.peer(STRANGER), call.fromCaller("INFO", 2, strange).replace(call.caller.sentBy, `${STRANGER}:5060`));
    assert.doesNotMatch(call.callee.take("INFO"), new RegExp(SECOND));
    await send(net, call.caller, call.fromCaller("BYE", 3, strange));
    assert.doesNotMatch(call.callee.take("BYE"), new RegExp(SECOND));
    net.peer(SECOND).assertSilent();
  });

  it("what the other side asked for itself may stand in requests to it", async () => {
    const { net, counters } = makeWorld();
    const call = delivered(net, { uri: `sip:x@${STRANGER}`, callee: STRANGER });
    const routes = [`<sip:${SECOND};lr>`, ...headersOf(call.delivered, "Record-Route")];
    const contact = `sip:x@${STRANGER};maddr=${SECOND}`;
    call.answerWith(200, {
      contact: `<${contact}>`,
      headers: [`Record-Route: <sip:${STRANGER};lr>`, ...routes.map((r) => `Record-Route: ${r}`)],
    });
    const ours = headersOf(call.delivered, "Record-Route");
    await send(
      net,
      call.caller,
      call.fromCaller("INFO", 2, { uri: contact, routes: [...ours, `<sip:${STRANGER};lr>`, `<sip:${SECOND};lr>`] }),
    );
    assert.deepEqual([call.callee.take("INFO").split(" ")[1], counters.denied_targets], [contact, 0]);
  });

  it("without a guard nobody looks at further Routes", async () => {
    const { net } = makeWorld({}, mixedRouter);
    const call = established(net);
    const ours = headersOf(call.answer, "Record-Route").reverse();
    await send(net, call.caller, call.fromCaller("INFO", 2, { routes: [...ours, `<sip:${FIRST};lr>`, `<sip:${SECOND};lr>`] }));
    assert.match(call.callee.take("INFO"), new RegExp(`^Route: <sip:${SECOND};lr>`, "m"));
  });

  it("nor while it rings, with whatever To tag", async () => {
    const { net } = makeWorld();
    const call = delivered(net);
    call.answerWith(180);
    for (const to of ["<sip:x@y>;tag=invented", undefined]) {
      await send(net, call.caller, call.fromCaller("INFO", 2, { uri: `sip:x@${SECOND}`, ...(to && { to }) }));
      assert.deepEqual(answers(call.caller), [403]);
    }
    net.peer(SECOND).assertSilent();
  });

  it("nor after the call, nor in one whose callee has no tag", async () => {
    const { net } = makeWorld();
    const call = delivered(net);
    call.respond(200, { toTag: "" });
    call.answer = call.caller.take(200);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    await send(net, call.caller, call.fromCaller("INFO", 2, { uri: `sip:x@${SECOND}` }));
    call.caller.send(call.fromCaller("BYE", 3));
    call.callee.take("BYE");
    await send(net, call.caller, call.fromCaller("BYE", 4, { uri: `sip:x@${SECOND}` }));
    call.callee.take("BYE");
    assert.deepEqual(answers(call.caller), [403]);
    net.peer(SECOND).assertSilent();
  });

  it("other addresses are reached as before, the destination under each of its names too", async () => {
    const { net, counters } = makeWorld();
    const call = established(net, { responseHeaders: [] });
    await send(net, call.caller, call.fromCaller("INFO", 2, { uri: `sip:x@${STRANGER}` }));
    net.peer(STRANGER).take("INFO");
    await send(net, call.caller, call.fromCaller("INFO", 3, { uri: "sip:x@fine.example" }));
    net.peer(STRANGER).take("INFO");
    await send(net, call.caller, call.fromCaller("INFO", 4, { uri: `sip:other@${FIRST}` }));
    call.callee.take("INFO");
    assert.equal(counters.denied_targets, 0);
  });

  it("a Route of an initial request is refused before, ours in front or not", async () => {
    const { net } = makeWorld();
    const caller = net.peer("198.51.100.1");
    for (const routes of [
      [`<sip:${SECOND};lr>`],
      [`<sip:${PROXY};lr>`, `<sip:${SECOND};lr>`],
      [`<sip:${PROXY};lr>`, "<sip:sneaky.example;lr>"],
    ]) {
      await send(net, caller, request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}`, routes }));
      assert.deepEqual(answers(caller), [403], routes.join());
    }
    for (const parts of [
      { uri: `sip:x@${SECOND}`, routes: [`<sip:${PROXY};lr>`] },
      { uri: `sip:${PROXY};lr;did=1.made-up`, routes: [`<sip:x@${SECOND}>`] },
      { uri: "sip:x@sneaky.example", routes: [`<sip:${PROXY};lr>`] },
    ]) {
      await send(net, caller, request({ sentBy: caller.sentBy, ...parts }));
      assert.deepEqual(answers(caller), [403], parts.uri);
    }
    net.peer(SECOND).assertSilent();
    net.peer(FIRST).assertSilent();
  });
});

describe("a Contact that names what is kept from callers", () => {
  const denied = ["sip:x@sneaky.example", `sip:x@${SECOND}`, `sip:x@${SECOND}:5060;transport=udp`];

  /** A call whose caller asks for requests at `uri`: in its INVITE, or in a re-INVITE or UPDATE later. */
  function callWithContact(net: SimNetwork, method: string, uri: string): SimCall {
    const call = established(net, method === "" ? { headers: [`Contact: <${uri}>`] } : {});
    if (method === "") net.onlyDialog.callerContact = uri;
    else {
      const text = call.fromCaller(method, 2, method === "UPDATE" ? { headers: [`Contact: <${uri}>`] } : {});
      call.caller.send(method === "INVITE" ? withContact(text, uri) : text);
      call.callee.send(responseTo(call.callee.take(method), 200));
    }
    assert.equal(net.onlyDialog.callerContact, uri);
    call.caller.clear();
    return call;
  }

  for (const method of ["", "INVITE", "UPDATE"]) {
    it(`of the caller, by ${method || "its INVITE"}: requests of the callee are answered 403, a BYE goes where the caller is`, async () => {
      for (const uri of denied) {
        const { net } = makeWorld();
        const call = callWithContact(net, method, uri);
        await send(net, call.callee, call.fromCallee("INFO", 5, { uri }));
        assert.deepEqual(answers(call.callee), [403]);
        await send(net, call.callee, call.fromCallee("INFO", 6, { uri, routes: [] }));
        assert.deepEqual(answers(call.callee), [403]);
        await send(net, call.callee, call.fromCallee("BYE", 7, { uri }));
        call.caller.send(responseTo(call.caller.take("BYE"), 200));
        assert.deepEqual(answers(call.callee), [200]);
        assert.deepEqual(net.loads, [0, 0]);
        net.peer(SECOND).assertSilent();
      }
    });
  }

  it("of the caller, and the call is ended by us: BYE goes where the caller is", async () => {
    const { net } = makeWorld();
    const call = callWithContact(net, "INVITE", "sip:x@sneaky.example");
    net.proxy.endDialog(net.onlyDialog);
    await net.runAsync(20);
    call.caller.take("BYE");
    call.callee.take("BYE");
    net.peer(SECOND).assertSilent();
  });

  it("a Record-Route of the caller is no better", async () => {
    const { net } = makeWorld();
    const call = delivered(net, { headers: [`Record-Route: <sip:${SECOND};lr>`] });
    call.answerWith(200);
    await send(net, call.callee, call.fromCallee("INFO", 1, { routes: [`<sip:${SECOND};lr>`] }));
    assert.deepEqual(answers(call.callee), [403]);
    await send(net, net.peer(STRANGER), call.fromCallee("INFO", 2).replace(call.callee.sentBy, `${STRANGER}:5060`));
    net.peer(SECOND).assertSilent();
  });

  it("of a callee that the caller chose: neither ACK nor requests go there", async () => {
    const { net } = makeWorld();
    const call = delivered(net, { uri: `sip:x@${STRANGER}`, callee: STRANGER });
    call.answerWith(200, { contact: `<sip:x@${SECOND}>` });
    call.caller.send(call.fromCaller("ACK", 1));
    await send(net, call.caller, call.fromCaller("INFO", 2));
    assert.deepEqual(answers(call.caller), [403]);
    await send(net, net.peer("198.51.100.99"), call.fromCaller("INFO", 3).replace("198.51.100.1:5060", "198.51.100.99:5060"));
    net.peer(SECOND).assertSilent();
  });

  it("of a destination is believed: it may be reached at another one, also behind its Record-Route, after a reload that removed it", async () => {
    for (const route of ["", `<sip:${SECOND};lr>`]) {
      const { net, counters } = makeWorld();
      const call = delivered(net);
      const routes = [route, ...headersOf(call.delivered, "Record-Route")].filter((value) => value !== "");
      call.answerWith(200, { contact: `<sip:x@${SECOND}>`, headers: routes.map((value) => `Record-Route: ${value}`) });
      call.caller.send(call.fromCaller("ACK", 1));
      net.peer(SECOND).take("ACK");
      net.balancer.replaceTable(net.rows.slice(1));
      await send(net, call.caller, call.fromCaller("INFO", 2));
      net.peer(SECOND).take("INFO");
      assert.equal(counters.denied_targets, 0);
    }
  });

  it("of a caller that is a destination is believed", async () => {
    const { net } = makeWorld();
    const call = established(net, { caller: SECOND, uri: `sip:service@${PROXY}` });
    net.onlyDialog.callerContact = `sip:x@${FIRST}`;
    await send(net, call.callee, call.fromCallee("INFO", 1, { uri: `sip:x@${FIRST}` }));
    net.peer(FIRST).take("INFO");
  });
});

describe("the guard of calls", () => {
  it("is that of the router in use: a reload brings it to ongoing calls, and takes it from them", async () => {
    const { net, router, ports } = makeWorld({}, mixedRouter);
    const call = established(net);
    const ask = async (cseq: number): Promise<number> => {
      await send(net, call.caller, call.fromCaller("INFO", cseq, { uri: `sip:x@${SECOND}` }));
      return net.peer(SECOND).inbox.splice(0).length;
    };
    assert.equal(await ask(2), 1, "without a guard a party chooses");
    router.current = denyTargets(mixedRouter(ports), ["media"], ports);
    assert.equal(await ask(3), 0);
    net.balancer.replaceTable([net.rows[0]!]);
    assert.equal(await ask(4), 1, "the list shows the table in use");
    net.balancer.replaceTable(net.rows);
    assert.equal(await ask(5), 0);
    router.current = mixedRouter(ports);
    assert.equal(await ask(6), 1);
  });

  it("of a script stays with the call to which it was given", async () => {
    const script = {
      request(call: Call) {
        if (call.header("X-Guarded") !== undefined) call.useBlacklist("media");
        if (call.lb.start(1, "pstn")) call.relay();
      },
    };
    const { net, counters } = makeWorld({}, (ports) => createScriptRouter(script, ports));
    for (const [headers, reached] of [
      [["X-Guarded: yes"], 0],
      [[], 1],
    ] as const) {
      const call = established(net, { callee: reached === 0 ? FIRST : SECOND, headers });
      const other = reached === 0 ? SECOND : FIRST;
      await send(net, call.caller, call.fromCaller("INFO", 2, { uri: `sip:x@${other}` }));
      assert.equal(net.peer(other).inbox.splice(0).length, reached);
      call.caller.clear();
    }
    assert.equal(counters.denied_targets, 1);
  });

  it("of a script does not concern gateways that a list leads to, and stays for all other targets", async () => {
    const script = {
      request(call: Call) {
        call.useBlacklist("media");
        if (call.distribute("carriers")) call.relay();
      },
      failure(call: Call) {
        call.destinationUri = "sip:sneaky.example";
        call.relay();
      },
    };
    const { net, counters } = makeWorld({}, (ports) => {
      const nodes = new NodeTargets(ports.balancer, { gw: "sip:sneaky.example" });
      const lists = [{ name: "carriers", nodes: [{ name: "gw", weight: 1 }] }];
      const distributor = new Distributor({ isUsable: (node) => nodes.isUsable(node) }, lists);
      return createScriptRouter(script, { ...ports, distribution: { distributor, nodes } });
    });
    const caller = net.peer("198.51.100.1");
    await send(net, caller, request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}` }));
    const gateway = net.peer(SECOND);
    gateway.send(responseTo(gateway.take("INVITE"), 503));
    gateway.clear();
    await net.runAsync(20);
    assert.deepEqual([answers(caller), counters.denied_targets], [[403], 1], "the script chose the same address by itself");
  });
});
