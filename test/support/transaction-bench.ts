import assert from "node:assert/strict";
import { parseMessage, type SipRequest, type SipResponse } from "../../src/sip/index.ts";
import {
  type ClientTransaction,
  type ClientUser,
  type Endpoint,
  type Listener,
  type SendOwner,
  type ServerTransaction,
  TICK_MS,
  TimerWheel,
  TransactionLayer,
  type TransactionUser,
} from "../../src/transaction/index.ts";
import { FakeClock } from "./fake-clock.ts";
import { request, statusOf } from "./sip-messages.ts";

/** One message that went out. */
export interface Sent {
  readonly atMs: number;
  readonly text: string;
  readonly to: Endpoint;
  readonly owner: SendOwner | undefined;
}

export type Transport = Endpoint["transport"];

const OUR_ADDRESS = "192.0.2.1";

function listener(transport: Transport): Listener {
  return { transport, address: OUR_ADDRESS, port: 5060, family: 4, sentByFor: () => `${OUR_ADDRESS}:5060` };
}

/** A peer. */
export function endpoint(address = "192.0.2.9", port = 5060, transport: Transport = "udp"): Endpoint {
  return { transport, address, port, listener: listener(transport) };
}

/** Parsed, and certain to be a request. */
export function asRequest(text: string): SipRequest {
  const message = parseMessage(text);
  assert.equal(message.kind, "request", text);
  return message as SipRequest;
}

/** What a client transaction told its user, in order. */
export class RecordingUser implements ClientUser {
  readonly responses: SipResponse[] = [];
  readonly timeouts: ClientTransaction[] = [];
  readonly errors: string[] = [];

  response(_transaction: ClientTransaction, response: SipResponse): void {
    this.responses.push(response);
  }

  timeout(transaction: ClientTransaction): void {
    this.timeouts.push(transaction);
  }

  transportError(_transaction: ClientTransaction, reason: string): void {
    this.errors.push(reason);
  }

  get statuses(): number[] {
    return this.responses.map(({ status }) => status);
  }
}

/** A transaction layer between a wire that only records, a clock that only moves when told to, and a TU that only records. */
export class TransactionBench implements TransactionUser {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly layer: TransactionLayer;
  readonly sent: Sent[] = [];
  /** What the TU was given. */
  readonly transactions: ServerTransaction[] = [];
  readonly acks: SipRequest[] = [];
  readonly strays: SipResponse[] = [];
  readonly cancels: SipRequest[] = [];
  readonly unacknowledged: ServerTransaction[] = [];
  /** What timer owners threw. */
  readonly faults: unknown[] = [];
  /** What the TU does with a new request, besides keeping it. */
  onRequest: (transaction: ServerTransaction) => void = () => undefined;
  #tokens = 0;

  constructor(options: { startMs?: number; maxServerTransactions?: number } = {}) {
    this.clock = new FakeClock(options.startMs ?? 0);
    this.wheel = new TimerWheel(this.clock.nowMs, (error) => this.faults.push(error));
    this.layer = new TransactionLayer({
      wire: { send: (text, to, owner) => this.sent.push({ atMs: this.clock.nowMs, text, to, owner }) },
      wheel: this.wheel,
      chance: { token: () => `token${++this.#tokens}` },
      nowMs: this.clock.now,
      ...(options.maxServerTransactions === undefined ? {} : { maxServerTransactions: options.maxServerTransactions }),
    });
    this.layer.user = this;
  }

  request(transaction: ServerTransaction): void {
    this.transactions.push(transaction);
    transaction.user = {
      cancel: (cancel) => this.cancels.push(cancel),
      ackTimeout: () => this.unacknowledged.push(transaction),
    };
    this.onRequest(transaction);
  }

  ack(ack: SipRequest): void {
    this.acks.push(ack);
  }

  strayResponse(response: SipResponse): void {
    this.strays.push(response);
  }

  /** A message from the wire. @returns whether it could be parsed */
  receive(text: string, source: Endpoint = endpoint()): boolean {
    const message = parseMessage(text);
    if (message.kind === "malformed") return false;
    this.layer.receive(message as SipRequest | SipResponse, source);
    return true;
  }

  /** Receives a new request. @returns the server transaction that the TU got for it */
  accept(text: string, source: Endpoint = endpoint()): ServerTransaction {
    const before = this.transactions.length;
    this.receive(text, source);
    assert.equal(this.transactions.length, before + 1, "the request MUST be passed to the TU");
    return this.transactions[before]!;
  }

  /** Sends a request of `method` with its own branch. */
  send(
    method: string,
    options: { transport?: Transport; timeoutMs?: number; branch?: string; text?: string } = {},
  ): { transaction: ClientTransaction; user: RecordingUser; text: string; target: Endpoint } {
    const user = new RecordingUser();
    const target = endpoint("192.0.2.20", 5070, options.transport ?? "udp");
    const branch = options.branch ?? `z9hG4bKbench${this.#tokens++}`;
    const text = options.text ?? request({ method, branch, sentBy: `${OUR_ADDRESS}:5060` });
    const transaction = this.layer.send({ text, method, branch, target, timeoutMs: options.timeoutMs ?? 32_000 }, user);
    return { transaction, user, text, target };
  }

  /** Time passes; the wheel is advanced at each tick. */
  advance(ms: number): void {
    const untilMs = this.clock.nowMs + ms;
    while (this.clock.nowMs + TICK_MS <= untilMs) {
      this.clock.advance(TICK_MS);
      this.wheel.advance(this.clock.nowMs);
    }
    this.clock.advance(untilMs - this.clock.nowMs);
    this.wheel.advance(this.clock.nowMs);
  }

  /** When `text` went out, in milliseconds since the start. */
  timesOf(text: string): number[] {
    return this.sent.filter((message) => message.text === text).map(({ atMs }) => atMs);
  }

  /** Status codes of the responses that went out, 0 for a request. */
  get statuses(): number[] {
    return this.sent.map(({ text }) => statusOf(text));
  }

  get lastSent(): Sent {
    const last = this.sent.at(-1);
    assert.ok(last !== undefined, "nothing was sent");
    return last;
  }

  /** Asserts that nothing is left: no transaction, no timer, no fault. */
  assertNothingLeft(): void {
    assert.deepEqual(
      { servers: this.layer.serverCount, clients: this.layer.clientCount, timers: this.wheel.pending, faults: this.faults },
      { servers: 0, clients: 0, timers: 0, faults: [] },
    );
  }
}

/** Times from 0 to `untilMs` at the intervals, the last of which repeats. */
export function timesAt(intervalsMs: readonly number[], untilMs: number): number[] {
  const times = [0];
  for (let i = 0, at = 0; ; i++) {
    at += intervalsMs[Math.min(i, intervalsMs.length - 1)]!;
    if (at >= untilMs) return times;
    times.push(at);
  }
}
