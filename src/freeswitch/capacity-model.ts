import { CallWindow } from "./call-window.ts";
import type { CapacitySettings } from "./capacity-settings.ts";
import { loadsFromSessions, maxLoadFromSessions, type SessionFigures } from "./formula.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { HeartbeatInterval } from "./heartbeat-interval.ts";
import { SessionsPerCallEstimate } from "./sessions-per-call.ts";
import type { StatusReply } from "./status-reply.ts";

/** How good the statistics are: none has come yet, the last is as recent as it should be, it is not. */
export type Freshness = "initial" | "fresh" | "stale";

/** Why a FreeSWITCH takes no new calls though it is there. */
export type Withdrawal = "paused" | "leaving" | "stale" | "idle-cpu";

/** Where our side stands at the moment of a question. */
export interface Situation {
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** Calls that we have on this FreeSWITCH, whatever resources they use. */
  readonly ownCalls: number;
}

/** Capacity of one resource, in whole calls. */
export interface Capacity {
  readonly maxLoad: number;
  /** Calls of others that count as load; always 0 when they are taken away from the capacity. */
  readonly foreignLoad: number;
}

/** Sessions from which on what they cost is measured, instead of assumed. */
const MIN_SESSIONS_FOR_COST = 20;
/** Halvings after which a shrinking capacity is 0 anyway. */
const MAX_HALVINGS = 31;

/**
 * What is known of one FreeSWITCH, and what capacity follows from it. No clock and no socket: heartbeats, answers and the time are told to it. Several
 * resources, and several rows, may ask the same model; each names its own load.
 */
export class CapacityModel {
  readonly #settings: CapacitySettings;
  readonly #interval: HeartbeatInterval;
  readonly #estimate = new SessionsPerCallEstimate();
  readonly #window = new CallWindow();
  #heartbeat: Heartbeat | undefined;
  #heartbeatAtMs = 0;
  /** Our calls when the heartbeat came. */
  #callsAtHeartbeat = 0;
  #smoothIdlePercent = 0;
  #paused = false;
  /** It was asked what heartbeats do not say. */
  #wasAsked = false;
  #leaving = false;
  #belowMinIdle = false;
  /** Our calls when FreeSWITCH refused one for lack of room, that one not among them. */
  #refused: { readonly calls: number; readonly atMs: number } | undefined;

  constructor(settings: CapacitySettings) {
    this.#settings = settings;
    this.#interval = new HeartbeatInterval(settings.heartbeatIntervalMs);
  }

  /** A heartbeat has come. It ends what a refused call had changed. */
  heartbeat(heartbeat: Heartbeat, { nowMs, ownCalls }: Situation): void {
    const last = this.#heartbeat;
    const restarted = last !== undefined && last.coreUuid !== heartbeat.coreUuid;
    if (restarted) {
      this.#interval.interrupt();
      this.#estimate.restart();
      this.#leaving = false;
    }
    this.#interval.observe(nowMs);
    this.#estimate.observe(heartbeat.sessionCount, ownCalls);
    const kept = last === undefined || restarted ? 0 : this.#settings.idleCpuSmoothing;
    this.#smoothIdlePercent = this.#smoothIdlePercent * kept + heartbeat.idleCpuPercent * (1 - kept);
    this.#heartbeat = heartbeat;
    this.#heartbeatAtMs = nowMs;
    this.#callsAtHeartbeat = ownCalls;
    this.#refused = undefined;
  }

  /** `api status` was answered. A change of max-sessions counts from now on, not from the next heartbeat. */
  status({ ready, maxSessions, minIdleCpuPercent = 0, idleCpuPercent = 100 }: StatusReply, pausedInbound = false): void {
    this.#wasAsked = true;
    this.#paused = pausedInbound || ready === false;
    this.#belowMinIdle = idleCpuPercent < minIdleCpuPercent;
    if (this.#heartbeat !== undefined && maxSessions !== undefined) this.#heartbeat = { ...this.#heartbeat, maxSessions };
  }

  /** Somebody else was told why no new call may go there: that holds until it is asked here. */
  adoptWithdrawal(withdrawal: Withdrawal): void {
    if (this.#wasAsked) return;
    if (withdrawal === "paused") this.#paused = true;
    if (withdrawal === "leaving") this.#leaving = true;
    if (withdrawal === "idle-cpu") this.#belowMinIdle = true;
  }

  /** FreeSWITCH begins to shut down, or says that it does so no more. */
  set leaving(leaving: boolean) {
    this.#leaving = leaving;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** `sessions-per-second` as `fsctl sps` says it; undefined: not known. */
  set sessionsPerSecond(limit: number | undefined) {
    this.#window.sessionsPerSecond = limit;
  }

  /** The connection was lost: the gap to the next heartbeat will say nothing of the interval. What was known of a pause holds until it is asked again. */
  disconnected(): void {
    this.#interval.interrupt();
  }

  /** A call goes out to this FreeSWITCH. */
  callPlaced(nowMs: number): void {
    if (this.#settings.obeySessionsPerSecond) this.#window.note(nowMs);
  }

  /**
   * A call was answered `503 Maximum Calls In Progress`: until the next heartbeat, or for the time of two, there is room for no more calls than are
   * there now. Its `Retry-After: 300` is not obeyed: it stands there whatever the reason, one second of too many calls among them.
   *
   * @param situation `ownCalls` without the refused one
   */
  refusedForLackOfRoom({ nowMs, ownCalls }: Situation): void {
    const calls = this.#refused === undefined ? ownCalls : Math.min(ownCalls, this.#refused.calls);
    this.#refused = { calls, atMs: nowMs };
  }

  /**
   * Our calls are counted otherwise from now on: a new table has another row of this FreeSWITCH, or one fewer. No call has begun or ended.
   *
   * @param difference calls more than before; below 0: fewer
   */
  recounted(difference: number): void {
    this.#callsAtHeartbeat += difference;
    this.#estimate.recounted(difference);
    if (this.#refused !== undefined) this.#refused = { ...this.#refused, calls: Math.max(0, this.#refused.calls + difference) };
  }

  freshness(nowMs: number): Freshness {
    if (this.#heartbeat === undefined) return "initial";
    return this.#isStale(nowMs) ? "stale" : "fresh";
  }

  /** Why no new call may go there, or undefined when it may. Calls that are there stay. */
  withdrawal(nowMs: number): Withdrawal | undefined {
    if (this.#leaving) return "leaving";
    if (this.#paused) return "paused";
    if (this.#belowMinIdle) return "idle-cpu";
    return this.#settings.staleAction === "disable" && this.#isStale(nowMs) ? "stale" : undefined;
  }

  /** The heartbeat in use, for those who want to look. */
  get lastHeartbeat(): Heartbeat | undefined {
    return this.#heartbeat;
  }

  /** Milliseconds since the heartbeat in use came; undefined when none did. */
  heartbeatAgeMs(nowMs: number): number | undefined {
    return this.#heartbeat === undefined ? undefined : nowMs - this.#heartbeatAtMs;
  }

  /** Sessions that a call counts as: configured, or measured so far. */
  get sessionsPerCall(): number {
    const { sessionsPerCall } = this.#settings;
    return sessionsPerCall === "measured" ? (this.#estimate.value ?? 1) : sessionsPerCall;
  }

  /** Calls a second that FreeSWITCH admits; undefined when it is not known, or not to be obeyed. */
  get callsPerSecond(): number | undefined {
    return this.#settings.obeySessionsPerSecond ? this.#window.callsPerSecond(this.sessionsPerCall) : undefined;
  }

  /** When the calls of the last second let the next one out; `nowMs` when they do now. Capacities are to be asked for again then. */
  openAtMs(nowMs: number): number {
    return this.#settings.obeySessionsPerSecond ? Math.max(nowMs, this.#window.openAtMs(nowMs, this.sessionsPerCall)) : nowMs;
  }

  /**
   * Capacity of one resource that stands for this FreeSWITCH.
   *
   * @param load our calls that use the resource now
   */
  capacity(load: number, situation: Situation): Capacity {
    const { nowMs, ownCalls } = situation;
    const { maxLoad, foreignLoad } = this.#computed(load, situation);
    const taken = load + foreignLoad;
    let most = maxLoad;
    if (this.withdrawal(nowMs) !== undefined || this.openAtMs(nowMs) > nowMs) most = Math.min(most, taken);
    const refused = this.#refused;
    if (refused !== undefined && nowMs - refused.atMs < 2 * this.#interval.ms) {
      most = Math.min(most, taken + Math.max(0, refused.calls - ownCalls));
    }
    return { maxLoad: most, foreignLoad };
  }

  #computed(load: number, { nowMs, ownCalls }: Situation): Capacity {
    if (this.#heartbeat === undefined) return { maxLoad: this.#settings.initialLoad, foreignLoad: 0 };
    const figures = this.#figures(this.#heartbeat, ownCalls);
    const { maxLoad, foreignLoad } =
      this.#settings.foreignLoad === "load"
        ? loadsFromSessions(figures, load, this.sessionsPerCall)
        : { maxLoad: maxLoadFromSessions(figures, load, this.sessionsPerCall), foreignLoad: 0 };
    return { maxLoad: this.#shrunk(maxLoad, nowMs), foreignLoad };
  }

  /** The figures of the last heartbeat, moved on by what we did since. */
  #figures({ sessionCount, maxSessions }: Heartbeat, ownCalls: number): SessionFigures {
    const most = Math.max(0, maxSessions - this.#settings.reservedSessions);
    const idleCpuPercent = this.#smoothIdlePercent;
    if (!this.#settings.predict) return { idleCpuPercent, maxSessions: most, sessionCount };
    const newSessions = (ownCalls - this.#callsAtHeartbeat) * this.sessionsPerCall;
    // What FreeSWITCH frees it may give to others: only what it takes on costs.
    const cost = Math.max(0, newSessions) * this.#cpuPercentPerSession(sessionCount, maxSessions);
    return { idleCpuPercent: Math.max(0, idleCpuPercent - cost), maxSessions: most, sessionCount: sessionCount + newSessions };
  }

  /** Measured when there are enough sessions to tell, else as if Max-Sessions of them made the machine busy. */
  #cpuPercentPerSession(sessionCount: number, maxSessions: number): number {
    return sessionCount >= MIN_SESSIONS_FOR_COST ? (100 - this.#smoothIdlePercent) / sessionCount : 100 / maxSessions;
  }

  /** Age of the heartbeat, in heartbeats. */
  #age(nowMs: number): number {
    return (nowMs - this.#heartbeatAtMs) / this.#interval.ms;
  }

  #isStale(nowMs: number): boolean {
    const { staleHeartbeats } = this.#settings;
    return this.#heartbeat !== undefined && staleHeartbeats > 0 && this.#age(nowMs) > staleHeartbeats;
  }

  /** Half of it for each heartbeat that is missing beyond those that may. */
  #shrunk(maxLoad: number, nowMs: number): number {
    if (this.#settings.staleAction !== "shrink" || !this.#isStale(nowMs)) return maxLoad;
    const halvings = Math.min(MAX_HALVINGS, Math.ceil(this.#age(nowMs)) - this.#settings.staleHeartbeats);
    return Math.floor(maxLoad / 2 ** halvings);
  }
}
