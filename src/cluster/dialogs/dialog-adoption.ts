import type { DialogChannel } from "./dialog-channel.ts";
import { readPage } from "./dialog-comparison.ts";
import type { Holdings } from "./dialog-holdings.ts";
import { type DialogTaker, MAX_A_TAKE } from "./dialog-taker.ts";

/** Between the last call that was taken and the news of it: by then the others know the loads of this node. */
const SETTLE_MS = 50;
/** A node that is gone is looked at again after this time, then after twice that, and so on: it may have come, written and gone unseen. */
const AGAIN_MS = 30_000;
const MAX_AGAIN_MS = 3_600_000;
/** Members of a set that are read at a time. */
const PAGE = 200;

/** Takes the calls of nodes that are gone, on the one node that is to do it. */
export class DialogAdoption {
  readonly #holdings: Holdings;
  readonly #taker: DialogTaker;
  readonly #channel: DialogChannel;
  /** When to look again at a node whose calls were all taken, monotonic milliseconds, and how long after the look before. */
  readonly #done = new Map<number, { readonly untilMs: number; readonly waitMs: number }>();
  #adopting: number | undefined = undefined;
  #isClosed = false;

  constructor(holdings: Holdings, taker: DialogTaker, channel: DialogChannel) {
    this.#holdings = holdings;
    this.#taker = taker;
    this.#channel = channel;
  }

  get isIdle(): boolean {
    return this.#adopting === undefined;
  }

  nodeChanged(nodeId: number, isAlive: boolean): void {
    if (isAlive) this.#done.delete(nodeId);
    else {
      this.#done.clear(); // others that are gone may have been about to take what it has
      this.look();
    }
  }

  /** Another node has taken all calls of one that is gone. */
  adopted(nodeId: number): void {
    const { nodes, onAdopted } = this.#holdings.options;
    if (!nodes.isAlive(nodeId)) onAdopted?.(nodeId);
  }

  /** Begins with the next node that is gone, if it is this node's turn. */
  look(): void {
    const { nodes, self, isAdopter, link, clock } = this.#holdings.options;
    if (this.#adopting !== undefined || this.#isClosed || !link.isUp) return;
    const nowMs = clock.nowMs();
    const gone = nodes.nodes().find(({ nodeId, isAlive }) => !isAlive && nodeId !== self.nodeId && this.#isDue(nodeId, nowMs));
    if (gone === undefined || !isAdopter()) return;
    this.#adopting = gone.nodeId;
    void this.#adopt(gone.nodeId);
  }

  close(): void {
    this.#isClosed = true;
  }

  #isDue(nodeId: number, nowMs: number): boolean {
    return nowMs >= (this.#done.get(nodeId)?.untilMs ?? Number.NEGATIVE_INFINITY);
  }

  async #adopt(nodeId: number): Promise<void> {
    const { nodes, clock, log } = this.#holdings.options;
    try {
      const { calls, isDone } = await this.#takeFrom(nodeId);
      if (calls > 0) await new Promise<void>((resolve) => clock.after(SETTLE_MS, resolve));
      if (isDone && !nodes.isAlive(nodeId)) this.#finish(nodeId, calls);
      if (calls > 0) log.info({ nodeId, calls }, `calls of node ${nodeId}, which is gone, are here now`);
    } catch (error) {
      log.warn({ nodeId, err: error }, `Cannot take all calls of node ${nodeId}, which is gone: the next beat tries again`);
    }
    this.#adopting = undefined;
    if (this.#done.has(nodeId)) this.look();
  }

  #finish(nodeId: number, calls: number): void {
    const { clock, onAdopted } = this.#holdings.options;
    const before = this.#done.get(nodeId);
    const waitMs = Math.min((before?.waitMs ?? AGAIN_MS / 2) * 2, MAX_AGAIN_MS);
    this.#done.set(nodeId, { untilMs: clock.nowMs() + waitMs, waitMs });
    if (before !== undefined && calls === 0) return; // nothing new
    onAdopted?.(nodeId);
    this.#channel.tell("adopted", nodeId);
  }

  async #takeFrom(nodeId: number): Promise<{ readonly calls: number; readonly isDone: boolean }> {
    const { link, keys, nodes, isAdopter } = this.#holdings.options;
    const key = keys.dialogsOf(nodeId);
    let calls = 0;
    let cursor = "0";
    do {
      const [next, dids] = readPage(await link.command("sscan", key, cursor, "COUNT", PAGE));
      for (let at = 0; at < dids.length; at += MAX_A_TAKE) {
        if (this.#isClosed || nodes.isAlive(nodeId) || !isAdopter()) return { calls, isDone: false }; // it is back, or another node's turn
        const some = dids.slice(at, at + MAX_A_TAKE);
        // It may have been about to adopt those of others that are gone, too.
        calls += await this.#taker.takeAll(some, "adopted", (head) => this.#holdings.isLeft(head), nodeId);
      }
      cursor = next;
    } while (cursor !== "0");
    return { calls, isDone: true };
  }
}
