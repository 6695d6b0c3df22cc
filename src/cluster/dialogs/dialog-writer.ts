import { LinkError } from "../ports.ts";
import type { DialogChannel } from "./dialog-channel.ts";
import type { RecordHead } from "./dialog-head.ts";
import type { Held, Holdings, RecordText } from "./dialog-holdings.ts";
import { DIALOG_END, DIALOG_PUT } from "./dialog-scripts.ts";
import { RecentEnds } from "./recent-ends.ts";

/** A call is told this long after its change: what changes meanwhile is one write, and a call that ends meanwhile is none. */
export const FLUSH_MS = 20;
/** Calls that one flush tells of. */
export const MAX_A_FLUSH = 500;
/** Writes that may wait for their answers. */
const MAX_UNDER_WAY = 2_000;
/** Ends that wait for Redis. */
const MAX_ENDS = 100_000;
/** How long others learn that a call has ended which they may have had. */
const TOMBSTONE_MS = 3_600_000;
/** Life of the set of calls of a node that is never adopted: longer than any call of it should last. */
const SET_LIFE_MS = 7 * 24 * 3_600_000;
const SET_RENEWAL_MS = 60_000;
const RETRY_MS = 1_000;

type EndMode = "sure" | "told" | "forgotten" | RecordHead;

/** Writes records of changed calls and removes those of ended ones, in batches. */
export class DialogWriter {
  readonly #holdings: Holdings;
  readonly #channel: DialogChannel;
  /** Another node has the call, or says that it ended. @param head as Redis has it */
  readonly #onRefused: (did: string, head: string) => void;
  readonly #recent: RecentEnds;
  readonly #dirty = new Set<string>();
  readonly #ends = new Map<string, EndMode>();
  readonly #unlisted = new Set<string>();
  /** Call-IDs of ended calls. */
  readonly #unnamed = new Set<string>();
  /** Ended calls of which the others have to hear. */
  #told: string[] = [];
  #underWay = 0;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #stopTimer: (() => void) | undefined = undefined;
  #isClosed = false;

  constructor(holdings: Holdings, channel: DialogChannel, onRefused: (did: string, head: string) => void) {
    this.#holdings = holdings;
    this.#channel = channel;
    this.#onRefused = onRefused;
    this.#recent = new RecentEnds(holdings);
  }

  /** Calls whose record is to be written, and ended ones whose record is to be removed. */
  get pendingCount(): number {
    return this.#dirty.size + this.#ends.size;
  }

  /** What was sent and is not answered, and what is to be sent. */
  get isIdle(): boolean {
    return (
      this.#underWay === 0 && this.pendingCount === 0 && this.#unlisted.size === 0 && this.#unnamed.size === 0 && this.#told.length === 0
    );
  }

  write(did: string): void {
    this.#dirty.add(did);
    this.#arm(FLUSH_MS);
  }

  hasEnd(did: string): boolean {
    return this.#ends.has(did);
  }

  /** A call of this node is over. @param isCertain false: it is only that this node knows nothing more of it */
  ended(did: string, held: Held, isCertain: boolean): void {
    this.#dirty.delete(did);
    if (!held.isWritten) {
      this.#holdings.counters.records_spared++;
      return;
    }
    if (held.callId !== undefined && this.#unnamed.size < MAX_ENDS) this.#unnamed.add(held.callId); // others expire
    const isSure = held.taken === 0 && held.doubts === this.#holdings.doubts;
    this.end(did, isCertain ? (isSure ? "sure" : "told") : "forgotten");
  }

  /** @param mode a head: only if the record still begins so */
  end(did: string, mode: EndMode): void {
    if (this.#ends.size >= MAX_ENDS) {
      this.#holdings.counters.ends_dropped++; // found by the next comparison
      return;
    }
    this.#ends.set(did, mode);
    this.#arm(FLUSH_MS);
  }

  /** The call is no more one of this node. */
  unlist(did: string): void {
    this.#dirty.delete(did);
    this.#unlisted.add(did);
    this.#arm(FLUSH_MS);
  }

  /** The connection was lost: what waits may be news to nobody, or to others who took the calls. */
  doubt(): void {
    for (const [did, mode] of this.#ends) if (mode === "sure") this.#ends.set(did, "told");
  }

  /** Sends what there is to send. */
  flush(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const { link } = this.#holdings.options;
    if (!link.isUp) return;
    this.#channel.tellMany("ended", this.#told);
    this.#told = [];
    const room = Math.min(MAX_A_FLUSH, MAX_UNDER_WAY - this.#underWay);
    const ends = first(this.#ends.keys(), room);
    const traceless = this.#holdings.options.keepsFile === true ? ends.filter((did) => this.#ends.get(did) === "sure") : [];
    if (traceless.length > 0) this.#send(this.#recent.add(traceless));
    for (const did of ends) this.#sendEnd(did);
    this.#sendRecords(room - ends.length);
    this.#sendUnlisted();
    this.#sendUnnamed();
    if (!this.isIdle) this.#arm(FLUSH_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #arm(ms: number): void {
    if (this.#isClosed) return;
    this.#stopTimer ??= this.#holdings.options.clock.after(ms, () => {
      this.#stopTimer = undefined;
      this.flush();
    });
  }

  #sendRecords(room: number): void {
    const { held } = this.#holdings;
    const written: [string, RecordText][] = [];
    for (const did of first(this.#dirty, room)) {
      this.#dirty.delete(did);
      const known = held.get(did);
      const text = known && this.#holdings.text(did, known.taken, known.isAdopted);
      if (text !== undefined) written.push([did, text]);
    }
    this.list(written.map(([did]) => did));
    for (const [did, text] of written) this.#sendRecord(did, text);
  }

  #sendRecord(did: string, text: RecordText): void {
    const { options, owner, held, counters } = this.#holdings;
    const { record, lifeMs } = text;
    const known = held.get(did)!;
    known.isWritten = true;
    this.#name(did, known, text);
    this.#send(
      options.link.run(DIALOG_PUT, [options.keys.dialog(did)], [owner, record, lifeMs]),
      (answer) => {
        if (typeof answer === "string") this.#onRefused(did, answer);
        else counters.records_written++;
      },
      () => {
        if (held.get(did) !== known) return;
        known.isListed = false;
        this.#dirty.add(did);
      },
    );
  }

  /** Lets messages that do not carry the did find it. Written once before the call is up and once when it is. */
  #name(did: string, known: Held, { callId, lifeMs }: RecordText): void {
    const { options, doubts } = this.#holdings;
    if (known.nameMs * 2 >= lifeMs && known.nameDoubts === doubts) return;
    known.callId = callId;
    known.nameMs = lifeMs;
    known.nameDoubts = doubts;
    this.#unnamed.delete(callId);
    this.#send(options.link.command("set", options.keys.call(callId), did, "px", lifeMs), undefined, () => {
      known.nameMs = 0;
    });
  }

  #sendUnnamed(): void {
    const { link, keys } = this.#holdings.options;
    for (const callId of first(this.#unnamed, MAX_A_FLUSH)) {
      this.#unnamed.delete(callId);
      this.#send(link.command("del", keys.call(callId))); // what is lost expires
    }
  }

  /** Puts calls into the set of this node, before their records are its own: so they are found again, whatever happens. */
  list(dids: readonly string[]): void {
    const { options, held } = this.#holdings;
    const { link, keys, self, clock } = options;
    const added = dids.filter((did) => held.get(did)?.isListed !== true);
    if (added.length === 0) return;
    const key = keys.dialogsOf(self.nodeId);
    for (const did of added) {
      this.#unlisted.delete(did);
      const known = held.get(did);
      if (known !== undefined) known.isListed = true;
    }
    this.#send(link.command("sadd", key, ...added), undefined, () => {
      for (const did of added) {
        const known = held.get(did);
        if (known === undefined) continue;
        known.isListed = false;
        this.#dirty.add(did);
      }
    });
    if (clock.nowMs() - this.#renewedAtMs < SET_RENEWAL_MS) return;
    this.#renewedAtMs = clock.nowMs();
    this.#send(link.command("pexpire", key, SET_LIFE_MS));
  }

  #sendEnd(did: string): void {
    const mode = this.#ends.get(did)!;
    this.#ends.delete(did);
    const { options, owner, counters } = this.#holdings;
    const { link, keys, wire } = options;
    const isLeft = typeof mode === "object";
    const mine = isLeft ? mode.text : mode === "forgotten" ? owner : this.#holdings.head(0);
    this.#send(
      link.run(DIALOG_END, [keys.dialog(did)], [mine, wire.encode(0), TOMBSTONE_MS, isLeft ? "left" : mode]),
      (answer) => {
        counters.records_removed++;
        if (answer !== 1) return;
        this.#told.push(did);
        this.#arm(FLUSH_MS);
      },
      () => this.end(did, mode === "sure" ? "told" : mode),
    );
    this.#unlisted.add(did);
  }

  #sendUnlisted(): void {
    if (this.#unlisted.size === 0) return;
    const { link, keys, self } = this.#holdings.options;
    const dids = first(this.#unlisted, MAX_A_FLUSH);
    for (const did of dids) this.#unlisted.delete(did);
    this.#send(link.command("srem", keys.dialogsOf(self.nodeId), ...dids)); // what stays is found by the next comparison
  }

  /** @param onLost nobody knows whether it was done: to be done again */
  #send(answer: Promise<unknown>, onAnswer?: (answer: unknown) => void, onLost?: () => void): void {
    this.#underWay++;
    answer.then(
      (value) => {
        this.#underWay--;
        onAnswer?.(value);
      },
      (error: unknown) => {
        this.#underWay--;
        if (error instanceof LinkError) {
          onLost?.();
          this.#arm(RETRY_MS);
        } else this.#holdings.counters.records_refused++; // something else stands under the key
      },
    );
  }
}

function first(dids: Iterable<string>, count: number): string[] {
  const found: string[] = [];
  if (count <= 0) return found;
  for (const did of dids) {
    found.push(did);
    if (found.length >= count) break;
  }
  return found;
}
