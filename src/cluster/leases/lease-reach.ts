import type { ClusterClock, ClusterLink } from "../ports.ts";
import type { LeaseOwner } from "./lease-holds.ts";
import type { LeaseSender } from "./lease-sender.ts";
import { Patience } from "./patience.ts";

/** Longest time that a call waits for a Redis that was slow lately. */
export const RESERVE_WAIT_MS = 50;
/** Redis was quick when its last answer took no longer. */
const QUICK_MS = 100;
/** Longest time that a call waits while Redis has been quick: what takes longer then is a pause of a busy machine, and an exact count is worth waiting for its end. */
export const PAUSE_WAIT_MS = 500;
/** How often Redis is tried while it is too slow to be waited for. */
const PROBE_MS = 250;
/** Owners that are asked about at a time when Redis came back or the table changed. */
const COUNTED_AT_ONCE = 200;
/** How often all owners are counted, so that what says that they can be relied on stays. */
const COUNT_ALL_MS = 3_600_000;

/** What a {@link LeaseReach} works with. */
export interface ReachOptions {
  readonly link: ClusterLink;
  readonly clock: ClusterClock;
  readonly sender: LeaseSender;
  owners(): readonly LeaseOwner[];
  /** How long Redis took to answer lately; undefined when nobody knows. */
  readonly rttMs?: (() => number | undefined) | undefined;
  /** Redis can be asked, also again: it is to be told first what this node has. */
  onReady(): void;
}

/** Whether Redis can be asked for leases, and is worth waiting for. */
export class LeaseReach {
  readonly #options: ReachOptions;
  readonly #patience = new Patience(() => this.waitMs);
  readonly #timers = new Map<string, () => void>();
  /** Which of the connections this is; what an earlier one was asked does not matter. */
  #connection = 0;
  #isReady = false;
  #isProbing = false;
  #isClosed = false;

  constructor(options: ReachOptions) {
    this.#options = options;
    const { link } = options;
    link.onUp(() => this.#up());
    link.onDown(() => {
      this.#connection++;
      this.#isReady = false;
      options.sender.process = ""; // the next connection may be to another one
    });
  }

  get isReady(): boolean {
    return this.#isReady && this.#options.link.isUp;
  }

  get isWorthWaiting(): boolean {
    return this.isReady && !this.#patience.isLost;
  }

  /** Longest time that a call waits now. */
  get waitMs(): number {
    const rttMs = this.#options.rttMs?.();
    return rttMs !== undefined && rttMs <= QUICK_MS ? PAUSE_WAIT_MS : RESERVE_WAIT_MS;
  }

  start(): void {
    this.#countAllLater();
    if (this.#options.link.isUp) this.#up();
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#timers.values()) stop();
  }

  answered(sentMs: number): void {
    this.#patience.answered(sentMs, this.#options.clock.nowMs());
    if (this.#patience.isLost) this.#probe();
  }

  late(sentMs: number): void {
    this.#patience.late(sentMs, this.#options.clock.nowMs());
    if (this.#patience.isLost) this.#probe();
  }

  /** Asks what others hold, of not too many owners at once. */
  async count(owners: readonly LeaseOwner[]): Promise<void> {
    const connection = this.#connection;
    for (let first = 0; first < owners.length && connection === this.#connection && this.isReady; first += COUNTED_AT_ONCE) {
      await Promise.all(owners.slice(first, first + COUNTED_AT_ONCE).map((owner) => this.#options.sender.count(owner)));
    }
  }

  #up(): void {
    const connection = ++this.#connection;
    this.#processOfRedis().then((process) => {
      if (connection !== this.#connection || this.#isClosed) return;
      this.#options.sender.process = process;
      this.#isReady = true;
      this.#options.onReady();
    });
  }

  /** The shards of a Redis Cluster are several processes: none stands for all. */
  async #processOfRedis(): Promise<string> {
    const text = await this.#options.link.command("INFO", "server").catch(() => "");
    if (typeof text !== "string" || /^redis_mode:cluster/m.test(text)) return "";
    return /^run_id:([0-9a-zA-Z]{1,64})\r?$/m.exec(text)?.[1] ?? "";
  }

  #countAllLater(): void {
    this.#later("count", COUNT_ALL_MS, () => {
      this.count(this.#options.owners());
      this.#countAllLater();
    });
  }

  /** Finds out when Redis is fast enough again. */
  #probe(): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#later("probe", PROBE_MS, async () => {
      const { clock, sender, owners } = this.#options;
      const [owner] = owners();
      const sentMs = clock.nowMs();
      const isAnswered = owner !== undefined && this.isReady && (await sender.count(owner));
      this.#isProbing = false;
      if (isAnswered) this.#patience.answered(sentMs, clock.nowMs());
      if (this.#patience.isLost) this.#probe();
    });
  }

  #later(name: string, ms: number, run: () => void): void {
    if (!this.#isClosed) this.#timers.set(name, this.#options.clock.after(ms, run));
  }
}
