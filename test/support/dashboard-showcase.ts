import type { FedDestination, FedFigures } from "./dashboard-server.ts";
import { seededRandom } from "./random.ts";

type Load = FedDestination["loads"][number];

const FIRST_MS = Date.UTC(2026, 0, 2, 9, 30);

/** A middling farm on a working day with something of everything: what the pictures of the documents show. */
export function showcase(): FedFigures {
  const chance = seededRandom(11);
  const row = (
    id: number,
    group: number,
    uri: string,
    resources: readonly string[],
    loads: Load[],
    more: Partial<FedDestination> = {},
  ): FedDestination => ({
    ...{ id, group, uri, attrs: null, resources, probe: 2, status: "up", why: "", loads, drain: null, factor: 1 },
    ...{ probeMs: 2 + (id % 5) * 0.7, probeAvgMs: 2.4 + (id % 4) * 0.6, lastCode: 200 },
    ...more,
  });
  const destinations = [
    row(
      1,
      1,
      "sip:media-1.example.net:5060",
      ["channels", "transcoding"],
      [
        [212, 300, 300, 96, 0],
        [18, 32, 32, 7, 0],
      ],
      { attrs: "rack=a1" },
    ),
    row(
      2,
      1,
      "sip:media-2.example.net:5060",
      ["channels", "transcoding"],
      [
        [207, 300, 300, 101, 0],
        [32, 32, 32, 12, 0],
      ],
      { attrs: "rack=a2" },
    ),
    row(
      3,
      1,
      "sip:media-3.example.net:5060",
      ["channels", "transcoding"],
      [
        [143, 300, 300, 60, 0],
        [9, 32, 32, 2, 0],
      ],
      {
        attrs: "rack=b1",
        status: "draining",
        why: "143 of its load are left, and no new calls come",
        drain: { load: 143, deadline: null },
      },
    ),
    row(
      4,
      1,
      "sip:media-4.example.net:5060",
      ["channels", "transcoding"],
      [
        [61, 90, 300, 20, 0],
        [3, 10, 32, 1, 0],
      ],
      { attrs: "rack=b2", factor: 0.3, why: "It starts slowly, with 30 % of its capacity" },
    ),
    row(
      5,
      1,
      "sip:media-5.example.net:5060",
      ["channels", "transcoding"],
      [
        [0, 300, 300, 0, 0],
        [0, 32, 32, 0, 0],
      ],
      { attrs: "rack=c1", status: "probing", why: "The last probe was not answered", probeMs: null, lastCode: 408 },
    ),
    row(6, 2, "sip:conference-1.example.net", ["conference"], [[319, 400, 400, 150, 22]], { attrs: "freeswitch" }),
    row(7, 2, "sip:conference-2.example.net", ["conference"], [[188, 400, 400, 70, 0]], { attrs: "freeswitch" }),
    row(8, 2, "sip:conference-3.example.net", ["conference"], [[12, 400, 400, 4, 0]], {
      attrs: "freeswitch",
      status: "withdrawn",
      why: "Its FreeSWITCH is paused",
    }),
    row(9, 10, "sip:carrier-north.example.com", ["pstn"], [[87, 120, 120, 40, 0]], {
      probe: 0,
      probeMs: null,
      probeAvgMs: null,
      lastCode: null,
    }),
    row(10, 10, "sip:carrier-south.example.com", ["pstn"], [[112, 120, 120, 51, 0]], {
      probe: 0,
      probeMs: null,
      probeAvgMs: null,
      lastCode: null,
    }),
    row(11, 10, "sip:carrier-west.example.com", ["pstn"], [[30, 60, 60, 14, 0]], {
      status: "resting",
      why: "14 s are left of the rest that it asked for by a 503 with Retry-After",
      probe: 0,
      probeMs: null,
      probeAvgMs: null,
      lastCode: null,
    }),
    row(12, 10, "sip:carrier-old.example.com", ["pstn"], [[0, 60, 60, 0, 0]], {
      status: "disabled",
      why: "An operator has disabled it",
      probe: 0,
      probeMs: null,
      probeAvgMs: null,
      lastCode: null,
    }),
  ];
  const sum = (group: number, name: string): [number, number] =>
    destinations.reduce<[number, number]>(
      ([load, max], { group: own, resources, loads, status }) => {
        const found = own === group ? loads[resources.indexOf(name)] : undefined;
        return found === undefined ? [load, max] : [load + found[0] + found[4], max + (status === "up" ? found[1] : 0)];
      },
      [0, 0],
    );
  const wave = (at: number, length: number): number => Math.sin((at / 1000 / length) * 2 * Math.PI);
  const event = (minutes: number, name: string, params: Record<string, unknown>): Record<string, unknown> => {
    return { id: `show-${minutes}`, event: name, at: new Date(Date.now() - minutes * 60_000).toISOString(), params };
  };
  const node = (id: number, more: object): object => ({
    id,
    alive: true,
    self: false,
    url: `http://10.0.0.1${id}:8888/mi`,
    sip: [`udp:10.0.0.1${id}:5060`],
    version: "0.1.0",
    lastSeen: Date.now(),
    ...more,
  });
  let failovers = 118;
  return {
    hello: { node: 1, by: "anna", needsToken: true },
    groups: [{ id: 1 }, { id: 2 }, { id: 10 }],
    destinations,
    history: 595,
    change() {
      for (const { loads, status } of destinations) {
        if (status === "probing" || status === "disabled") continue;
        for (const load of loads) {
          if (load[0] < load[1]) load[0] = Math.max(load[3], Math.min(load[1] - 1, load[0] + Math.floor(chance() * 5) - 2));
        }
      }
    },
    totals: (at) => {
      const cps = Math.max(0, Math.round(14 + 4 * wave(at, 240) + 3 * (chance() - 0.5)));
      const lost = wave(at, 610) > 0.93 ? Math.floor(chance() * 4) : 0;
      failovers += chance() < 0.006 ? 1 + Math.floor(chance() * 3) : 0;
      return {
        ...{ at, calls: Math.round(1240 + 160 * wave(at, 560) + 12 * chance()), early: 21, cps, failovers, refused: 0 },
        decisions: { "1": 1_284_114, "-1": 0, "-2": 214, "-3": 0, "-4": 0 },
        decisionsPerSecond: { "1": cps, "-1": 0, "-2": lost, "-3": 0, "-4": 0 },
        ...{ lagMs: 0.4 + 0.5 * chance() + (chance() < 0.02 ? 3 : 0), memoryMb: 164 },
        cluster: {
          ...{ node: 1, redis: "connected", rttMs: 0.6 },
          nodes: [node(1, { self: true }), node(2, {}), node(3, { alive: false, lastSeen: Date.now() - 1_900_000 })],
          tags: [
            { tag: "vip/1", state: "active", owner: 1 },
            { tag: "trunk/1", state: "backup", owner: 2 },
          ],
        },
        groups: {
          "1": { channels: sum(1, "channels"), transcoding: sum(1, "transcoding") },
          "2": { conference: sum(2, "conference") },
          "10": { pstn: sum(10, "pstn") },
        },
      };
    },
    events: [
      event(31, "E_CLUSTERER_NODE_STATE_CHANGED", { cluster_id: 1, node_id: 3, new_state: 0 }),
      event(22, "E_LOAD_BALANCER_STATUS", { id: 5, group: 1, uri: "sip:media-5.example.net:5060", status: "disabled", cause: "probe" }),
      event(14, "E_LOAD_BALANCER_STATUS", { id: 4, group: 1, uri: "sip:media-4.example.net:5060", status: "enabled", cause: "probe" }),
      event(6, "E_MANAGEMENT_CHANGE", { by: "anna", client: "10.0.0.77", method: "load_balancer:drain", params: "[3]", outcome: "done" }),
      event(5.9, "E_LOAD_BALANCER_DRAIN", { id: 3, group: 1, uri: "sip:media-3.example.net:5060", change: "started", load: 201 }),
      event(3, "E_LOAD_BALANCER_HEADROOM", { group: 10, resource: "pstn", state: "raised", free: 11, capacity: 300, free_percent: 4 }),
      event(0.3, "E_LOAD_BALANCER_REST", { id: 11, group: 10, uri: "sip:carrier-west.example.com", seconds: 30 }),
    ],
    methods: METHODS,
  };
}

const CALL_ID = "a84b4c76e66710@gw.example.com";
const looked = (id: number, load: number, max: number, more: object): object => ({
  ...{ id, uri: `sip:media-${id}.example.net:5060`, Resources: [{ name: "transcoding", load, max, slot: max - load }], score: max - load },
  ...more,
});
const lower = { skipped: "lower-score", reason: "it could take the call, but another one has more free" };
const message = (ms: number, direction: string, remote: string, first: string): object => ({
  ...{ time: new Date(FIRST_MS + ms).toISOString(), direction, transport: "udp", local: "10.0.0.11:5060", remote },
  message: `${first}\r\nCall-ID: ${CALL_ID}\r\nCSeq: 1 ${first.includes("BYE") ? "BYE" : "INVITE"}\r\n${first.startsWith("INVITE") || first.includes("200 OK") ? "Content-Type: application/sdp\r\n" : ""}\r\n`,
});

const METHODS = {
  lb_explain: {
    Decisions: [
      {
        ...{ at: new Date(FIRST_MS).toISOString(), attempt: 1, group: 1, resources: "transcoding", flags: "", code: 1 },
        ...{ summary: "destination 1 <sip:media-1.example.net:5060> was chosen with score 14", chosen: 1 },
        Destinations: [
          looked(1, 18, 32, { chosen: true }),
          looked(2, 32, 32, { skipped: "full", reason: "it has no free slot" }),
          looked(3, 9, 32, { skipped: "draining", reason: "it is drained" }),
          looked(4, 3, 10, lower),
        ],
      },
      {
        ...{ at: new Date(FIRST_MS + 204).toISOString(), attempt: 2, group: 1, resources: "transcoding", flags: "", code: 1 },
        ...{ summary: "destination 4 <sip:media-4.example.net:5060> was chosen with score 7", chosen: 4 },
        Destinations: [
          looked(1, 18, 32, { skipped: "tried", reason: "this call has tried it before" }),
          looked(4, 3, 10, { chosen: true }),
        ],
      },
    ],
  },
  capture: {
    Messages: [
      message(0, "in", "198.51.100.7:5060", "INVITE sip:+15550100@headroom.example.net SIP/2.0"),
      message(1, "out", "198.51.100.7:5060", "SIP/2.0 100 Giving a try"),
      message(2, "out", "10.0.1.1:5060", "INVITE sip:+15550100@10.0.1.1 SIP/2.0"),
      message(201, "in", "10.0.1.1:5060", "SIP/2.0 503 Service Unavailable"),
      message(204, "out", "10.0.1.4:5060", "INVITE sip:+15550100@10.0.1.4 SIP/2.0"),
      message(410, "in", "10.0.1.4:5060", "SIP/2.0 180 Ringing"),
      message(411, "out", "198.51.100.7:5060", "SIP/2.0 180 Ringing"),
      message(3800, "in", "10.0.1.4:5060", "SIP/2.0 200 OK"),
      message(3801, "out", "198.51.100.7:5060", "SIP/2.0 200 OK"),
      message(3830, "in", "198.51.100.7:5060", "ACK sip:+15550100@10.0.1.4 SIP/2.0"),
    ],
  },
  dlg_find: {
    Dialogs: Array.from({ length: 12 }, (_, i) => ({
      ...{ ID: `${i}`, callid: i === 0 ? CALL_ID : `${(i * 7919).toString(36)}c76e66710@gw.example.com`, state: i < 2 ? 2 : 4 },
      ...{
        from_uri: `sip:+1555010${i}@gw.example.com`,
        to_uri: `sip:+1555020${i}@headroom.example.net`,
        timestart: Math.floor(Date.now() / 1000) - i * 37,
      },
      destinations: [{ id: 1 + (i % 4), uri: `sip:media-${1 + (i % 4)}.example.net:5060`, resources: ["channels"] }],
    })),
  },
  audit_log: {
    Changes: [
      {
        serial: 1,
        by: "ben",
        client: "10.0.0.78",
        method: "load_balancer:resize",
        params: '["10","pstn","120"]',
        outcome: "done",
        at: new Date(FIRST_MS - 9e6).toISOString(),
      },
      {
        serial: 2,
        by: "wall",
        client: "10.0.0.90",
        method: "load_balancer:status",
        params: "[2,0]",
        outcome: "forbidden",
        reason: "it is a viewer",
        at: new Date(FIRST_MS - 5e6).toISOString(),
      },
      {
        serial: 3,
        by: "anna",
        client: "10.0.0.77",
        method: "load_balancer:drain",
        params: "[3]",
        outcome: "done",
        at: new Date(FIRST_MS).toISOString(),
      },
    ],
  },
  lb_drain: "OK",
  lb_undrain: "OK",
  lb_status: "OK",
  lb_resize: "OK",
};
