import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { readParams } from "../../src/cli/mi.ts";
import { formatResult } from "../../src/cli/mi-format.ts";
import { type ClusterPort, createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { type FakePorts, fakePorts } from "./fake-ports.ts";
import { call, post } from "./raw-http.ts";
import { readTranscript } from "./transcript.ts";

let server: ManagementServer | undefined;
afterEach(() => server?.close());

const STARTED_MS = 1_700_000_000_500;

function node(nodeId: number, isAlive = true) {
  return {
    nodeId,
    isSelf: nodeId === 1,
    isAlive,
    version: "0.1.0",
    sip: [`udp:192.0.2.${nodeId}:5060`],
    managementUrl: `http://192.0.2.${nodeId}:8888/mi`,
    startedAtMs: STARTED_MS,
    lastSeenMs: STARTED_MS + 9_000,
    epoch: 3,
  };
}

/** A cluster of this node alone, unless a test says otherwise. */
function fakeCluster(overrides: Partial<ClusterPort> = {}): ClusterPort & { readonly asked: unknown[][] } {
  const asked: unknown[][] = [];
  return {
    asked,
    clusterId: 1,
    nodeId: 1,
    loadSharing: "shared",
    redis: "connected",
    rttMs: 0.6543,
    unsyncedStatuses: 0,
    unsyncedDialogs: 0,
    nodes: () => [node(1)],
    tags: () => [],
    capabilities: () => [],
    setTagActive: async (tag) => void asked.push(["active", tag]),
    async broadcast(method, params, by) {
      asked.push(["broadcast", method, params, by]);
      return [
        { nodeId: 1, result: "OK" },
        { nodeId: 2, error: { code: 500, message: "Failed to reload" } },
      ];
    },
    async send(nodeId, method, params, by) {
      asked.push(["send", nodeId, method, params, by]);
      return nodeId === 2 ? { result: "OK" } : undefined;
    },
    ...overrides,
  };
}

async function start(cluster: ClusterPort | undefined): Promise<FakePorts> {
  const ports = fakePorts({ cluster });
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  return ports;
}

async function errorOf(method: string, params: unknown): Promise<unknown> {
  const { body } = await post(server!.url, JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
  return (JSON.parse(body) as { error?: unknown }).error;
}

const METHODS = ["clusterer_list", "clusterer_list_cap", "clusterer_list_shtags", "list_shtags", "cluster_send_mi", "cluster_broadcast_mi"];

describe("the methods of a cluster", () => {
  it("are not offered by a node alone, whose lb_list does not speak of it", async () => {
    await start(undefined);
    const names = (await call(server!.url, "which")) as string[];
    assert.deepEqual(
      names.filter((name) => name.startsWith("cluster") || name === "list_shtags"),
      [],
    );
    for (const method of METHODS) assert.deepEqual(await errorOf(method, []), { code: -32601, message: "Method not found" });
    assert.deepEqual(Object.keys((await call(server!.url, "lb_list")) as object), ["Destinations"]);
  });

  for (const name of ["clusterer_list", "clusterer_list_cap"]) {
    it(`answer ${name} as OpenSIPS when there is nothing to list`, async () => {
      await start(fakeCluster());
      const { body, recorded } = readTranscript(name);
      assert.equal((await post(server!.url, body)).body, recorded?.body);
    });
  }

  it("are listed by which under OpenSIPS's names, in its order", async () => {
    await start(fakeCluster());
    const names = (await call(server!.url, "which")) as string[];
    assert.deepEqual(
      names.filter((name) => name.startsWith("clusterer:")),
      ["list", "send_mi", "broadcast_mi", "list_cap", "list_shtags", "shtag_set_active"].map((name) => `clusterer:${name}`),
    );
  });
});

describe("clusterer_list", () => {
  it("lists the others with OpenSIPS's members first, those that are gone as Down", async () => {
    await start(fakeCluster({ nodes: () => [node(1), node(2), node(3, false)] }));
    const more = { version: "0.1.0", started: 1_700_000_000, last_seen: 1_700_000_009, epoch: 3 };
    assert.equal(
      JSON.stringify(await call(server!.url, "clusterer_list")),
      JSON.stringify({
        Clusters: [
          {
            cluster_id: 1,
            Nodes: [
              {
                node_id: 2,
                db_id: 2,
                url: "http://192.0.2.2:8888/mi",
                link_state: "Up",
                next_hop: "2",
                description: "none",
                sip: ["udp:192.0.2.2:5060"],
                ...more,
              },
              {
                node_id: 3,
                db_id: 3,
                url: "http://192.0.2.3:8888/mi",
                link_state: "Down",
                next_hop: "none",
                description: "none",
                sip: ["udp:192.0.2.3:5060"],
                ...more,
              },
            ],
          },
        ],
      }),
    );
  });
});

describe("clusterer_list_cap", () => {
  it("tells what is shared and whether all of it is here", async () => {
    const capabilities = [
      { name: "load_balancer-status-repl", isSynced: true },
      { name: "dialog-dlg-repl", isSynced: false },
    ];
    await start(fakeCluster({ capabilities: () => capabilities }));
    assert.equal(
      JSON.stringify(await call(server!.url, "clusterer_list_cap")),
      '{"Clusters":[{"cluster_id":1,"Capabilities":[{"name":"load_balancer-status-repl","state":"Ok"},{"name":"dialog-dlg-repl","state":"not synced"}]}]}',
    );
  });
});

describe("sharing tags", () => {
  it("are listed as in OpenSIPS, with their owner and epoch behind it", async () => {
    const tags = [
      { tag: "vip", cluster: 1, state: "active", owner: 1, epoch: 4 },
      { tag: "b", cluster: 1, state: "backup", epoch: 0 },
    ] as const;
    await start(fakeCluster({ tags: () => tags }));
    const want = '[{"Tag":"vip","Cluster":1,"State":"active","Owner":1,"Epoch":4},{"Tag":"b","Cluster":1,"State":"backup","Epoch":0}]';
    for (const name of ["list_shtags", "clusterer_list_shtags", "clusterer:list_shtags"])
      assert.equal(JSON.stringify(await call(server!.url, name)), want);
  });

  it("become active by name and cluster", async () => {
    const cluster = fakeCluster();
    await start(cluster);
    assert.equal(await call(server!.url, "clusterer_shtag_set_active", { tag: "vip/1" }), "OK");
    assert.equal(await call(server!.url, "clusterer_shtag_set_active", [" b / 1 "]), "OK");
    assert.deepEqual(cluster.asked, [
      ["active", "vip"],
      ["active", "b"],
    ]);
  });

  const cases: [tag: unknown, error: object][] = [
    ["vip", { code: 400, message: "Bad tag format <name/cluster_id>" }],
    ["/1", { code: 400, message: "Bad tag format <name/cluster_id>" }],
    [`${"x".repeat(65)}/1`, { code: 400, message: "Bad tag format <name/cluster_id>" }],
    ["vip/", { code: 400, message: "Bad cluster ID in tag" }],
    ["vip/one", { code: 400, message: "Bad cluster ID in tag" }],
    ["vip/1=active", { code: 400, message: "Bad cluster ID in tag" }],
    ["vip/2", { code: 404, message: "Cluster ID not found" }],
    [["vip/1"], { code: -32602, message: "Invalid params", data: "Bad type for parameter 'tag'" }],
  ];
  for (const [tag, error] of cases) {
    it(`do not become active by ${JSON.stringify(tag).slice(0, 20)}`, async () => {
      const cluster = fakeCluster();
      await start(cluster);
      assert.deepEqual([await errorOf("clusterer_shtag_set_active", { tag }), cluster.asked], [error, []]);
    });
  }

  it("say why they could not become active", async () => {
    await start(fakeCluster({ setTagActive: () => Promise.reject(new Error("Cannot take tag: Redis is lost")) }));
    assert.deepEqual(await errorOf("clusterer_shtag_set_active", ["vip/1"]), {
      code: 500,
      message: "Internal failure when activating tag",
      data: "Cannot take tag: Redis is lost",
    });
  });
});

describe("a method for other nodes", () => {
  it("is run on all with what each answered", async () => {
    const cluster = fakeCluster();
    await start(cluster);
    assert.equal(
      JSON.stringify(await call(server!.url, "cluster_broadcast_mi", ["1", "lb_reload"])),
      '{"Nodes":[{"node_id":1,"result":"OK"},{"node_id":2,"error":{"code":500,"message":"Failed to reload"}}]}',
    );
    await call(server!.url, "cluster_broadcast_mi", { cluster_id: 1, cmd_name: "lb_status", cmd_params: { destination_id: 1 } });
    await call(server!.url, "clusterer:broadcast_mi", { cluster_id: 1, cmd_name: "lb_status", cmd_params: ["1", "0"] });
    assert.deepEqual(cluster.asked, [
      ["broadcast", "lb_reload", undefined, "local"],
      ["broadcast", "lb_status", { destination_id: 1 }, "local"],
      ["broadcast", "lb_status", ["1", "0"], "local"],
    ]);
  });

  it("is run on one", async () => {
    const cluster = fakeCluster();
    await start(cluster);
    assert.deepEqual(await call(server!.url, "cluster_send_mi", [1, 2, "ps"]), { Nodes: [{ node_id: 2, result: "OK" }] });
    assert.deepEqual(cluster.asked, [["send", 2, "ps", undefined, "local"]]);
  });

  const cases: [method: string, params: unknown[], code: number, message: string][] = [
    ["cluster_broadcast_mi", [0, "ps"], 400, "Bad value for 'cluster_id'"],
    ["cluster_broadcast_mi", [2, "ps"], 404, "Cluster ID not found"],
    ["cluster_broadcast_mi", [1, ""], -32602, "Invalid params"],
    ["cluster_broadcast_mi", [1, "ps", true], -32602, "Invalid params"],
    ["cluster_broadcast_mi", [1], -32602, "Invalid params"],
    ["cluster_send_mi", [1, 0, "ps"], 400, "Bad value for 'destination'"],
    ["cluster_send_mi", [1, 1, "ps"], 400, "Local node specified as destination"],
    ["cluster_send_mi", [1, 9, "ps"], 400, "Destination down"],
  ];
  for (const [method, params, code, message] of cases) {
    it(`${method} ${JSON.stringify(params)} is answered with ${code}`, async () => {
      await start(fakeCluster());
      const error = (await errorOf(method, params)) as { code: number; message: string };
      assert.deepEqual([error.code, error.message], [code, message]);
    });
  }

  it("is run here as over HTTP, but one that asks other nodes is not", async () => {
    const ports = await start(fakeCluster());
    const node2 = { name: "node 2", client: "node 2" };
    assert.deepEqual(await server!.run("lb_status", { destination_id: 1, new_status: 0 }, node2), { result: "OK" });
    assert.equal(ports.balancer.isEnabled(ports.balancer.destination(1)!), false);
    assert.equal(ports.logged.at(-1)?.fields["client"], "node 2");
    assert.deepEqual(await server!.run("lb_status", [9], node2), { error: { code: 404, message: "Destination ID not found" } });
    await server!.run("lb_status", [1, 1], { name: "anna on node 2", client: "node 2" });
    const { by, client } = ports.logged.at(-1)?.fields ?? {};
    assert.deepEqual([by, client], ["anna on node 2", "node 2"]);
    assert.deepEqual(await server!.run("nonsense", undefined, node2), { error: { code: -32601, message: "Method not found" } });
    for (const name of ["cluster_broadcast_mi", "clusterer:send_mi"]) {
      const { error } = (await server!.run(name, [1, "ps"], node2)) as { error: object };
      assert.deepEqual(error, { code: 400, message: "Command cannot be run for another node" });
    }
  });
});

describe("lb_list in a cluster", () => {
  it("tells how the cluster and Redis are", async () => {
    const tags = [{ tag: "vip", cluster: 1, state: "active", owner: 1, epoch: 4 }] as const;
    await start(fakeCluster({ nodes: () => [node(1), node(2), node(3, false)], tags: () => tags, unsyncedDialogs: 5 }));
    const result = (await call(server!.url, "lb_list")) as { Cluster: object };
    assert.deepEqual(Object.keys(result), ["Destinations", "Cluster"]);
    assert.equal(
      JSON.stringify(result.Cluster),
      '{"id":1,"node_id":1,"redis":"connected","rtt_ms":0.7,"nodes":[1,2],"gone":[3],"tags":[{"Tag":"vip","Cluster":1,"State":"active","Owner":1,"Epoch":4}],"load_sharing":"shared","unsynced_statuses":0,"unsynced_dialogs":5}',
    );
    const [line] = formatResult(result).split("\n");
    assert.equal(line, "Cluster 1, node 1; Redis connected (0.7 ms); nodes 1 2, gone 3; tag vip active; 5 changes not told yet");
  });

  it("says that Redis is lost, without the time of the last answer", async () => {
    await start(fakeCluster({ redis: "lost" }));
    const result = (await call(server!.url, "lb_list")) as { Cluster: object };
    assert.deepEqual(Object.keys(result.Cluster).slice(0, 4), ["id", "node_id", "redis", "nodes"]);
    assert.match(formatResult(result), /^Cluster 1, node 1; Redis lost; nodes 1\n\nID +Group/);
  });

  it("counts the calls of other nodes as load, and tells how many they are", async () => {
    const { balancer } = await start(fakeCluster());
    const cell = balancer.destination(1)!.resources[0]!.cell;
    balancer.setRemoteLoad(balancer.slotCell(cell), 4);
    const { Destinations } = (await call(server!.url, "lb_list")) as { Destinations: { Resources: object[] }[] };
    assert.equal(
      JSON.stringify(Destinations[0]?.Resources),
      '[{"name":"transcoding","max":10,"load":4,"remote_load":4},{"name":"conference","max":5,"load":0}]',
    );
    assert.match(formatResult({ Destinations }), /transcoding=4\/10\(4 remote\) conference=0\/5/);
  });
});

describe("a method for other nodes on the command line", () => {
  const cases: [method: string, words: string[], want: unknown][] = [
    ["cluster_broadcast_mi", ["1", "lb_reload"], ["1", "lb_reload"]],
    ["cluster_broadcast_mi", ["1", "lb_status", "7", "0"], ["1", "lb_status", ["7", "0"]]],
    ["cluster_broadcast_mi", ["1", "lb_status", "destination_id=7"], ["1", "lb_status", { destination_id: "7" }]],
    ["clusterer:send_mi", ["1", "2", "lb_status", "7"], ["1", "2", "lb_status", ["7"]]],
    ["cluster_broadcast_mi", ["1", "get_statistics", "all"], ["1", "get_statistics", [["all"]]]],
  ];
  for (const [method, words, want] of cases) it(`${method} ${words.join(" ")}`, () => assert.deepEqual(readParams(method, words), want));
});
