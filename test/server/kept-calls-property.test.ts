import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DialogKeeper } from "../../src/server/dialog-keeper.ts";
import { MemoryDialogs } from "../support/memory-dialogs.ts";
import { settled } from "../support/settled.ts";
import { delivered, SimCall } from "../support/sim-call.ts";
import { FR_INVITE_MS, LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const RUNS = 100;
const START_MS = 1_700_000_000_000;
/** A change is on the disk after this, ms: a batch each 25 ms, in ticks of 10 ms. */
const WRITTEN_MS = 50;
/** How long a BYE is repeated (RFC 3261 timer F). */
const BYE_MS = 32_000;

/** A disk that writes when it is told to. */
class SlowDialogs extends MemoryDialogs {
  isStuck = false;
  #waiting: (() => void)[] = [];

  override async write(changes: Parameters<MemoryDialogs["write"]>[0]): Promise<string> {
    if (this.isStuck) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return super.write(changes);
  }

  goOn(): void {
    this.isStuck = false;
    for (const write of this.#waiting.splice(0)) write();
  }
}

const which = fc.nat(11);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("call" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("ring" as const, "answer" as const, "refuse" as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("bye" as const, "byeOfCallee" as const, "cancel" as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("byeLost" as const, "byeOfCalleeLost" as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(10, 30, 60, 400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stick" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("kill" as const), downMs: fc.constantFrom(0, 900, 70_000) }) },
);

type CallState = "delivered" | "ringing" | "up" | "over";

/** What its parties know of a call. */
interface Modelled {
  call: SimCall;
  state: CallState;
  /** What the file is sure to say: as often as a batch was written since the last change. */
  written: CallState | "none";
  changedMs: number;
  /** A BYE that was lost behind the program: its sender repeats it. */
  open?: { readonly bye: string; readonly sentMs: number; readonly isCallees: boolean } | undefined;
}

/** A program and what comes after it: the parties stay. */
class World {
  net!: SimNetwork;
  file = new SlowDialogs();
  keeper!: DialogKeeper;
  readonly calls: Modelled[] = [];
  nowMs = 0;
  #life = 0;

  constructor() {
    this.#start();
  }

  #start(): void {
    this.net = new SimNetwork({ destinations: ["203.0.113.1"], resources: "pstn=1000", tokens: `life${this.#life++}x` });
    const { net } = this;
    net.run(this.nowMs);
    this.keeper = new DialogKeeper({
      store: this.file,
      dialogs: net.dialogs,
      balancer: net.balancer,
      listeners: () => [net.listener4, net.listener6],
      earlyLifetimeMs: FR_INVITE_MS,
      nowMs: () => net.wheel.nowMs,
      wallMs: () => START_MS + net.wheel.nowMs,
      after: (ms, run) => {
        const timer = net.wheel.schedule(ms, { timerFired: run }, 0, net.wheel.nowMs);
        return () => void net.wheel.cancel(timer);
      },
      log: net.core.log,
    });
    net.dialogs.onState = (dialog) => {
      net.callPeers.changed(dialog);
      this.keeper.stateChanged(dialog);
    };
    this.keeper.tableChanged();
  }

  async pass(ms: number): Promise<void> {
    await this.net.runAsync(ms, Math.max(10, ms / 50));
    await settled();
    this.nowMs = this.net.wheel.nowMs;
    if (this.file.isStuck) return;
    for (const one of this.calls) if (this.nowMs - one.changedMs >= WRITTEN_MS) one.written = one.state;
  }

  /** The process is gone; what was written is there. Whose last change was not written is what it was, or what it is: the parties settle that now. */
  kill(downMs: number): void {
    this.file = new SlowDialogs(new Map(this.file.rows));
    this.nowMs += downMs;
    this.#start();
    const { net } = this;
    for (const one of this.calls) {
      const { caller, callee, invite, delivered, answer, toTag } = one.call;
      one.call = Object.assign(new SimCall(net.peer(caller.address), net.peer(callee.address), invite), { delivered, answer, toTag });
    }
  }

  find(index: number, ...states: CallState[]): Modelled | undefined {
    const fitting = this.calls.filter(({ state }) => states.includes(state));
    return fitting[index % Math.max(1, fitting.length)];
  }

  to(one: Modelled, state: CallState): void {
    one.state = state;
    one.changedMs = this.nowMs;
  }

  /** Call-IDs of the calls that the balancer counts. */
  get known(): Set<string> {
    return new Set(Array.from(this.net.dialogs.list(), ({ callId }) => callId));
  }

  clear(): void {
    for (const { call } of this.calls) for (const peer of [call.caller, call.callee]) peer.clear();
  }
}

describe("calls of a program that is killed at any moment", () => {
  it("are counted as their parties have them, but for what was not written yet; all end at zero", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const world = new World();
        for (const act of steps) {
          await perform(world, act);
          world.net.checkLoads();
          check(world);
        }
        world.file.goOn();
        await world.pass(1_000);
        world.kill(0);
        settleLost(world);
        check(world);
        for (const one of world.calls) if (one.state === "up") hangUp(world, one, "bye");
        await world.pass(FR_INVITE_MS + 60_000);
        await world.pass(LIFETIME_MS);
        assert.deepEqual([world.net.loads, world.file.rows.size], [[0], 0]);
        world.net.checkNothingLeft();
      }),
      { numRuns: RUNS },
    );
  });
});

async function perform(world: World, act: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<void> {
  switch (act.kind) {
    case "call": {
      const call = delivered(world.net);
      world.calls.push({ call, state: "delivered", written: "none", changedMs: world.nowMs });
      break;
    }
    case "ring":
    case "answer":
    case "refuse": {
      const one = world.find(act.which, "delivered", "ringing");
      if (one !== undefined) respond(world, one, act.kind);
      break;
    }
    case "cancel": {
      const one = world.find(act.which, "ringing");
      if (one !== undefined) cancel(world, one);
      break;
    }
    case "bye":
    case "byeOfCallee": {
      const one = world.find(act.which, "up");
      if (one !== undefined) hangUp(world, one, act.kind);
      break;
    }
    case "byeLost":
    case "byeOfCalleeLost": {
      const one = world.find(act.which, "up");
      if (one === undefined) break;
      const { call } = one;
      const isCallees = act.kind === "byeOfCalleeLost";
      const bye = isCallees ? call.fromCallee("BYE", 2) : call.fromCaller("BYE", 2);
      (isCallees ? call.callee : call.caller).send(bye);
      world.to(one, "over");
      one.open = { bye, sentMs: world.nowMs, isCallees };
      break;
    }
    case "wait":
      await world.pass(act.ms);
      break;
    case "stick":
      if (world.file.isStuck) world.file.goOn();
      else world.file.isStuck = true;
      break;
    case "kill":
      world.kill(act.downMs);
      settleLost(world);
  }
  world.clear();
}

function respond(world: World, one: Modelled, kind: "ring" | "answer" | "refuse"): void {
  const { call } = one;
  const status = { ring: 180, answer: 200, refuse: 486 }[kind];
  call.respond(status);
  const back = call.caller.inbox.find((text) => text.startsWith(`SIP/2.0 ${status} `));
  if (back === undefined) return; // its proxy knows no such call: settled below
  call.answer = back;
  if (kind === "answer") call.caller.send(call.fromCaller("ACK", 1));
  if (kind === "refuse") call.caller.send(call.ackOf(back));
  world.to(one, { ring: "ringing", answer: "up", refuse: "over" }[kind] as CallState);
}

function cancel(world: World, one: Modelled): void {
  const { call } = one;
  call.caller.send(call.cancel());
  const cancelled = call.callee.inbox.find((text) => text.startsWith("CANCEL") && headerOf(text, "Call-ID") === call.callId);
  if (cancelled === undefined) return;
  call.callee.send(responseTo(cancelled, 200));
  call.respond(487);
  world.to(one, "over");
}

function hangUp(world: World, one: Modelled, kind: "bye" | "byeOfCallee"): void {
  const { call } = one;
  const [from, to] = kind === "bye" ? [call.caller, call.callee] : [call.callee, call.caller];
  from.send(kind === "bye" ? call.fromCaller("BYE", 2) : call.fromCallee("BYE", 2));
  const bye = to.inbox.find((text) => text.startsWith("BYE") && headerOf(text, "Call-ID") === call.callId);
  if (bye !== undefined) to.send(responseTo(bye, 200));
  world.to(one, "over");
}

/**
 * After a crash: a call that its parties have, and whose first batch was not written, is one that nobody knows. A call that has ended, and whose end was not
 * written, is back: its caller's BYE is refused by its callee (481), which a real one would say to a ping.
 */
function settleLost(world: World): void {
  const { known, net } = world;
  for (const one of [...world.calls]) {
    const isKnown = known.has(one.call.callId);
    repeatLost(world, one);
    if (one.written === one.state || (one.written !== "none" && one.written !== "over" && one.state !== "over")) {
      assert.equal(isKnown, one.state !== "over", `a call that was ${one.written} by the file and is ${one.state}`);
    }
    const left = [...net.dialogs.list()].find(({ callId }) => callId === one.call.callId); // the copy of its BYE may have ended it
    if (one.state === "over" && left !== undefined) net.proxy.endDialog(left);
    if (!isKnown) world.calls.splice(world.calls.indexOf(one), 1);
    else if (one.state === "up") one.call.caller.send(one.call.fromCaller("ACK", 1)); // the callee repeats its 2xx until it comes
  }
}

/** Whoever sends a BYE repeats it for 32 s, to whatever life of the program: the other side has to get it, and the call counts nothing. */
function repeatLost({ nowMs }: World, one: Modelled): void {
  const { call, open, written } = one;
  one.open = undefined;
  if (open === undefined || written === "none" || nowMs - open.sentMs >= BYE_MS) return;
  const [from, to] = open.isCallees ? [call.callee, call.caller] : [call.caller, call.callee];
  from.send(open.bye);
  const isOf = (text: string): boolean => headerOf(text, "Call-ID") === call.callId;
  const copy = to.inbox.find((text) => text.startsWith("BYE") && isOf(text));
  assert.ok(copy, `a BYE that was lost ${nowMs - open.sentMs} ms ago gets there; the file has the call as ${written}`);
  to.send(responseTo(copy, 200));
  assert.ok(from.inbox.some((text) => text.startsWith("SIP/2.0 200") && isOf(text)));
}

/** The balancer knows the calls that are not over. */
function check({ net, calls, known }: World): void {
  const living = calls.filter(({ state }) => state !== "over");
  assert.deepEqual([...known].sort(), living.map(({ call }) => call.callId).sort());
  assert.deepEqual(net.loads, [living.length]);
}
