import { Balancer } from "../../../src/balancer/index.ts";
import { Keys } from "../../../src/cluster/keys.ts";
import { LoadExchange, type LoadMembers } from "../../../src/cluster/loads/load-exchange.ts";
import { Slots } from "../../../src/cluster/loads/slots.ts";
import type { ClusterLink, LoadSharing } from "../../../src/cluster/ports.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { cellOf, newCall, occupy, type RowSketch, row } from "../../balancer/support.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type MemoryLink, MemoryRedis } from "../../support/memory-redis.ts";

export const KEYS = new Keys(1);

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The others, as a test says that they are. */
export class FakeMembers implements LoadMembers {
  readonly alive = new Set<number>();
  generation = "first";
  readonly #nodes: ((node: { nodeId: number }, alive: boolean) => void)[] = [];
  readonly #beats: ((beat: { generation: string }) => void)[] = [];

  nodes() {
    return [...this.alive].map((nodeId) => ({ nodeId, isAlive: true }));
  }

  isAlive(nodeId: number): boolean {
    return this.alive.has(nodeId);
  }

  onNode(listener: (node: { nodeId: number }, alive: boolean) => void): void {
    this.#nodes.push(listener);
  }

  onBeat(listener: (beat: { generation: string }) => void): void {
    this.#beats.push(listener);
  }

  came(nodeId: number): void {
    this.alive.add(nodeId);
    for (const listener of this.#nodes) listener({ nodeId }, true);
  }

  left(nodeId: number): void {
    this.alive.delete(nodeId);
    for (const listener of this.#nodes) listener({ nodeId }, false);
  }

  beat(): void {
    for (const listener of this.#beats) listener({ generation: this.generation });
  }
}

export interface NodeSketch {
  readonly nodeId: number;
  readonly link: ClusterLink;
  readonly clock: FakeClock;
  readonly rows: readonly RowSketch[];
  readonly incarnation?: string;
  readonly mode?: LoadSharing;
}

/** One node with a balancer, of which only the exchange of loads is there. */
export class LoadNode {
  readonly nodeId: number;
  readonly members = new FakeMembers();
  readonly balancer = new Balancer({
    below: () => 0,
    onFault(text) {
      throw new Error(text);
    },
  });
  readonly wire: Wire;
  readonly slots: Slots;
  readonly exchange: LoadExchange;

  constructor({ nodeId, link, clock, rows, incarnation = `i${nodeId}`, mode = "shared" }: NodeSketch) {
    this.nodeId = nodeId;
    this.balancer.replaceTable(rows.map(row));
    this.wire = new Wire({ nodeId, incarnation });
    this.slots = new Slots(this.balancer, mode);
    const { balancer, members, slots, wire } = this;
    const clusterClock = { nowMs: clock.now, wallMs: clock.now, after: (ms: number, run: () => void) => clock.after(ms, run) };
    this.exchange = new LoadExchange({
      link,
      keys: KEYS,
      wire,
      self: { nodeId },
      clock: clusterClock,
      log: SILENT,
      members,
      slots,
      balancer,
    });
  }

  load(rows: readonly RowSketch[]): void {
    this.balancer.replaceTable(rows.map(row));
    this.slots.tableChanged();
    this.exchange.tableChanged();
  }

  /** Begins so many calls and answers what ends them. */
  occupy(id: number, resource: string, calls: number): () => void {
    const begun = occupy(this.balancer, id, resource, calls);
    return () => {
      for (const call of begun) this.balancer.release(call);
    };
  }

  remote(id: number, resource: string): number {
    return this.balancer.remoteLoad(cellOf(this.balancer.destination(id), resource));
  }

  /** What a start answers. */
  start(resource: string): number {
    const call = newCall();
    const code = this.balancer.start(call, 1, resource);
    this.balancer.release(call);
    return code;
  }

  get counters(): Record<string, number> {
    return this.exchange.counters;
  }
}

export const ROWS: RowSketch[] = [
  { id: 1, uri: "sip:a", resources: "t=10" },
  { id: 2, uri: "sip:b", resources: "t=10;own=5" },
];
export const CHANNEL = KEYS.channel("load");

/** Nodes over one Redis. All that is under way is done whenever the clock has moved. */
export class Cluster {
  readonly clock = new FakeClock(1_000);
  readonly redis: MemoryRedis;
  readonly links: MemoryLink[] = [];
  readonly nodes: LoadNode[] = [];

  constructor(delivery: "at-once" | "by-hand" = "at-once") {
    this.redis = new MemoryRedis({ nowMs: this.clock.now, delivery });
  }

  /** A node that the others know of, and that has had its first beat. */
  async join(nodeId: number, rows = ROWS, mode: LoadSharing = "shared", incarnation = `i${nodeId}`): Promise<LoadNode> {
    const link = this.redis.link(`node ${nodeId}`);
    const node = new LoadNode({ nodeId, link, clock: this.clock, rows, mode, incarnation });
    for (const other of this.nodes) {
      other.members.came(nodeId);
      node.members.came(other.nodeId);
    }
    node.members.came(nodeId);
    this.links.push(link);
    this.nodes.push(node);
    node.members.beat();
    await this.redis.settle();
    return node;
  }

  async pair(mode: LoadSharing = "shared"): Promise<[LoadNode, LoadNode]> {
    return [await this.join(1, ROWS, mode), await this.join(2, ROWS, mode)];
  }

  /** The others notice that a node is gone. */
  lost(nodeId: number): void {
    const at = this.nodes.findIndex((node) => node.nodeId === nodeId);
    this.nodes[at]!.exchange.stop();
    this.links[at]!.cut();
    this.nodes.splice(at, 1);
    this.links.splice(at, 1);
    for (const node of this.nodes) node.members.left(nodeId);
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.redis.settle();
  }

  /** A second with a beat of each node. */
  async second(): Promise<void> {
    await this.pass(1000);
    for (const [i, node] of this.nodes.entries()) if (this.links[i]!.isUp) node.members.beat();
    await this.redis.settle();
  }
}
