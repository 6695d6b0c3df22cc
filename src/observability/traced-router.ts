import type { Attributes, Span, Tracer } from "@opentelemetry/api";
import type { ProxyCall, Router, TargetGuard } from "../proxy/index.ts";
import type { SipResponse } from "../sip/index.ts";

/** As the constants of `@opentelemetry/api` number them, which is loaded by those alone who want spans. */
const SERVER_KIND = 1;
const CLIENT_KIND = 2;
const ERROR = 2;
/** From here on it was the fault of a server that a call was not made; a callee who is busy is none. */
const FIRST_SERVER_FAULT = 500;

/** What is read of a request beyond what the routing floor sees: what it was answered, 0 while it was not. */
export type TracedCall = ProxyCall & { readonly isAnswered?: boolean; readonly finalStatus?: number };

/** The spans of a call that is not decided yet. */
interface CallSpans {
  readonly call: Span;
  /** Where the call was sent, and what failed there or rings. */
  attempt: Span | undefined;
  /** What a handler seems to have decided: whether it has is known a moment later, or by what becomes of it. */
  next: { readonly atMs: number; readonly attributes: Attributes } | undefined;
}

export interface TracedRouterPorts {
  readonly router: Router;
  readonly tracer: Tracer;
  /** Spans that begin inside the given one. */
  readonly startInside: (parent: Span, name: string, options: { kind: number; startTime: number; attributes: Attributes }) => Span;
  /** Runs something behind what is being done. */
  readonly soon: (run: () => void) => void;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Is told of what the tracer has thrown: the program that it is loaded into is not its to stop. */
  readonly fault: (error: unknown) => void;
}

/**
 * Tells OpenTelemetry of each initial INVITE: a span from its coming to its final response, and inside it one for each destination that it is sent to. The
 * router behind it decides everything.
 */
export class TracedRouter implements Router {
  readonly #ports: TracedRouterPorts;
  readonly #open = new WeakMap<ProxyCall, CallSpans>();

  constructor(ports: TracedRouterPorts) {
    this.#ports = ports;
  }

  request(call: TracedCall): void | Promise<void> {
    const { router } = this.#ports;
    if (call.request.method !== "INVITE") return router.request(call);
    this.#quietly(() => this.#begun(call));
    return this.#then(call, router.request(call));
  }

  failure(call: TracedCall): void | Promise<void> {
    this.#quietly(() => this.#failed(call));
    return this.#then(call, this.#ports.router.failure(call));
  }

  reply(call: TracedCall, response: SipResponse): void {
    this.#ports.router.reply?.(call, response);
    this.#quietly(() => this.#passes(call, response));
  }

  rejected(call: TracedCall): void {
    this.#ports.router.rejected?.(call);
    this.#quietly(() => this.#look(call));
  }

  handles(method: string): boolean {
    return this.#ports.router.handles(method);
  }

  get guard(): TargetGuard | undefined {
    return this.#ports.router.guard;
  }

  #begun(call: TracedCall): void {
    const { callId, requestUri, source } = call;
    const span = this.#ports.tracer.startSpan("INVITE", { kind: SERVER_KIND });
    this.#open.set(call, { call: span, attempt: undefined, next: undefined });
    span.setAttributes({
      "sip.call_id": callId,
      "sip.request_uri": requestUri,
      "network.transport": source.transport,
      "network.peer.address": source.address,
      "network.peer.port": source.port,
    });
  }

  #failed(call: TracedCall): void {
    const spans = this.#open.get(call);
    if (spans === undefined) return;
    this.#begin(spans);
    const { status, failureCause } = call;
    spans.attempt?.setAttributes({ "sip.status_code": status, ...(failureCause !== undefined && { "headroom.failure": failureCause }) });
    spans.attempt?.setStatus({ code: ERROR, message: `${failureCause ?? ""} ${status}`.trim() });
    spans.attempt?.end();
    spans.attempt = undefined;
  }

  #passes(call: TracedCall, { status }: SipResponse): void {
    const spans = this.#open.get(call);
    if (spans === undefined) return;
    this.#begin(spans);
    if (status < 200) (spans.attempt ?? spans.call).addEvent(`${status}`);
    else if (status < 300) this.#soon(() => this.#look(call)); // it is on its way, but not there yet
  }

  /** A handler has decided, or will have. */
  #then(call: TracedCall, outcome: void | Promise<void>): void | Promise<void> {
    if (outcome instanceof Promise) return outcome.finally(() => this.#quietly(() => this.#decided(call)));
    this.#quietly(() => this.#decided(call));
  }

  #quietly(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#ports.fault(error);
    }
  }

  #soon(run: () => void): void {
    this.#ports.soon(() => this.#quietly(run));
  }

  #decided(call: TracedCall): void {
    const spans = this.#open.get(call);
    if (spans === undefined) return;
    const { load, destinationUri, failovers } = call;
    const { destination, session } = load;
    const attributes = {
      "headroom.attempt": failovers + 1,
      "headroom.next_hop": destinationUri ?? call.requestUri,
      ...(destination !== undefined && { "headroom.destination.id": destination.id, "headroom.destination.uri": destination.uri }),
      ...(session !== undefined && { "headroom.group": session.group, "headroom.resources": session.resources }),
    };
    spans.next = { atMs: this.#ports.wallMs(), attributes };
    this.#soon(() => {
      if (call.isAnswered !== true) this.#begin(spans);
      this.#look(call);
    });
  }

  /** The call was sent where a handler wanted it to go. */
  #begin(spans: CallSpans): void {
    const { next } = spans;
    if (next === undefined) return;
    spans.next = undefined;
    spans.attempt?.end();
    spans.attempt = this.#ports.startInside(spans.call, "attempt", {
      kind: CLIENT_KIND,
      startTime: next.atMs,
      attributes: next.attributes,
    });
  }

  /** Ends the spans of a call that is decided by now. */
  #look(call: TracedCall): void {
    const spans = this.#open.get(call);
    if (spans === undefined || call.isAnswered !== true) return;
    this.#open.delete(call);
    const status = call.finalStatus ?? 0;
    if (status > 0 && status < 300) spans.attempt?.setAttribute("sip.status_code", status);
    spans.attempt?.end();
    spans.call.setAttributes({ "sip.status_code": status, "headroom.failovers": call.failovers });
    if (status >= FIRST_SERVER_FAULT) spans.call.setStatus({ code: ERROR, message: `${status}` });
    spans.call.end();
  }
}
