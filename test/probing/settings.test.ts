import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeReply } from "../../src/health/index.ts";
import { dispatchProbeSettings, type ProbingKeys, probeSettings, slowStartMs } from "../../src/probing/index.ts";

function keys(method = "OPTIONS"): ProbingKeys {
  return {
    load_balancer: {
      probing_interval: 30,
      probing_method: method,
      probing_from: "sip:prober@localhost",
      probing_reply_codes: [404, "5xx", "486, 480"],
      probing_verbose: true,
    },
    tm: { fr_timeout: 5 },
  };
}

describe("probeSettings()", () => {
  it("turns seconds into milliseconds and does as OpenSIPS does without keys of health", () => {
    const { accepted, ...settings } = probeSettings(keys());
    assert.deepEqual(settings, {
      intervalMs: 30_000,
      fastIntervalMs: 0,
      jitter: 0,
      method: "OPTIONS",
      from: "sip:prober@localhost",
      verbose: true,
      rise: 1,
      fall: 1,
      timeoutMs: 5_000,
    });
    assert.deepEqual(
      [404, 503, 486, 480, 403].map((status) => judgeReply(status, accepted)),
      ["good", "good", "good", "good", "bad"],
    );
    assert.equal(slowStartMs(keys()), 0);
  });

  it("takes the keys of health", () => {
    const health = { rise: 2, fall: 3, jitter: 0.1, fast_interval: 2, slow_start: 60 };
    const { rise, fall, jitter, fastIntervalMs } = probeSettings({ ...keys(), health });
    assert.deepEqual({ rise, fall, jitter, fastIntervalMs }, { rise: 2, fall: 3, jitter: 0.1, fastIntervalMs: 2_000 });
    assert.equal(slowStartMs({ ...keys(), health }), 60_000);
  });

  for (const method of ["INVITE", "ACK", "CANCEL"]) {
    it(`refuses to probe with ${method}`, () => {
      assert.throws(
        () => probeSettings(keys(method)),
        new RegExp(`^RangeError: Cannot probe with method "${method}": want one such as "OPTIONS"`),
      );
    });
  }
});

describe("dispatchProbeSettings()", () => {
  const dispatcher = {
    ds_ping_interval: 10,
    ds_ping_method: "INFO",
    ds_ping_from: "sip:dispatcher@localhost",
    ds_ping_latency_stats: 1,
    outbound_proxy: null,
  };
  it("turns seconds into milliseconds; with interval 0 nobody is probed", () => {
    assert.deepEqual(dispatchProbeSettings({ dispatcher, tm: { fr_timeout: 5 } }), {
      intervalMs: 10_000,
      jitter: 0,
      method: "INFO",
      from: "sip:dispatcher@localhost",
      timeoutMs: 5_000,
      isMeasured: true,
      outboundProxy: undefined,
    });
    assert.equal(dispatchProbeSettings({ dispatcher: { ...dispatcher, ds_ping_interval: 0 }, tm: { fr_timeout: 5 } }), undefined);
  });
  it("refuses to probe with INVITE", () => {
    assert.throws(
      () => dispatchProbeSettings({ dispatcher: { ...dispatcher, ds_ping_method: "INVITE" }, tm: { fr_timeout: 5 } }),
      /^RangeError: Cannot probe with method "INVITE"/,
    );
  });
});
