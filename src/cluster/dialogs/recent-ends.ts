import type { Holdings } from "./dialog-holdings.ts";
import { answersOf } from "./dialog-taker.ts";

/** How long ends are remembered, ms: much longer than a file of calls is behind. Then a call that ended is in none. */
const REMEMBERED_MS = 10_000;
/** How long they are remembered when their node is gone, ms: after that time its file says nothing any more. */
const LIFE_MS = 3_600_000;
/** Old ones are forgotten this often, ms. */
const TIDY_MS = 1_000;
/** Questions at a time. */
const MAX_QUESTIONS = 1_000;

/**
 * What of this node's calls has ended just now, in Redis, which is told sooner than the node's own file: a record that is gone does not say whether its call
 * ended, or Redis has lost it. Who starts again with a file that still has such a call would count it once more.
 */
export class RecentEnds {
  readonly #holdings: Holdings;
  #tidiedAtMs = Number.NEGATIVE_INFINITY;

  constructor(holdings: Holdings) {
    this.#holdings = holdings;
  }

  get #key(): string {
    const { keys, self } = this.#holdings.options;
    return keys.endsOf(self.nodeId);
  }

  /** To be called before their records go. The answer says no more than that it was done. */
  add(dids: readonly string[]): Promise<unknown> {
    const { link, nodes, clock } = this.#holdings.options;
    const atMs = Math.round(nodes.redisNowMs());
    const sent = [link.command("zadd", this.#key, ...dids.flatMap((did) => [atMs, did]))];
    if (clock.nowMs() - this.#tidiedAtMs >= TIDY_MS) {
      this.#tidiedAtMs = clock.nowMs();
      sent.push(link.command("zremrangebyscore", this.#key, "-inf", atMs - REMEMBERED_MS), link.command("pexpire", this.#key, LIFE_MS));
    }
    return Promise.all(sent);
  }

  /** Those of these calls that have not ended in the last moments of this node's former life. @throws LinkError */
  async without(dids: readonly string[]): Promise<string[]> {
    const { link } = this.#holdings.options;
    const left: string[] = [];
    for (let at = 0; at < dids.length; at += MAX_QUESTIONS) {
      const some = dids.slice(at, at + MAX_QUESTIONS);
      const scores = await answersOf(some.map((did) => link.command("zscore", this.#key, did)));
      left.push(...some.filter((_, i) => typeof scores[i] !== "string"));
    }
    return left;
  }
}
