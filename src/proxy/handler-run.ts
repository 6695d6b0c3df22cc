import type { SipResponse } from "../sip/index.ts";
import type { Timer, TimerOwner } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import type { ProxyCall } from "./ports.ts";

/** How long a handler may take before the caller is answered 500: Timer C of the hop before us is longer. */
const HANDLER_TIMEOUT_MS = 30_000;

/** Which handler of the router. */
export type Handler = "request" | "failure";

/** The request that handlers run for. */
export interface HandledRequest extends ProxyCall {
  /** A final response was sent, or kept back on purpose. */
  readonly isAnswered: boolean;
  /** The handler has begun something that takes time. */
  handlerWaits(): void;
  /** The handler came to its end and nothing was decided. */
  handlerEnded(handler: Handler): void;
  /** The handler threw, rejected, or takes too long. */
  handlerFailed(error: unknown): void;
}

/** Runs the handlers of the router for one request and waits for their decision. */
export class HandlerRun implements TimerOwner {
  /** The present handler has said what becomes of the request: who carries that out sets it. */
  decided = false;
  readonly #core: ProxyCore;
  readonly #request: HandledRequest;
  /** Which run is the present one: what an earlier one does when it comes to its end decides nothing. */
  #turn = 0;
  #timer: Timer | undefined;

  constructor(core: ProxyCore, request: HandledRequest) {
    this.#core = core;
    this.#request = request;
  }

  start(handler: Handler): void {
    this.decided = false;
    const turn = ++this.#turn;
    let outcome: void | Promise<void>;
    try {
      outcome = this.#core.router[handler](this.#request);
    } catch (error) {
      this.#request.handlerFailed(error);
      return;
    }
    if (!(outcome instanceof Promise)) {
      this.#end(handler, turn);
      return;
    }
    this.#request.handlerWaits();
    const { nowMs, wheel } = this.#core;
    wheel.cancel(this.#timer);
    const timer = wheel.schedule(HANDLER_TIMEOUT_MS, this, 0, nowMs());
    this.#timer = timer;
    outcome.then(
      () => {
        wheel.cancel(timer);
        this.#end(handler, turn);
      },
      (error: unknown) => {
        wheel.cancel(timer);
        this.#request.handlerFailed(error);
      },
    );
  }

  /** Nobody waits for a decision any more. */
  stop(): void {
    if (this.#timer !== undefined) this.#timer = this.#core.wheel.cancel(this.#timer);
  }

  timerFired(): void {
    this.#timer = undefined;
    if (this.decided || this.#request.isAnswered) return; // it may take its time for whatever else it does
    this.#request.handlerFailed(new Error(`Cannot wait longer for the route handler: no decision within ${HANDLER_TIMEOUT_MS} ms`));
  }

  #end(handler: Handler, turn: number): void {
    if (turn === this.#turn && !this.decided) this.#request.handlerEnded(handler);
  }
}

/** What the handlers read of a response, for as long as they are asked about it. */
export interface ObservedCall extends ProxyCall {
  response: SipResponse | undefined;
  status: number;
}

/** Runs the handler that sees a response pass; its faults are its own. */
export function runReply({ router, counters, log }: ProxyCore, call: ObservedCall, response: SipResponse): void {
  const { status, response: before } = call;
  call.status = response.status;
  call.response = response;
  try {
    router.reply?.(call, response);
  } catch (error) {
    counters.script_errors++;
    log.error({ callId: call.callId, err: error }, "reply handler failed: the response passes all the same");
  }
  call.status = status;
  call.response = before;
}
