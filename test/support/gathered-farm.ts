import type { MemoryLink } from "./memory-redis.ts";
import { Gathering } from "./replica-node.ts";
import type { SimNetwork } from "./sim-network.ts";

/** A whole node whose SIP and whose Redis are in memory. */
export interface FarmNode {
  readonly nodeId: number;
  readonly net: SimNetwork;
  readonly link: Pick<MemoryLink, "cut">;
  isKilled: boolean;
}

/** Whole nodes that share one time. */
export abstract class GatheredFarm<N extends FarmNode> {
  readonly gathering = new Gathering();
  abstract readonly nodes: readonly N[];

  /** Lets time pass at every node that is alive, with a beat each second. */
  async pass(ms: number, stepMs = 10): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      for (const { net, isKilled } of this.nodes) if (!isKilled) await net.runAsync(stepMs, stepMs);
      if (Math.floor(passed / 1_000) !== Math.floor((passed + stepMs) / 1_000)) this.gathering.beat();
    }
  }

  kill(node: N): void {
    node.isKilled = true;
    node.link.cut();
    this.gathering.disappear(node.nodeId);
  }
}
