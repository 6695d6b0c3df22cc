import type { DialogRecord } from "../../src/cluster/dialogs/dialog-record.ts";
import { DialogReplica, type LocalDialogs, type ReplicaNodes } from "../../src/cluster/dialogs/dialog-replica.ts";
import { Keys } from "../../src/cluster/keys.ts";
import type { ClusterClock, ClusterLink } from "../../src/cluster/ports.ts";
import { Wire } from "../../src/cluster/wire.ts";
import type { DialogSnapshot } from "../../src/dialog/index.ts";

/** A record of an ordinary call. */
export function callRecord(did: string, changes: Partial<DialogSnapshot> = {}, nowMs = 1_700_000_000_000): DialogRecord {
  const isUp = (changes.state ?? 4) >= 3;
  return {
    snapshot: {
      did,
      callId: `${did}@192.0.2.10`,
      fromTag: "8a7f3c",
      fromUri: "sip:+4930123456@example.com",
      toUri: "sip:conference@lb.example.com",
      fromValue: '"Alice" <sip:+4930123456@example.com>;tag=8a7f3c',
      toValue: "<sip:conference@lb.example.com>",
      caller: { transport: "udp", address: "192.0.2.10", port: 5060, listener: ["192.0.2.1", 5060] },
      callee: { transport: "udp", address: "192.0.2.20", port: 5060, listener: ["192.0.2.1", 5060] },
      callerContact: "sip:+4930123456@192.0.2.10:5060",
      callerRouteSet: [],
      callerCseq: 1,
      inviteBranch: "z9hG4bK.0123456789abcdef0123",
      inviteUri: "",
      inviteCseq: 0,
      legs: [{ tag: "b", contact: "sip:conference@192.0.2.20:5060", routeSet: [], cseq: 0, state: isUp ? "confirmed" : "early" }],
      state: 4,
      startedAtMs: isUp ? nowMs : 0,
      expiresAtMs: isUp ? nowMs + 43_200_000 : 0,
      flags: 0,
      isGuarded: false,
      ...changes,
    },
    held: [{ key: "12 1 sip:192.0.2.20:5060", resource: "conference", picked: true }],
  };
}

/** A node, as the others see it. */
export interface GatheredNode {
  readonly nodeId: number;
  readonly incarnation: string;
  /** It runs, and reaches Redis. */
  readonly isUsable: boolean;
  hungMs: number;
  readonly nodeListeners: ((node: { readonly nodeId: number }, isAlive: boolean) => void)[];
  readonly beatListeners: ((beat: { readonly generation: string }) => void)[];
}

/** What nodes know of each other, as a test decides. */
export class Gathering {
  readonly nodes: GatheredNode[] = [];
  generation = "g1";
  /** Nodes that the others hold for alive. */
  readonly alive = new Map<number, string>();
  readonly known = new Map<number, string>();

  /** A beat of every node that reaches Redis: it and the others learn that it is alive. */
  beat(): void {
    for (const node of this.nodes) if (node.isUsable) this.appear(node);
    for (const node of this.nodes) if (node.isUsable) for (const listen of node.beatListeners) listen({ generation: this.generation });
  }

  appear(node: GatheredNode): void {
    if (this.alive.get(node.nodeId) === node.incarnation) return;
    if (this.known.get(node.nodeId) === node.incarnation) node.hungMs += 3_000;
    this.alive.set(node.nodeId, node.incarnation);
    this.known.set(node.nodeId, node.incarnation);
    this.#tell(node.nodeId, true);
  }

  /** What one of the nodes knows of them all. */
  seenBy(node: GatheredNode, redisNowMs: () => number): ReplicaNodes {
    return {
      nodes: () => [...this.known.keys()].map((nodeId) => ({ nodeId, isAlive: this.alive.has(nodeId) })),
      view: (nodeId) => this.view(nodeId),
      isAlive: (nodeId) => this.alive.has(nodeId),
      onNode: (listen) => void node.nodeListeners.push(listen),
      onBeat: (listen) => void node.beatListeners.push(listen),
      redisNowMs,
    };
  }

  view(nodeId: number): { incarnation: string; isAlive: boolean } | undefined {
    const incarnation = this.known.get(nodeId);
    return incarnation === undefined ? undefined : { incarnation, isAlive: this.alive.has(nodeId) };
  }

  disappear(nodeId: number): void {
    if (this.alive.delete(nodeId)) this.#tell(nodeId, false);
  }

  #tell(nodeId: number, isAlive: boolean): void {
    for (const node of this.nodes) if (node.isUsable) for (const listen of node.nodeListeners) listen({ nodeId }, isAlive);
  }
}

export interface ReplicaNodeOptions {
  readonly nodeId: number;
  readonly incarnation?: string;
  readonly link: ClusterLink;
  readonly clock: ClusterClock;
  readonly gathering: Gathering;
}

/** A node that has nothing but its calls and their replica. */
export class ReplicaNode implements GatheredNode {
  readonly nodeId: number;
  readonly incarnation: string;
  readonly link: ClusterLink;
  readonly keys = new Keys(1);
  readonly wire: Wire;
  readonly replica: DialogReplica;
  readonly calls = new Map<string, DialogRecord>();
  /** Calls whose INVITE this node still handles. */
  readonly pending = new Set<string>();
  readonly adopted: number[] = [];
  readonly nodeListeners: ((node: { readonly nodeId: number }, isAlive: boolean) => void)[] = [];
  readonly beatListeners: ((beat: { readonly generation: string }) => void)[] = [];
  isKilled = false;
  /** How long it did not run, though nothing else shows it: else nobody would have held it for gone. */
  hungMs = 0;
  readonly #clock: ClusterClock;

  constructor({ nodeId, incarnation = "a", link, clock, gathering }: ReplicaNodeOptions) {
    this.nodeId = nodeId;
    this.incarnation = incarnation;
    this.link = link;
    this.#clock = clock;
    this.wire = new Wire({ nodeId, incarnation });
    gathering.nodes.push(this);
    this.replica = new DialogReplica({
      link,
      keys: this.keys,
      wire: this.wire,
      self: { nodeId, incarnation },
      clock: {
        ...clock,
        after: (ms, run) => clock.after(ms, () => this.isKilled || run()),
        nowMs: () => clock.nowMs() + this.hungMs,
        wallMs: clock.wallMs,
      },
      nodes: gathering.seenBy(this, clock.wallMs),
      dialogs: this.#local(),
      isAdopter: () => Math.min(...gathering.alive.keys()) === nodeId,
      onAdopted: (id) => void this.adopted.push(id),
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });
  }

  /** Runs, and reaches Redis. */
  get isUsable(): boolean {
    return !this.isKilled && this.link.isUp;
  }

  /** A call whose INVITE went out. */
  begin(did: string): void {
    this.pending.add(did);
    this.calls.set(did, callRecord(did, { state: 2 }, this.#clock.wallMs()));
    this.replica.changed(did);
  }

  confirm(did: string): void {
    if (!this.calls.has(did)) return;
    this.pending.delete(did);
    this.calls.set(did, callRecord(did, {}, this.#clock.wallMs()));
    this.replica.changed(did);
  }

  /** Calls that are up. */
  establish(count: number, prefix = "c"): string[] {
    const dids = Array.from({ length: count }, (_, i) => `${prefix}${this.nodeId}-${i}`);
    for (const did of dids) {
      this.begin(did);
      this.confirm(did);
    }
    return dids;
  }

  end(did: string, isCertain = true): void {
    this.pending.delete(did);
    if (this.calls.delete(did)) this.replica.ended(did, isCertain);
  }

  /** BYE of a call comes here. @returns whether it ended */
  async bye(did: string): Promise<boolean> {
    if (!this.calls.has(did)) {
      const found = await this.replica.find(did, ({ snapshot }) => snapshot.did === did);
      if (found?.kind !== "taken" || this.isKilled) return false;
    }
    if (!this.calls.has(did)) return false;
    this.end(did);
    return true;
  }

  #local(): LocalDialogs {
    return {
      read: (did) => this.calls.get(did),
      has: (did) => this.calls.has(did),
      canRestore: () => !this.isKilled,
      restore: (record) => {
        if (this.isKilled) return false;
        this.calls.set(record.snapshot.did, record);
        this.replica.changed(record.snapshot.did); // as DialogTable does
        return true;
      },
      surrender: (did) => {
        if (this.pending.has(did)) return false;
        if (this.calls.delete(did)) this.replica.ended(did);
        return true;
      },
    };
  }
}
