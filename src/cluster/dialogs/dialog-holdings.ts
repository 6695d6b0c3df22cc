import type { Keys } from "../keys.ts";
import type { ClusterClock, ClusterLink, ClusterLog, NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { headText, ownerText, type RecordHead } from "./dialog-head.ts";
import { bodyOf, type DialogRecord, lifeMsOf, readRecord } from "./dialog-record.ts";

/**
 * Why a call is taken: its node is gone; a message of it came here; it was this node's own before it started again; its node asked for that, as it may not end it.
 */
export type TakeReason = "adopted" | "asked" | "own" | "offered";

/** The calls of this node, as the replica sees them. None of it throws. */
export interface LocalDialogs {
  /** An ongoing call of this node; undefined when there is none, or too little is known of it to be told. */
  read(did: string): DialogRecord | undefined;
  /** Whether the call is ongoing here. */
  has(did: string): boolean;
  /** Goes on with a call of another node, or of a former life of this one. False: it cannot be gone on with here. */
  restore(record: DialogRecord, from: Pick<NodeIdentity, "nodeId" | "incarnation">, reason: TakeReason): boolean;
  /**
   * Forgets a call that another node has, or that has ended elsewhere; nothing is sent. False: it is bound to this node.
   * @param isOver nobody has it any more: what it holds in the cluster is to be given back, as this node may have renewed that after its end
   */
  surrender(did: string, isOver: boolean): boolean;
  /** A call that is not here, and may have been, has ended elsewhere. */
  readonly over?: ((did: string) => void) | undefined;
  /** Whether {@link restore} would go on with it. */
  canRestore(record: DialogRecord): boolean;
}

/** The other nodes, as the replica sees them. */
export interface ReplicaNodes {
  nodes(): readonly { readonly nodeId: number; readonly isAlive: boolean }[];
  view(nodeId: number): { readonly incarnation: string; readonly isAlive: boolean } | undefined;
  isAlive(nodeId: number): boolean;
  onNode(listen: (node: { readonly nodeId: number }, isAlive: boolean) => void): void;
  onBeat(listen: (beat: { readonly generation: string }) => void): void;
  /** Time of Redis, milliseconds. */
  redisNowMs(): number;
}

export interface DialogReplicaOptions {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: Pick<NodeIdentity, "nodeId" | "incarnation">;
  readonly clock: ClusterClock;
  readonly nodes: ReplicaNodes;
  readonly dialogs: LocalDialogs;
  /** Whether it is this node that takes the calls of nodes that are gone. */
  readonly isAdopter: () => boolean;
  /** All calls of a node that is gone are with others now. */
  readonly onAdopted?: (nodeId: number) => void;
  /** This node keeps its calls in a file of its own, too, which may be behind Redis. */
  readonly keepsFile?: boolean;
  readonly log: ClusterLog;
}

/** What the replica has done. */
export class DialogReplicaCounters {
  records_written = 0;
  records_removed = 0;
  /** Calls that ended before their record was written. */
  records_spared = 0;
  /** Records that were not what they should be. */
  records_refused = 0;
  /** Ends that could not be told, because too many waited for Redis. */
  ends_dropped = 0;
  /** Calls of nodes that are gone. */
  dialogs_adopted = 0;
  /** Calls of other nodes of which a message came here, or which their nodes may not end. */
  dialogs_taken = 0;
  /** Own calls that were adopted while this node was cut off, and are here again. */
  dialogs_reclaimed = 0;
  /** Calls that another node has now, or that ended elsewhere. */
  dialogs_surrendered = 0;
  /** Questions for a call that this node does not know. */
  lookups = 0;
  lookups_timed_out = 0;
  /** Times at which messages of another node were found missing. */
  messages_missed = 0;
  /** Times at which all own calls were compared with Redis. */
  comparisons = 0;
}

/** What is known of the record of a call of this node. */
export class Held {
  /** As {@link RecordHead.taken}. */
  taken = 0;
  isAdopted = false;
  /** The did stands in the set of this node. */
  isListed = false;
  /** The record was sent once. */
  isWritten = false;
  /** Call-ID under which the did can be found; undefined before that was written. */
  callId: string | undefined = undefined;
  /** How long that was to stand, ms, and {@link Holdings.doubts} when it was written. */
  nameMs = 0;
  nameDoubts = 0;
  /** {@link Holdings.doubts} when this was made. */
  readonly doubts: number;

  constructor(doubts: number) {
    this.doubts = doubts;
  }
}

/** A record as it is written, and for how long. */
export interface RecordText {
  readonly record: string;
  readonly lifeMs: number;
  readonly callId: string;
}

/** "asked": an answer is to come. "lost": none came; only what Redis has tells. */
export type Claim = "asked" | "lost";

/** The calls that this node has, and how their records look. */
export class Holdings {
  readonly options: DialogReplicaOptions;
  readonly counters = new DialogReplicaCounters();
  readonly held = new Map<string, Held>();
  /** Calls that this node has asked Redis for, and what it knows of the answer. */
  readonly claims = new Map<string, Claim>();
  /** Those of {@link claims} of which news came meanwhile, which may be older or newer than the answer: only what Redis has tells. */
  readonly contested = new Set<string>();
  /** How often others may have taken calls of this node without its knowing. */
  doubts = 0;
  /** The call that is being restored: what is told of it meanwhile is no news. */
  #restoring: string | undefined = undefined;
  readonly #owner: string;

  constructor(options: DialogReplicaOptions) {
    this.options = options;
    this.#owner = ownerText(options.self);
  }

  /** How each record of this node begins. */
  get owner(): string {
    return this.#owner;
  }

  head(taken: number, isAdopted = false): string {
    return headText(this.options.self, taken, isAdopted);
  }

  /** Whether nobody has the call any more that this record tells of: its node is gone, or has started again since. */
  isLeft({ nodeId, incarnation }: RecordHead): boolean {
    const view = this.options.nodes.view(nodeId);
    return view?.isAlive !== true || view.incarnation !== incarnation;
  }

  /** Something of the call has changed. @returns whether its record has to be written */
  changed(did: string): boolean {
    if (did === this.#restoring) return false;
    let held = this.held.get(did);
    if (held === undefined) {
      held = new Held(this.doubts);
      this.held.set(did, held);
    }
    held.isAdopted = false; // something was heard of it
    return true;
  }

  /** Record of an own call, with its life in milliseconds. */
  text(did: string, taken: number, isAdopted: boolean): RecordText | undefined {
    const { dialogs, wire, clock } = this.options;
    const known = dialogs.read(did);
    if (known === undefined) return undefined;
    const body = bodyOf(known, this.#aheadMs());
    const { snapshot } = known;
    return {
      record: wire.encode([taken, isAdopted ? 1 : 0, ...body]),
      lifeMs: lifeMsOf(snapshot, clock.wallMs()),
      callId: snapshot.callId,
    };
  }

  /** Reads a record. Undefined, and counted, when it is not one of this dialog. */
  read(did: string, text: string): DialogRecord | undefined {
    const record = readRecord(this.options.wire, text, did, this.#aheadMs());
    if (record === undefined) this.counters.records_refused++;
    return record;
  }

  /** Goes on with a call whose record is that of this node now. */
  restore(
    did: string,
    record: DialogRecord,
    from: Pick<NodeIdentity, "nodeId" | "incarnation">,
    taken: number,
    reason: TakeReason,
  ): boolean {
    this.#restoring = did;
    const isRestored = this.options.dialogs.restore(record, from, reason);
    this.#restoring = undefined;
    if (!isRestored) return false;
    const held = new Held(this.doubts);
    held.taken = taken;
    held.isAdopted = reason === "adopted";
    held.isListed = true;
    held.isWritten = true;
    held.callId = record.snapshot.callId;
    held.nameMs = lifeMsOf(record.snapshot, this.options.clock.wallMs());
    held.nameDoubts = this.doubts;
    this.held.set(did, held);
    return true;
  }

  /** Forgets a call that is elsewhere or over. False: it is bound to this node, which has to have it again. */
  surrender(did: string, isOver: boolean): boolean {
    const held = this.held.get(did);
    if (held === undefined) return true;
    this.held.delete(did); // its end here is no news
    if (!this.options.dialogs.surrender(did, isOver)) {
      if (!this.options.dialogs.has(did)) return true;
      this.held.set(did, held);
      return false;
    }
    this.counters.dialogs_surrendered++;
    return true;
  }

  #aheadMs(): number {
    const { nodes, clock } = this.options;
    return nodes.redisNowMs() - clock.wallMs();
  }
}
