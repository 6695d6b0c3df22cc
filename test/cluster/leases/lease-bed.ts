import { Keys } from "../../../src/cluster/keys.ts";
import { SETTLING_MS } from "../../../src/cluster/leases/lease-scripts.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type MemoryLink, MemoryRedis } from "../../support/memory-redis.ts";
import { LEASE_TWINS } from "../../support/memory-scripts/leases.ts";
import { clusterClockOf, LeaseNode, type LeaseNodeOptions } from "./lease-node.ts";

const KEYS = new Keys(1);
const NOW_MS = 1_700_000_000_000;

/** Nodes on one Redis in memory and one clock. */
export class LeaseBed {
  readonly clock = new FakeClock(NOW_MS);
  readonly redis = new MemoryRedis({ nowMs: this.clock.now }).scripts(LEASE_TWINS);
  readonly links: MemoryLink[] = [];
  readonly nodes: LeaseNode[] = [];

  static async begin(count: number, options: Partial<LeaseNodeOptions> = {}): Promise<LeaseBed> {
    const bed = new LeaseBed();
    for (let nodeId = 1; nodeId <= count; nodeId++) {
      const link = bed.redis.link(`n${nodeId}`);
      bed.links.push(link);
      bed.nodes.push(new LeaseNode(link, { clock: clusterClockOf(bed.clock), ...options, nodeId }));
    }
    await bed.pass(SETTLING_MS);
    return bed;
  }

  /** Time passes, in steps between which promises go on. */
  async pass(ms: number, stepMs = 250): Promise<void> {
    await this.redis.settle();
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
      await this.redis.settle();
    }
  }

  /** Members of a slot of the first destination, with how long they live. */
  leases(resource = "pstn", owner = "1 sip:192.0.2.1"): Record<string, number> {
    const words = this.redis.store.call("zrange", KEYS.leases(owner, resource), 0, -1, "withscores") as string[];
    const found: Record<string, number> = {};
    for (let i = 0; i < words.length; i += 2) found[words[i]!] = Number(words[i + 1]) - this.clock.nowMs;
    return found;
  }

  members(resource?: string, owner?: string): string[] {
    return Object.keys(this.leases(resource, owner)).sort();
  }
}
