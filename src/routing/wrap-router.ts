import type { ProxyCall, Router } from "../proxy/ports.ts";

/** A router that does as another one, apart from the handlers that are given. */
export function wrapRouter(router: Router, handlers: Partial<Pick<Router, "request" | "failure">>): Router {
  const { reply } = router;
  return {
    request: handlers.request ?? ((call: ProxyCall) => router.request(call)),
    failure: handlers.failure ?? ((call: ProxyCall) => router.failure(call)),
    ...(reply && { reply: (call, response) => reply.call(router, call, response) }),
    ...(router.guard && { guard: router.guard }),
    handles: (method) => router.handles(method),
  };
}
