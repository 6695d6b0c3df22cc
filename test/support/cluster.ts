import { type Headroom, type Row, startHeadroom } from "./headroom.ts";
import { waitFor } from "./net.ts";
import { type RedisServer, startRedis } from "./redis-server.ts";

/** Addresses of the nodes, in the order of their ids. */
export const NODE_ADDRESSES = ["127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;

/** Options of a cluster of real processes. */
export interface ClusterOptions {
  readonly rows: readonly Row[];
  /** How many nodes; default 3. */
  readonly nodes?: number;
  /** Members of the section `cluster`, laid over the test's own. */
  readonly cluster?: Record<string, unknown>;
  /** YAML laid over the configuration of every node. */
  readonly config?: string;
  /** Seconds between probes; default: none. */
  readonly probingIntervalS?: number;
  /** Runs once Redis is there, before the nodes. */
  readonly beforeNodes?: (redisPort: number) => Promise<void>;
  /** The port at which this node reaches Redis; default: that of Redis itself. */
  readonly redisPort?: (nodeId: number, redisPort: number) => number;
}

/** Nodes of one cluster, each a process with a table of its own that says the same, and their Redis. */
export interface Cluster {
  readonly redis: RedisServer;
  /** In the order of their ids, from 1. */
  readonly nodes: readonly Headroom[];
  /** Loads of the first resource of each destination, at each of the nodes that answer. */
  loads(): Promise<(number[] | undefined)[]>;
  close(): Promise<void>;
}

/** Starts Redis and the nodes. Sharing tag `vip` is active on the first. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const redis = await startRedis();
  const nodes: Headroom[] = [];
  const close = async (): Promise<void> => {
    await Promise.allSettled(nodes.map((node) => node.stop()));
    await redis.stop();
  };
  try {
    await startNodes(options, redis, nodes);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    redis,
    nodes,
    async loads() {
      return Promise.all(nodes.map((node) => node.loads().catch(() => undefined)));
    },
    close,
  };
}

async function startNodes(options: ClusterOptions, redis: RedisServer, nodes: Headroom[]): Promise<void> {
  const { rows, nodes: count = 3, cluster = {}, config = "", probingIntervalS = 0, beforeNodes, redisPort = () => redis.port } = options;
  await beforeNodes?.(redis.port);
  const start = (i: number): Promise<Headroom> => {
    const nodeId = i + 1;
    const settings = {
      node_id: nodeId,
      redis_url: `redis://127.0.0.1:${redisPort(nodeId, redis.port)}`,
      sharing_tags: [`vip/1=${nodeId === 1 ? "active" : "backup"}`],
      ...cluster,
    };
    const own = `cluster: ${JSON.stringify(settings)}\nload_balancer: { cluster_id: 1, cluster_sharing_tag: vip, probing_interval: ${probingIntervalS} }\n${config}`;
    return startHeadroom(own, rows, NODE_ADDRESSES[i]);
  };
  nodes.push(await start(0)); // the one that gets the tag
  const others = await Promise.allSettled(Array.from({ length: count - 1 }, (_, i) => start(i + 1)));
  for (const other of others) if (other.status === "fulfilled") nodes.push(other.value);
  for (const other of others) if (other.status === "rejected") throw other.reason;
  await waitFor(`${count} nodes see each other`, 5_000, async () => {
    for (const node of nodes) {
      const { Clusters } = (await node.mi("clusterer_list")) as { Clusters: { Nodes: { link_state: string }[] }[] };
      const up = Clusters[0]?.Nodes.filter(({ link_state }) => link_state === "Up") ?? [];
      if (up.length !== count - 1) return false;
    }
    return true;
  });
}

/** Waits until every node that answers tells these loads of the first resource of each destination. */
export async function untilLoads({ nodes }: Pick<Cluster, "nodes">, wanted: readonly number[], timeoutMs = 3_000): Promise<void> {
  let seen = "";
  await waitFor(`every node counts ${wanted.join(", ")}`, timeoutMs, async () => {
    const found = await Promise.all(nodes.map((node) => node.loads()));
    seen = found.map((loads) => loads.join(", ")).join(" | ");
    return found.every((loads) => loads.join() === wanted.join());
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; now: ${seen}`);
  });
}
