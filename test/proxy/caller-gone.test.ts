import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Connection, ConnectionWatcher } from "../../src/transaction/index.ts";
import { delivered, established, type SimCall } from "../support/sim-call.ts";
import { FR_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const CONTACT = "sip:alice@df7jal23ls0d.invalid;transport=ws";

/** The one connection that leads to a client. */
class OnlyConnection implements Connection {
  isOpen = true;
  readonly watchers = new Set<ConnectionWatcher>();

  watch(watcher: ConnectionWatcher): void {
    this.watchers.add(watcher);
  }

  unwatch(watcher: ConnectionWatcher): void {
    this.watchers.delete(watcher);
  }

  end(): void {
    this.isOpen = false;
    for (const watcher of [...this.watchers]) watcher.connectionEnded();
  }
}

function clientOf(net: SimNetwork): OnlyConnection {
  const connection = new OnlyConnection();
  net.peer("198.51.100.1").flow = { transport: "ws", connection };
  return connection;
}

function rings(net: SimNetwork): { call: SimCall; connection: OnlyConnection } {
  const connection = clientOf(net);
  const call = delivered(net, { headers: [`Contact: <${CONTACT}>`] });
  call.answerWith(180);
  assert.equal(connection.watchers.size, 1);
  return { call, connection };
}

describe("a caller that only its connection leads to, and that vanishes with it before it has an answer", () => {
  it("is taken for one that cancels: the destination stops ringing, and its place is free when it has", () => {
    const net = new SimNetwork();
    const { call, connection } = rings(net);
    connection.end();
    const cancel = call.callee.take("CANCEL");
    assert.equal(headerOf(cancel, "Reason"), 'SIP;cause=430;text="Flow Failed"');
    assert.deepEqual(net.loads, [1, 0]);
    call.callee.send(responseTo(cancel, 200));
    call.respond(487);
    call.callee.take("ACK");
    assert.deepEqual([net.loads, net.core.counters.callers_gone], [[0, 0], 1]);
    call.caller.assertSilent();
    net.peer("203.0.113.2").assertSilent();
    net.finish();
  });

  it("is not followed by a call that nobody has: an answer that crossed the CANCEL is acknowledged and hung up", () => {
    const net = new SimNetwork();
    const { call, connection } = rings(net);
    connection.end();
    call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
    call.respond(200);
    call.callee.take("ACK");
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("costs the destination nothing before its first answer, and no other one is tried", () => {
    const net = new SimNetwork();
    const connection = clientOf(net);
    const call = delivered(net, { headers: [`Contact: <${CONTACT}>`] });
    connection.end();
    call.callee.assertSilent();
    net.run(FR_MS);
    assert.deepEqual(net.loads, [0, 0]);
    net.peer("203.0.113.2").assertSilent();
    call.caller.assertSilent();
    net.finish();
  });

  it("after its own CANCEL changes nothing, but that nobody waits for the ACK of what cannot be sent", () => {
    const net = new SimNetwork();
    const { call, connection } = rings(net);
    call.caller.send(call.cancel());
    call.caller.take(200);
    const cancel = call.callee.take("CANCEL");
    connection.end();
    call.callee.send(responseTo(cancel, 200));
    call.callee.assertSilent();
    call.respond(487);
    call.callee.take("ACK");
    assert.deepEqual([net.loads, net.core.layer.serverCount], [[0, 0], 0]);
    net.finish();
  });

  it("takes back a re-INVITE, and its call goes on until somebody hangs up", () => {
    const net = new SimNetwork();
    const connection = clientOf(net);
    const call = established(net, { headers: [`Contact: <${CONTACT}>`] });
    assert.equal(connection.watchers.size, 0, "an answered INVITE waits for nothing");
    call.caller.send(call.fromCaller("INVITE", 2, { headers: [`Contact: <${CONTACT}>`] }));
    call.caller.take(100);
    const again = call.callee.take("INVITE");
    call.callee.send(responseTo(again, 180));
    call.caller.take(180);
    connection.end();
    call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
    call.callee.send(responseTo(again, 487));
    call.callee.take("ACK");
    assert.deepEqual(net.loads, [1, 0]);
    call.callee.send(call.fromCallee("BYE", 1, { uri: CONTACT }));
    call.callee.take(430);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});
