import type { Balancer, CallLoad, TallyDifference } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import type { AuditDifference, AuditView, FreeswitchFigures } from "../management/index.ts";
import type { Log } from "../proxy/index.ts";
import type { FreeswitchFeeds } from "./freeswitch-feeds.ts";
import { SessionGaps } from "./session-gaps.ts";

/** Calls that are counted before others have their turn: well below a millisecond. */
const CALLS_PER_PART = 1_000;

/** Most differences that one audit tells of by themselves; all are counted and healed. */
export const MAX_TOLD_DIFFERENCES = 100;

export interface LoadAuditPorts {
  readonly balancer: Pick<Balancer, "beginTally" | "tally" | "endTally" | "heal" | "destinationOfKey" | "counters">;
  /** Calls that have not ended; those that begin while it is gone through may be left out. */
  readonly dialogs: { list(): IterableIterator<{ readonly load: CallLoad }> };
  readonly config: { readonly dialog: Pick<Config["dialog"], "audit_interval"> };
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Lets others have their turn, then runs something. */
  readonly soon?: (run: () => void) => void;
  /** Absent when no FreeSWITCH is asked for its load. */
  readonly feeds: Pick<FreeswitchFeeds, "recount" | "figures"> | undefined;
  readonly told: { loadDiffered(difference: AuditDifference): void; sessionsMissing(gap: SessionGap): void };
  /** Does something about gaps, until the audit is closed. */
  readonly gaps?: { gapChanged(gap: SessionGap): void; close(): void };
  readonly nowMs: () => number;
  readonly log: Log;
}

/** A FreeSWITCH has fewer sessions than we count calls there, and has had for several heartbeats, or it is so no more. */
export interface SessionGap {
  readonly state: "raised" | "ended";
  readonly url: string;
  readonly destinations: readonly number[];
  readonly calls: number;
  readonly sessions: number;
}

interface Found {
  readonly calls: number;
  readonly differences: readonly TallyDifference[];
}

/**
 * Adds up what the calls hold and compares it with what is counted, now and then and on demand. The calls are counted in parts, and the sum is exact all
 * the same (see `Tally`). What differs in two passes, one after the other, is told, counted and healed.
 */
export class LoadAudit {
  readonly #ports: LoadAuditPorts;
  readonly #gaps: SessionGaps;
  #running: Promise<AuditView> | undefined;
  #next: Promise<AuditView> | undefined;
  #stopTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(ports: LoadAuditPorts) {
    this.#ports = ports;
    this.#gaps = new SessionGaps((gap) => this.#tellGap(gap));
  }

  /** Begins to audit now and then. */
  begin(): void {
    const { config, after, log } = this.#ports;
    const intervalS = config.dialog.audit_interval;
    if (intervalS === 0 || this.#isClosed) return;
    this.#stopTimer = after(intervalS * 1000, () => {
      this.run()
        .catch((error: unknown) => log.error({ err: error }, "cannot audit the loads"))
        .finally(() => this.begin());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#ports.gaps?.close();
  }

  /** To be told of what a FreeSWITCH says, with each of its heartbeats or more often. */
  heard(figures: FreeswitchFigures): void {
    this.#gaps.heard(figures);
  }

  /** Audits once. While an audit is under way, all who ask share the next one: it sees what was so when they asked. */
  run(): Promise<AuditView> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<AuditView> {
    const running = this.#audit().finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #audit(): Promise<AuditView> {
    const { balancer, nowMs, feeds } = this.#ports;
    const beganAtMs = nowMs();
    let differences: readonly AuditDifference[] = [];
    const first = await this.#pass((found) => found);
    let { calls } = first;
    if (first.differences.length > 0) {
      const places = new Set(first.differences.map(placeOf));
      calls = await this.#pass((found) => {
        differences = this.#heal(found.differences.filter((suspect) => places.has(placeOf(suspect))));
        return found.calls;
      });
    }
    balancer.counters.audits++;
    const servers = feeds?.figures() ?? [];
    this.#gaps.keepOnly(new Set(servers.map(({ url }) => url)));
    return {
      calls,
      durationMs: nowMs() - beganAtMs,
      differences,
      freeswitch: servers.map(({ url, sessions, ownCalls }) => ({ url, sessions, calls: ownCalls, isShort: this.#gaps.isRaised(url) })),
    };
  }

  /** Counts all calls. @param end is given what was found in the same step, while it holds */
  #pass<T>(end: (found: Found) => T): Promise<T> {
    const { balancer, dialogs, soon = setImmediate } = this.#ports;
    return new Promise((resolve, reject) => {
      balancer.beginTally();
      const list = dialogs.list();
      const part = (): void => {
        try {
          for (let counted = 0; counted < CALLS_PER_PART; counted++) {
            const { done, value } = list.next();
            if (done === true) {
              resolve(end(balancer.endTally()));
              return;
            }
            balancer.tally(value.load);
          }
          soon(part);
        } catch (error) {
          balancer.endTally();
          reject(error);
        }
      };
      part();
    });
  }

  #heal(confirmed: readonly TallyDifference[]): AuditDifference[] {
    const { balancer, feeds, log, told } = this.#ports;
    if (confirmed.length === 0) return [];
    const heal = (): void => {
      for (const difference of confirmed) balancer.heal(difference);
    };
    if (feeds === undefined) heal();
    else feeds.recount(heal);
    balancer.counters.audit_differences += confirmed.length;
    const shown = confirmed.slice(0, MAX_TOLD_DIFFERENCES).map((difference) => this.#describe(difference));
    for (const difference of shown) {
      const { id, uri, pool, resource, counted, actual } = difference;
      const fields = { destination: id, uri, pool, resource, counted, true: actual, healed: true };
      log.error(fields, "a load was counted otherwise than the calls hold it: this is a bug");
      told.loadDiffered(difference);
    }
    const untold = confirmed.length - shown.length;
    if (untold > 0) log.error({ differences: untold }, "more loads were counted otherwise than the calls hold them, and are healed");
    return shown;
  }

  #describe({ ownerKey, pool, resource, counted, actual }: TallyDifference): AuditDifference {
    const of = { resource, counted, actual };
    if (pool !== undefined) return { pool, ...of };
    const destination = this.#ports.balancer.destinationOfKey(ownerKey);
    const [id = "", group = "", ...uri] = ownerKey.split(" ");
    return { id: Number(id), group: Number(group), uri: destination?.uri ?? uri.join(" "), ...of };
  }

  #tellGap(gap: SessionGap): void {
    const { balancer, log, told } = this.#ports;
    const { url, destinations, calls, sessions } = gap;
    const fields = { freeswitch: url, destinations, calls, sessions };
    if (gap.state === "raised") {
      balancer.counters.audit_missing_sessions++;
      log.warn(fields, "has had fewer sessions than we count calls there for several heartbeats: some of these calls are gone");
    } else log.info(fields, "has as many sessions as we count calls there again");
    told.sessionsMissing(gap);
    this.#ports.gaps?.gapChanged(gap);
  }
}

function placeOf({ ownerKey, resource }: TallyDifference): string {
  return resource === undefined ? ownerKey : `${ownerKey} ${resource}`;
}
