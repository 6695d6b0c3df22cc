import type { ProbeFigures } from "../../health/index.ts";
import { defineMethod } from "../define-method.ts";
import { Probe } from "../shapes/destinations.ts";
import { listOf, members } from "../shapes/kinds.ts";
import { dateTime } from "../time-text.ts";

/** `load_balancer:probes`: what probing has shown of each destination with a probe mode, in id order. Not in OpenSIPS. */
export const lbProbes = defineMethod({
  name: "load_balancer:probes",
  aliases: ["lb_probes"],
  help: "lists the destinations that are probed, with the last result and the latency of their replies in milliseconds",
  recipes: [[]],
  parameters: {},
  result: members({ Probes: listOf(Probe, "destinations that are probed, in id order") }),
  details: "See [Probing](health.md#what-probing-shows).",
  available: ({ probes }) => probes !== undefined,
  run(_params, { ports }) {
    return { Probes: (ports.probes?.() ?? []).map(describe) };
  },
});

/** Flat, and with the same members for each, so that it can be shown as a table. A latency without a sample is null. */
function describe({
  id,
  group,
  uri,
  probeMode,
  enabled,
  probed,
  sent,
  lastStatus,
  lastAtMs,
  streak,
  latency,
  capacityShare,
}: ProbeFigures): object {
  const measured = (ms: number): number | null => (latency.samples > 0 ? rounded(ms) : null);
  return {
    id,
    group,
    uri,
    probe_mode: probeMode,
    enabled: enabled ? "yes" : "no",
    probed: probed ? "yes" : "no",
    sent,
    last_code: lastStatus > 0 ? lastStatus : null,
    last_at: lastAtMs > 0 ? dateTime(lastAtMs) : null,
    streak,
    last_ms: measured(latency.last),
    average_ms: measured(latency.average),
    ewma_ms: measured(latency.ewma),
    max_ms: measured(latency.max),
    timeouts: latency.timeouts,
    capacity_percent: Math.round(capacityShare * 100),
  };
}

/** Microseconds are all that the clock of a probe is good for. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
