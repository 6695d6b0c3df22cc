import type { Balancer, CallLoad } from "../balancer/index.ts";
import { type DialogRecord, isDid } from "../cluster/dialogs/dialog-record.ts";
import {
  DialogReplica,
  type DialogReplicaOptions,
  type FoundRecord,
  LOOKUP_MS,
  type LocalDialogs,
  type ReplicaNodes,
  type TakeReason,
} from "../cluster/dialogs/dialog-replica.ts";
import { type Dialog, DialogState, type DialogTable, endpointsOf, snapshotOf } from "../dialog/index.ts";
import type { Elsewhere, Found, FoundDialog } from "../proxy/index.ts";
import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Listener } from "../transaction/index.ts";

/** The sharing tags, as the calls of a cluster need them. */
export interface CallTags {
  isActive(name: string): boolean;
  list(): readonly { readonly tag: string; readonly owner?: number | undefined }[];
}

export interface ClusterDialogsOptions extends Omit<DialogReplicaOptions, "dialogs" | "isAdopter" | "onAdopted"> {
  readonly nodes: ReplicaNodes;
  readonly dialogs: DialogTable;
  readonly balancer: Pick<Balancer, "held" | "adopt">;
  readonly listeners: () => readonly Listener[];
  readonly tags: CallTags;
  /** The tag whose owner ends calls by time-out and takes those of nodes that are gone; none: the living node with the lowest id takes them, and each ends its own. */
  readonly tag: string | undefined;
  /** A call of another node is here now, and counted. */
  readonly adopted?: ((dialog: Dialog, reason: TakeReason) => void) | undefined;
  /** A call that went to another node has ended there. */
  readonly callOver?: ((did: string) => void) | undefined;
  /** A call of another node is counted here now. */
  readonly took?: (from: { readonly nodeId: number; readonly incarnation: string }, load: CallLoad) => void;
  /** What a node that is gone has counted is counted elsewhere now. */
  readonly releaseLoads: (nodeId: number) => void;
}

/** The calls of this node in the cluster: what the dialog table tells is replicated, and what others have is found and restored. */
export class ClusterDialogs implements Elsewhere {
  readonly replica: DialogReplica;
  readonly #options: ClusterDialogsOptions;
  #surrendering: string | undefined = undefined;

  constructor(options: ClusterDialogsOptions) {
    this.#options = options;
    const { dialogs, releaseLoads } = options;
    this.replica = new DialogReplica({
      ...options,
      dialogs: this.#local(),
      isAdopter: () => this.#isAdopter(),
      onAdopted: releaseLoads,
    });
    dialogs.changeListeners.push((dialog) => this.replica.changed(dialog.did));
    dialogs.mayExpire = (dialog) => this.#mayExpire(dialog);
    dialogs.isOwn = ({ did }) => this.replica.isSureOf(did);
  }

  /** The call that is being given up because another node has it: what it holds in the cluster is not to be given back. */
  get surrendering(): string | undefined {
    return this.#surrendering;
  }

  /** To be called for each change of a state of a dialog (`DialogTable.onState`). */
  stateChanged(dialog: Dialog): void {
    if (dialog.state !== DialogState.Deleted) return;
    const isPutOff = dialog.endReason === "Lifetime Timeout" && dialog.isPutOff && !this.#isExpirer();
    this.replica.ended(dialog.did, dialog.endReason !== "Unanswered" && !isPutOff);
  }

  find(did: string | undefined, message: SipRequest | SipResponse): Promise<Found> | undefined {
    if (did !== undefined && !isDid(did)) return undefined;
    const { clock, link } = this.#options;
    const sinceMs = clock.nowMs();
    // What Redis cannot be asked, or does not answer, nobody can say.
    return (
      this.#search(did, message)?.then((found) => found ?? (link.isUp && clock.nowMs() - sinceMs < LOOKUP_MS ? undefined : "unknown")) ??
      Promise.resolve("unknown")
    );
  }

  #search(did: string | undefined, message: SipRequest | SipResponse): Promise<FoundDialog | undefined> | undefined {
    const isWanted = (record: DialogRecord): boolean => this.#guest(record)?.owns(message) === true;
    if (did !== undefined) return this.replica.find(did, isWanted)?.then((found) => this.#found(did, found, message));
    return this.replica.findByCallId(message.callId, isWanted)?.then((named) => named && this.#found(named.did, named.found, message));
  }

  #found(did: string, where: FoundRecord | undefined, message: SipRequest | SipResponse): FoundDialog | undefined {
    if (where?.kind === "guest") {
      const dialog = this.#guest(where.record);
      return dialog?.owns(message) ? { dialog, isGuest: true } : undefined;
    }
    const dialog = where && this.#options.dialogs.byDid(did);
    return dialog?.owns(message) ? { dialog, isGuest: false } : undefined;
  }

  /** Of calls that this node had before it started, those that no other node has, or had, since. Rejects when nobody can be asked. */
  stillOwn(dids: readonly string[]): Promise<string[]> {
    return this.replica.stillOwn(dids);
  }

  /** Such a call goes on here. */
  regained({ did }: Dialog): void {
    this.replica.regained(did);
  }

  hungUp({ did }: Dialog): void {
    this.over(did);
  }

  /** A call is over, whichever node has it. */
  over(did: string): void {
    this.replica.hungUp(did);
  }

  #local(): LocalDialogs {
    const { dialogs, balancer, listeners } = this.#options;
    return {
      read: (did) => {
        const dialog = dialogs.byDid(did);
        // Before its INVITE went anywhere nobody can send anything inside it.
        if (dialog === undefined || dialog.calleeEndpoint === undefined) return undefined;
        return { snapshot: snapshotOf(dialog), held: balancer.held(dialog.load) };
      },
      has: (did) => dialogs.byDid(did) !== undefined,
      canRestore: ({ snapshot }) => !dialogs.full && !dialogs.knows(snapshot.did) && endpointsOf(snapshot, listeners()) !== undefined,
      restore: ({ snapshot, held }, from, reason) => {
        const endpoints = endpointsOf(snapshot, listeners());
        const dialog = endpoints && dialogs.restore(snapshot, endpoints);
        if (dialog === undefined) return false;
        balancer.adopt(dialog.load, held);
        this.#options.took?.(from, dialog.load);
        this.#options.adopted?.(dialog, reason);
        return true;
      },
      over: this.#options.callOver,
      surrender: (did, isOver) => {
        const dialog = dialogs.byDid(did);
        if (dialog === undefined) return true;
        if (!isOver) this.#surrendering = did;
        try {
          return dialogs.surrender(dialog);
        } finally {
          this.#surrendering = undefined;
        }
      },
    };
  }

  #guest({ snapshot }: DialogRecord): Dialog | undefined {
    const endpoints = endpointsOf(snapshot, this.#options.listeners());
    return endpoints && this.#options.dialogs.guest(snapshot, endpoints);
  }

  #isAdopter(): boolean {
    const { tags, tag, nodes, self } = this.#options;
    if (tag !== undefined) return tags.isActive(tag);
    return !nodes.nodes().some(({ nodeId, isAlive }) => isAlive && nodeId < self.nodeId);
  }

  #isExpirer(): boolean {
    const { tags, tag } = this.#options;
    return tag === undefined || tags.isActive(tag);
  }

  /** A lifetime is over. Where the tag is not active the call goes to the node where it is. */
  #mayExpire({ did }: Dialog): boolean {
    if (this.#isExpirer()) return true;
    const { tags, tag, self } = this.#options;
    const owner = tags.list().find((row) => row.tag === tag)?.owner;
    if (owner !== undefined && owner !== self.nodeId) this.replica.offer(did, owner);
    return false;
  }
}
