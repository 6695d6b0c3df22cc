import type { ProxyCall, Router } from "../proxy/ports.ts";
import type { SipResponse } from "../sip/index.ts";
import { Call } from "./call.ts";
import type { CallContext, CallEvent } from "./call-context.ts";
import type { RoutingPorts } from "./ports.ts";
import type { RouteHandler, RouteModule } from "./route-module.ts";
import { StatusPatterns } from "./status-set.ts";

/**
 * Lets a route module decide. A throw or rejection in request() and failure() is passed on: the proxy answers 500, logs it and
 * releases the leases. In reply(), which only observes, it is logged here and the call goes on.
 */
export function createScriptRouter(module: RouteModule, ports: RoutingPorts): Router {
  const methods = new Set(["INVITE", ...(module.methods ?? [])]);
  const patterns = new StatusPatterns();
  const { request, failure, reply } = module;

  function contextFor(proxyCall: ProxyCall, event: CallEvent, response?: SipResponse): CallContext {
    return { ...ports, proxyCall, event, response, patterns, decided: false, ended: false };
  }

  return {
    request: (proxyCall) => run(request, contextFor(proxyCall, "request")),
    failure: (proxyCall) => (failure ? run(failure, contextFor(proxyCall, "failure")) : undefined),
    ...(reply && { reply: (proxyCall: ProxyCall, response: SipResponse) => observe(reply, contextFor(proxyCall, "reply", response)) }),
    handles: (method) => methods.has(method),
  };
}

/** Runs a handler to its end and marks it; a promise is returned only when the handler returned one. */
function run(handler: RouteHandler, context: CallContext): void | Promise<void> {
  let result: unknown;
  try {
    result = handler(new Call(context));
  } catch (error) {
    context.ended = true;
    throw error;
  }
  if (isThenable(result)) return settle(result, context);
  context.ended = true;
}

async function settle(result: PromiseLike<unknown>, context: CallContext): Promise<void> {
  try {
    await result;
  } finally {
    context.ended = true;
  }
}

function observe(handler: RouteHandler, context: CallContext): void {
  try {
    const running = run(handler, context);
    if (running) running.catch((error: unknown) => logFault(context, error));
  } catch (error) {
    logFault(context, error);
  }
}

function logFault({ log, proxyCall }: CallContext, err: unknown): void {
  log.error({ callId: proxyCall.callId, err }, "The script's reply() failed; the call goes on");
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
