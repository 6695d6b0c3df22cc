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
  const { context, trace } = await import("@opentelemetry/api");
  const tracer = trace.getTracer("headroom", VERSION);
  const probe = tracer.startSpan("start");
  const isTaken = probe.isRecording();
  probe.end();
  if (!isTaken) {
    log.warn({}, "tracing.opentelemetry is set, but no OpenTelemetry SDK is loaded that takes spans: want one by NODE_OPTIONS=--import");
    return router;
  }
  return new TracedRouter({
    ...{ router, tracer, soon: (run) => void setImmediate(run), wallMs: Date.now },
    startInside: (parent, name, options) => tracer.startSpan(name, options, trace.setSpan(context.active(), parent)),
  });
}
