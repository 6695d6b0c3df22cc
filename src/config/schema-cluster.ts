import { type Static, Type } from "typebox";
import { checkRedisUrl, checkSharingTag, checkSharingTagName } from "./checks.ts";
import { flag, item, list, MAX_INT32, optionalText, whole } from "./schema-keys.ts";

/** The keys of `load_balancer` that belong to a cluster: OpenSIPS's names. */
export const CLUSTER_KEYS = {
  cluster_id: whole(
    "Cluster that calls, statuses and loads are shared in; it needs cluster.redis_url. 0: the cluster of cluster.sharing_tags, else 1.",
    0,
    0,
    MAX_INT32,
  ),
  cluster_sharing_tag: optionalText(
    "Sharing tag whose active node alone probes, tells the others what probes showed, and ends calls that last too long. Null: each node does, for itself.",
    { check: checkSharingTagName },
  ),
};

export const ClusterSchema = Type.Object(
  {
    node_id: whole("Number of this node: another one for each.", 1, 1, MAX_INT32),
    redis_url: optionalText(
      "Redis that the nodes share: one server, a master that Sentinels know, or a Redis Cluster. Null: this node runs alone. Whoever can write there steers all nodes.",
      { check: checkRedisUrl, secret: true },
    ),
    sharing_tags: list(
      'Sharing tags with their state at start, such as "vip/1=active": active takes a tag that is free, from nobody.',
      item({ check: checkSharingTag }),
      [],
    ),
    sharing_tag_failover: Type.Enum(["auto", "manual"], {
      description: "Whether a tag moves by itself to another node when its node is gone, or only by clusterer_shtag_set_active.",
      default: "auto",
    }),
    on_tag_active: optionalText(
      "Command for /bin/sh that is run when a tag becomes active here, such as one that takes an address; HEADROOM_TAG, HEADROOM_CLUSTER, HEADROOM_STATE, HEADROOM_EPOCH and HEADROOM_NODE are in its environment.",
    ),
    on_tag_backup: optionalText(
      "The same for a tag that is no longer active here, and once for each tag at the start: a crash may have left behind what came with it.",
    ),
    load_sharing: Type.Enum(["off", "shared", "exact"], {
      description:
        "How calls of other nodes count. off: not at all. shared: each node tells its loads, within 100 ms. exact: each call is reserved in Redis first, so that no capacity is exceeded. A resource name that ends in /b is shared and one in /s exact, whatever stands here.",
      default: "off",
    }),
    redis_lost: Type.Enum(["fail_open", "fail_closed"], {
      description:
        "What exact does while Redis does not answer. fail_open: own calls and the last known ones of the others decide. fail_closed: calls that need a reservation get 503.",
      default: "fail_open",
    }),
    lease_time: whole(
      "How long a call counts in Redis without being renewed, with exact: after a crash its place is free again then.",
      120,
      10,
      3600,
      { unit: "seconds" },
    ),
    probe_without_redis: flag(
      "Probe although Redis is lost, when nobody knows which node has load_balancer.cluster_sharing_tag. False: nobody probes then.",
      false,
    ),
    replicate_dialogs: flag("Keep what is known of each call in Redis, so that another node can go on with it.", true),
    start_wait: whole("How long a start waits for Redis until it begins alone.", 3, 0, 60, { unit: "seconds" }),
  },
  { description: "Several balancers side by side, with what they share in Redis.", additionalProperties: false },
);

/** A sharing tag, as the configuration names it. */
export interface ConfiguredTag {
  readonly name: string;
  readonly clusterId: number;
  /** Wanted active at start. */
  readonly active: boolean;
}

/** Reads a tag that has passed its check, such as `vip/1=active`. */
export function parseSharingTag(text: string): ConfiguredTag {
  const [path = "", state] = text.split("=");
  const [name = "", clusterId] = path.split("/");
  return { name, clusterId: Number(clusterId), active: state === "active" };
}

/** What {@link clusterIdOf} and {@link sharingTagsOf} read. */
interface ClusterValues {
  readonly cluster: Pick<Static<typeof ClusterSchema>, "sharing_tags">;
  readonly load_balancer: { readonly cluster_id: number; readonly cluster_sharing_tag: string | null };
}

/** Id of the cluster: `load_balancer.cluster_id`, that of the first sharing tag, or 1. */
export function clusterIdOf({ cluster, load_balancer }: ClusterValues): number {
  if (load_balancer.cluster_id !== 0) return load_balancer.cluster_id;
  const [first] = cluster.sharing_tags;
  return first === undefined ? 1 : parseSharingTag(first).clusterId;
}

/** The tags of this node. `cluster_sharing_tag` begins as backup where `sharing_tags` does not have it, as in OpenSIPS. */
export function sharingTagsOf(values: ClusterValues): ConfiguredTag[] {
  const tags = values.cluster.sharing_tags.map(parseSharingTag);
  const own = values.load_balancer.cluster_sharing_tag;
  if (own === null || tags.some(({ name }) => name === own)) return tags;
  return [...tags, { name: own, clusterId: clusterIdOf(values), active: false }];
}
