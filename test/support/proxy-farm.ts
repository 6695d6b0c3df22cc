import { Keys } from "../../src/cluster/keys.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { DialogFlag } from "../../src/dialog/index.ts";
import { ClusterDialogs } from "../../src/server/cluster-dialogs.ts";
import { RestoredPings } from "../../src/server/restored-pings.ts";
import { GatheredFarm } from "./gathered-farm.ts";
import { type MemoryLink, MemoryRedis } from "./memory-redis.ts";
import { DIALOG_TWINS } from "./memory-scripts/dialogs.ts";
import { pingingRouter } from "./pinged-call.ts";
import type { GatheredNode } from "./replica-node.ts";
import { SimNetwork } from "./sim-network.ts";

const START_MS = 1_700_000_000_000;
export const TAG = "vip";
export const PING_MS = 30_000;

/** A whole proxy in a cluster, all of it simulated. */
export class ProxyNode implements GatheredNode {
  readonly nodeId: number;
  readonly incarnation = "a";
  readonly link: MemoryLink;
  readonly net: SimNetwork;
  readonly glue: ClusterDialogs;
  readonly released: number[] = [];
  readonly surrendered: string[] = [];
  readonly restoredPings: RestoredPings;
  readonly nodeListeners: GatheredNode["nodeListeners"] = [];
  readonly beatListeners: GatheredNode["beatListeners"] = [];
  hungMs = 0;
  isKilled = false;

  constructor(nodeId: number, farm: ProxyFarm, tag: string | undefined) {
    this.nodeId = nodeId;
    this.link = farm.redis.link(`n${nodeId}`);
    this.net = new SimNetwork({
      tokens: `n${nodeId}`,
      destinations: ["203.0.113.1"],
      resources: "pstn=100",
      router: pingingRouter(farm.flags),
      ...(farm.isPinging && { pings: { optionsMs: PING_MS, reinviteMs: PING_MS, outageMs: 10 * PING_MS } }),
      elsewhere: { find: (did, message) => this.glue.find(did, message), hungUp: (dialog) => this.glue.hungUp(dialog) },
    });
    const { net } = this;
    farm.gathering.nodes.push(this);
    const after = (ms: number, run: () => void): (() => void) => {
      const timer = net.wheel.schedule(ms, { timerFired: () => this.isKilled || run() }, 0, net.wheel.nowMs);
      return () => void net.wheel.cancel(timer);
    };
    const wallMs = (): number => START_MS + net.wheel.nowMs;
    this.restoredPings = new RestoredPings({
      dialogs: net.dialogs,
      pings: () => net.proxy,
      config: { dialog: { ping_restored_calls: true } },
      after,
      wallMs,
      log: net.core.log,
    });
    this.restoredPings.begin();
    this.glue = new ClusterDialogs({
      link: this.link,
      keys: new Keys(1),
      wire: new Wire({ nodeId, incarnation: "a" }),
      self: { nodeId, incarnation: "a" },
      clock: {
        nowMs: () => net.wheel.nowMs,
        wallMs,
        after,
      },
      log: net.core.log,
      nodes: farm.gathering.seenBy(this, wallMs),
      dialogs: net.dialogs,
      balancer: net.balancer,
      listeners: () => [net.listener4, net.listener6],
      tags: { isActive: () => farm.tagOwner === nodeId, list: () => [{ tag: TAG, owner: farm.tagOwner }] },
      tag,
      adopted: (dialog, reason) => this.restoredPings.taken(dialog, reason),
      releaseLoads: (id) => void this.released.push(id),
    });
    net.dialogs.onState = (dialog) => {
      if (this.glue.surrendering !== undefined) this.surrendered.push(dialog.did);
      this.glue.stateChanged(dialog);
    };
    farm.gathering.appear(this);
    void this.glue.replica.start();
  }

  get isUsable(): boolean {
    return !this.isKilled && this.link.isUp;
  }
}

export class ProxyFarm extends GatheredFarm<ProxyNode> {
  tagOwner = 1;
  readonly redis: MemoryRedis = new MemoryRedis({ nowMs: () => START_MS + (this.nodes[0]?.net.wheel.nowMs ?? 0) }).scripts(DIALOG_TWINS);
  readonly nodes: readonly ProxyNode[];
  readonly isPinging: boolean;
  /** What the route asks for its calls. */
  readonly flags: number;

  constructor(count: number, tag?: string, isPinging = false, flags = DialogFlag.OptionsPingCaller | DialogFlag.OptionsPingCallee) {
    super();
    this.isPinging = isPinging;
    this.flags = flags;
    const nodes: ProxyNode[] = [];
    this.nodes = nodes;
    for (let id = 1; id <= count; id++) nodes.push(new ProxyNode(id, this, tag));
  }
}

/** What a node counts. */
export const total = ({ net }: ProxyNode): number => net.loads.reduce((sum, load) => sum + load, 0);
