import { type RecordHead, readHead } from "./dialog-head.ts";
import type { Held, Holdings } from "./dialog-holdings.ts";
import { isDid } from "./dialog-record.ts";
import { DIALOG_HEAD } from "./dialog-scripts.ts";
import { answersOf, type DialogTaker, MAX_A_TAKE } from "./dialog-taker.ts";
import type { DialogWriter } from "./dialog-writer.ts";

/** Shortest time between two comparisons. */
const REST_MS = 1_000;
const MAX_A_LOOK = 200;

/** Compares all calls of this node with what Redis has of them, when something may have gone unnoticed. */
export class DialogComparison {
  readonly #holdings: Holdings;
  readonly #writer: DialogWriter;
  readonly #taker: DialogTaker;
  #isRunning = false;
  #isWanted = false;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #stopTimer: (() => void) | undefined = undefined;
  #isClosed = false;
  /** Told after the next one that reached its end. */
  #waiting: (() => void)[] = [];

  constructor(holdings: Holdings, writer: DialogWriter, taker: DialogTaker) {
    this.#holdings = holdings;
    this.#writer = writer;
    this.#taker = taker;
  }

  /** When the last one began, monotonic milliseconds. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  /** Nothing is being compared, and nothing waits for it. */
  get isIdle(): boolean {
    return !this.#isRunning && !this.#isWanted;
  }

  /** Compares, now or when the last comparison is long enough ago. Without a connection nothing happens: its return asks for another one. */
  want(isUrgent = false): void {
    if (this.#isClosed) return;
    this.#isWanted = true;
    if (this.#isRunning) return;
    const { clock } = this.#holdings.options;
    const inMs = isUrgent ? 0 : this.#startedAtMs + REST_MS - clock.nowMs();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (inMs <= 0) void this.#run();
    else this.#stopTimer = clock.after(inMs, () => void this.#run());
  }

  /** Resolves when a comparison that begins from now on has reached its end. */
  done(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.want(true);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }

  /** What Redis has of an own call is not what this node wrote. @param text its beginning; empty when there is nothing */
  settle(did: string, held: Held, text: string): void {
    const { claims } = this.#holdings;
    if (claims.get(did) === "asked") return; // what was read is older than the answer to come
    claims.delete(did);
    const found = readHead(text);
    if (text === "") {
      held.isListed = false;
      this.#writer.write(did);
    } else if (found?.kind === "record" && text.startsWith(this.#holdings.owner)) {
      if (found.taken > held.taken) this.#taker.confirmed(did, held, found.taken); // its answer was lost
    } else if (found === undefined || (found.kind === "record" && this.#isOursStill(held, found))) {
      this.#taker.reclaim(did, held, found, text);
    } else if (this.#holdings.surrender(did, found.kind === "tombstone")) {
      this.#writer.unlist(did);
    } else this.#taker.reclaim(did, held, found, text);
  }

  /** It was this node's in a former life, was taken as a precaution only, or Redis has forgotten that this node took it since. */
  #isOursStill(held: Held, found: RecordHead): boolean {
    if (found.nodeId === this.#holdings.options.self.nodeId) return true;
    return found.taken < held.taken || (found.isAdopted && !held.isAdopted);
  }

  async #run(): Promise<void> {
    const { link, clock } = this.#holdings.options;
    this.#stopTimer = undefined;
    if (!link.isUp) {
      this.#isWanted = false;
      return;
    }
    this.#isRunning = true;
    this.#isWanted = false;
    this.#startedAtMs = clock.nowMs();
    this.#holdings.counters.comparisons++;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      await this.#compareOwn();
      await this.#compareSet();
      for (const resolve of waiting) resolve();
    } catch {
      this.#waiting.push(...waiting);
      this.#isWanted = true; // the connection was lost, or an answer
    }
    this.#isRunning = false;
    if (this.#isWanted) this.want();
  }

  async #compareOwn(): Promise<void> {
    const { options, held: all } = this.#holdings;
    const { link, keys } = options;
    const dids = [...all].filter(([, held]) => held.isWritten).map(([did]) => did);
    for (let at = 0; at < dids.length; at += MAX_A_LOOK) {
      this.#listAgain(dids.slice(at, at + MAX_A_LOOK));
      const looked = dids.slice(at, at + MAX_A_LOOK).map((did) => ({ did, held: all.get(did) }));
      const heads = await answersOf(looked.map(({ did }) => link.run(DIALOG_HEAD, [keys.dialog(did)], [])));
      for (const [i, { did, held }] of looked.entries()) {
        const text = heads[i];
        if (held !== undefined && all.get(did) === held && typeof text === "string") this.settle(did, held, text);
      }
    }
  }

  /** Calls that Redis says this node has, and that it does not know: of its former life, or from an answer that never came. */
  async #compareSet(): Promise<void> {
    const { link, keys, self } = this.#holdings.options;
    let cursor = "0";
    do {
      const [next, dids] = readPage(await link.command("sscan", keys.dialogsOf(self.nodeId), cursor, "COUNT", MAX_A_LOOK));
      for (let at = 0; at < dids.length; at += MAX_A_TAKE) await this.#settleMissing(dids.slice(at, at + MAX_A_TAKE));
      cursor = next;
    } while (cursor !== "0");
    const claimed = [...this.#holdings.claims.keys()]; // what was lost may have been the entry in the set
    for (let at = 0; at < claimed.length; at += MAX_A_TAKE) await this.#settleMissing(claimed.slice(at, at + MAX_A_TAKE));
  }

  async #settleMissing(listed: readonly string[]): Promise<void> {
    const { options, held, claims } = this.#holdings;
    const { link, keys, self } = options;
    const dids = listed.filter((did) => isDid(did) && !held.has(did) && !this.#writer.hasEnd(did));
    if (dids.length === 0) return;
    // What is read tells of a claim only if its answer was lost before, and it is open still.
    const claimed = new Set(dids.filter((did) => claims.get(did) === "lost"));
    const texts = await answersOf(dids.map((did) => link.command("get", keys.dialog(did))));
    const former: string[] = [];
    const gone: string[] = [];
    for (const [i, did] of dids.entries()) {
      const text = texts[i];
      const head = readHead(text);
      if (held.has(did) || (claims.get(did) === "lost") !== claimed.has(did) || claims.get(did) === "asked") continue;
      if (head?.kind !== "record") {
        claims.delete(did);
        this.#writer.unlist(did);
      } else if (head.nodeId !== self.nodeId) this.#settleForeign(did, head, gone);
      else if (head.incarnation !== self.incarnation) former.push(did);
      else if (!claimed.has(did)) this.#writer.end(did, head);
      else this.#taker.regain(did, text as string, head);
    }
    await this.#taker.takeAll(former, "own", ({ nodeId }) => nodeId === self.nodeId);
    await this.#taker.takeAll(gone, "adopted", (head) => this.#holdings.isLeft(head));
  }

  /** Another node has it; or has left it, and this node was about to adopt it. */
  #settleForeign(did: string, head: RecordHead, gone: string[]): void {
    const isClaimed = this.#holdings.claims.delete(did);
    if (this.#holdings.isLeft(head)) gone.push(did);
    else if (isClaimed) this.#taker.putBack(did, head.nodeId);
    else this.#writer.unlist(did);
  }

  /** Others may have taken them out of the set of this node. */
  #listAgain(dids: readonly string[]): void {
    for (const did of dids) {
      const held = this.#holdings.held.get(did);
      if (held !== undefined) held.isListed = false;
    }
    this.#writer.list(dids.filter((did) => this.#holdings.held.has(did)));
  }
}

/** One page of a set. */
export function readPage(answer: unknown): [cursor: string, members: string[]] {
  const [cursor, members] = Array.isArray(answer) ? (answer as unknown[]) : [];
  return [typeof cursor === "string" ? cursor : "0", Array.isArray(members) ? members.filter((member) => typeof member === "string") : []];
}
