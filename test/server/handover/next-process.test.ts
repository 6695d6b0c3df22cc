import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { recordOfBody } from "../../../src/cluster/dialogs/dialog-record.ts";
import type { CallNote, FromFormer } from "../../../src/server/handover/messages.ts";
import { NextProcess, type NextProcessPorts } from "../../../src/server/handover/next-process.ts";
import { settled } from "../../support/settled.ts";
import { delivered, established } from "../../support/sim-call.ts";
import { SimNetwork } from "../../support/sim-network.ts";
import { responseTo } from "../../support/sip-messages.ts";

/** Longer than the shortest session (RFC 4028 §5), and what it is kept beyond that. */
const SESSION_MS = 130_000;

/** The far end of a channel: it keeps what it is sent. */
class FakeChild extends EventEmitter {
  connected = true;
  readonly sent: FromFormer[] = [];
  /** When false, nothing that is sent is ever read. */
  isReading = true;

  send(message: FromFormer, ...rest: unknown[]): boolean {
    this.sent.push(message);
    const done = rest.at(-1) as (error: null) => void;
    if (this.isReading) done(null);
    return true;
  }

  disconnect(): void {
    this.connected = false;
  }

  /** Notes of calls, in order. */
  get notes(): CallNote[] {
    return this.sent.flatMap((message) => (message.kind === "calls" ? message.notes : []));
  }

  of<K extends FromFormer["kind"]>(kind: K): Extract<FromFormer, { kind: K }>[] {
    return this.sent.filter((message): message is Extract<FromFormer, { kind: K }> => message.kind === kind);
  }
}

/** A proxy with a process that is about to take over. */
async function relieved() {
  const net = new SimNetwork({ destinations: ["203.0.113.1"], resources: "pstn=10" });
  const child = new FakeChild();
  const next = new NextProcess(
    child as unknown as ChildProcess,
    {
      ...{ dialogs: net.dialogs, balancer: net.balancer, layer: net.layer, core: net.core, proxy: net.proxy, log: net.core.log },
      listeners: { places: () => [], divert: () => undefined, nameOf: () => "" },
      management: { listen: "", server: () => undefined },
      dispatch: { told: () => ({ states: [], pingState: 1 }) },
      settle: () => [],
      nowMs: () => net.wheel.nowMs,
    } as unknown as NextProcessPorts,
  );
  child.emit("message", { kind: "copy" });
  await settled();
  const [destination] = net.balancer.destinations();
  const slot = net.balancer.slotCell(destination!.resources[0]!.cell);
  /** Calls that this process counts as its own, and as those of the next one. */
  const counted = (): [own: number, others: number] => [net.balancer.ownLoad(slot), net.balancer.remoteLoad(slot)];
  return { net, child, next, counted, key: destination!.key };
}

describe("what a process does that has been relieved", () => {
  it("it counts the calls that it has given away as those of others, at no moment less or more than there are", async () => {
    const { net, child, next, counted, key } = await relieved();
    established(net);
    established(net);
    const ringing = delivered(net);
    next.switch([]);
    // What is written down until its file is closed has to show what each call counts.
    assert.deepEqual(counted(), [3, 0]);
    await next.released("a file");
    assert.deepEqual(counted(), [1, 2]);
    ringing.answerWith(180);
    ringing.answerWith(200);
    await new Promise((resolve) => setTimeout(resolve, 20)); // changes wait a moment to be told together
    child.emit("message", { kind: "loads", loads: [[key, "pstn", 3]] });
    assert.deepEqual(
      counted().reduce((sum, calls) => sum + calls),
      3,
    );
    child.emit("message", { kind: "loads", loads: [[key, "pstn", 1]] });
    assert.deepEqual(counted(), [0, 1]);
  });

  it("it tells what a call counts as long as that is its to say, and hangs up none whose lifetime is for the next process to know", async () => {
    const { net, child, next } = await relieved();
    const before = established(net);
    const ringing = delivered(net);
    ringing.answerWith(180);
    next.switch([]);
    await next.released("a file");
    child.sent.length = 0;
    ringing.answerWith(200, { headers: ["Session-Expires: 90"] });
    ringing.caller.send(ringing.fromCaller("ACK", 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [up] = child.notes;
    assert.ok(up !== undefined && "isGiven" in up);
    assert.deepEqual([up.isPending, up.isGiven, recordOfBody(up.body, up.did)?.held.length], [false, false, 1]);
    for (const note of child.notes.slice(1)) assert.equal("isGiven" in note && note.isGiven, true);
    net.run(SESSION_MS);
    for (const { caller, callee } of [before, ringing])
      for (const { inbox } of [caller, callee])
        assert.deepEqual(
          inbox.filter((text) => text.startsWith("BYE ")),
          [],
        );
    assert.deepEqual(
      child.notes.filter((note) => "endReason" in note),
      [],
    );
  });

  it("it tells that a call is over, with all that is needed to pass its BYE again until that is answered", async () => {
    const { net, child } = await relieved();
    const calls = [established(net), established(net)];
    const [lost, answered] = calls;
    await new Promise((resolve) => setTimeout(resolve, 20));
    child.sent.length = 0;
    answered!.hangUp();
    lost!.caller.send(lost!.fromCaller("BYE", 2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const bodies = child.notes.map((note) => ("endReason" in note ? note.body : []));
    assert.deepEqual([bodies.length, bodies.filter((body) => body === undefined).length], [2, 1]);
    const body = bodies.find((one) => one !== undefined);
    assert.equal(recordOfBody(body, String(body?.[0]))?.snapshot.callId, lost!.callId);
    child.sent.length = 0;
    lost!.callee.send(responseTo(lost!.callee.take("BYE"), 200));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(child.notes, [{ did: body?.[0], endReason: "Downstream BYE", body: undefined }]);
  });

  it("what belongs to the next process is lost as on the wire while that does not read, and nothing piles up", async () => {
    const { net, child, next } = await relieved();
    const call = established(net);
    next.switch([]);
    child.isReading = false;
    for (let i = 0; i < 25_000; i++) call.caller.send(call.fromCaller("INFO", 10 + i));
    assert.ok(child.of("message").length <= 20_000);
  });
});
