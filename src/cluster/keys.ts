import { createHash } from "node:crypto";

/** Version of the layout of keys and messages: nodes of different versions do not see each other. */
export const SCHEMA_VERSION = 1;
/** 132 bits of a hash: no two calls of a cluster have the same. */
const CALL_HASH_CHARS = 22;

/**
 * Names of keys and channels in Redis. Each begins with the schema version and the id of the cluster, so that clusters and versions can share one
 * Redis. What stands in braces decides on which shard of a Redis Cluster a key lies: what one script touches has it in common.
 */
export class Keys {
  readonly #prefix: string;
  readonly #control: string;

  /** @param clusterId from 1 */
  constructor(clusterId: number) {
    this.#prefix = `headroom:${SCHEMA_VERSION}:${clusterId}`;
    this.#control = `{${this.#prefix}}`;
  }

  /** Hash: node id to what the node says of itself. */
  get nodes(): string {
    return `${this.#control}:nodes`;
  }

  /** Hash: name of a sharing tag to who has it. */
  get tags(): string {
    return `${this.#control}:tags`;
  }

  /** Hash: aspect, group and URI of a destination to its version and state. */
  get status(): string {
    return `${this.#control}:status`;
  }

  /** Counter of changes of {@link status}. */
  get statusSeq(): string {
    return `${this.#control}:status-seq`;
  }

  /** Random text, made by whoever finds none: another one says that Redis has lost what it had. */
  get generation(): string {
    return `${this.#control}:generation`;
  }

  /** Hash: slot to the calls that a node has there. */
  load(nodeId: number): string {
    return `${this.#prefix}:load:{${nodeId}}`;
  }

  /** What is known of a dialog, and which node has it. */
  dialog(did: string): string {
    return `${this.#prefix}:dialog:{${did}}`;
  }

  /** The did of a call, for messages that do not carry it. @param callId of any length: it is not part of the name */
  call(callId: string): string {
    const hash = createHash("sha256").update(callId).digest("base64url").slice(0, CALL_HASH_CHARS);
    return `${this.#prefix}:call:{${hash}}`;
  }

  /** Set: dids of the dialogs of a node. */
  dialogsOf(nodeId: number): string {
    return `${this.#prefix}:dialogs:{${nodeId}}`;
  }

  /** Sorted set: dids of the dialogs of a node that ended in the last seconds, by when. */
  endsOf(nodeId: number): string {
    return `${this.#prefix}:ended:{${nodeId}}`;
  }

  /** Sorted set: leases of a slot by the time at which they expire. @param owner destination or pool @param resource of it */
  leases(owner: string, resource: string): string {
    return `${this.#prefix}:leases:{${owner}}:${resource}`;
  }

  /** Stands while the leases of an owner can be relied on. */
  leasesReady(owner: string): string {
    return `${this.#prefix}:leases-ready:{${owner}}`;
  }

  /** Channel that all nodes listen to. */
  channel(subject: "status" | "load" | "dialog" | "tag" | "mi" | "lease"): string {
    return `${this.#prefix}:channel:${subject}`;
  }

  /** Channel of one node: answers to what it asked. */
  channelOf(nodeId: number): string {
    return `${this.#prefix}:channel:node:${nodeId}`;
  }
}
