import { Type } from "typebox";
import type { Keys } from "../keys.ts";
import { type ClusterClock, type ClusterLink, type ClusterLog, LinkError, type NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { BEAT, type BeatAnswer, beatArgs, readBeat, type TagAsk, type TagRow } from "./beat-script.ts";
import { ClusterTime } from "./cluster-time.ts";
import { decodeIdentity, encodeIdentity, NodeTable, type NodeView } from "./node-table.ts";

export type { NodeView } from "./node-table.ts";

/** A node is gone when its lease was not renewed for so long, ms. */
export const LEASE_MS = 3000;
/** Time between two beats, ms. */
export const BEAT_MS = 1000;
/** Round trip above which Redis is called slow, ms. */
export const SLOW_MS = 50;
/** Beats without an answer yet; with a slow Redis several are under way, or the lease would end between two. */
const MAX_UNDER_WAY = 4;
/** Beats between two regular ones at most: what others tell brings them about. */
const MAX_EXTRA_BEATS = 20;
/** How long after the end of a lease it is asked what came of it, ms. */
const AFTERWARDS_MS = 10;

const TagMessage = Type.Object({ what: Type.Union([Type.Literal("asked"), Type.Literal("free"), Type.Literal("left")]) });

/** Something that rides on the beats of the membership: the sharing tags. */
export interface BeatRider {
  asks(seq: number): readonly TagAsk[];
  /** @returns when it wants the next beat at the latest, ms from now */
  answered(beat: TagBeat): number;
  /** Another node holds this one's id: nothing is held any more. */
  refused(): void;
  /** Everything is to be given up with the next beat. */
  leaving(): void;
}

/** What an answer says of the tags. */
export interface TagBeat {
  readonly seq: number;
  readonly sentAtMs: number;
  readonly sentWallMs: number;
  readonly redisMs: number;
  readonly asks: readonly TagAsk[];
  readonly rows: readonly TagRow[];
}

export interface MembershipOptions {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: NodeIdentity;
  readonly clock: ClusterClock;
  readonly log: ClusterLog;
  /** @default {LEASE_MS} */
  readonly leaseMs?: number;
  /** Well below a third of the lease is waste, above it is peril. @default {BEAT_MS} */
  readonly beatMs?: number;
}

/** The id of this node is in use. The message is for the operator. */
export class DuplicateNodeError extends Error {
  override readonly name = "DuplicateNodeError";

  constructor(self: NodeIdentity, holder: NodeIdentity | undefined) {
    const where = holder === undefined ? "" : ` at ${holder.sip[0] ?? "an unknown address"} (${holder.managementUrl})`;
    const since = holder === undefined ? "" : `, which was started at ${new Date(holder.startedAtMs).toISOString()}`;
    super(
      `Cannot join cluster ${self.clusterId}: node id "${self.nodeId}" is in use by a living node${where}${since}. Give cluster.node_id another value on one of the two, or stop the other node`,
    );
  }
}

type OkAnswer = Extract<BeatAnswer, { outcome: "ok" }>;
type HeldAnswer = Extract<BeatAnswer, { outcome: "held" }>;

/**
 * This node's place in the cluster: one script a second renews its lease and tells who else is there. Without Redis what was known last stays: nobody is given
 * up because this node is cut off.
 */
export class Membership {
  readonly leaseMs: number;
  readonly self: NodeIdentity;
  /** Round trip of the last beat, ms. */
  rttMs: number | undefined;
  readonly #counters = {
    beats: 0,
    beats_failed: 0,
    beats_skipped: 0,
    beats_stale: 0,
    beats_refused: 0,
    extra_beats_refused: 0,
    foreign_records: 0,
  };
  readonly #options: MembershipOptions;
  readonly #beatMs: number;
  readonly #time: ClusterTime;
  readonly #table: NodeTable;
  readonly #identity: string;
  readonly #nodeListeners: ((node: NodeView, alive: boolean) => void)[] = [];
  readonly #beatListeners: ((beat: { statusSeq: number; generation: string; atMs: number }) => void)[] = [];
  #rider: BeatRider | undefined;
  #seq = 0;
  #epoch = 0;
  #directory = "";
  #generation = "";
  #foreign = 0;
  #underWay = 0;
  #extras = 0;
  #isRunning = false;
  #isFull = false;
  /** What Redis said when it refused the last beat; "" when it did not. */
  #refusal = "";
  /** When the last beat was sent that renewed the lease, monotonic. */
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #holder: { incarnation: string; expiryMs: number; isAlive: boolean } | undefined;
  #joining: { resolve(outcome: "joined" | "alone"): void; reject(error: Error): void; stopTimer(): void } | undefined;
  #stopTick: (() => void) | undefined;
  #stopWake: (() => void) | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.self = options.self;
    this.leaseMs = options.leaseMs ?? LEASE_MS;
    this.#beatMs = options.beatMs ?? BEAT_MS;
    this.#time = new ClusterTime(options.clock, this.leaseMs);
    this.#table = new NodeTable(options.wire, options.self);
    this.#identity = encodeIdentity(options.wire, options.self);
    const { link, keys, wire } = options;
    link.onUp(() => {
      this.#time.upset();
      if (!this.#holder?.isAlive) this.#holder = undefined; // another Redis may remember another end of the lease
      this.beatNow();
    });
    // What was told is nothing to go by: it only says that it is time to ask.
    link.subscribe(keys.channel("tag"), (text) => {
      const said = wire.decode(TagMessage, text);
      if (said !== undefined && said.incarnation !== this.self.incarnation) this.beatNow();
    });
  }

  /**
   * Begins to beat.
   *
   * @param waitMs how long it is waited for Redis
   * @returns "alone": Redis did not answer in time; it is tried on
   * @throws DuplicateNodeError a living node has this id. The lease that a crash left is waited for, a little over `leaseMs` at most
   */
  join(waitMs: number): Promise<"joined" | "alone"> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => this.#joined("alone");
      const stop = clock.after(waitMs, () => {
        if (this.#holder === undefined || this.#joining === undefined) giveUp();
        else this.#joining.stopTimer = clock.after(this.leaseMs + 2 * this.#beatMs, giveUp);
      });
      this.#joining = { resolve, reject, stopTimer: stop };
      this.#isRunning = true;
      this.#tick();
    });
  }

  /** Gives up the lease and all tags, so that nobody has to wait for their end, and beats no more. Never rejects. */
  async leave(): Promise<void> {
    const wasIn = this.#isRunning && this.#holder === undefined;
    this.#stop();
    this.#joined("alone");
    this.#rider?.leaving();
    const { link } = this.#options;
    if (!wasIn || !link.isUp) return;
    const done = this.#send(true);
    this.tell("left");
    await done;
  }

  /** All nodes that are known, by id: this one, the living, and those that died within a day. */
  nodes(): readonly NodeView[] {
    return this.#table.all();
  }

  view(nodeId: number): NodeView | undefined {
    return this.#table.get(nodeId);
  }

  isAlive(nodeId: number): boolean {
    return this.#table.get(nodeId)?.isAlive === true;
  }

  get state(): "joined" | "alone" | "duplicate" {
    if (this.#holder?.isAlive) return "duplicate";
    return this.#holder === undefined && this.#options.clock.nowMs() - this.#renewedAtMs < this.leaseMs ? "joined" : "alone";
  }

  /** Redis answers the beats of this node with an error, as one whose memory is full does: there is nothing to be shared by it. */
  get isRefused(): boolean {
    return this.#refusal !== "";
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...this.#time.counters, ...this.#table.counters };
  }

  /** Time of Redis, milliseconds since 1970, whole; goes on without Redis. */
  redisNowMs(): number {
    return this.#time.redisNowMs();
  }

  /** A node came, came again as another incarnation, or is gone. */
  onNode(listener: (node: NodeView, alive: boolean) => void): void {
    this.#nodeListeners.push(listener);
  }

  /** A beat was answered. `generation` is another text when Redis has lost what it had; `atMs` is Redis time. */
  onBeat(listener: (beat: { statusSeq: number; generation: string; atMs: number }) => void): void {
    this.#beatListeners.push(listener);
  }

  /** @internal Lets the tags ride on the beats. */
  carry(rider: BeatRider): void {
    this.#rider = rider;
  }

  /** @internal */
  get time(): ClusterTime {
    return this.#time;
  }

  /** @internal Number of the beat that is sent next. */
  get nextSeq(): number {
    return this.#seq + 1;
  }

  /** Tells the others that there is something new about tags; they ask Redis what. */
  tell(what: "asked" | "free" | "left"): void {
    const { link, keys, wire } = this.#options;
    if (link.isUp) link.publish(keys.channel("tag"), wire.encode({ what }));
  }

  /** Beats before it is time; the number of such beats is bounded. */
  beatNow(): void {
    if (!this.#isRunning) return;
    if (this.#extras >= MAX_EXTRA_BEATS || this.#underWay >= MAX_UNDER_WAY) {
      this.#counters.extra_beats_refused++;
      return;
    }
    this.#extras++;
    void this.#send(false);
  }

  #tick(): void {
    this.#stopTick?.();
    if (!this.#isRunning) return;
    this.#stopTick = this.#options.clock.after(this.#beatMs, () => this.#tick());
    this.#extras = 0;
    if (this.#underWay < MAX_UNDER_WAY) void this.#send(false);
    else this.#counters.beats_skipped++;
  }

  async #send(isLeaving: boolean): Promise<void> {
    const { link, keys, clock } = this.#options;
    if (!link.isUp) {
      this.#counters.beats_skipped++;
      return;
    }
    const [sentAtMs, sentWallMs, seq] = [clock.nowMs(), clock.wallMs(), ++this.#seq];
    const asks = this.#rider?.asks(seq) ?? [];
    const { nodeId, incarnation } = this.self;
    const [identity, epoch, directory, leaseMs] = [this.#identity, this.#epoch, this.#directory, this.leaseMs];
    const claimBeforeMs = this.#time.claimBeforeMs();
    const request = { nodeId, incarnation, seq, leaseMs, identity, epoch, isLeaving, claimBeforeMs, directory, tags: asks };
    this.#underWay++;
    try {
      const reply = await link.run(BEAT, [keys.nodes, keys.tags, keys.statusSeq, keys.generation], beatArgs(request));
      const answer = readBeat(reply);
      if (answer === undefined) throw new Error(`Cannot read the answer to a beat: "${JSON.stringify(reply)?.slice(0, 200)}"`);
      if (this.#isRunning) this.#heard(answer, { seq, sentAtMs, sentWallMs, asks });
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#underWay--;
    }
  }

  /** A Redis that is there and takes no beats (out of memory, its disk is full, rights are missing) is of no more use than none: the operator is to know why. */
  #failed(error: unknown): void {
    this.#counters.beats_failed++;
    const { log } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof LinkError || reason === this.#refusal) log.debug({ err: error }, "A beat was not answered");
    else log.error({ reason }, "Redis refuses the beats of this node");
    if (!(error instanceof LinkError)) this.#refusal = reason;
  }

  #heard(answer: BeatAnswer, sent: Pick<TagBeat, "seq" | "sentAtMs" | "sentWallMs" | "asks">): void {
    const receivedAtMs = this.#options.clock.nowMs();
    this.#counters.beats++;
    this.rttMs = receivedAtMs - sent.sentAtMs;
    const isForgotten = answer.outcome === "ok" && this.#generation !== "" && this.#generation !== answer.generation;
    if (isForgotten) this.#time.upset();
    const isTimely = this.#time.heard({ sentAtMs: sent.sentAtMs, receivedAtMs, redisMs: answer.redisMs });
    if (answer.outcome === "ok") this.#renewed(answer, sent, isTimely);
    else if (answer.outcome === "held") this.#held(answer);
    else if (answer.outcome === "stale") this.#counters.beats_stale++;
    else this.#full();
  }

  #renewed(answer: OkAnswer, sent: Pick<TagBeat, "seq" | "sentAtMs" | "sentWallMs" | "asks">, isTimely: boolean): void {
    const { redisMs, generation, statusSeq } = answer;
    const isFirst = this.#epoch === 0;
    this.#holder = undefined;
    this.#isFull = false;
    this.#refusal = "";
    this.#renewedAtMs = Math.max(this.#renewedAtMs, sent.sentAtMs);
    this.#epoch = answer.epoch;
    this.#generation = generation;
    this.#foreignRecords(answer.foreign);
    const isSteady = isTimely && this.#time.untilSteadyMs() === 0;
    const { isComplete, changed } = this.#table.heard({ rows: answer.nodes, redisMs, isSteady });
    this.#directory = isComplete ? answer.directory : "";
    const tagsAtMs = this.#rider?.answered({ ...sent, redisMs, rows: answer.tags }) ?? this.#beatMs;
    for (const node of changed) for (const listener of this.#nodeListeners) this.#guarded(() => listener(node, node.isAlive));
    for (const listener of this.#beatListeners) this.#guarded(() => listener({ statusSeq, generation, atMs: redisMs }));
    this.#joined("joined");
    const ends = answer.nodes.map(({ nodeId, expiryMs }) => (this.isAlive(nodeId) ? expiryMs - redisMs + AFTERWARDS_MS : this.#beatMs));
    const untilSteadyMs = this.#time.untilSteadyMs();
    // A lease that is over while the view is not steady counts when it is.
    const nodesAtMs = Math.min(...ends.map((ms) => Math.max(ms, isTimely ? untilSteadyMs : 2 * AFTERWARDS_MS)));
    // The first beat could claim nothing: only its answer told what time it is.
    this.#wakeIn(isFirst ? 0 : Math.min(tagsAtMs, nodesAtMs));
  }

  /** The id is taken. Whether by a living node its next beats tell: only such a node moves the end of its lease. */
  #held(answer: HeldAnswer): void {
    const { redisMs, expiryMs, incarnation, identity } = answer;
    this.#counters.beats_refused++;
    const before = this.#holder;
    const isAlive = before?.incarnation === incarnation && (before.isAlive || expiryMs > before.expiryMs);
    this.#holder = { incarnation, expiryMs, isAlive };
    this.#renewedAtMs = Number.NEGATIVE_INFINITY;
    this.#rider?.refused();
    if (!isAlive) {
      this.#wakeIn(expiryMs - redisMs + AFTERWARDS_MS);
      return;
    }
    const error = new DuplicateNodeError(this.self, decodeIdentity(this.#options.wire, identity));
    if (this.#joining !== undefined) {
      this.#stop();
      this.#joining.stopTimer();
      this.#joining.reject(error);
      this.#joining = undefined;
    } else if (!before?.isAlive) this.#options.log.error({ holder: incarnation }, error.message);
  }

  #full(): void {
    this.#counters.beats_refused++;
    if (!this.#isFull) this.#options.log.error({}, "The cluster has as many living nodes as it can have: this one is not let in");
    this.#isFull = true;
  }

  #foreignRecords(count: number): void {
    if (count > this.#foreign) {
      this.#counters.foreign_records += count - this.#foreign;
      this.#options.log.warn({ records: count }, "Redis has records of nodes or tags that cannot be read; they are ignored");
    }
    this.#foreign = count;
  }

  /** What one listener cannot cope with is kept from none of the others. */
  #guarded(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#options.log.error({ err: error }, "cannot process news of the cluster");
    }
  }

  #wakeIn(ms: number): void {
    this.#stopWake?.();
    this.#stopWake = ms < this.#beatMs ? this.#options.clock.after(Math.max(1, Math.ceil(ms)), () => this.beatNow()) : undefined;
  }

  #joined(outcome: "joined" | "alone"): void {
    const joining = this.#joining;
    this.#joining = undefined;
    joining?.stopTimer();
    joining?.resolve(outcome);
  }

  #stop(): void {
    this.#isRunning = false;
    this.#stopTick?.();
    this.#stopWake?.();
  }
}
