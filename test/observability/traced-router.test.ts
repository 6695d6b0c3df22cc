import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Attributes, Span, SpanStatus, Tracer } from "@opentelemetry/api";
import { TracedRouter } from "../../src/observability/traced-router.ts";
import type { Router } from "../../src/proxy/index.ts";
import { settled } from "../support/settled.ts";
import { delivered, invite } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

/** A span as it was told, ended or not. */
interface ToldSpan {
  readonly name: string;
  readonly parent: string | undefined;
  readonly attributes: Attributes;
  readonly events: string[];
  status?: SpanStatus;
  ends: number;
}

/** Takes spans, in the order of their beginnings. */
class SpanList {
  readonly spans: ToldSpan[] = [];
  readonly soon: (() => void)[] = [];
  readonly faults: unknown[] = [];
  /** The method of the tracer or of a span that throws. */
  broken = "";

  readonly tracer = { startSpan: (name: string) => this.#start(name, undefined, {}) } as unknown as Tracer;

  readonly startInside = (parent: Span, name: string, { attributes }: { attributes: Attributes }): Span =>
    this.#start(name, (parent as unknown as { name: string }).name, attributes);

  /** Runs what was put off. */
  settle(): void {
    for (const run of this.soon.splice(0)) run();
  }

  #start(name: string, parent: string | undefined, attributes: Attributes): Span {
    if (this.broken === "startSpan") throw new Error("out of order");
    const told: ToldSpan = { name, parent, attributes: { ...attributes }, events: [], ends: 0 };
    this.spans.push(told);
    const span = {
      name,
      setAttributes: (more: Attributes) => Object.assign(told.attributes, more),
      setAttribute: (key: string, value: string) => Object.assign(told.attributes, { [key]: value }),
      addEvent: (event: string) => told.events.push(event),
      setStatus: (status: SpanStatus) => Object.assign(told, { status }),
      end: () => void told.ends++,
    };
    if (Object.hasOwn(span, this.broken)) {
      const broken = () => {
        throw new Error("out of order");
      };
      Object.assign(span, { [this.broken]: broken });
    }
    return span as unknown as Span;
  }
}

function traced(list: SpanList, inner: (router: Router) => Router = (router) => router): SimNetwork {
  return new SimNetwork({
    router: (balancer) =>
      new TracedRouter({
        router: inner(balancingRouter(balancer)),
        tracer: list.tracer,
        startInside: list.startInside,
        soon: (run) => void list.soon.push(run),
        wallMs: () => 1,
        fault: (error) => void list.faults.push(error),
      }),
  });
}

const brief = ({ name, parent, attributes, events, ends }: ToldSpan): unknown[] => [
  name,
  parent,
  attributes["headroom.destination.id"],
  attributes["sip.status_code"],
  events,
  ends,
];

describe("spans of a call", () => {
  it("one for the call, and one inside it for each destination that it was sent to", () => {
    const list = new SpanList();
    const net = traced(list);
    const call = delivered(net);
    list.settle();
    call.respond(503);
    list.settle();
    const second = net.peer("203.0.113.2");
    const again = second.take("INVITE");
    for (const status of [180, 200]) second.send(responseTo(again, status, { toTag: "t", headers: ["Contact: <sip:callee@203.0.113.2>"] }));
    net.run(100);
    list.settle();
    assert.deepEqual(list.spans.map(brief), [
      ["INVITE", undefined, undefined, 200, [], 1],
      ["attempt", "INVITE", 1, 503, [], 1],
      ["attempt", "INVITE", 2, 200, ["180"], 1],
    ]);
    const [whole, first] = list.spans;
    assert.equal(whole?.attributes["sip.call_id"], call.callId);
    assert.equal(whole?.attributes["headroom.failovers"], 1);
    assert.equal(whole?.status, undefined);
    assert.deepEqual(first?.status, { code: 2, message: "response 503" });
    assert.equal(first?.attributes["headroom.group"], 1);
    assert.equal(first?.attributes["headroom.resources"], "pstn");
  });

  it("also when an answer comes before anything that was put off", () => {
    const list = new SpanList();
    const call = delivered(traced(list));
    call.answerWith(200);
    list.settle();
    assert.deepEqual(list.spans.map(brief), [
      ["INVITE", undefined, undefined, 200, [], 1],
      ["attempt", "INVITE", 1, 200, [], 1],
    ]);
  });

  it("without an attempt when the router answers", () => {
    const list = new SpanList();
    const net = traced(list, (router) => ({ ...router, request: (call) => void call.reply(503), handles: () => true }));
    invite(net);
    list.settle();
    assert.deepEqual(list.spans.map(brief), [["INVITE", undefined, undefined, 503, [], 1]]);
    assert.deepEqual(list.spans[0]?.status, { code: 2, message: "503" });
  });

  it("of a call that nobody can take ends with the last answer, and has no attempt more", () => {
    const list = new SpanList();
    const net = traced(list, (router) => ({ ...router, failure: () => undefined }));
    const call = delivered(net);
    list.settle();
    call.respond(486);
    net.run(100);
    list.settle();
    assert.deepEqual(list.spans.map(brief), [
      ["INVITE", undefined, undefined, 486, [], 1],
      ["attempt", "INVITE", 1, 486, [], 1],
    ]);
    assert.equal(list.spans[0]?.status, undefined, "nobody's fault");
  });

  it("of a call that its caller gave up end, too", () => {
    const list = new SpanList();
    const net = traced(list);
    const call = delivered(net);
    list.settle();
    call.respond(180);
    net.run(100);
    call.caller.send(call.cancel());
    call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
    call.respond(487);
    net.run(100);
    list.settle();
    assert.deepEqual(
      list.spans.map(({ ends }) => ends),
      [1, 1],
    );
    assert.equal(list.spans[0]?.attributes["sip.status_code"], 487);
  });

  it("are as many as calls, and none is left open, when a handler takes its time", async () => {
    const list = new SpanList();
    const net = traced(list, (router) => ({
      ...router,
      request: async (call) => {
        await Promise.resolve();
        await router.request(call);
      },
      handles: () => true,
    }));
    const call = invite(net);
    await settled();
    list.settle();
    const taken = call.callee.take("INVITE");
    call.callee.send(responseTo(taken, 200, { toTag: "t", headers: ["Contact: <sip:callee@203.0.113.1>"] }));
    net.run(100);
    list.settle();
    assert.deepEqual(
      list.spans.map(({ name, ends }) => [name, ends]),
      [
        ["INVITE", 1],
        ["attempt", 1],
      ],
    );
  });

  for (const broken of ["startSpan", "setAttributes", "setStatus", "addEvent", "end"]) {
    it(`that cannot be made or told disturb no call: ${broken}() throws`, () => {
      const list = new SpanList();
      list.broken = broken;
      const net = traced(list);
      const call = delivered(net);
      list.settle();
      call.respond(503);
      list.settle();
      const second = net.peer("203.0.113.2");
      const again = second.take("INVITE");
      for (const status of [180, 200])
        second.send(responseTo(again, status, { toTag: "t", headers: ["Contact: <sip:callee@203.0.113.2>"] }));
      net.run(100);
      list.settle();
      call.caller.take(200);
      assert.ok(list.faults.length > 0);
    });
  }

  it("leave the router that decides everything to hear what it wants", () => {
    const heard: string[] = [];
    const list = new SpanList();
    const net = traced(list, (router) => ({
      ...router,
      request: (call) => void call.reply(603),
      handles: () => true,
      rejected: ({ callId }) => void heard.push(callId),
    }));
    const { callId } = invite(net);
    assert.deepEqual(heard, [callId]);
  });
});
