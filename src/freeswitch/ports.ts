import type { Socket } from "node:net";
import type { CapacitySettings } from "./capacity-settings.ts";
import type { Freeswitch } from "./freeswitch.ts";

/** Time, and timers that can be stopped. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Runs `run` once, `delayMs` from now. @returns stops it */
  after(delayMs: number, run: () => void): () => void;
}

/** Structured logging, as pino does it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Times of the connections, in milliseconds. */
export interface EslSettings {
  /** Until the TCP connection stands, names resolved (OpenSIPS `esl_connect_timeout`). */
  readonly connectTimeoutMs: number;
  /** Until the login and the subscription are answered, and each command (OpenSIPS `esl_cmd_timeout`). */
  readonly replyTimeoutMs: number;
}

/** Parameters of all FreeSWITCHes. */
export interface FreeswitchSettings extends EslSettings, CapacitySettings {
  /** Between two questions for the state of a FreeSWITCH: `api status`, and whether it is paused or leaving. */
  readonly statusIntervalMs: number;
  /** Between two questions for sessions-per-second. */
  readonly limitsIntervalMs: number;
  /** Between two computations of the capacities, beside each heartbeat (OpenSIPS `event_heartbeat_interval`). */
  readonly updateIntervalMs: number;
}

/** What a connection needs of the rest of the program. */
export interface EslPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Begins a TCP connection; by default `net.connect`. */
  readonly connect?: (host: string, port: number) => Socket;
}

/** What all FreeSWITCHes together need. */
export interface FreeswitchPorts extends EslPorts {
  /** Calls that we have on a FreeSWITCH now. */
  readonly ownCalls: (freeswitch: Freeswitch) => number;
  /** Its capacities have to be computed again: after a heartbeat, an answer, a refused call, and in every interval. */
  readonly changed: (freeswitch: Freeswitch) => void;
}
