import type { ClusterClock, ClusterLog } from "../ports.ts";
import type { TagAct, TagAsk, TagRow } from "./beat-script.ts";
import { FENCE_MARGIN_MS } from "./cluster-time.ts";
import type { BeatRider, Membership, TagBeat } from "./membership.ts";

/** Tags that a node can be told of. */
export const MAX_TAGS = 100;
/** Longest name of a tag, characters. */
export const MAX_TAG_CHARS = 64;
/** How long a backup lets those go ahead that the operator made active, ms. */
const PATIENCE_MS = 200;
/** The same for a tag that nobody ever had: nodes that start together do not start at the same moment. */
const FIRST_PATIENCE_MS = 2_000;
/** Backups claim one after the other within this time, ms: one beat is enough for all. */
const JITTER_MS = 50;
/** Longer than a lease, so that a dead owner's is waited for. */
const SET_ACTIVE_EXTRA_MS = 1000;

/** A tag as management lists it. */
export interface TagView {
  readonly tag: string;
  readonly cluster: number;
  /** On this node. */
  readonly state: "active" | "backup";
  /** Node that has it; absent: none that is known. */
  readonly owner?: number;
  /** Grows with each move. */
  readonly epoch: number;
}

export interface TagChange {
  readonly tag: string;
  readonly state: "active" | "backup";
  readonly epoch: number;
  /** For people. */
  readonly reason: string;
}

export interface SharingTagsOptions {
  readonly membership: Membership;
  readonly clock: ClusterClock;
  readonly log: ClusterLog;
  /** Tags of this node; `active`: it takes the tag when nobody has it. */
  readonly tags: readonly { readonly name: string; readonly active: boolean }[];
  /** "auto": backups take over from a dead owner. "manual": only {@link SharingTags.setActive} moves a tag. */
  readonly failover: "auto" | "manual";
  /** No tag is taken before {@link SharingTags.begin}: whoever has one gets calls. @default false */
  readonly waits?: boolean;
  /** Uniform, from 0 to below 1. @default {Math.random} */
  readonly random?: () => number;
}

/** How this node has a tag. */
interface Held {
  readonly epoch: number;
  /** When the beat was sent that renewed it, on two clocks. */
  readonly sentAtMs: number;
  readonly sentWallMs: number;
  /** End of the lease, Redis time. */
  readonly untilMs: number;
}

interface Asking {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
  stopTimer(): void;
}

class Tag {
  readonly name: string;
  /** The operator wants it here: it is taken before backups take it. */
  isEager: boolean;
  /** Highest epoch that is known. */
  epoch = 0;
  /** Who has it as far as is known; 0: nobody. */
  owner = 0;
  held: Held | undefined;
  isReleasing = false;
  /** Answers to earlier beats say nothing of who has it: it was given up since. */
  sinceSeq = 0;
  asking: Asking | undefined;

  constructor(name: string, isEager: boolean) {
    this.name = name;
    this.isEager = isEager;
  }
}

/**
 * Which node acts for a sharing tag (OpenSIPS `sharing_tags.c`), with what OpenSIPS lacks: a lease and a fence. A node acts only while its last confirmed beat
 * is younger than a lease less {@link FENCE_MARGIN_MS}, counted from when it was *sent*; Redis lets nobody else have the tag before that lease is over. So no
 * two nodes act at once, whatever becomes of Redis, the net or a node that was stopped.
 */
export class SharingTags implements BeatRider {
  readonly counters = { tags_gained: 0, tags_lost: 0, tags_refused: 0 };
  readonly #options: SharingTagsOptions;
  readonly #membership: Membership;
  readonly #tags = new Map<string, Tag>();
  /** Tags of which only others were told. */
  #others: readonly TagRow[] = [];
  readonly #listeners: ((change: TagChange) => void)[] = [];
  #hasBegun: boolean;
  #hasLeft = false;
  #stopFence: (() => void) | undefined;

  constructor(options: SharingTagsOptions) {
    this.#options = options;
    this.#membership = options.membership;
    this.#hasBegun = options.waits !== true;
    for (const { name, active } of options.tags) this.#tag(name, active);
    options.membership.carry(this);
  }

  /** From now on this node takes tags: it is ready for what comes with them. */
  begin(): void {
    this.#hasBegun = true;
    this.#membership.beatNow();
  }

  /** Whether this node is to act for the tag now. To be asked at each act. A tag that is not known becomes one of this node's, as a backup. */
  isActive(name: string): boolean {
    const tag = this.#tag(name);
    return tag !== undefined && this.#isActive(tag);
  }

  /** Grows with each move of the tag; 0: it is not known. */
  epoch(name: string): number {
    return this.#tags.get(name)?.epoch ?? 0;
  }

  /** Tags of this node. */
  names(): string[] {
    return [...this.#tags.keys()];
  }

  /**
   * Makes this node act for the tag: a living owner is asked to give it up, the lease of a dead one is waited for.
   *
   * @throws Error when it does not come within a lease and a second; the message says why
   */
  setActive(name: string): Promise<void> {
    const tag = this.#tag(name);
    if (tag === undefined) {
      return Promise.reject(
        new Error(
          `Cannot make sharing tag "${name.slice(0, MAX_TAG_CHARS)}" active: a name has 1 to ${MAX_TAG_CHARS} characters, a node ${MAX_TAGS} tags`,
        ),
      );
    }
    if (this.#hasLeft) return Promise.reject(hasLeftError(name));
    if (this.#isActive(tag)) return Promise.resolve();
    if (tag.asking !== undefined) return tag.asking.promise;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stopTimer = this.#options.clock.after(this.#membership.leaseMs + SET_ACTIVE_EXTRA_MS, () => {
      tag.asking = undefined;
      reject(new Error(`Cannot make sharing tag "${name}" active: ${this.#obstacle(tag)}`));
    });
    tag.asking = { promise, resolve, reject, stopTimer };
    tag.isReleasing = false;
    tag.sinceSeq = this.#membership.nextSeq;
    this.#membership.beatNow();
    this.#membership.tell("asked"); // it comes to the owner after what it is about has come to Redis
    return promise;
  }

  /** This node's tags, then those that only others have, by name. */
  list(): TagView[] {
    const cluster = this.#membership.self.clusterId;
    const own = [...this.#tags.values()].map((tag): TagView => {
      const isActive = this.#isActive(tag);
      const owner = isActive ? this.#membership.self.nodeId : tag.owner;
      return { tag: tag.name, cluster, state: isActive ? "active" : "backup", ...(owner > 0 ? { owner } : {}), epoch: tag.epoch };
    });
    const others = this.#others.map(({ name, nodeId, leaseMs, epoch }): TagView => {
      return { tag: name, cluster, state: "backup", ...(leaseMs > 0 ? { owner: nodeId } : {}), epoch };
    });
    return [...own, ...others.sort((a, b) => (a.tag < b.tag ? -1 : 1))];
  }

  onChange(listener: (change: TagChange) => void): void {
    this.#listeners.push(listener);
  }

  /** @internal */
  asks(): readonly TagAsk[] {
    const { time } = this.#membership;
    const soon: TagAct = time.untilSteadyMs() === 0 ? "claim" : time.isFirst ? "first" : "watch";
    const free = this.#hasBegun ? soon : "watch";
    return [...this.#tags.values()].map((tag) => {
      const { name, epoch, held, asking } = tag;
      const isHeld = held !== undefined && this.#isFresh(held);
      const mayClaim = asking !== undefined || tag.isEager || this.#options.failover === "auto";
      const act = tag.isReleasing || this.#hasLeft ? "release" : isHeld ? "hold" : mayClaim ? free : "watch";
      return {
        name,
        act,
        epoch: isHeld ? held.epoch : epoch,
        untilMs: isHeld ? held.untilMs : 0,
        graceMs: graceOf(tag),
        isWanted: asking !== undefined,
      };
    });
  }

  /** @internal */
  answered(beat: TagBeat): number {
    const rows = new Map(beat.rows.map((row) => [row.name, row]));
    const acts = new Map(beat.asks.map(({ name, act }) => [name, act]));
    let nextMs = this.#membership.leaseMs;
    for (const tag of this.#tags.values()) {
      const row = rows.get(tag.name);
      const act = acts.get(tag.name);
      if (row !== undefined && act !== undefined) nextMs = Math.min(nextMs, this.#heard(tag, row, act, beat));
      rows.delete(tag.name);
    }
    this.#others = [...rows.values()];
    this.#armFence();
    return nextMs;
  }

  /** @internal */
  refused(): void {
    for (const tag of this.#tags.values()) this.#lose(tag, "another node has the id of this one");
  }

  /** @internal */
  leaving(): void {
    this.#hasLeft = true;
    this.#stopFence?.();
    for (const tag of this.#tags.values()) {
      this.#lose(tag, "this node leaves the cluster");
      tag.asking?.stopTimer();
      tag.asking?.reject(hasLeftError(tag.name));
      tag.asking = undefined;
    }
  }

  /** @returns when the next beat has something to do for the tag, ms from now */
  #heard(tag: Tag, row: TagRow, act: TagAct, beat: TagBeat): number {
    const { self, leaseMs } = this.#membership;
    // A lease that is over was not renewed by this beat, whoever had it.
    const isMine = row.nodeId === self.nodeId && row.incarnation === self.incarnation && row.leaseMs > 0;
    const isOthers = row.leaseMs > 0 && !isMine;
    tag.epoch = Math.max(tag.epoch, row.epoch);
    tag.owner = row.leaseMs > 0 ? row.nodeId : 0;
    if (act === "release" && !isMine) tag.isReleasing = false;
    if (isOthers) tag.isEager = false;
    if (!isMine) {
      if (beat.seq >= tag.sinceSeq) this.#lose(tag, row.leaseMs > 0 ? `node ${row.nodeId} has it` : "it was taken away");
    } else if (beat.seq >= tag.sinceSeq && (act === "hold" || act === "claim" || act === "first")) {
      this.#gain(tag, row, beat);
      const isAskedFor = row.wanted > 0 && row.wanted !== self.nodeId && this.#membership.isAlive(row.wanted);
      if (isAskedFor && tag.asking === undefined && tag.held !== undefined) this.#release(tag, row.wanted);
    }
    if (tag.held !== undefined || tag.isReleasing) return leaseMs;
    const mayClaim = tag.asking !== undefined || tag.isEager || this.#options.failover === "auto";
    if (!mayClaim || !this.#hasBegun) return leaseMs;
    const { time } = this.#membership;
    // A tag that its owner gave up can be had by a node that has just started, before it has watched the others.
    const steadyMs = row.isReleased && time.isFirst ? 0 : time.untilSteadyMs();
    const jitterMs = tag.asking !== undefined || tag.isEager ? 0 : (this.#options.random ?? Math.random)() * JITTER_MS;
    return Math.max(row.waitMs + graceOf(tag) + jitterMs, steadyMs, 1);
  }

  #gain(tag: Tag, row: TagRow, { sentAtMs, sentWallMs, redisMs }: TagBeat): void {
    const wasActive = tag.held !== undefined;
    const held = { epoch: row.epoch, sentAtMs, sentWallMs, untilMs: redisMs + this.#membership.leaseMs };
    if (!this.#isFresh(held)) return; // the answer took longer than a lease
    tag.held = held;
    tag.isEager = true;
    if (!wasActive) {
      this.counters.tags_gained++;
      this.#tell({
        tag: tag.name,
        state: "active",
        epoch: row.epoch,
        reason: tag.asking !== undefined ? "set by the operator" : row.epoch > 1 ? "the node that had it is gone" : "nobody had it",
      });
    }
    const { asking } = tag;
    tag.asking = undefined;
    asking?.stopTimer();
    asking?.resolve();
  }

  #release(tag: Tag, wanted: number): void {
    tag.isReleasing = true;
    tag.sinceSeq = this.#membership.nextSeq;
    this.#lose(tag, `node ${wanted} takes it over`);
    this.#membership.beatNow();
    this.#membership.tell("free");
  }

  #lose(tag: Tag, reason: string): void {
    if (tag.held === undefined) return;
    tag.held = undefined;
    this.counters.tags_lost++;
    this.#tell({ tag: tag.name, state: "backup", epoch: tag.epoch, reason });
  }

  #isActive(tag: Tag): boolean {
    return !this.#hasLeft && tag.held !== undefined && this.#isFresh(tag.held);
  }

  /** Two clocks: the monotonic one of a virtual machine may stand still while the machine does. */
  #isFresh({ sentAtMs, sentWallMs }: Held): boolean {
    const { clock } = this.#options;
    const ageMs = Math.max(clock.nowMs() - sentAtMs, clock.wallMs() - sentWallMs);
    return ageMs < this.#membership.leaseMs - FENCE_MARGIN_MS;
  }

  /** Says in time that the fence is over; that it is over is known without. */
  #armFence(): void {
    this.#stopFence?.();
    this.#stopFence = undefined;
    const { clock } = this.#options;
    const sent = [...this.#tags.values()].flatMap(({ held }) => (held === undefined ? [] : [held.sentAtMs]));
    if (sent.length === 0) return;
    const dueMs = Math.min(...sent) + this.#membership.leaseMs - FENCE_MARGIN_MS;
    this.#stopFence = clock.after(Math.max(1, Math.ceil(dueMs - clock.nowMs())), () => {
      for (const tag of this.#tags.values()) {
        if (tag.held !== undefined && !this.#isFresh(tag.held)) this.#lose(tag, "Redis did not confirm it in time");
      }
      this.#armFence();
    });
  }

  #obstacle(tag: Tag): string {
    const { state, leaseMs } = this.#membership;
    if (state === "duplicate") return "another node has the id of this one";
    if (state === "alone") return "Redis does not answer; wait until it does";
    if (tag.owner > 0)
      return `node "${tag.owner}" has it and did not give it up within ${leaseMs + SET_ACTIVE_EXTRA_MS} ms; try again, or stop that node`;
    return "Redis came back only now; try again";
  }

  #tag(name: string, isEager = false): Tag | undefined {
    const known = this.#tags.get(name);
    if (known !== undefined) return known;
    if (name.length === 0 || name.length > MAX_TAG_CHARS || this.#tags.size >= MAX_TAGS) {
      this.counters.tags_refused++;
      return undefined;
    }
    const tag = new Tag(name, isEager);
    this.#tags.set(name, tag);
    return tag;
  }

  #tell(change: TagChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#options.log.error({ err: error, tag: change.tag }, "cannot process a change of a sharing tag");
      }
    }
  }
}

function hasLeftError(name: string): Error {
  return new Error(`Cannot make sharing tag "${name}" active: this node has left the cluster`);
}

function graceOf({ asking, isEager, epoch }: Pick<Tag, "asking" | "isEager" | "epoch">): number {
  if (asking !== undefined || isEager) return 0;
  return epoch === 0 ? FIRST_PATIENCE_MS : PATIENCE_MS;
}
