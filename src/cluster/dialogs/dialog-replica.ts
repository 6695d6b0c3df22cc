import { DialogAdoption } from "./dialog-adoption.ts";
import { DialogChannel, type DialogNews } from "./dialog-channel.ts";
import { DialogComparison } from "./dialog-comparison.ts";
import { readHead } from "./dialog-head.ts";
import { type DialogReplicaCounters, type DialogReplicaOptions, Holdings } from "./dialog-holdings.ts";
import { type DialogRecord, isDid } from "./dialog-record.ts";
import { DIALOG_HEAD } from "./dialog-scripts.ts";
import { answersOf, DialogTaker } from "./dialog-taker.ts";
import { DialogWriter, FLUSH_MS } from "./dialog-writer.ts";
import { RecentEnds } from "./recent-ends.ts";

export type { DialogReplicaCounters, DialogReplicaOptions, LocalDialogs, ReplicaNodes, TakeReason } from "./dialog-holdings.ts";

/** How long a message waits to learn which node has its call, ms: who would be told 481 takes its call for ended, and nobody would end the other side. */
export const LOOKUP_MS = 1_500;
/** How long after the calls of a node were adopted all own calls are compared with Redis. */
const SECOND_LOOK_MS = 1_000;
/** Calls that are looked up at a time. */
const MAX_LOOKUPS = 1_000;
/** A record that is not there may be on its way: its node writes it some {@link FLUSH_MS} after the answer to the INVITE. It is looked for again after these, ms. */
const LOOK_AGAIN_MS = [30, 60, 120];
/** Lookups that wait for that at a time: names of no call must not take the places of those that are there. */
const MAX_WAITING = 200;
/** Between two beats, a little less than a lease: after it others may have held this node for gone. */
const LAPSE_MS = 2_500;
/** All is compared this often, should nothing else ask for it. */
const AUDIT_MS = 300_000;
/** How long {@link DialogReplica.close} waits for Redis. */
const CLOSE_WAIT_MS = 1_000;

/** Where a call was found: taken over by this node, or with a node that is alive and still waits for an answer to its INVITE. */
export type FoundRecord = { readonly kind: "taken" } | { readonly kind: "guest"; readonly record: DialogRecord };

/** A record and the did that it was found by. */
export interface NamedRecord {
  readonly did: string;
  readonly found: FoundRecord;
}

/**
 * The calls of all nodes, so that each survives its node: every node writes compact records of its calls to Redis and takes over those of others when
 * their node is gone or when a message of them comes here. A record says who has the call; each change of that is one step of Redis, so a call has one
 * owner. Messages only make it quick: who misses one finds out by comparing.
 */
export class DialogReplica {
  readonly counters: DialogReplicaCounters;
  readonly #options: DialogReplicaOptions;
  readonly #holdings: Holdings;
  readonly #channel: DialogChannel;
  readonly #writer: DialogWriter;
  readonly #taker: DialogTaker;
  readonly #comparison: DialogComparison;
  readonly #adoption: DialogAdoption;
  #named = 0;
  readonly #lookups = new Map<string, Promise<FoundRecord | undefined>>();
  #generation: string | undefined = undefined;
  #beatAtMs: number;
  /** Lookups that wait until they look again. */
  #waiting = 0;
  #isStarted = false;
  #isClosed = false;
  #stopSecondLook: (() => void) | undefined = undefined;

  constructor(options: DialogReplicaOptions) {
    this.#options = options;
    this.#holdings = new Holdings({ ...options, onAdopted: (nodeId) => this.#adopted(nodeId) });
    this.#beatAtMs = options.clock.nowMs();
    this.counters = this.#holdings.counters;
    const compare = (): void => this.#compare();
    this.#channel = new DialogChannel(
      options,
      (nodeId, news) => this.#hear(nodeId, news),
      () => {
        this.counters.messages_missed++;
        this.#doubt();
      },
    );
    this.#writer = new DialogWriter(this.#holdings, this.#channel, (did, head) => this.#refused(did, head));
    this.#taker = new DialogTaker(this.#holdings, this.#writer, this.#channel, compare);
    this.#comparison = new DialogComparison(this.#holdings, this.#writer, this.#taker);
    this.#adoption = new DialogAdoption(this.#holdings, this.#taker, this.#channel);
    options.link.onDown(() => {
      this.#holdings.doubts++;
      this.#writer.doubt();
    });
    options.link.onUp(() => {
      if (!this.#isStarted) return;
      this.#comparison.want(true);
      this.#writer.flush();
    });
    options.nodes.onBeat(({ generation }) => {
      this.#noteBeat();
      if (this.#generation !== undefined && this.#generation !== generation) this.#writeAll();
      this.#generation = generation;
      if (this.#isStarted) this.#adoption.look();
    });
    options.nodes.onNode((node, isAlive) => this.#isStarted && this.#adoption.nodeChanged(node.nodeId, isAlive));
  }

  /** Calls whose record is to be written, and ended ones whose record is to be removed. */
  get pendingCount(): number {
    return this.#writer.pendingCount;
  }

  /** Nothing waits to be told, compared or adopted. */
  get isSettled(): boolean {
    return this.#writer.isIdle && this.#comparison.isIdle && this.#adoption.isIdle && this.#holdings.claims.size === 0;
  }

  /** Whether a call is this node's, and no other one can have taken it since that was found out last. */
  isSureOf(did: string): boolean {
    const { held, claims } = this.#holdings;
    return this.#options.link.isUp && this.#comparison.isIdle && held.has(did) && !claims.has(did);
  }

  /** Begins, once this node has its place in the cluster: takes back what its former life has left. Resolves when that is done; without Redis it waits for it. */
  start(): Promise<void> {
    this.#isStarted = true;
    this.#adoption.look();
    this.#writer.flush();
    return this.#comparison.done();
  }

  /** Something of a call here, or of what it counts, may have changed. Cheap. */
  changed(did: string): void {
    if (!this.#isClosed && this.#holdings.changed(did)) this.#writer.write(did);
  }

  /** A call here is over. @param isCertain false when only this node knows nothing more of it, and another one may have it still */
  ended(did: string, isCertain = true): void {
    const held = this.#holdings.held.get(did);
    if (held === undefined) return; // surrendered, or never worth telling
    this.#holdings.held.delete(did);
    this.#writer.ended(did, held, isCertain);
  }

  /** A call that another node has was hung up through this one, which knows too little of it to take it: its node gives it up. */
  hungUp(did: string): void {
    if (!this.#isClosed && isDid(did) && !this.#holdings.held.has(did)) this.#writer.end(did, "told");
  }

  /**
   * As {@link find}, for a message that does not carry the did, as its sender does not give our Record-Route back. @returns with the did of what was found
   */
  findByCallId(callId: string, isWanted: (record: DialogRecord) => boolean): Promise<NamedRecord | undefined> | undefined {
    const { link, keys } = this.#options;
    if (!link.isUp || !this.#isStarted || this.#isClosed || this.#named >= MAX_LOOKUPS) return undefined;
    this.#named++;
    return link
      .command("get", keys.call(callId))
      .then(async (did) => {
        if (typeof did !== "string" || this.#holdings.held.has(did)) return undefined; // one that is here does not have the tags of the message
        const found = await this.find(did, isWanted);
        return found && { did, found };
      })
      .catch(() => undefined)
      .finally(() => this.#named--);
  }

  /**
   * A call that this node does not know, and of which a message came: it is taken over if it is up or its node is gone. Never rejects, and resolves
   * within {@link LOOKUP_MS}. @param isWanted whether the message belongs to the call
   * @returns undefined at once when there is nobody to ask
   */
  find(did: string | undefined, isWanted: (record: DialogRecord) => boolean): Promise<FoundRecord | undefined> | undefined {
    if (!isDid(did) || !this.#options.link.isUp || !this.#isStarted || this.#isClosed) return undefined;
    const underWay = this.#lookups.get(did);
    // What is under way may be for a message that is not of the call, whoever sent it.
    if (underWay !== undefined) return underWay.then((found) => found ?? this.#counted(did, isWanted));
    if (this.#lookups.size >= MAX_LOOKUPS) return undefined;
    const lookup = this.#counted(did, isWanted).finally(() => this.#lookups.delete(did));
    this.#lookups.set(did, lookup);
    return lookup;
  }

  #counted(did: string, isWanted: (record: DialogRecord) => boolean): Promise<FoundRecord | undefined> {
    this.counters.lookups++;
    return this.#within(this.#lookUp(did, isWanted));
  }

  /** A call that this node had in a former life goes on here, and Redis was not asked, or knew nothing of it: its end has to be told all the same. */
  regained(did: string): void {
    const held = this.#holdings.held.get(did);
    if (held !== undefined) held.isWritten = true;
  }

  /**
   * Of calls that this node had in a former life, those that are nobody else's since, and have not ended: Redis has its own record of them, or none at all.
   * @throws LinkError
   */
  async stillOwn(dids: readonly string[]): Promise<string[]> {
    const { link, keys, self } = this.#options;
    const own: string[] = [];
    const traceless: string[] = [];
    for (let at = 0; at < dids.length; at += MAX_LOOKUPS) {
      const some = dids.slice(at, at + MAX_LOOKUPS).filter(isDid);
      const heads = await answersOf(some.map((did) => link.run(DIALOG_HEAD, [keys.dialog(did)], [])));
      for (const [i, did] of some.entries()) {
        const head = readHead(heads[i]);
        if (heads[i] === "") traceless.push(did);
        else if (head?.kind === "record" && head.nodeId === self.nodeId) own.push(did);
      }
    }
    return [...own, ...(await new RecentEnds(this.#holdings).without(traceless))];
  }

  /** Asks another node to take a call of this one. It may not: then the call stays. */
  offer(did: string, nodeId: number): void {
    if (this.#holdings.held.has(did)) this.#channel.tell("offer", nodeId, [did]);
  }

  /** Writes what is not written, for a second at most, and stops. The calls stay in Redis, for others to take. */
  async close(): Promise<void> {
    const { clock, link } = this.#options;
    const untilMs = clock.nowMs() + CLOSE_WAIT_MS;
    while (!this.#writer.isIdle && link.isUp && clock.nowMs() < untilMs) {
      this.#writer.flush();
      await new Promise<void>((resolve) => clock.after(FLUSH_MS, resolve));
    }
    this.#isClosed = true;
    this.#stopSecondLook?.();
    this.#writer.close();
    this.#comparison.close();
    this.#adoption.close();
  }

  async #lookUp(did: string, isWanted: (record: DialogRecord) => boolean): Promise<FoundRecord | undefined> {
    const { self, dialogs } = this.#options;
    // Another node may be taking it at the same time: then the record says so, and this node takes it from that one.
    for (let tries = 0; tries < 2; tries++) {
      const text = await this.#readRecord(did);
      const head = readHead(text);
      if (this.#holdings.held.has(did)) return { kind: "taken" };
      if (this.#holdings.claims.get(did) === "asked") continue;
      if (head?.kind !== "record") return undefined;
      const record = this.#holdings.read(did, text as string);
      if (record === undefined || !isWanted(record)) return undefined;
      const isUp = record.snapshot.startedAtMs > 0;
      const isSelf = head.nodeId === self.nodeId;
      if (!isUp && !isSelf && !this.#holdings.isLeft(head)) return { kind: "guest", record };
      if (isSelf && head.incarnation === self.incarnation && !this.#holdings.claims.has(did)) return undefined; // it has ended here
      if (!dialogs.canRestore(record)) return undefined;
      this.#writer.list([did]);
      if (await this.#taker.take(did, head, "asked", { text: text as string, record })) {
        this.#channel.tell("moved", [[did, head.taken + 1]]);
        return { kind: "taken" };
      }
    }
    return undefined;
  }

  async #readRecord(did: string): Promise<unknown> {
    const { link, keys, clock } = this.#options;
    let text = await link.command("get", keys.dialog(did));
    for (const ms of LOOK_AGAIN_MS) {
      if (text !== null || this.#waiting >= MAX_WAITING || this.#holdings.held.has(did)) return text;
      this.#waiting++;
      await new Promise<void>((resolve) => clock.after(ms, resolve));
      this.#waiting--;
      text = await link.command("get", keys.dialog(did));
    }
    return text;
  }

  #within(answer: Promise<FoundRecord | undefined>): Promise<FoundRecord | undefined> {
    return new Promise((resolve) => {
      const stop = this.#options.clock.after(LOOKUP_MS, () => {
        this.counters.lookups_timed_out++;
        resolve(undefined);
      });
      answer
        .catch(() => undefined)
        .then((found) => {
          stop();
          resolve(found);
        });
    });
  }

  #hear(nodeId: number, news: DialogNews): void {
    const { held } = this.#holdings;
    switch (news[0]) {
      case "moved":
        for (const [did, taken] of news[1]) if ((held.get(did)?.taken ?? -1) < taken) this.#giveUp(did, false);
        return;
      case "ended":
        for (const did of news[1]) {
          if (!held.has(did)) this.#options.dialogs.over?.(did);
          this.#giveUp(did, true);
        }
        return;
      case "adopted":
        this.#adoption.adopted(news[1]);
        return;
      case "took":
        if (news[1] === this.#options.self.nodeId) this.#doubt();
        return;
      case "offer":
        if (news[1] === this.#options.self.nodeId && this.#isStarted) this.#accept(nodeId, news[2]);
    }
  }

  #accept(from: number, dids: readonly string[]): void {
    const missing = dids.filter((did) => !this.#holdings.held.has(did)).slice(0, MAX_LOOKUPS);
    const moved: [string, number][] = [];
    this.#taker
      .takeAll(missing, "offered", (head) => head.nodeId === from)
      .then(() => {
        for (const did of missing) {
          const taken = this.#holdings.held.get(did)?.taken;
          if (taken !== undefined) moved.push([did, taken]);
        }
        this.#channel.tellMany("moved", moved);
      })
      .catch(() => undefined); // its node offers no second time, and ends it itself
  }

  /** Another node says that it has a call of this one, or that it has ended. */
  #giveUp(did: string, isOver: boolean): void {
    if (this.#holdings.claims.has(did)) {
      this.#holdings.contested.add(did);
      this.#compare();
      return;
    }
    if (!this.#holdings.held.has(did)) return;
    if (this.#holdings.surrender(did, isOver)) this.#writer.unlist(did);
    else this.#writer.write(did); // Redis says who has it, and this node takes it back
  }

  #refused(did: string, head: string): void {
    const held = this.#holdings.held.get(did);
    if (held !== undefined) this.#comparison.settle(did, held, head);
  }

  #writeAll(): void {
    this.#holdings.doubts++;
    this.#writer.doubt();
    for (const [did, held] of this.#holdings.held) {
      held.isListed = false;
      if (held.isWritten) this.#writer.write(did);
    }
  }

  /** A node that hung may have been held for gone: others have its calls then. And all is compared now and then, whatever happened. */
  #noteBeat(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#beatAtMs > LAPSE_MS) this.#doubt();
    else if (nowMs - this.#comparison.startedAtMs > AUDIT_MS) this.#compare();
    this.#beatAtMs = nowMs;
  }

  #doubt(): void {
    this.#holdings.doubts++;
    this.#writer.doubt();
    this.#compare();
  }

  /** Messages of calls that are being adopted may take them elsewhere at the same time: what came of that is looked at once more. */
  #adopted(nodeId: number): void {
    this.#options.onAdopted?.(nodeId);
    this.#stopSecondLook?.();
    this.#stopSecondLook = this.#options.clock.after(SECOND_LOOK_MS, () => this.#compare());
  }

  #compare(): void {
    if (this.#isStarted) this.#comparison.want();
  }
}
