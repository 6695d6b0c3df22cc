import type { DialogChannel } from "./dialog-channel.ts";
import { type RecordHead, readHead, type Tombstone } from "./dialog-head.ts";
import type { Held, Holdings } from "./dialog-holdings.ts";
import { type DialogRecord, isDid } from "./dialog-record.ts";
import { DIALOG_TAKE } from "./dialog-scripts.ts";
import type { DialogWriter } from "./dialog-writer.ts";
import { LinkError } from "./ports.ts";

/** Calls that are taken in one step of the event loop: reading and restoring one costs some 50 µs. */
export const MAX_A_TAKE = 100;

/** Why a call is taken: its node is gone; a message of it came here; it was this node's own before it started again, or was offered. */
export type TakeReason = "adopted" | "asked" | "own";

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
   * @param fromSet the set in which they stand: those that are taken or gone leave it, before they are taken, as their node may put them there again
   * @returns how many came
   * @throws LinkError when Redis was lost; what came in spite of that is found by the next comparison
   */
  async takeAll(dids: readonly string[], reason: TakeReason, isWanted: (head: RecordHead) => boolean, fromSet?: string): Promise<number> {
    const { link, keys, dialogs } = this.#holdings.options;
    const missing = dids.filter((did) => isDid(did) && !this.#holdings.held.has(did));
    const texts = await answersOf(missing.map((did) => link.command("get", keys.dialog(did))));
    const wanted: { did: string; head: RecordHead }[] = [];
    const staying = new Set<string>();
    for (const [i, did] of missing.entries()) {
      const text = texts[i];
      const head = readHead(text);
      if (head?.kind !== "record" || !isWanted(head)) continue;
      const record = this.#holdings.read(did, text as string);
      if (record !== undefined && dialogs.canRestore(record)) wanted.push({ did, head });
      else staying.add(did);
    }
    this.#writer.list(wanted.map(({ did }) => did));
    const leaving = fromSet === undefined ? [] : dids.filter((did) => !staying.has(did));
    if (fromSet !== undefined && leaving.length > 0) link.command("srem", fromSet, ...leaving).catch(() => undefined);
    const taken = await Promise.allSettled(wanted.map(({ did, head }) => this.take(did, head, reason)));
    if (reason === "adopted") this.#tellLiving(wanted.map(({ head }) => head.nodeId));
    const lost = taken.find((result) => result.status === "rejected");
    if (lost?.status === "rejected") throw lost.reason;
    return taken.filter((result) => result.status === "fulfilled" && result.value).length;
  }

  /** Takes one call whose record was read and listed. @throws LinkError @returns whether it is here now */
  async take(did: string, from: RecordHead, reason: TakeReason): Promise<boolean> {
    const holdings = this.#holdings;
    const { options, claims, counters } = holdings;
    const taken = from.taken + 1;
    claims.add(did); // until it is known what came of it
    let text: unknown;
    try {
      const head = holdings.head(taken, reason === "adopted");
      text = await options.link.run(DIALOG_TAKE, [options.keys.dialog(did)], [from.text, head, "", ""]);
    } catch (error) {
      if (error instanceof LinkError) this.#onDoubt();
      else claims.delete(did);
      throw error;
    }
    claims.delete(did);
    const record = typeof text === "string" ? holdings.read(did, text) : undefined;
    if (record === undefined) {
      if (holdings.held.has(did)) return true; // asked for twice
      this.#writer.unlist(did);
      return false;
    }
    return this.#restored(did, record, taken, reason, counters);
  }

  /** This node was about to adopt a call, and its node is alive: there it stands in the set again, and that node looks at its set. */
  putBack(did: string, nodeId: number): void {
    const { link, keys } = this.#holdings.options;
    link.command("sadd", keys.dialogsOf(nodeId), did).then(
      () => {
        this.#writer.unlist(did);
        this.#channel.tell("adopted", nodeId);
      },
      () => this.#onDoubt(),
    );
  }

  /** Goes on with a call whose record is that of this node already. */
  regain(did: string, text: string, head: RecordHead): boolean {
    this.#holdings.claims.delete(did);
    const record = this.#holdings.read(did, text);
    return record !== undefined && this.#restored(did, record, head.taken, "own", this.#holdings.counters);
  }

  /** Takes back what was this node's. @param found as Redis has it now @param foundText its beginning */
  reclaim(did: string, held: Held, found: RecordHead | Tombstone | undefined, foundText: string): void {
    const { options, counters, held: all } = this.#holdings;
    const taken = Math.max(held.taken, found?.kind === "record" ? found.taken : 0) + 1;
    const text = this.#holdings.text(did, taken, false);
    if (text === undefined) return;
    held.isListed = false; // whoever had it has taken it out
    this.#writer.list([did]);
    options.link
      .run(DIALOG_TAKE, [options.keys.dialog(did)], [found?.kind === "record" ? found.text : foundText, "", text.record, text.lifeMs])
      .then(
        (answer) => {
          if (all.get(did) !== held) return;
          if (answer === null) {
            this.#onDoubt(); // it moves about: another look
            return;
          }
          held.taken = taken;
          held.isAdopted = false;
          counters.dialogs_reclaimed++;
          this.#channel.tell("moved", [[did, taken]]);
        },
        () => this.#onDoubt(),
      );
  }

  /** A node that has started again unnoticed has to look for what was adopted from it. */
  #tellLiving(nodeIds: readonly number[]): void {
    const { nodes } = this.#holdings.options;
    for (const nodeId of new Set(nodeIds)) if (nodes.isAlive(nodeId)) this.#channel.tell("adopted", nodeId);
  }

  #restored(did: string, record: DialogRecord, taken: number, reason: TakeReason, counters: Holdings["counters"]): boolean {
    if (this.#holdings.held.has(did)) return true;
    if (!this.#holdings.restore(did, record, taken, reason === "adopted")) {
      counters.records_refused++;
      return false;
    }
    if (reason === "adopted") counters.dialogs_adopted++;
    else if (reason === "asked") counters.dialogs_taken++;
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
