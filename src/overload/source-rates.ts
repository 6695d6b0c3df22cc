import { MAX_BANS, MAX_SOURCES, REQUESTS_PER_CALL } from "./limits.ts";
import { readSourceKey, type SourceKey, sourceText } from "./source-key.ts";
import { SourceTable } from "./source-table.ts";

/** How much one source may send (OpenSIPS pike). */
export interface SourceRateSettings {
  /** Length of a window in which requests are counted, milliseconds (`sampling_time_unit`). */
  readonly unitMs: number;
  /** Requests in a window that are taken; more are a ban (`reqs_density_per_unit`). 0: nobody is limited. */
  readonly density: number;
  /** How long a ban lasts from the last window with too many requests, milliseconds (`remove_latency`). */
  readonly banMs: number;
}

export interface SourceRatePorts {
  /** 32 random bits. */
  readonly seed: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Whether an address is never banned. Asked when it sends too much, not for each message. */
  readonly isExempt: (address: string) => boolean;
  /** Ongoing calls of the source that an address belongs to. Asked as seldom. */
  readonly callsOf: (key: Readonly<SourceKey>) => number;
  /** Is told of each ban that begins or ends. It must not throw. */
  readonly onBan: (change: BanChange) => void;
  /** Places in the table; a power of two. */
  readonly maxSources?: number;
  readonly maxBans?: number;
}

/** What is known of a ban. */
export interface BanView {
  /** An IPv4 address, or an IPv6 block of 64 bits. */
  readonly source: string;
  /** How long it has lasted and how long it will, as far as is known now, milliseconds. */
  readonly ageMs: number;
  readonly leftMs: number;
  /** Requests that were refused for it. */
  readonly refused: number;
}

export interface BanChange extends BanView {
  readonly kind: "began" | "ended";
  /** Why it ended: its time was over, somebody lifted it, or the source is one that is never banned by now. */
  readonly reason?: "time" | "lifted" | "exempt";
}

/** Counters of what sources were denied. */
export class SourceRateCounters {
  /** Requests of banned sources. */
  banned_requests = 0;
  /** Requests over the rate of sources that there was no room to ban. */
  over_rate_requests = 0;
  bans_begun = 0;
  bans_lifted = 0;
  /** Sources that were over their rate, and are never banned. */
  bans_spared = 0;
  /** Sources that were over their rate while as many as possible were banned already. */
  bans_refused = 0;
}

interface Ban {
  readonly slot: number;
  readonly address: string;
  readonly sinceMs: number;
  refused: number;
}

/**
 * Counts requests by source and bans those that send more than a number in one window. Windows begin with a request and do not slide: a source that never sends
 * more than the number within the length of a window is never banned, one that sends more than twice the number within it always is.
 */
export class SourceRates {
  readonly counters = new SourceRateCounters();
  readonly #ports: SourceRatePorts;
  readonly #table: SourceTable;
  readonly #bans = new Map<number, Ban>();
  readonly #key: SourceKey = { hi: 0, lo: 0 };
  readonly #maxBans: number;
  #settings: SourceRateSettings;

  constructor(settings: SourceRateSettings, ports: SourceRatePorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#table = new SourceTable(ports.maxSources ?? MAX_SOURCES, ports.seed);
    this.#maxBans = ports.maxBans ?? MAX_BANS;
  }

  /** Counts from the next window on; bans that there are go on. With a density of 0 they all end. */
  use(settings: SourceRateSettings): void {
    this.#settings = settings;
    if (settings.density === 0) for (const ban of [...this.#bans.values()]) this.#end(ban, "lifted");
  }

  get banCount(): number {
    return this.#bans.size;
  }

  /** Sources that have sent within a window, as far as they are remembered. */
  get sourceCount(): number {
    return this.#table.liveCount(this.#ports.nowMs(), this.#settings.unitMs);
  }

  /** Sources that were forgotten within their window because others took their place. */
  get evictedCount(): number {
    return this.#table.evicted;
  }

  /**
   * Counts one request. False: its source is banned, or over its rate; nothing is to be done for it.
   *
   * @param address as the system writes it; what is none is let pass
   */
  request(address: string): boolean {
    const { density, unitMs } = this.#settings;
    if (density === 0 || !readSourceKey(address, this.#key)) return true;
    const table = this.#table;
    const now = this.#ports.nowMs();
    const slot = table.find(this.#key);
    if (slot === -1) {
      table.insert(this.#key, now, unitMs);
      return true;
    }
    if (now - table.windowMs[slot]! >= unitMs) {
      table.windowMs[slot] = now;
      table.count[slot] = 1;
      return table.bannedUntilMs[slot] === 0 || this.#banned(slot, address, now, false);
    }
    const count = ++table.count[slot]!;
    if (table.bannedUntilMs[slot] !== 0) return this.#banned(slot, address, now, count === density + 1);
    return count <= density || this.#overRate(slot, address, now);
  }

  /** Whether requests of this address are refused. */
  isBanned(address: string): boolean {
    if (this.#bans.size === 0 || !readSourceKey(address, this.#key)) return false;
    const slot = this.#table.find(this.#key);
    return slot !== -1 && this.#table.bannedUntilMs[slot]! > this.#ports.nowMs();
  }

  /** Ends bans whose time is over, and those of sources that must not be banned any more. To be called about once a second. */
  sweep(): void {
    const now = this.#ports.nowMs();
    for (const ban of [...this.#bans.values()]) {
      if (this.#table.bannedUntilMs[ban.slot]! <= now) this.#end(ban, "time");
      else if (this.#ports.isExempt(ban.address)) this.#end(ban, "exempt");
    }
  }

  /** The bans, oldest first. */
  bans(): BanView[] {
    return [...this.#bans.values()].map((ban) => this.#view(ban));
  }

  /** Ends the ban of the source that an address, or a block as {@link bans} shows it, belongs to. False: it is not banned. */
  lift(text: string): boolean {
    const address = text.endsWith("/64") ? text.slice(0, -"/64".length) : text;
    if (!readSourceKey(address, this.#key)) return false;
    const ban = this.#bans.get(this.#table.find(this.#key));
    if (ban === undefined) return false;
    this.counters.bans_lifted++;
    this.#end(ban, "lifted");
    return true;
  }

  /** @param isOverAgain the window has just become one with too many requests */
  #banned(slot: number, address: string, now: number, isOverAgain: boolean): boolean {
    const ban = this.#bans.get(slot)!;
    // Within an IPv6 block there may be a server of ours beside the host that floods; a whole IPv4 address is dealt with by sweep().
    if (this.#key.hi !== 0 && this.#ports.isExempt(address)) return true;
    if (now >= this.#table.bannedUntilMs[slot]!) {
      this.#end(ban, "time");
      this.#table.count[slot] = 1;
      this.#table.windowMs[slot] = now;
      return true;
    }
    if (isOverAgain) this.#table.bannedUntilMs[slot] = now + this.#settings.banMs;
    ban.refused++;
    this.counters.banned_requests++;
    return false;
  }

  #overRate(slot: number, address: string, now: number): boolean {
    const { density, banMs } = this.#settings;
    const calls = this.#ports.callsOf(this.#key);
    if (this.#table.count[slot]! <= density + calls * REQUESTS_PER_CALL) return true;
    if (this.#ports.isExempt(address)) {
      this.counters.bans_spared++;
      this.#table.count[slot] = 1; // asked again only when it has sent as much once more
      return true;
    }
    if (this.#bans.size >= this.#maxBans) {
      if (this.#table.count[slot] === density + 1) this.counters.bans_refused++;
      this.counters.over_rate_requests++;
      return false;
    }
    this.#table.bannedUntilMs[slot] = now + banMs;
    this.counters.bans_begun++;
    this.counters.banned_requests++;
    const ban: Ban = { slot, address, sinceMs: now, refused: 1 };
    this.#bans.set(slot, ban);
    this.#ports.onBan({ kind: "began", ...this.#view(ban) });
    return false;
  }

  #end(ban: Ban, reason: "time" | "lifted" | "exempt"): void {
    const view = this.#view(ban);
    this.#bans.delete(ban.slot);
    this.#table.bannedUntilMs[ban.slot] = 0;
    this.#table.count[ban.slot] = 0;
    this.#table.windowMs[ban.slot] = -Infinity;
    this.#ports.onBan({ kind: "ended", reason, ...view });
  }

  #view({ slot, sinceMs, refused }: Ban): BanView {
    const now = this.#ports.nowMs();
    const leftMs = Math.max(0, this.#table.bannedUntilMs[slot]! - now);
    return { source: sourceText(this.#table.keyAt(slot)), ageMs: now - sinceMs, leftMs, refused };
  }
}
