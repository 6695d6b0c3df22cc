import { LinkError } from "../ports.ts";
import type { DialogChannel } from "./dialog-channel.ts";
import { type RecordHead, readHead, type Tombstone } from "./dialog-head.ts";
import type { Held, Holdings, TakeReason } from "./dialog-holdings.ts";
import { type DialogRecord, isDid } from "./dialog-record.ts";
import { DIALOG_TAKE } from "./dialog-scripts.ts";
import type { DialogWriter } from "./dialog-writer.ts";

/** Calls that are taken in one step of the event loop: reading and restoring one costs some 50 µs. */
export const MAX_A_TAKE = 50;

/** A record as it was read before. */
export interface KnownRecord {
  readonly text: string;
  readonly record: DialogRecord;
}

/** Makes calls of other nodes those of this one. */
export class DialogTaker {
  readonly #holdings: Holdings;
  readonly #writer: DialogWriter;
  readonly #channel: DialogChannel;
  /** Another node was faster, or Redis did not say: to be looked at again. */
  readonly #onDoubt: () => void;

  constructor(holdings: Holdings, writer: DialogWriter, channel: DialogChannel, onDoubt: () => void) {
    this.#holdings = holdings;
    this.#writer = writer;
    this.#channel = channel;
    this.#onDoubt = onDoubt;
  }

  /**
   * Takes those of these calls that `isWanted` by their records, at most {@link MAX_A_TAKE}.
   * @param fromNode in whose set they stand: they leave it before they are taken, as that node may put them there again. Others stay:
   *   that node may be about to write them
   * @returns how many came
   * @throws LinkError when Redis was lost; what came in spite of that is found by the next comparison
   */
  async takeAll(dids: readonly string[], reason: TakeReason, isWanted: (head: RecordHead) => boolean, fromNode?: number): Promise<number> {
    const { link, keys, dialogs } = this.#holdings.options;
    const { held, claims } = this.#holdings;
    const missing = dids.filter((did) => isDid(did) && !held.has(did));
    const texts = await answersOf(missing.map((did) => link.command("get", keys.dialog(did))));
    const wanted: { did: string; head: RecordHead; known: KnownRecord }[] = [];
    for (const [i, did] of missing.entries()) {
      const text = texts[i];
      const head = readHead(text);
      if (head?.kind !== "record" || held.has(did) || claims.get(did) === "asked") continue;
      const record = isWanted(head) ? this.#holdings.read(did, text as string) : undefined;
      if (record !== undefined && dialogs.canRestore(record)) wanted.push({ did, head, known: { text: text as string, record } });
    }
    if (wanted.length === 0) return 0;
    const leaving = wanted.map(({ did }) => did);
    this.#writer.list(leaving);
    if (fromNode !== undefined) link.command("srem", keys.dialogsOf(fromNode), ...leaving).catch(() => undefined);
    const taken = await Promise.allSettled(wanted.map(({ did, head, known }) => this.take(did, head, reason, known, fromNode)));
    // A node that was not gone, or is back unnoticed, has to look for what it has lost.
    if (reason === "adopted") for (const nodeId of new Set(wanted.map(({ head }) => head.nodeId))) this.#channel.tell("took", nodeId);
    // Whoever had it before its last node may not know that yet.
    const often = wanted.filter(({ head }) => head.taken > 0).map(({ did, head }): [string, number] => [did, head.taken + 1]);
    this.#channel.tellMany(
      "moved",
      often.filter(([did, count]) => held.get(did)?.taken === count),
    );
    const lost = taken.find((result) => result.status === "rejected");
    if (lost?.status === "rejected") throw lost.reason;
    return taken.filter((result) => result.status === "fulfilled" && result.value).length;
  }

  /** Takes one call whose record was read and listed. @throws LinkError @returns whether it is here now */
  async take(did: string, from: RecordHead, reason: TakeReason, known: KnownRecord, fromNode?: number): Promise<boolean> {
    const holdings = this.#holdings;
    const { options, claims, counters } = holdings;
    const taken = from.taken + 1;
    claims.set(did, "asked");
    const head = holdings.head(taken, reason === "adopted");
    let text: unknown;
    try {
      text = await options.link.run(DIALOG_TAKE, [options.keys.dialog(did)], [from.text, head, "", ""]);
    } catch (error) {
      this.#unanswered(did, error);
      throw error;
    }
    this.#answered(did);
    const isSame = text === head + known.text.slice(from.text.length);
    const record = isSame ? known.record : typeof text === "string" ? holdings.read(did, text) : undefined;
    if (record === undefined) {
      if (holdings.held.has(did)) return true; // asked for twice
      if (fromNode === undefined) this.#writer.unlist(did);
      else this.putBack(did, fromNode);
      return false;
    }
    return this.#restored(did, record, from, taken, reason, counters);
  }

  /** This node was about to adopt a call, and its node has it, or has it again: there it stands in the set again, and that node looks at its set. */
  putBack(did: string, nodeId: number): void {
    const { link, keys } = this.#holdings.options;
    link.command("sadd", keys.dialogsOf(nodeId), did).then(
      () => {
        this.#writer.unlist(did);
        this.#channel.tell("took", nodeId);
      },
      () => this.#onDoubt(),
    );
  }

  /** Goes on with a call whose record is that of this node already, and of which nobody was told. */
  regain(did: string, text: string, head: RecordHead): void {
    this.#answered(did);
    const record = this.#holdings.read(did, text);
    if (record === undefined || !this.#restored(did, record, head, head.taken, "own", this.#holdings.counters)) return;
    this.#channel.tell("moved", [[did, head.taken]]);
  }

  /** Takes back what was this node's. @param found as Redis has it now @param foundText its beginning */
  reclaim(did: string, held: Held, found: RecordHead | Tombstone | undefined, foundText: string): void {
    const { options, held: all, claims } = this.#holdings;
    const taken = Math.max(held.taken, found?.kind === "record" ? found.taken : 0) + 1;
    const text = this.#holdings.text(did, taken, false);
    if (text === undefined) return;
    held.isListed = false; // whoever had it has taken it out
    this.#writer.list([did]);
    claims.set(did, "asked");
    options.link
      .run(DIALOG_TAKE, [options.keys.dialog(did)], [found?.kind === "record" ? found.text : foundText, "", text.record, text.lifeMs])
      .then(
        (answer) => {
          this.#answered(did);
          if (all.get(did) !== held) return;
          if (answer === null) {
            this.#onDoubt(); // it moves about: another look
            return;
          }
          this.confirmed(did, held, taken);
        },
        (error: unknown) => this.#unanswered(did, error),
      );
  }

  /** It is known what came of a claim. */
  #answered(did: string): void {
    this.#holdings.claims.delete(did);
    if (this.#holdings.contested.delete(did)) this.#onDoubt();
  }

  #unanswered(did: string, error: unknown): void {
    if (error instanceof LinkError) this.#holdings.claims.set(did, "lost");
    else this.#holdings.claims.delete(did);
    this.#holdings.contested.delete(did);
    this.#onDoubt();
  }

  /** A call that this node has taken back is its own. */
  confirmed(did: string, held: Held, taken: number): void {
    held.taken = taken;
    held.isAdopted = false;
    this.#holdings.counters.dialogs_reclaimed++;
    this.#channel.tell("moved", [[did, taken]]);
  }

  #restored(
    did: string,
    record: DialogRecord,
    from: RecordHead,
    taken: number,
    reason: TakeReason,
    counters: Holdings["counters"],
  ): boolean {
    if (this.#holdings.held.has(did)) return true;
    if (!this.#holdings.restore(did, record, from, taken, reason)) {
      counters.records_refused++;
      return false;
    }
    if (reason === "adopted") counters.dialogs_adopted++;
    else if (reason === "asked" || reason === "offered") counters.dialogs_taken++;
    else counters.dialogs_reclaimed++;
    return true;
  }
}

/** Answers of commands that were sent together; an error of Redis is no answer. @throws LinkError when one of them got none */
export async function answersOf(sent: readonly Promise<unknown>[]): Promise<unknown[]> {
  const results = await Promise.allSettled(sent);
  return results.map((result) => {
    if (result.status === "fulfilled") return result.value;
    if (result.reason instanceof LinkError) throw result.reason;
    return undefined;
  });
}
