import { Balancer, CallLoad, Looks } from "../../src/balancer/index.ts";
import { Distributor } from "../../src/distributor/index.ts";
import { explain, type ProbeFigures, whatIf } from "../../src/health/index.ts";
import type { AuditView, CapturedMessageView, ClusterPort, FreeswitchFigures, ManagementPorts } from "../../src/management/index.ts";
import type { BindingView } from "../../src/registrar/index.ts";
import { dispatchPorts } from "./dispatch-ports.ts";
import { type FakePorts, fakeDialog, fakePorts, ROWS } from "./fake-ports.ts";

/** Call-ID of the call that {@link fullPorts} has. */
export const CALL_ID = "a84b4c76e66710@pc33.example.org";

const URI = "sip:127.0.0.21:5080";
const LISTS = [
  {
    name: "test",
    nodes: [
      { name: "foo1", weight: 1 },
      { name: "foo2", weight: 2 },
    ],
  },
];

/** What is remembered of a call that found its first destination down. */
function looksOfCall(): Looks {
  const looks = new Looks(4, () => 7);
  const balancer = new Balancer({ below: () => 0, looks });
  balancer.replaceTable(ROWS);
  const load = new CallLoad();
  load.callId = CALL_ID;
  balancer.start(load, 1, "transcoding", "r");
  balancer.next(load);
  return looks;
}

/** Ports of a server that offers every method, with a call that has been placed and one of everything else. */
export function fullPorts(): FakePorts {
  const ports = fakePorts();
  const { balancer } = ports;
  const load = new CallLoad();
  balancer.start(load, 1, "transcoding");
  ports.calls.push(fakeDialog("did1", CALL_ID, load.leases));
  const looks = looksOfCall();
  const lists = new Distributor({}, LISTS);
  const more: Partial<ManagementPorts> = {
    distributor: { lists, reload: () => lists.reload(LISTS) },
    dispatch: dispatchPorts("1 sip:192.0.2.1 8 0 duid=one\n1 sip:192.0.2.2 0\n").dispatch,
    drains: {
      begin: () => true,
      undo: () => "undone",
      overrule: () => undefined,
      of: (destination) => (destination.id === 2 ? { load: 3, deadlineMs: 1_700_000_000_000, bye: true } : undefined),
    },
    probes: () => [PROBE, { ...PROBE, id: 2, lastStatus: 0, lastAtMs: 0, latency: { ...PROBE.latency, samples: 0 } }],
    registrations: () => [REGISTRATION],
    freeswitch: { stateOf: ({ id }) => (id === 1 ? "stale" : undefined), figures: () => [FREESWITCH] },
    cluster: CLUSTER,
    breakers: () => [{ id: 1, group: 1, uri: URI, phase: "open", calls: 10, failures: 6, trialsWanted: 3 }],
    bans: { list: () => [{ source: "192.0.2.1", ageMs: 61_900, leftMs: 58_100, refused: 7 }], lift: () => true },
    audit: async () => AUDIT,
    explain: (callId) => explain(looks, callId, (atMs) => new Date(atMs).toISOString()),
    whatIf: (group, resources, flags) => whatIf(balancer, group, resources, flags),
    capture: async () => ({ messages: [MESSAGE], omitted: 1, oldest: MESSAGE.time }),
    restart: async () => 4711,
  };
  return Object.assign(ports, more);
}

const PROBE: ProbeFigures = {
  ...{ id: 1, group: 1, uri: URI, probeMode: 2, enabled: true, probed: true, sent: 12, lastStatus: 200, lastAtMs: 1_700_000_000_000 },
  streak: 1,
  latency: { last: 1.23456, average: 2, ewma: 2.5, max: 10, samples: 11, timeouts: 1 },
  capacityShare: 0.55,
};

const REGISTRATION: BindingView = {
  ...{ id: 1, key: "fs", group: 1, uri: URI, account: "*", user: "media-1", contact: URI, state: "active", cause: undefined, expiresS: 87 },
  source: { address: "192.0.2.2", port: 5080, transport: "udp" },
};

const FREESWITCH: FreeswitchFigures = {
  ...{ url: "fs://lb@192.0.2.10:8021", destinations: [1], isConnected: true, freshness: "stale", withdrawal: "stale" },
  ...{ heartbeatAgeMs: 61_000, idleCpuPercent: undefined, sessions: 12, maxSessions: 1_000, ownCalls: 5, sessionsPerCall: 2 },
  ...{ callsPerSecond: 30, heartbeats: 9, badHeartbeats: 0, refusedCalls: 0, connections: 1, tries: 2 },
};

const MESSAGE: CapturedMessageView = {
  ...{ time: "2026-11-21T23:44:08.000Z", direction: "in", transport: "udp", local: "192.0.2.1:5060", remote: "192.0.2.9:5060" },
  message: "INVITE sip:bob@example.org SIP/2.0\r\n\r\n",
};

const AUDIT: AuditView = {
  calls: 7,
  durationMs: 1.6,
  differences: [
    { id: 1, group: 1, uri: URI, resource: "transcoding", counted: 3, actual: 2 },
    { pool: "a", resource: undefined, counted: 5, actual: 4 },
  ],
  freeswitch: [{ url: "fs://lb@192.0.2.10:8021", sessions: undefined, calls: 5, isShort: false }],
};

const CLUSTER: ClusterPort = {
  ...{ clusterId: 1, nodeId: 1, loadSharing: "shared", redis: "connected", rttMs: 0.65, unsyncedStatuses: 0, unsyncedDialogs: 0 },
  nodes: () =>
    [1, 2].map((nodeId) => ({
      ...{ nodeId, isSelf: nodeId === 1, isAlive: nodeId === 1, version: "0.1.0", sip: ["udp:192.0.2.1:5060"], epoch: 3 },
      ...{ managementUrl: "http://192.0.2.1:8888/mi", startedAtMs: 1_700_000_000_500, lastSeenMs: 1_700_000_009_500 },
    })),
  tags: () => [
    { tag: "vip", cluster: 1, state: "active", owner: 1, epoch: 2 },
    { tag: "spare", cluster: 1, state: "backup", epoch: 0 },
  ],
  capabilities: () => [{ name: "load_balancer-status-repl", isSynced: true }],
  setTagActive: async () => undefined,
  broadcast: async () => [
    { nodeId: 1, result: "OK" },
    { nodeId: 2, error: { code: 500, message: "Failed to reload", data: "no route" } },
  ],
  send: async () => ({ result: "OK" }),
};
