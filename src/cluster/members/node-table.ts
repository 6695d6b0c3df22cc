import { Type } from "typebox";
import type { NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { MAX_NODES, NODE_KEEP_MS, type NodeRow } from "./beat-script.ts";

/** Addresses that a node may name. */
const MAX_SIP_ADDRESSES = 100;

const Identity = Type.Object({
  clusterId: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
  version: Type.String({ maxLength: 64 }),
  startedAtMs: Type.Integer({ minimum: 0, maximum: 9e14 }),
  sip: Type.Array(Type.String({ maxLength: 256 }), { maxItems: MAX_SIP_ADDRESSES }),
  managementUrl: Type.String({ maxLength: 512 }),
});

/** A node, as this one knows it. */
export interface NodeView extends NodeIdentity {
  readonly isAlive: boolean;
  readonly isSelf: boolean;
  /** Grows with each start of the node; 0: not known yet. */
  readonly epoch: number;
  /** When it was heard of last, milliseconds of Redis's clock; 0: not yet. */
  readonly lastSeenMs: number;
}

/** What a node puts into Redis of itself. */
export function encodeIdentity(wire: Wire, self: NodeIdentity): string {
  const { clusterId, version, startedAtMs, sip, managementUrl } = self;
  return wire.encode({ clusterId, version, startedAtMs, sip: sip.slice(0, MAX_SIP_ADDRESSES), managementUrl });
}

/** Reads what a node says of itself. Undefined, and counted by the wire, when it is something else. */
export function decodeIdentity(wire: Wire, text: string): NodeIdentity | undefined {
  const received = wire.decode(Identity, text);
  return received && { ...received.body, nodeId: received.nodeId, incarnation: received.incarnation };
}

/** What one answer says of the nodes. */
export interface NodesHeard {
  readonly rows: readonly NodeRow[];
  readonly redisMs: number;
  /** Whether leases that are over may be taken for the end of their nodes. */
  readonly isSteady: boolean;
}

/** The nodes of the cluster as the last answer told of them, and what changed with it. */
export class NodeTable {
  readonly counters = { foreign_nodes: 0 };
  readonly #wire: Wire;
  readonly #self: NodeIdentity;
  /** `isTold`: the listeners know whether it lives. */
  readonly #entries = new Map<number, { view: NodeView; isTold: boolean }>();
  /** Incarnations, by node, of which something else than an identity was read: it is not asked for again. */
  readonly #refused = new Map<number, string>();

  constructor(wire: Wire, self: NodeIdentity) {
    this.#wire = wire;
    this.#self = self;
    this.#entries.set(self.nodeId, { view: { ...self, isAlive: true, isSelf: true, epoch: 0, lastSeenMs: 0 }, isTold: true });
  }

  get(nodeId: number): NodeView | undefined {
    return this.#entries.get(nodeId)?.view;
  }

  /** By id, this node included. */
  all(): NodeView[] {
    return [...this.#entries.values()].map(({ view }) => view).sort((a, b) => a.nodeId - b.nodeId);
  }

  /** @returns whether all identities are known, and the nodes that came, went or came again */
  heard({ rows, redisMs, isSteady }: NodesHeard): { readonly isComplete: boolean; readonly changed: readonly NodeView[] } {
    const changed: NodeView[] = [];
    const present = new Set<number>();
    let isComplete = true;
    for (const row of rows) {
      present.add(row.nodeId);
      const before = this.#entries.get(row.nodeId);
      const identity = this.#identityOf(row, before?.view);
      if (identity === undefined) {
        if (row.identity !== "") this.#refuse(row);
        else if (this.#refused.get(row.nodeId) !== row.incarnation) isComplete = false;
        continue;
      }
      const isSelf = row.nodeId === this.#self.nodeId;
      const isAgain = before !== undefined && before.view.incarnation !== row.incarnation;
      const isOver = !isSelf && row.expiryMs <= redisMs;
      const hasLeft = row.expiryMs === 0;
      // Nobody is given up for a lease that is over before it was watched for long enough.
      const isAlive = !isOver || (!hasLeft && !isSteady && before?.view.isAlive === true && !isAgain);
      const wasAlive = before?.isTold === true && before.view.isAlive;
      const view = { ...identity, isAlive, isSelf, epoch: row.epoch, lastSeenMs: row.seenMs };
      const isNews = isAlive ? !wasAlive || isAgain : before?.isTold !== true || before.view.isAlive || isAgain;
      const isTold = isAlive || hasLeft || isSteady;
      if (before === undefined && this.#entries.size >= 2 * MAX_NODES) continue;
      this.#entries.set(row.nodeId, { view, isTold: isNews ? isTold : true });
      if (isNews && isTold && !isSelf) changed.push(view);
    }
    this.#absent(present, redisMs, isSteady, changed);
    return { isComplete, changed };
  }

  #refuse({ nodeId, incarnation }: NodeRow): void {
    if (this.#refused.get(nodeId) === incarnation) return;
    this.counters.foreign_nodes++;
    if (this.#refused.size >= 2 * MAX_NODES) this.#refused.clear();
    this.#refused.set(nodeId, incarnation);
  }

  #identityOf(row: NodeRow, before: NodeView | undefined): NodeIdentity | undefined {
    if (row.nodeId === this.#self.nodeId) return this.#self;
    if (row.identity === "") return before?.incarnation === row.incarnation ? before : undefined;
    const identity = decodeIdentity(this.#wire, row.identity);
    const isSound =
      identity?.nodeId === row.nodeId && identity.incarnation === row.incarnation && identity.clusterId === this.#self.clusterId;
    return isSound ? identity : undefined;
  }

  /** Nodes that Redis does not know (any more): it was flushed and they have not come again, or they are forgotten. */
  #absent(present: ReadonlySet<number>, redisMs: number, isSteady: boolean, changed: NodeView[]): void {
    for (const [nodeId, { view, isTold }] of this.#entries) {
      if (view.isSelf || present.has(nodeId) || !isSteady) continue;
      if (view.isAlive || !isTold) {
        const gone = { ...view, isAlive: false };
        this.#entries.set(nodeId, { view: gone, isTold: true });
        changed.push(gone);
      } else if (view.lastSeenMs < redisMs - NODE_KEEP_MS) this.#entries.delete(nodeId);
    }
  }
}
