import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import type { ManagedDialog, ManagementPorts } from "../../src/management/index.ts";

/** Ports of a management server under test, with what happened to them. */
export interface FakePorts extends ManagementPorts {
  readonly balancer: Balancer;
  readonly calls: ManagedDialog[];
  readonly ended: (readonly [string, readonly (readonly [string, string])[] | undefined])[];
  readonly resets: string[];
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[];
}

/** The table of the recorded server. */
export const ROWS = [
  row(1, 1, "sip:127.0.0.21:5080", "transcoding=10;conference=5", "id=1"),
  row(2, 1, "sip:127.0.0.22:5080", "transcoding=20", "id=2"),
  row(3, 2, "sip:127.0.0.23:5080", "conference=7", undefined),
];

export function row(id: number, group: number, uri: string, resources: string, attrs: string | undefined): DestinationRow {
  const ip = uri.replace(/^sip:|:\d+$/g, "");
  const addresses = [{ ip, port: 5080, transport: "udp" }] as const;
  return { id, group, uri, resources: parseResources(resources), probeMode: 0, attrs, description: undefined, addresses };
}

export function fakePorts(overrides: Partial<Omit<ManagementPorts, "balancer">> = {}): FakePorts {
  const balancer = new Balancer({ below: () => 0 });
  balancer.replaceTable(ROWS);
  const calls: ManagedDialog[] = [];
  const ended: [string, readonly (readonly [string, string])[] | undefined][] = [];
  const resets: string[] = [];
  const logged: FakePorts["logged"] = [];
  function logAt(level: string) {
    return (fields: object, message: string) => void logged.push({ level, fields: { ...fields }, message });
  }
  return {
    balancer,
    calls,
    ended,
    resets,
    logged,
    dialogs: {
      list: () => calls,
      byDid: (did) => calls.find((dialog) => dialog.did === did),
      byCallId: (callId, fromTag) =>
        calls.find((dialog) => dialog.callId === callId && (fromTag === undefined || dialog.fromTag === fromTag)),
      get size() {
        return calls.length;
      },
    },
    reload: async () => void balancer.replaceTable(ROWS),
    endDialog: (dialog, extraHeaders) => void ended.push([dialog.did, extraHeaders]),
    statistics: () => ({
      dialog: { active_dialogs: 3, processed_dialogs: 17 },
      tm: { received_replies: 40 },
      load_balancer: { starts: 17 },
    }),
    resetStatistic: (group, name) => void resets.push(`${group}:${name}`),
    processes: () => [{ ID: 0, PID: process.pid, Type: "SIP receiver udp:127.0.0.1:5060" }],
    startedAtMs: Date.UTC(2026, 10, 21, 23, 42, 1),
    nowMs: () => Date.UTC(2026, 10, 21, 23, 44, 8),
    version: "0.1.0",
    log: { info: logAt("info"), warn: logAt("warn"), error: logAt("error") },
    ...overrides,
  };
}

/** A confirmed call that counts on the given cells. */
export function fakeDialog(did: string, callId: string, leases: readonly number[], overrides: Partial<ManagedDialog> = {}): ManagedDialog {
  const listener = { transport: "udp", address: "127.0.1.5", port: 5060, family: 4, sentByFor: () => "127.0.1.5:5060" } as const;
  return {
    did,
    callId,
    state: 4,
    flags: 0,
    fromTag: `from-${did}`,
    fromUri: "sip:alice@example.org",
    toUri: "sip:bob@example.org",
    startedAtMs: Date.UTC(2026, 10, 21, 23, 43, 0),
    expiresAtMs: Date.UTC(2026, 10, 22, 11, 43, 0),
    callerContact: "sip:alice@127.0.0.1:5070",
    callerRouteSet: [],
    callerCseq: 1,
    calleeCseq: 0,
    callerEndpoint: { transport: "udp", address: "127.0.0.1", port: 5070, listener },
    calleeEndpoint: { transport: "udp", address: "127.0.0.21", port: 5080, listener },
    legs: [{ tag: `to-${did}`, contact: "sip:bob@127.0.0.21:5080", routeSet: ["<sip:10.0.0.1;lr>"], cseq: 0, state: "confirmed" }],
    load: { leases },
    ...overrides,
  };
}
