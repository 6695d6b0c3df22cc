import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { context, type Span, type SpanOptions, trace } from "@opentelemetry/api";
import type { Router } from "../../src/proxy/index.ts";
import { withSpans } from "../../src/server/spans.ts";
import { settled } from "../support/settled.ts";
import { invite } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";

const ROUTER: Router = { request: (call) => void call.reply(486), failure: () => undefined, handles: () => true };

async function routed(opentelemetry: boolean): Promise<{ router: Router; warnings: string[] }> {
  const warnings: string[] = [];
  const warn = (_fields: object, message: string): void => void warnings.push(message);
  const tracing = { ring_size: 0, hep_url: null, hep_capture_id: 1, hep_auth_key: null, hep_skip_methods: [], opentelemetry };
  return { router: await withSpans(ROUTER, { tracing }, { debug() {}, info() {}, warn, error() {} }), warnings };
}

describe("tracing.opentelemetry", () => {
  it("changes nothing while it is off, and says so where nobody takes spans", async () => {
    assert.deepEqual(await routed(false), { router: ROUTER, warnings: [] });
    const { router, warnings } = await routed(true);
    assert.equal(router, ROUTER);
    assert.match(warnings[0] ?? "", /no OpenTelemetry SDK is loaded/);
  });

  it("gives each call to the SDK that is loaded, also when its sampler takes few of them", async () => {
    const told: string[] = [];
    const startSpan = (name: string, _options?: SpanOptions): Span => {
      const spanContext = () => ({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 0 });
      const span = {
        spanContext,
        isRecording: () => false,
        setAttributes: () => span,
        setStatus: () => span,
        end: () => void told.push(name),
      };
      return span as unknown as Span;
    };
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => undefined as never }) });
    try {
      const { router, warnings } = await routed(true);
      assert.deepEqual(warnings, []);
      const net = new SimNetwork({ router: () => router });
      invite(net).caller.take(486);
      await settled();
      assert.deepEqual(told, ["start", "INVITE"]);
    } finally {
      trace.disable();
      context.disable();
    }
  });
});
