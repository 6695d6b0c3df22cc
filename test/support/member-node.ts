import { Keys } from "../../src/cluster/keys.ts";
import { Membership } from "../../src/cluster/members/membership.ts";
import { SharingTags, type TagChange } from "../../src/cluster/members/sharing-tags.ts";
import type { ClusterClock, ClusterLink, ClusterLog, NodeIdentity } from "../../src/cluster/ports.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { FakeClock } from "./fake-clock.ts";
import { type MemoryLink, MemoryRedis } from "./memory-redis.ts";
import { BEAT_TWIN } from "./memory-scripts/beat.ts";

/** Clock of one node over the test's: offsets of its own, and it can be stopped as SIGSTOP stops a process: time goes on, nothing is run. */
export class NodeClock implements ClusterClock {
  readonly #base: FakeClock;
  readonly #offsetMs: number;
  readonly #wallOffsetMs: number;
  #late: (() => void)[] = [];
  isStopped = false;
  isDead = false;

  constructor(base: FakeClock, { offsetMs = 0, wallOffsetMs = 0 } = {}) {
    this.#base = base;
    this.#offsetMs = offsetMs;
    this.#wallOffsetMs = wallOffsetMs;
  }

  nowMs(): number {
    return this.#base.nowMs + this.#offsetMs;
  }

  wallMs(): number {
    return START_MS + this.#base.nowMs + this.#wallOffsetMs;
  }

  after(ms: number, run: () => void): () => void {
    let isOff = false;
    const due = (): void => {
      if (!isOff && !this.isDead) run();
    };
    const stop = this.#base.after(ms, () => {
      if (this.isStopped) this.#late.push(due);
      else due();
    });
    return () => {
      isOff = true;
      stop();
    };
  }

  stop(): void {
    this.isStopped = true;
  }

  goOn(): void {
    this.isStopped = false;
    for (const run of this.#late.splice(0)) run();
  }
}

/** Redis time when a test's clock says 0. */
export const START_MS = 1_700_000_000_000;

export interface MemberOptions {
  readonly nodeId?: number;
  readonly incarnation?: string;
  readonly clusterId?: number;
  readonly tags?: readonly { name: string; active: boolean }[];
  readonly failover?: "auto" | "manual";
  readonly random?: () => number;
  /** Takes tags only once `sharing.begin()` was called. */
  readonly waits?: boolean;
}

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

export function listLog(lines: LogLine[]): ClusterLog {
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

let incarnations = 0;

/** Membership and tags of one node, as the server puts them together. */
export function memberNode(link: ClusterLink, clock: ClusterClock, options: MemberOptions = {}) {
  const {
    nodeId = 1,
    clusterId = 1,
    tags = [{ name: "vip", active: false }],
    failover = "auto",
    random = () => 0.5,
    waits = false,
  } = options;
  const self: NodeIdentity = {
    clusterId,
    nodeId,
    incarnation: options.incarnation ?? `n${nodeId}i${++incarnations}`,
    version: "1.0.0",
    startedAtMs: START_MS,
    sip: [`udp:192.0.2.${nodeId % 250}:5060`],
    managementUrl: `http://192.0.2.${nodeId % 250}:8080`,
  };
  const lines: LogLine[] = [];
  const log = listLog(lines);
  const wire = new Wire(self);
  const membership = new Membership({ link, keys: new Keys(clusterId), wire, self, clock, log });
  const sharing = new SharingTags({ membership, clock, log, tags, failover, random, waits });
  const changes: TagChange[] = [];
  sharing.onChange((change) => changes.push(change));
  const seen: string[] = [];
  membership.onNode((node, alive) => seen.push(`${node.nodeId} ${alive ? "up" : "down"}`));
  return { self, wire, membership, sharing, changes, seen, lines, clock };
}

export type MemberNode = ReturnType<typeof memberNode>;

/** Nodes over one Redis in memory, where nothing takes time but what the test lets pass. */
export function memberWorld() {
  const base = new FakeClock();
  let jumpMs = 0;
  const redis = new MemoryRedis({ nowMs: () => START_MS + base.nowMs + jumpMs }).script("beat", BEAT_TWIN);
  return {
    redis,
    jump(ms: number): void {
      jumpMs += ms;
    },
    node(nodeId: number, options: MemberOptions & { wallOffsetMs?: number; isUp?: boolean } = {}) {
      const link: MemoryLink = redis.link(`node ${nodeId}`, { isUp: options.isUp ?? true });
      const clock = new NodeClock(base, { offsetMs: nodeId * 1000, wallOffsetMs: options.wallOffsetMs ?? 0 });
      return { ...memberNode(link, clock, { nodeId, ...options }), link, clock };
    },
    /** Lets time pass; whatever is told meanwhile arrives at once. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 10) {
        base.advance(Math.min(10, left));
        await redis.settle();
      }
    },
  };
}

/** The process dies, as by kill -9. */
export function crash({ clock, link }: { clock: NodeClock; link: MemoryLink }): void {
  clock.isDead = true;
  link.cut();
}

/** Time as it is. */
export const REAL_CLOCK: ClusterClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
