import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Act, clientStep, inviteClientStep, inviteServerStep, On, State, serverStep, stateOf } from "../../src/transaction/step.ts";

type StateName = keyof typeof State;
type EventName = keyof typeof On;
type ActName = keyof typeof Act;
/** What an event leads to: the next state and the actions. Events that are not named change nothing. */
type Table = Partial<Record<StateName, Partial<Record<EventName, readonly [StateName, ...ActName[]]>>>>;

interface Machine {
  readonly section: string;
  readonly step: (state: State, event: On, reliable: boolean) => number;
  readonly unreliable: Table;
  /** Where a reliable transport differs. */
  readonly reliable?: Table;
}

const MACHINES: readonly Machine[] = [
  {
    section: "INVITE client transaction, RFC 3261 §17.1.1.2 figure 5 with RFC 6026 §8.4",
    step: inviteClientStep,
    unreliable: {
      Calling: {
        Retransmit: ["Calling", "Resend", "DoubleRetransmit"],
        Timeout: ["Terminated", "ReportTimeout"],
        TransportError: ["Terminated", "ReportTransportError"],
        Provisional: ["Proceeding", "Pass", "StopRetransmit", "StopTimeout"],
        Success: ["Accepted", "Pass", "StopRetransmit", "StopTimeout", "StartLinger"],
        Failure: ["Completed", "Pass", "SendAck", "StopRetransmit", "StopTimeout", "StartLinger"],
      },
      Proceeding: {
        Provisional: ["Proceeding", "Pass"],
        Success: ["Accepted", "Pass", "StartLinger"],
        Failure: ["Completed", "Pass", "SendAck", "StartLinger"],
      },
      Completed: { Failure: ["Completed", "SendAck"], Linger: ["Terminated"] },
      Accepted: { Success: ["Accepted", "Pass"], Linger: ["Terminated"] },
    },
  },
  {
    section: "non-INVITE client transaction, RFC 3261 §17.1.2.2 figure 6",
    step: clientStep,
    unreliable: {
      Trying: {
        Retransmit: ["Trying", "Resend", "DoubleRetransmit"],
        Timeout: ["Terminated", "ReportTimeout"],
        TransportError: ["Terminated", "ReportTransportError"],
        Provisional: ["Proceeding", "Pass"],
        Success: ["Completed", "Pass", "StopRetransmit", "StopTimeout", "StartLinger"],
        Failure: ["Completed", "Pass", "StopRetransmit", "StopTimeout", "StartLinger"],
      },
      Proceeding: {
        Retransmit: ["Proceeding", "Resend", "RetransmitAtT2"],
        Timeout: ["Terminated", "ReportTimeout"],
        TransportError: ["Terminated", "ReportTransportError"],
        Provisional: ["Proceeding", "Pass"],
        Success: ["Completed", "Pass", "StopRetransmit", "StopTimeout", "StartLinger"],
        Failure: ["Completed", "Pass", "StopRetransmit", "StopTimeout", "StartLinger"],
      },
      Completed: { Linger: ["Terminated"] },
    },
  },
  {
    section: "INVITE server transaction, RFC 3261 §17.2.1 figure 7 with RFC 6026 §8.5 and §8.7",
    step: inviteServerStep,
    unreliable: {
      Proceeding: {
        Request: ["Proceeding", "Resend"],
        Provisional: ["Proceeding", "Send"],
        Success: ["Accepted", "Send", "StartLinger"],
        Failure: ["Completed", "Send", "StartTimeout", "StartRetransmit"],
      },
      Accepted: { Success: ["Accepted", "Send"], Ack: ["Accepted", "Pass"], Linger: ["Terminated"] },
      Completed: {
        Request: ["Completed", "Resend"],
        Retransmit: ["Completed", "Resend", "DoubleRetransmit"],
        Ack: ["Confirmed", "StopRetransmit", "StopTimeout", "StartLinger"],
        Timeout: ["Terminated", "ReportTimeout"],
        Linger: ["Terminated"],
      },
      Confirmed: { Linger: ["Terminated"] },
    },
    reliable: { Proceeding: { Failure: ["Completed", "Send", "StartTimeout"] } },
  },
  {
    section: "non-INVITE server transaction, RFC 3261 §17.2.2 figure 8",
    step: serverStep,
    unreliable: {
      Trying: {
        Provisional: ["Proceeding", "Send"],
        Success: ["Completed", "Send", "StartLinger"],
        Failure: ["Completed", "Send", "StartLinger"],
      },
      Proceeding: {
        Request: ["Proceeding", "Resend"],
        Provisional: ["Proceeding", "Send"],
        Success: ["Completed", "Send", "StartLinger"],
        Failure: ["Completed", "Send", "StartLinger"],
      },
      Completed: { Request: ["Completed", "Resend"], Linger: ["Terminated"] },
    },
  },
];

const STATES = Object.keys(State) as StateName[];
const EVENTS = Object.keys(On) as EventName[];

function read(step: number): [StateName, ...ActName[]] {
  const state = STATES.find((name) => State[name] === stateOf(step));
  assert.ok(state !== undefined, `step ${step} has no state`);
  const acts = (Object.keys(Act) as ActName[]).filter((name) => (step & Act[name]) !== 0);
  return [state, ...acts.sort()];
}

for (const { section, step, unreliable, reliable } of MACHINES) {
  describe(section, () => {
    for (const state of STATES) {
      it(`takes each event in ${state} as the figure says, and no other`, () => {
        for (const event of EVENTS) {
          for (const isReliable of [false, true]) {
            const rule = (isReliable ? reliable?.[state]?.[event] : undefined) ?? unreliable[state]?.[event] ?? [state];
            const want = [rule[0], ...rule.slice(1).sort()];
            assert.deepEqual(read(step(State[state], On[event], isReliable)), want, `${event}, reliable: ${isReliable}`);
          }
        }
      });
    }

    it("never leaves Terminated", () => {
      for (const event of EVENTS) assert.equal(step(State.Terminated, On[event], false), State.Terminated, event);
    });

    it("reaches Terminated from every state that it can be in", () => {
      for (const state of Object.keys(unreliable) as StateName[]) {
        const seen = new Set<number>([State[state]]);
        for (const from of seen) for (const event of EVENTS) seen.add(stateOf(step(from as State, On[event], false)));
        assert.ok(seen.has(State.Terminated), state);
      }
    });
  });
}

describe("a step", () => {
  it("is one number that holds the state and each action apart", () => {
    const bits = Object.values(Act);
    assert.equal(new Set(bits).size, bits.length);
    for (const bit of bits) {
      assert.equal(bit & (bit - 1), 0, "one bit");
      assert.equal(stateOf(bit), 0, "above the state");
    }
    assert.ok(Math.max(...Object.values(State)) < 16);
  });
});
