import type { Balancer } from "../../balancer/index.ts";
import type { Keys } from "../keys.ts";
import type { ClusterClock, ClusterLink, ClusterLog, NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { type LoadMessage, LoadMeta, META_FIELD, type NodeLoad, readField, readMessage, type Taken, takenIn } from "./load-message.ts";
import { LoadPublisher, LoadPublisherCounters } from "./load-publisher.ts";
import { OwnTakes } from "./own-takes.ts";
import { RemoteLoads } from "./remote-loads.ts";
import type { Slots } from "./slots.ts";

/** Who else is in the cluster: what the exchange needs of the membership. */
export interface LoadMembers {
  nodes(): readonly { readonly nodeId: number; readonly isAlive: boolean }[];
  isAlive(nodeId: number): boolean;
  /** A node came, also again as another incarnation, or its lease ended. */
  onNode(listener: (node: { readonly nodeId: number }, alive: boolean) => void): void;
  /** This node's lease was renewed; before the first it is no member. */
  onBeat(listener: (beat: { readonly generation: string }) => void): void;
}

export interface LoadExchangePorts {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: Pick<NodeIdentity, "nodeId">;
  readonly clock: ClusterClock;
  readonly log: ClusterLog;
  readonly members: LoadMembers;
  readonly slots: Slots;
  readonly balancer: Pick<Balancer, "load" | "remoteLoad" | "setRemoteLoad" | "slotCell">;
  /** Does something by which loads of others change though no call begins or ends: a node becomes known, or leaves. */
  readonly recount?: (change: () => void) => void;
  /** Between two looks at the loads, ms. @default 25 */
  readonly scanMs?: number;
  /** What this node wrote lives so long without a beat, ms. @default 3000 */
  readonly leaseMs?: number;
}

/** Calls of a node that is gone are counted for so long, ms, from the last that was taken over: whoever takes its dialogs over needs time. */
export const GONE_LOADS_MS = 10_000;

/** Hashes that are read at a time. */
const MAX_READS_UNDER_WAY = 8;

/** Messages of a node that wait while its hash is read. */
const MAX_HELD_MESSAGES = 256;

/** What happened since the start, besides what {@link LoadPublisherCounters} say. */
class LoadExchangeCounters {
  received = 0;
  /** Messages that came late or twice. */
  late = 0;
  /** Times that a message was missed. */
  gaps = 0;
  /** Messages from nodes that are not alive here. */
  strangers = 0;
  reads = 0;
  read_failures = 0;
  /** Fields of hashes that are no load. */
  malformed = 0;
  /** Nodes whose loads left with them. */
  dropped_nodes = 0;
}

/** What is known of another node. */
class Peer {
  incarnation = "";
  /** Of the last message that was taken in. */
  seq = 0;
  isReading = false;
  /** What came meanwhile. */
  held: { incarnation: string; message: LoadMessage }[] = [];
  goneAtMs: number | undefined;
}

/**
 * Tells the other nodes how many calls this one has in each slot that is shared, and the balancer how many they have. Calls do not wait for it: within
 * a scan and the way through Redis the others know. All that is told is absolute; who has missed a message reads the whole.
 */
export class LoadExchange {
  readonly loads: RemoteLoads;
  readonly #counters = new LoadExchangeCounters();
  readonly #ports: LoadExchangePorts;
  readonly #publisher: LoadPublisher;
  readonly #takes: OwnTakes;
  /** Nodes of which something came though they are gone: what they have may be told by themselves at any time. */
  readonly #heard = new Set<number>();
  readonly #peers = new Map<number, Peer>();
  /** Nodes whose hash is to be read. */
  readonly #wanted = new Set<number>();
  #reads = 0;
  #checked = 0;
  #isMember = false;
  #stopScan: (() => void) | undefined;
  #isStopped = false;

  constructor(ports: LoadExchangePorts) {
    const { balancer, keys, link, members, self, slots, leaseMs = 3000 } = ports;
    this.#ports = ports;
    this.loads = new RemoteLoads(balancer, slots);
    this.#takes = new OwnTakes(
      (nodeId) => members.isAlive(nodeId),
      (slot) => this.#setTaken(self.nodeId, slot, this.#takes.of(slot)),
    );
    this.#publisher = new LoadPublisher({ ...ports, takes: this.#takes, leaseMs });
    link.subscribe(keys.channel("load"), (text) => this.#receive(text));
    link.onUp(() => this.#up());
    members.onNode(({ nodeId }, alive) => this.#node(nodeId, alive));
    members.onBeat(({ generation }) => this.#beat(generation));
    for (const { nodeId, isAlive } of members.nodes()) if (isAlive) this.#node(nodeId, true);
    this.loads.apply();
  }

  /** To be told of a new table in the same step, after the slots. */
  tableChanged(): void {
    this.#publisher.tableChanged();
    this.loads.tableChanged();
  }

  /** The dialogs of a node that is gone are counted elsewhere now: its loads leave. Nothing happens to those of a node that is alive. */
  release(nodeId: number): void {
    if (this.#ports.members.isAlive(nodeId)) return;
    if (this.#peers.delete(nodeId)) this.#counters.dropped_nodes++;
    this.#recount(() => this.loads.remove(nodeId));
  }

  /**
   * A call of another node is one of this node now, in these cells of the balancer: from now on it is counted here only, and with the next scan on every
   * other node. To be told in the same step in which the balancer counts it.
   */
  took({ nodeId, incarnation }: Pick<NodeIdentity, "nodeId" | "incarnation">, cells: readonly number[]): void {
    const { balancer, clock, self, slots } = this.#ports;
    const mark = this.loads.markOf(nodeId);
    if (nodeId === self.nodeId || mark?.incarnation !== incarnation || this.#heard.has(nodeId)) return;
    const names = cells.flatMap((cell) => {
      const slot = slots.bySlotCell(balancer.slotCell(cell));
      return slot === undefined || slot.sharing === "off" ? [] : [slot.name];
    });
    if (names.length > 0) this.#recount(() => this.#takes.add(nodeId, mark, names, clock.nowMs()));
  }

  get counters(): Record<string, number> {
    const { whole_writes, write_failures, messages, changes } = this.#publisher.counters;
    const { size, unknownSlots, refused } = this.loads;
    const own = { published: messages, changes, whole_writes, write_failures };
    return { ...own, ...this.#counters, kept: size, unknown_slots: unknownSlots, refused };
  }

  /** Ends the scans, and takes nothing in any more. What is known of others stays. */
  stop(): void {
    this.#isStopped = true;
    this.#stopScan?.();
  }

  #beat(generation: string): void {
    if (this.#isStopped) return;
    this.#publisher.beat(generation);
    if (!this.#isMember) this.#scanLater();
    this.#isMember = true;
    this.#dropGone();
    this.#recount(() => this.#takes.forgetOld(this.#ports.clock.nowMs()));
    this.loads.apply();
    this.#checkOne();
    this.#readWanted();
  }

  #scanLater(): void {
    this.#stopScan = this.#ports.clock.after(this.#ports.scanMs ?? 25, () => {
      this.#scanLater();
      this.#publisher.scan();
    });
  }

  /** What happened while there was no connection nobody told. Who is gone by now has just begun to be, as far as can be said. */
  #up(): void {
    this.#takes.keep(this.#ports.clock.nowMs());
    for (const peer of this.#peers.values()) if (peer.goneAtMs !== undefined) peer.goneAtMs = this.#ports.clock.nowMs();
    for (const { nodeId, isAlive } of this.#ports.members.nodes()) if (isAlive) this.#want(nodeId);
    this.#readWanted();
  }

  #node(nodeId: number, alive: boolean): void {
    if (nodeId === this.#ports.self.nodeId) return;
    this.#heard.delete(nodeId);
    if (alive) {
      this.#forgetTakes(nodeId);
      this.#peer(nodeId).goneAtMs = undefined;
      this.#want(nodeId);
      this.#readWanted();
    } else {
      this.#takes.gone(nodeId);
      const peer = this.#peers.get(nodeId);
      if (peer !== undefined) peer.goneAtMs ??= this.#ports.clock.nowMs();
    }
  }

  /** Only at beats: while Redis is not there, nobody knows who is gone, and the last that was known holds. */
  #dropGone(): void {
    const { clock, log, members } = this.#ports;
    for (const [nodeId, { goneAtMs }] of this.#peers) {
      if (goneAtMs === undefined || members.isAlive(nodeId) || clock.nowMs() - goneAtMs < GONE_LOADS_MS) continue;
      log.info({ node: nodeId }, "calls of a node that is gone are counted no more: nobody has taken its dialogs over");
      this.release(nodeId);
    }
  }

  /** With each beat one node in turn is asked how far it is: that would show if its messages did not come at all. */
  #checkOne(): void {
    const living = [...this.#peers].filter(([nodeId]) => this.#ports.members.isAlive(nodeId));
    const [nodeId, peer] = living[this.#checked++ % Math.max(1, living.length)] ?? [];
    if (nodeId === undefined || peer === undefined || peer.isReading) return;
    const { keys, link } = this.#ports;
    link
      .command("hget", keys.load(nodeId), META_FIELD)
      .then((text) => {
        const meta = this.#meta(nodeId, text);
        if (meta === undefined || (meta.incarnation === peer.incarnation && meta.seq === peer.seq)) return;
        this.#want(nodeId);
        this.#readWanted();
      })
      .catch(() => this.#counters.read_failures++);
  }

  #receive(text: string): void {
    const { self, members, wire } = this.#ports;
    const received = this.#isStopped ? undefined : readMessage(wire, text);
    if (received === undefined || received.nodeId === self.nodeId) return;
    const { nodeId, incarnation, body } = received;
    if (!members.isAlive(nodeId)) {
      this.#counters.strangers++;
      this.#heard.add(nodeId);
      this.#forgetTakes(nodeId);
      return;
    }
    this.#counters.received++;
    const peer = this.#peer(nodeId);
    if (peer.isReading) this.#hold(nodeId, peer, incarnation, body);
    else this.#take(nodeId, peer, incarnation, body);
    this.#readWanted();
  }

  #hold(nodeId: number, peer: Peer, incarnation: string, message: LoadMessage): void {
    if (peer.held.length >= MAX_HELD_MESSAGES) {
      peer.held = [];
      this.#want(nodeId);
    }
    peer.held.push({ incarnation, message });
  }

  #take(nodeId: number, peer: Peer, incarnation: string, { seq, changes }: LoadMessage): void {
    if (incarnation !== peer.incarnation) {
      this.#want(nodeId);
      return;
    }
    const next = changes.length === 0 ? peer.seq : peer.seq + 1;
    if (seq < next) {
      if (changes.length > 0) this.#counters.late++;
      return;
    }
    if (seq > next) {
      this.#counters.gaps++;
      this.#want(nodeId);
    }
    const isMoving = this.loads.isTakenFrom(nodeId) || changes.some((change) => change.length > 2);
    if (isMoving) this.#recount(() => this.#apply(nodeId, incarnation, seq, changes));
    else this.#apply(nodeId, incarnation, seq, changes);
    // A gap stays one until the hash was read: the next message must not look as if nothing were missing.
    if (seq === next) peer.seq = seq;
  }

  /** What is said of these slots holds, whatever was missed of others. */
  #apply(nodeId: number, incarnation: string, seq: number, changes: LoadMessage["changes"]): void {
    this.loads.asOf(nodeId, incarnation, seq);
    for (const change of changes) {
      const [name, calls] = change;
      this.loads.set(nodeId, name, calls);
      this.#setTaken(nodeId, name, takenIn(change));
    }
  }

  /** A node whose calls are being taken over is counted on: it takes as long as it takes. */
  #setTaken(nodeId: number, name: string, taken: readonly Taken[]): void {
    if (!this.loads.setTaken(nodeId, name, taken)) return;
    for (const each of taken) {
      const peer = this.#peers.get(each.nodeId);
      if (peer?.goneAtMs !== undefined) peer.goneAtMs = this.#ports.clock.nowMs();
    }
  }

  #forgetTakes(nodeId: number): void {
    this.#recount(() => this.#takes.forget(nodeId));
  }

  #want(nodeId: number): void {
    if (nodeId !== this.#ports.self.nodeId) this.#wanted.add(nodeId);
  }

  #readWanted(): void {
    for (const nodeId of this.#wanted) {
      if (!this.#ports.link.isUp || this.#reads >= MAX_READS_UNDER_WAY || this.#isStopped) return;
      const peer = this.#peers.get(nodeId);
      if (peer?.isReading) continue;
      this.#wanted.delete(nodeId);
      if (this.#ports.members.isAlive(nodeId)) this.#read(nodeId, this.#peer(nodeId));
    }
  }

  #read(nodeId: number, peer: Peer): void {
    const { keys, link } = this.#ports;
    peer.isReading = true;
    this.#reads++;
    this.#counters.reads++;
    link
      .command("hgetall", keys.load(nodeId))
      .then((answer) => this.#readDone(nodeId, peer, answer))
      .catch(() => {
        this.#counters.read_failures++;
        this.#readEnded(nodeId, peer);
        this.#want(nodeId); // at the next beat, or when there is a connection again
      });
  }

  #readDone(nodeId: number, peer: Peer, answer: unknown): void {
    const fields = fieldsOf(answer);
    const meta = this.#meta(nodeId, fields.get(META_FIELD));
    fields.delete(META_FIELD);
    // Without a number it is not there, or still being written: whoever writes it says so when it is done.
    if (meta !== undefined && this.#peers.get(nodeId) === peer) {
      const loads = new Map<string, NodeLoad>();
      for (const [name, text] of fields) {
        const load = readField(name, text);
        if (load === undefined) this.#counters.malformed++;
        else loads.set(name, load);
      }
      this.#recount(() => {
        this.loads.asOf(nodeId, meta.incarnation, meta.seq);
        this.loads.replace(nodeId, loads);
      });
      peer.incarnation = meta.incarnation;
      peer.seq = meta.seq;
    }
    this.#readEnded(nodeId, peer);
    this.#readWanted();
  }

  #readEnded(nodeId: number, peer: Peer): void {
    this.#reads--;
    peer.isReading = false;
    const { held } = peer;
    peer.held = [];
    if (this.#peers.get(nodeId) !== peer) return; // released meanwhile
    for (const { incarnation, message } of held) {
      if (incarnation !== peer.incarnation || message.seq > peer.seq) this.#take(nodeId, peer, incarnation, message);
    }
  }

  #meta(nodeId: number, text: unknown): { incarnation: string; seq: number } | undefined {
    if (text === undefined || text === null) return undefined;
    const received = this.#ports.wire.decode(LoadMeta, text);
    if (received === undefined || received.nodeId !== nodeId) return undefined;
    return { incarnation: received.incarnation, seq: received.body.seq };
  }

  #recount(change: () => void): void {
    const { recount } = this.#ports;
    if (recount === undefined) change();
    else recount(change);
  }

  #peer(nodeId: number): Peer {
    let peer = this.#peers.get(nodeId);
    if (peer === undefined) {
      peer = new Peer();
      this.#peers.set(nodeId, peer);
    }
    return peer;
  }
}

/** A client may answer a hash as a list or as an object. */
function fieldsOf(answer: unknown): Map<string, unknown> {
  if (Array.isArray(answer))
    return new Map(Array.from({ length: answer.length >> 1 }, (_, i) => [String(answer[2 * i]), answer[2 * i + 1]]));
  return new Map(typeof answer === "object" && answer !== null ? Object.entries(answer) : []);
}
