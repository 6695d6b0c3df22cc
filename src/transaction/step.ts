/**
 * The four state machines of RFC 3261 §17 with the Accepted state of RFC 6026, as pure functions.
 *
 * A step takes a state and an event and returns the next state with the actions to carry out, packed into one number:
 * the low four bits are the state, each action is a bit above them. Nothing is allocated on the path of a message,
 * and every rule of the RFC is tested without a socket or a clock. `ClientTransaction` and `ServerTransaction` carry the actions out.
 */
export const State = { Calling: 1, Trying: 2, Proceeding: 3, Accepted: 4, Completed: 5, Confirmed: 6, Terminated: 7 } as const;
export type State = (typeof State)[keyof typeof State];

const STATE_MASK = 0xf;

/** What a step asks for, besides the next state. */
export const Act = {
  /** Send the message of the event for the first time: a response of the TU, or nothing else. */
  Send: 1 << 4,
  /** Send again what was sent last. */
  Resend: 1 << 5,
  /** Hand the response, or the ACK, to the transaction user. */
  Pass: 1 << 6,
  /** Send the ACK of a non-2xx final response (RFC 3261 §17.1.1.3). */
  SendAck: 1 << 7,
  /** Tell the transaction user that nobody answered in time. */
  ReportTimeout: 1 << 8,
  ReportTransportError: 1 << 9,
  /** Start the retransmission timer (A, E or G) from its first value. */
  StartRetransmit: 1 << 10,
  /** Start it again with twice the interval, E and G not above T2. */
  DoubleRetransmit: 1 << 11,
  /** Start it again with T2 (Timer E in Proceeding). */
  RetransmitAtT2: 1 << 12,
  StopRetransmit: 1 << 13,
  /** Start the timer that ends the wait for an answer (B or F, H for the ACK). */
  StartTimeout: 1 << 14,
  StopTimeout: 1 << 15,
  /** Start the timer that lets late copies be absorbed (D, I, J, K, L or M). */
  StartLinger: 1 << 16,
} as const;

/** What can happen to a transaction. */
export const On = {
  /** The same request came again, or a new server transaction's first. */
  Request: 1,
  /** Response 1xx: received by a client transaction, or sent by the TU of a server transaction. */
  Provisional: 2,
  /** Response 2xx. */
  Success: 3,
  /** Response 300–699. */
  Failure: 4,
  Ack: 5,
  /** Timer A, E or G. */
  Retransmit: 6,
  /** Timer B, F or H. */
  Timeout: 7,
  /** Timer D, I, J, K, L or M. */
  Linger: 8,
  TransportError: 9,
} as const;
export type On = (typeof On)[keyof typeof On];

export function stateOf(step: number): State {
  return (step & STATE_MASK) as State;
}

/** INVITE client transaction, RFC 3261 §17.1.1.2 with RFC 6026 §8.4. @param reliable the transport repeats for us (TCP, TLS, WebSocket) */
export function inviteClientStep(state: State, event: On, _reliable: boolean): number {
  switch (state) {
    case State.Calling:
      switch (event) {
        case On.Retransmit:
          return state | Act.Resend | Act.DoubleRetransmit;
        case On.Timeout:
          return State.Terminated | Act.ReportTimeout;
        case On.Provisional:
          return State.Proceeding | Act.Pass | Act.StopRetransmit | Act.StopTimeout;
        case On.Success:
          return State.Accepted | Act.Pass | Act.StopRetransmit | Act.StopTimeout | Act.StartLinger;
        case On.Failure:
          return State.Completed | Act.Pass | Act.SendAck | Act.StopRetransmit | Act.StopTimeout | Act.StartLinger;
        case On.TransportError:
          return State.Terminated | Act.ReportTransportError;
        default:
          return state;
      }
    case State.Proceeding:
      switch (event) {
        case On.Provisional:
          return state | Act.Pass;
        case On.Success:
          return State.Accepted | Act.Pass | Act.StartLinger;
        case On.Failure:
          return State.Completed | Act.Pass | Act.SendAck | Act.StartLinger;
        default:
          return state; // a transport error of an old copy: the peer has answered already
      }
    case State.Completed:
      // Copies of the final response are acknowledged and kept from the TU. An error of sending the ACK changes nothing for it either.
      if (event === On.Failure) return state | Act.SendAck;
      return event === On.Linger ? State.Terminated : state;
    case State.Accepted: // copies and forks of the 2xx all go to the TU, RFC 6026 §8.4
      if (event === On.Success) return state | Act.Pass;
      return event === On.Linger ? State.Terminated : state;
    default:
      return state;
  }
}

/** Non-INVITE client transaction, RFC 3261 §17.1.2.2. */
export function clientStep(state: State, event: On, _reliable: boolean): number {
  switch (state) {
    case State.Trying:
    case State.Proceeding:
      switch (event) {
        case On.Retransmit:
          return state | Act.Resend | (state === State.Trying ? Act.DoubleRetransmit : Act.RetransmitAtT2);
        case On.Timeout:
          return State.Terminated | Act.ReportTimeout;
        case On.Provisional:
          return State.Proceeding | Act.Pass;
        case On.Success:
        case On.Failure:
          return State.Completed | Act.Pass | Act.StopRetransmit | Act.StopTimeout | Act.StartLinger;
        case On.TransportError:
          return State.Terminated | Act.ReportTransportError;
        default:
          return state;
      }
    case State.Completed:
      return event === On.Linger ? State.Terminated : state;
    default:
      return state;
  }
}

/** INVITE server transaction, RFC 3261 §17.2.1 with RFC 6026 §8.5 and §8.7. */
export function inviteServerStep(state: State, event: On, reliable: boolean): number {
  switch (state) {
    case State.Proceeding:
      switch (event) {
        case On.Request:
          return state | Act.Resend;
        case On.Provisional:
          return state | Act.Send;
        case On.Success:
          return State.Accepted | Act.Send | Act.StartLinger;
        case On.Failure:
          return State.Completed | Act.Send | Act.StartTimeout | (reliable ? 0 : Act.StartRetransmit);
        default:
          return state;
      }
    case State.Accepted: // the TU repeats the 2xx; copies of the INVITE are absorbed
      if (event === On.Success) return state | Act.Send;
      if (event === On.Ack) return state | Act.Pass;
      return event === On.Linger ? State.Terminated : state;
    case State.Completed:
      switch (event) {
        case On.Request:
          return state | Act.Resend;
        case On.Retransmit:
          return state | Act.Resend | Act.DoubleRetransmit;
        case On.Ack:
          return State.Confirmed | Act.StopRetransmit | Act.StopTimeout | Act.StartLinger;
        case On.Timeout:
          return State.Terminated | Act.ReportTimeout;
        case On.Linger: // of an INVITE that is never answered: there is no ACK to wait for
          return State.Terminated;
        default:
          return state;
      }
    case State.Confirmed:
      return event === On.Linger ? State.Terminated : state;
    default:
      return state;
  }
}

/** Non-INVITE server transaction, RFC 3261 §17.2.2. */
export function serverStep(state: State, event: On, _reliable: boolean): number {
  switch (state) {
    case State.Trying:
    case State.Proceeding:
      switch (event) {
        case On.Request: // Trying has nothing to repeat
          return state | (state === State.Proceeding ? Act.Resend : 0);
        case On.Provisional:
          return State.Proceeding | Act.Send;
        case On.Success:
        case On.Failure:
          return State.Completed | Act.Send | Act.StartLinger;
        default:
          return state;
      }
    case State.Completed:
      if (event === On.Request) return state | Act.Resend;
      return event === On.Linger ? State.Terminated : state; // further final responses are discarded
    default:
      return state;
  }
}
