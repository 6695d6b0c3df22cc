import fc from "fast-check";
import { LIFETIME_MS, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { type CalleePlan, type CallerPlan, SimCallee, SimCaller } from "../support/sim-ua.ts";
import { restartNames } from "../support/sip-messages.ts";
import { type Mutation, mutated, mutation } from "./mutations.ts";
import { processorMs, Slowest } from "./processor-time.ts";

const DESTINATIONS = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
/** Ticks of 10 ms. */
const SECOND = 100;
/** Messages of the past that a message may borrow lines from. */
const REMEMBERED = 40;

/** What happens to one message on its way to the proxy. */
interface Fate {
  /** None: it arrives as it is. */
  readonly mutations: readonly Mutation[];
  /** The true one comes behind the spoiled one. */
  readonly isFollowed: boolean;
  /** Comes from somebody else's address. */
  readonly isElsewhere: boolean;
}

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ mutations: [], isFollowed: false, isElsewhere: false }) },
  {
    weight: 4,
    arbitrary: fc.record({
      mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
      isFollowed: fc.boolean(),
      isElsewhere: fc.constantFrom(false, false, false, true),
    }),
  },
);

const maybe = (max: number): fc.Arbitrary<number | undefined> => fc.option(fc.nat(max), { nil: undefined });

const callee: fc.Arbitrary<CalleePlan> = fc.record({
  trying: fc.boolean(),
  ringAfter: maybe(4 * SECOND),
  answerAfter: fc.oneof(fc.nat(3 * SECOND), fc.nat(60 * SECOND)),
  status: fc.constantFrom(200, 200, 200, 200, 0, 302, 486, 503, 603),
  forks: fc.constantFrom(1, 1, 1, 2),
  ignoresCancel: fc.boolean(),
  byeAfter: maybe(60 * SECOND),
  byeStatus: fc.constantFrom(200, 481, 0),
  diesAfter: fc.constantFrom(undefined, undefined, undefined, 5 * SECOND),
});

const caller: fc.Arbitrary<CallerPlan> = fc.record({
  cancelAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(10 * SECOND) }),
  earlyByeAfter: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(6 * SECOND) }),
  byeAfter: maybe(60 * SECOND),
  reinviteAfter: maybe(20 * SECOND),
  acks: fc.constantFrom(true, true, true, false),
  byeStatus: fc.constantFrom(200, 481, 0),
  diesAfter: fc.constantFrom(undefined, undefined, undefined, 5 * SECOND),
});

/** Calls that go on at the same time, and what becomes of their messages: the next fate each, again from the first one after the last. */
const scene = fc.record({
  seed: fc.nat(),
  calls: fc.array(fc.record({ plan: caller, at: fc.nat(10 * SECOND) }), { minLength: 1, maxLength: 6 }),
  callees: fc.array(fc.array(callee, { minLength: 1, maxLength: 3 }), { minLength: DESTINATIONS.length, maxLength: DESTINATIONS.length }),
  capacity: fc.constantFrom(1, 2, 10),
  fates: fc.array(fate, { minLength: 5, maxLength: 40 }),
  faults: fc.constantFrom(undefined, undefined, { loss: 0.1, duplication: 0.2, delayTicks: 20 }),
});

type Scene = typeof scene extends fc.Arbitrary<infer Value> ? Value : never;

/** What a run found out. */
export interface SequenceReport {
  /** Messages that came to the proxy, and those of them that were spoiled. */
  readonly messages: number;
  readonly spoiled: number;
  readonly scenes: number;
  readonly slowestMs: number;
  readonly lookedAt: number;
}

/** A wire between user agents that know what to say, and a proxy that hears something else. */
class SpoilingNetwork extends SimNetwork {
  received = 0;
  spoiled = 0;
  #sent = 0;
  readonly #fates: readonly Fate[];
  readonly #said: string[] = [];
  readonly #took: (ms: number, index: number) => void;

  constructor(options: SimOptions, fates: readonly Fate[], took: (ms: number, index: number) => void) {
    super(options);
    this.#fates = fates;
    this.#took = took;
    const receive = this.proxy.receive.bind(this.proxy);
    this.proxy.receive = (text, source) => {
      const index = this.received++;
      this.#took(
        processorMs(() => receive(text, source)),
        index,
      );
    };
  }

  override toProxy(text: string, from: SimPeer): void {
    const { mutations, isFollowed, isElsewhere } = this.#fates[this.#sent % this.#fates.length]!;
    this.#said[this.#sent % REMEMBERED] = text;
    this.#sent++;
    if (mutations.length > 0) {
      this.spoiled++;
      super.toProxy(mutated(text, mutations, this.#said), isElsewhere ? this.peer("198.51.100.66") : from);
      if (!isFollowed) return;
    }
    super.toProxy(text, from);
  }
}

/** @param took told of each message: milliseconds of the processor and its number */
function play(each: Scene, took: (ms: number, index: number) => void): SpoilingNetwork {
  restartNames();
  const { seed, faults, capacity, calls, callees, fates } = each;
  const options = { seed, destinations: DESTINATIONS, resources: `pstn=${capacity}`, ...(faults === undefined ? {} : { faults }) };
  const net = new SpoilingNetwork(options, fates, took);
  for (const [i, address] of DESTINATIONS.entries()) new SimCallee(net, net.peer(address), callees[i]!);
  for (const [i, { plan, at }] of calls.entries()) {
    const ua = new SimCaller(net, net.peer(`198.51.100.${i + 1}`), plan);
    net.after(at + 1, () => ua.start());
  }
  for (let second = 0; second < 90; second++) {
    net.run(1_000);
    net.checkLoads();
  }
  net.run(LIFETIME_MS); // failovers take minutes
  net.finish();
  return net;
}

/**
 * Lets user agents make whole calls, several at a time, while messages are spoiled on their way: what follows depends on what was understood, so that the
 * proxy gets into every state with every kind of lie. No exception, true loads after each second, no message over `MAX_MS`, and nothing left in the end.
 *
 * @throws AssertionError, or what was thrown, with the seed
 */
export function fuzzSequences({ messages, seed }: { messages: number; seed: number }): SequenceReport {
  const slowest = new Slowest();
  const report = { messages: 0, spoiled: 0, scenes: 0 };
  while (report.messages < messages) {
    for (const each of fc.sample(scene, { seed: seed + report.scenes, numRuns: 1 })) {
      const where = (): string => `sequences from seed ${seed}, scene ${report.scenes + 1}`;
      try {
        const again = (index: number): number => {
          let last = 0;
          play(each, (ms, at) => {
            if (at === index) last = ms;
          });
          return last;
        };
        const net = play(each, (ms, index) => slowest.note(ms, () => again(index), where));
        report.messages += net.received;
        report.spoiled += net.spoiled;
      } catch (error) {
        throw new Error(`${where()}: ${String(error)}`, { cause: error });
      }
      report.scenes++;
    }
  }
  return { ...report, slowestMs: slowest.ms, lookedAt: slowest.lookedAt };
}
