import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManagementServer, type FreeswitchFigures, type ManagementPorts } from "../../src/management/index.ts";
import { fakePorts } from "./fake-ports.ts";

const KNOWN: FreeswitchFigures = {
  url: "fs://lb@192.0.2.10:8021",
  destinations: [1, 4],
  isConnected: true,
  freshness: "fresh",
  withdrawal: "paused",
  heartbeatAgeMs: 1234,
  idleCpuPercent: 81.54,
  sessions: 12,
  maxSessions: 200,
  ownCalls: 3,
  sessionsPerCall: 1.987,
  callsPerSecond: 29,
  heartbeats: 7,
  badHeartbeats: 1,
  refusedCalls: 2,
  connections: 1,
  tries: 4,
};
const UNKNOWN: FreeswitchFigures = {
  ...KNOWN,
  isConnected: false,
  freshness: "initial",
  withdrawal: undefined,
  heartbeatAgeMs: undefined,
  idleCpuPercent: undefined,
  sessions: undefined,
  maxSessions: undefined,
  callsPerSecond: undefined,
};

/** What a method answers with these FreeSWITCHes. */
async function answerOf(method: string, freeswitch: ManagementPorts["freeswitch"]): Promise<Record<string, unknown>> {
  const server = await createManagementServer(
    { ...fakePorts(), ...(freeswitch && { freeswitch }) },
    { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] },
  );
  try {
    const reply = await fetch(`${server.url}/mi`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method }),
    });
    return (await reply.json()) as Record<string, unknown>;
  } finally {
    await server.close();
  }
}

describe("lb_freeswitch", () => {
  it("lists what is known of each, with the same members for all", async () => {
    const { result } = await answerOf("lb_freeswitch", { stateOf: () => undefined, figures: () => [KNOWN, UNKNOWN] });
    const known = {
      url: "fs://lb@192.0.2.10:8021",
      destinations: "1,4",
      connected: "yes",
      statistics: "fresh",
      withdrawn: "paused",
      heartbeat_age: 1.2,
      idle_cpu: 81.5,
      sessions: 12,
      max_sessions: 200,
      calls: 3,
      sessions_per_call: 1.99,
      calls_per_second: 29,
      heartbeats: 7,
      bad_heartbeats: 1,
      refused_calls: 2,
      connections: 1,
      tries: 4,
    };
    const unknown = {
      ...known,
      connected: "no",
      statistics: "initial",
      withdrawn: "no",
      heartbeat_age: null,
      idle_cpu: null,
      sessions: null,
      max_sessions: null,
      calls_per_second: null,
    };
    assert.deepEqual(result, { FreeSWITCHes: [known, unknown] });
  });

  it("is not there when no FreeSWITCH is asked for its load", async () => {
    const { error } = await answerOf("load_balancer:freeswitch", undefined);
    assert.equal((error as { code: number }).code, -32601);
  });
});

describe("lb_list with FreeSWITCHes", () => {
  it("has a member for what there is to say, and none otherwise", async () => {
    for (const state of ["paused", undefined] as const) {
      const { result } = await answerOf("lb_list", { stateOf: () => state, figures: () => [] });
      const { Destinations } = result as { Destinations: Record<string, unknown>[] };
      assert.ok(Destinations.length > 0);
      for (const destination of Destinations) assert.equal(destination["freeswitch"], state);
    }
  });
});
