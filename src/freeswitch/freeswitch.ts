import { type Capacity, CapacityModel, type Situation } from "./capacity-model.ts";
import { EslCounters, type EslEnd } from "./counters.ts";
import { EslClient } from "./esl-client.ts";
import type { FsUrl } from "./fs-url.ts";
import { readHeartbeat } from "./heartbeat.ts";
import type { EslMessage } from "./message-parser.ts";
import type { FreeswitchPorts, FreeswitchSettings } from "./ports.ts";
import { parseSessionsPerSecond, parseStatus, parseYesNo } from "./status-reply.ts";

const ASK_STATUS = "api status";
const ASK_PAUSED = "api fsctl pause_check inbound";
const ASK_LEAVING = "api fsctl shutdown_check";
const ASK_SESSIONS_PER_SECOND = "api fsctl sps";

/** Shortest time between two rounds of questions, however many calls are refused. */
const MIN_ASK_GAP_MS = 1000;

/** One FreeSWITCH: its connection, and what is known of it. However many rows name it there is one. */
export class Freeswitch {
  readonly url: FsUrl;
  readonly model: CapacityModel;
  readonly counters = new EslCounters();
  readonly #settings: FreeswitchSettings;
  readonly #ports: FreeswitchPorts;
  readonly #client: EslClient;
  #stopTimer: (() => void) | undefined;
  #limitsAtMs = 0;
  #asking = false;
  /** FreeSWITCH said that it leaves while we asked: an answer from before does not take that back. */
  #leftWhileAsking = false;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** A timer that has the capacities computed again when the calls of the last second let the next one out. */
  #stopOpening: (() => void) | undefined;
  /** The last heartbeat was not used: one line in the log for all of them. */
  #isBeatBad = false;

  /** @param model what is known of it from before */
  constructor(url: FsUrl, settings: FreeswitchSettings, ports: FreeswitchPorts, model = new CapacityModel(settings)) {
    this.url = url;
    this.model = model;
    this.#settings = settings;
    this.#ports = ports;
    const listener = {
      ready: () => this.#ready(),
      event: (message: EslMessage) => this.#event(message),
      shutdown: () => this.#leave(),
      down: (reason: EslEnd) => this.#down(reason),
    };
    this.#client = new EslClient(url, settings, ports, listener, this.counters);
  }

  /** Connected, logged in and subscribed. */
  get isConnected(): boolean {
    return this.#client.isReady;
  }

  /** Now, and the calls that we have there. */
  get situation(): Situation {
    return { nowMs: this.#ports.clock.now(), ownCalls: this.#ports.ownCalls(this) };
  }

  start(): void {
    this.#client.start();
  }

  async stop(): Promise<void> {
    this.#stopOpening?.();
    this.#stopOpening = undefined;
    await this.#client.stop();
  }

  /** Capacity of one resource that stands for this FreeSWITCH. @param load our calls that use it now */
  capacity(load: number): Capacity {
    return this.model.capacity(load, this.situation);
  }

  /** A call goes out to this FreeSWITCH; it is among our calls already. */
  callPlaced(): void {
    const nowMs = this.#ports.clock.now();
    this.model.callPlaced(nowMs);
    this.#ports.changed(this);
    const openAtMs = this.model.openAtMs(nowMs);
    if (openAtMs <= nowMs || !Number.isFinite(openAtMs)) return;
    this.#stopOpening ??= this.#ports.clock.after(openAtMs - nowMs, () => {
      this.#stopOpening = undefined;
      this.#ports.changed(this);
    });
  }

  /** A call of ours was answered `503 Maximum Calls In Progress`; it is not among our calls any more. Asks at once why. */
  refusedForLackOfRoom(): void {
    this.counters.refused_calls++;
    this.model.refusedForLackOfRoom(this.situation);
    this.#ports.changed(this);
    this.#askSoon();
  }

  #ready(): void {
    this.#limitsAtMs = Number.NEGATIVE_INFINITY;
    void this.#ask();
  }

  #down(reason: EslEnd): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.model.disconnected();
    if (reason !== "stopped") this.#ports.changed(this);
  }

  #event({ fields }: EslMessage): void {
    switch (fields.get("Event-Name")) {
      case "HEARTBEAT":
        this.#beat(fields);
        return;
      case "SHUTDOWN_REQUESTED":
      case "SHUTDOWN":
        this.#leave();
        return;
      default:
        this.counters.ignored_frames++;
    }
  }

  #beat(fields: ReadonlyMap<string, string>): void {
    const reading = readHeartbeat(fields);
    if ("fault" in reading) {
      this.counters.bad_heartbeats[reading.fault]++;
      const { fault, field } = reading;
      if (this.#isBeatBad) return;
      this.#isBeatBad = true;
      this.#ports.log.warn({ freeswitch: this.url.label, field, fault }, "a heartbeat is ignored, the last good one stays");
      return;
    }
    this.#isBeatBad = false;
    this.counters.heartbeats++;
    this.model.heartbeat(reading.heartbeat, this.situation);
    this.#ports.changed(this);
  }

  #leave(): void {
    this.#leftWhileAsking = true;
    if (this.model.leaving) return;
    this.model.leaving = true;
    this.#ports.log.info({ freeswitch: this.url.label }, "shuts down, and gets no new calls");
    this.#ports.changed(this);
  }

  /** Asks for what heartbeats do not say, and again after the interval. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.#leftWhileAsking = false;
    this.#askedAtMs = this.#ports.clock.now();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const client = this.#client;
    const { heartbeats } = this.counters;
    const [status, paused, leaving] = await Promise.all([ASK_STATUS, ASK_PAUSED, ASK_LEAVING].map((command) => client.request(command)));
    if (status !== undefined) this.#learn(status, heartbeats === this.counters.heartbeats, paused, leaving);
    await this.#askLimits();
    this.#asking = false;
    this.#askAfter(this.#settings.statusIntervalMs);
  }

  #askSoon(): void {
    if (!this.#asking) this.#askAfter(Math.max(0, this.#askedAtMs + MIN_ASK_GAP_MS - this.#ports.clock.now()));
  }

  #askAfter(delayMs: number): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#client.isReady ? this.#ports.clock.after(delayMs, () => void this.#ask()) : undefined;
  }

  /** @param isLatest no heartbeat came while we asked: its figures may be newer than the answer */
  #learn(status: string, isLatest: boolean, paused = "", leaving = ""): void {
    const wasPaused = this.model.paused;
    const wasLeaving = this.model.leaving;
    const { maxSessions, ...told } = parseStatus(status);
    this.model.status({ ...told, ...(isLatest && maxSessions !== undefined && { maxSessions }) }, parseYesNo(paused));
    if (!this.#leftWhileAsking) this.model.leaving = parseYesNo(leaving) ?? wasLeaving;
    const fields = { freeswitch: this.url.label };
    if (this.model.paused !== wasPaused)
      this.#ports.log.info(fields, this.model.paused ? "is paused, and gets no new calls" : "is paused no more");
    if (this.model.leaving !== wasLeaving) this.#ports.log.info(fields, this.model.leaving ? "shuts down" : "shuts down no more");
    this.#ports.changed(this);
  }

  async #askLimits(): Promise<void> {
    const { obeySessionsPerSecond, limitsIntervalMs } = this.#settings;
    const nowMs = this.#ports.clock.now();
    if (!obeySessionsPerSecond || nowMs - this.#limitsAtMs < limitsIntervalMs) return;
    const reply = await this.#client.request(ASK_SESSIONS_PER_SECOND);
    const limit = parseSessionsPerSecond(reply ?? "");
    if (limit === undefined) return;
    this.#limitsAtMs = nowMs;
    this.model.sessionsPerSecond = limit;
    this.#ports.changed(this);
  }
}
