import type { Config } from "../config/index.ts";
import { TracedRouter } from "../observability/traced-router.ts";
import type { Log, Router } from "../proxy/index.ts";
import { VERSION } from "../version.ts";

/**
 * The same router, with a span for each call where somebody takes spans: an OpenTelemetry SDK that was loaded before the program. Without one, or when they are
 * not wanted, it is the router itself, and nothing is loaded.
 */
export async function withSpans(router: Router, { tracing }: Pick<Config, "tracing">, log: Log): Promise<Router> {
  if (!tracing.opentelemetry) return router;
  const { context, isSpanContextValid, trace } = await import("@opentelemetry/api");
  const tracer = trace.getTracer("headroom", VERSION);
  const probe = tracer.startSpan("start");
  probe.end();
  // Whether it is recorded does not tell: a sampler that takes one call in a hundred most likely has not taken this one.
  if (!isSpanContextValid(probe.spanContext())) {
    log.warn({}, "tracing.opentelemetry is set, but no OpenTelemetry SDK is loaded that takes spans: want one by NODE_OPTIONS=--import");
    return router;
  }
  let hasFailed = false;
  return new TracedRouter({
    fault: (error) => {
      if (!hasFailed) log.error({ err: error }, "the OpenTelemetry SDK has failed: calls go on, further failures are not logged");
      hasFailed = true;
    },
    ...{ router, tracer, soon: (run) => void setImmediate(run), wallMs: Date.now },
    startInside: (parent, name, options) => tracer.startSpan(name, options, trace.setSpan(context.active(), parent)),
  });
}
