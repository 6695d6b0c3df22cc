import { defineMethod } from "../define-method.ts";
import type { FreeswitchFigures } from "../ports.ts";
import { FreeswitchServer } from "../shapes/destinations.ts";
import { listOf, members } from "../shapes/kinds.ts";

/** `load_balancer:freeswitch`: each FreeSWITCH that tells capacities, and what is known of it. Not in OpenSIPS. */
export const lbFreeswitch = defineMethod({
  name: "load_balancer:freeswitch",
  aliases: ["lb_freeswitch"],
  help: "lists each FreeSWITCH that tells capacities: its connection, the figures of its last heartbeat and their age, why it gets no calls",
  recipes: [[]],
  parameters: {},
  result: members({ FreeSWITCHes: listOf(FreeswitchServer, "the servers") }),
  offeredWith: "load_balancer.fetch_freeswitch_stats",
  details: "See [freeswitch.md](freeswitch.md#looking-at-it).",
  available: ({ freeswitch }) => freeswitch !== undefined,
  run(_params, { ports }) {
    return { FreeSWITCHes: (ports.freeswitch?.figures() ?? []).map(describe) };
  },
});

/** Flat, and with the same members for each, so that it can be shown as a table; what is not known is null. */
function describe(figures: FreeswitchFigures): object {
  const { heartbeatAgeMs, idleCpuPercent, callsPerSecond } = figures;
  return {
    url: figures.url,
    destinations: figures.destinations.join(","),
    connected: figures.isConnected ? "yes" : "no",
    statistics: figures.freshness,
    withdrawn: figures.withdrawal ?? "no",
    heartbeat_age: heartbeatAgeMs === undefined ? null : tenths(heartbeatAgeMs / 1000),
    idle_cpu: idleCpuPercent === undefined ? null : tenths(idleCpuPercent),
    sessions: figures.sessions ?? null,
    max_sessions: figures.maxSessions ?? null,
    calls: figures.ownCalls,
    sessions_per_call: Math.round(figures.sessionsPerCall * 100) / 100,
    calls_per_second: callsPerSecond ?? null,
    heartbeats: figures.heartbeats,
    bad_heartbeats: figures.badHeartbeats,
    refused_calls: figures.refusedCalls,
    connections: figures.connections,
    tries: figures.tries,
  };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
