import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flowAfter, isGone, isReachedByFlow } from "../../src/proxy/flow.ts";
import type { Connection, Endpoint } from "../../src/transaction/index.ts";
import { established, requestUriOf, type SimCall } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

type Transport = Endpoint["transport"];
const LISTENER = { address: "192.0.2.1", port: 5060, family: 4, sentByFor: () => "192.0.2.1:5060" } as const;
const OPEN = { isOpen: true };
const ENDED = { isOpen: false };

function seen(transport: Transport, connection?: { isOpen: boolean }): Endpoint {
  return {
    ...{ transport, address: "198.51.100.1", port: 49_152, listener: { ...LISTENER, transport } },
    ...(connection !== undefined && { connection }),
  };
}

describe("isReachedByFlow()", () => {
  const cases: [hop: string, transport: Transport, connection: { isOpen: boolean } | undefined, want: boolean][] = [
    ["sip:a@df7jal23ls0d.invalid;transport=ws", "ws", OPEN, true],
    ["sip:a@df7jal23ls0d.invalid;transport=ws", "wss", ENDED, true],
    ["sip:a@198.51.100.7", "wss", OPEN, true],
    ["sip:a@203.0.113.7:5060", "ws", undefined, true],
    ["sip:a@x.invalid", "udp", undefined, true],
    ["sip:a@X.INVALID.:5060", "tcp", OPEN, true],
    ["sip:a@10.0.0.1:5060;transport=tcp;ob", "tcp", OPEN, true],
    ["sip:a@10.0.0.1:5060;ob;transport=tls", "tls", OPEN, true],
    ["sip:a@10.0.0.1:5060;ob", "udp", undefined, false],
    ["sip:a@10.0.0.1:5060;transport=tcp;ob", "tcp", undefined, false],
    ["sip:a@10.0.0.1:5060;transport=tcp", "tcp", OPEN, false],
    ["sip:a@10.0.0.1;lobby=ob", "tcp", OPEN, false],
    ["sip:x.invalid@10.0.0.1", "tcp", OPEN, false],
    ["sip:a@invalid.example.com", "udp", undefined, false],
    ["tel:+1.invalid", "tcp", OPEN, false],
  ];
  for (const [hop, transport, connection, want] of cases) {
    const how = connection === undefined ? "" : connection.isOpen ? ", on a connection" : ", on one that has ended";
    it(`is ${want} for ${hop} of who was seen over ${transport}${how}`, () => {
      assert.equal(isReachedByFlow(hop, seen(transport, connection)), want);
    });
  }
});

describe("isGone() and flowAfter()", () => {
  it("a connection that has ended is gone, and a WebSocket client that another node has seen", () => {
    assert.deepEqual([seen("ws", OPEN), seen("ws", ENDED), seen("ws"), seen("tcp", ENDED), seen("tcp"), seen("udp")].map(isGone), [
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it("a refresh moves who lost its connection, and nobody else", () => {
    const other = { ...seen("ws", OPEN), port: 50_000 };
    assert.equal(flowAfter(seen("ws", ENDED), other), other);
    assert.equal(flowAfter(seen("ws"), other), other);
    for (const before of [seen("ws", OPEN), seen("udp")]) assert.equal(flowAfter(before, other), before);
    const nowhere = seen("ws", ENDED);
    assert.equal(flowAfter(nowhere, seen("udp")), nowhere);
  });
});

const CONTACT = "sip:alice@df7jal23ls0d.invalid;transport=ws";

/** A call of a WebSocket client that is up, and its connection. */
function callOfClient(connection: Connection & { isOpen: boolean } = { isOpen: true }): {
  net: SimNetwork;
  call: SimCall;
  connection: { isOpen: boolean };
} {
  const names: string[] = [];
  const net = new SimNetwork({ resolve: (host) => void names.push(host) });
  const caller = net.peer("198.51.100.1");
  caller.flow = { transport: "ws", connection };
  const call = established(net, { headers: [`Contact: <${CONTACT}>`] });
  assert.deepEqual(names, [], "nobody asks where .invalid is");
  return { net, call, connection };
}

describe("requests towards a WebSocket client (RFC 5626 §5.3)", () => {
  for (const method of ["INVITE", "UPDATE", "INFO", "BYE"]) {
    it(`${method} goes on the connection of the call`, () => {
      const { net, call } = callOfClient();
      call.callee.send(call.fromCallee(method, 1, { uri: CONTACT }));
      const received = call.caller.take(method);
      assert.equal(requestUriOf(received), CONTACT);
      assert.match(headerOf(received, "Via"), /^SIP\/2\.0\/WS /);
      call.caller.send(responseTo(received, 200));
      call.callee.take(200);
      net.finish();
    });

    it(`${method} is answered 430 at once when the connection is gone`, () => {
      const { net, call, connection } = callOfClient();
      connection.isOpen = false;
      call.callee.send(call.fromCallee(method, 1, { uri: CONTACT }));
      assert.match(call.callee.take(430), /^SIP\/2\.0 430 Flow Failed/);
      assert.deepEqual(net.loads, method === "BYE" ? [0, 0] : [1, 0]);
      net.finish();
    });
  }

  it("a request that waits for its answer when the connection ends is answered 430", () => {
    const { net, call } = callOfClient();
    net.unreachable.add(call.caller.address);
    call.callee.send(call.fromCallee("INFO", 1, { uri: CONTACT }));
    net.run(20);
    call.callee.take(430);
    net.finish();
  });

  it("a call that we end ourselves says so on the connection, or ends alone", () => {
    for (const isOpen of [true, false]) {
      const { net, call, connection } = callOfClient();
      connection.isOpen = isOpen;
      net.proxy.endDialog(net.onlyDialog);
      call.callee.take("BYE");
      if (isOpen) call.caller.take("BYE");
      else call.caller.assertSilent();
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("a client that has connected again is reached there once its refresh was accepted, and not before", () => {
    const { net, call, connection } = callOfClient();
    connection.isOpen = false;
    const again = { isOpen: true };
    call.caller.flow = { transport: "ws", connection: again };
    call.caller.send(call.fromCaller("INFO", 2));
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.caller.take(200);
    assert.equal(net.onlyDialog.callerEndpoint.connection, connection);
    call.caller.send(call.fromCaller("INVITE", 3, { headers: [`Contact: <${CONTACT}>`] }));
    call.caller.take(100);
    call.callee.send(responseTo(call.callee.take("INVITE"), 200, { headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] }));
    call.caller.take(200);
    assert.equal(net.onlyDialog.callerEndpoint.connection, again);
    call.callee.send(call.fromCallee("BYE", 1, { uri: CONTACT }));
    call.caller.send(responseTo(call.caller.take("BYE"), 200));
    call.callee.take(200);
    net.finish();
  });

  it("nobody takes the requests of a client over that is connected", () => {
    const { net, call, connection } = callOfClient();
    const thief = net.peer("198.51.100.66");
    thief.flow = { transport: "ws", connection: { isOpen: true } };
    thief.send(call.fromCaller("UPDATE", 2, { headers: [`Contact: <${CONTACT}>`] }));
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200));
    thief.take(200);
    assert.equal(net.onlyDialog.callerEndpoint.connection, connection);
    call.callee.send(call.fromCallee("BYE", 1, { uri: CONTACT }));
    call.caller.send(responseTo(call.caller.take("BYE"), 200));
    thief.assertSilent();
    net.finish();
  });

  it("a client that has changed its network is reached on its new connection as soon as the one that it left is found dead", () => {
    let asked = 0;
    const left = { isOpen: true, ask: () => void asked++ };
    const { net, call } = callOfClient(left);
    const again = net.peer("198.51.100.2");
    again.flow = { transport: "ws", connection: { isOpen: true } };
    again.send(call.fromCaller("UPDATE", 2, { headers: [`Contact: <${CONTACT}>`] }));
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200));
    again.take(200);
    assert.equal(asked, 1);
    left.isOpen = false;
    call.callee.send(call.fromCallee("INFO", 1, { uri: CONTACT }));
    again.send(responseTo(again.take("INFO"), 200));
    call.callee.take(200);
    call.callee.send(call.fromCallee("BYE", 2, { uri: CONTACT }));
    again.send(responseTo(again.take("BYE"), 200));
    call.callee.take(200);
    call.caller.assertSilent();
    net.finish();
  });
});

describe("Content-Length", () => {
  it("is added to what goes on over a reliable transport, both ways, and to nothing else (RFC 3261 §18.3)", () => {
    const { net, call } = callOfClient();
    const bare = (text: string): string => text.replace(/^Content-Length: .*\r\n/m, "");
    call.callee.send(bare(call.fromCallee("INFO", 1, { uri: CONTACT, body: "abc" })));
    const received = call.caller.take("INFO");
    assert.equal(headerOf(received, "Content-Length"), "3");
    call.caller.send(bare(responseTo(received, 200)));
    assert.equal(headerOf(call.callee.take(200), "Content-Length"), "");
    call.caller.send(bare(call.fromCaller("INFO", 2)));
    const other = call.callee.take("INFO");
    assert.equal(headerOf(other, "Content-Length"), "");
    call.callee.send(bare(responseTo(other, 200)));
    assert.equal(headerOf(call.caller.take(200), "Content-Length"), "0");
    net.finish();
  });

  it("is there once over a reliable transport, though it came twice: some peers close a connection for that", () => {
    const { net, call } = callOfClient();
    const twice = (text: string): string => text.replace(/^(Content-Length: (.*)\r\n)/m, "$1l: $2\r\n");
    const lengths = (text: string): string[] => [...headersOf(text, "Content-Length"), ...headersOf(text, "l")];
    call.callee.send(twice(call.fromCallee("INFO", 1, { uri: CONTACT, body: "abc" })));
    const received = call.caller.take("INFO");
    assert.deepEqual(lengths(received), ["3"]);
    assert.ok(received.endsWith("\r\n\r\nabc"));
    call.caller.send(responseTo(received, 200));
    call.caller.send(call.fromCaller("INFO", 2));
    call.callee.send(twice(responseTo(call.callee.take("INFO"), 200)));
    assert.deepEqual(lengths(call.caller.take(200)), ["0"]);
    net.finish();
  });
});
