import type { Address, Balancer } from "../balancer/index.ts";
import type { ReplyCodes } from "../health/index.ts";
import type { Chance, Endpoint, Listener, SendOwner, TimerWheel, TransactionLayer } from "../transaction/index.ts";
import type { ProbeLine } from "./probe-line.ts";

/** A socket that probes leave from and that their replies come to; nothing else uses it. */
export interface ProbeSocket extends Listener {
  send(text: string, to: Endpoint, owner?: SendOwner): void;
  close(): Promise<void>;
}

/** How probes over connections leave: on those of calls. */
export interface StreamProbes {
  /** The address as a listener of its transport reaches it; undefined when there is none. @param uri of the destination */
  endpoint(address: Address, uri: string): Endpoint | undefined;
  /** The transactions that the replies on those connections come to. */
  readonly layer: Pick<TransactionLayer, "send">;
}

/** Parameters of probing. Times in milliseconds. */
export interface ProbeSettings {
  /** Between two probes of a destination, from 1. */
  readonly intervalMs: number;
  /** The same while it fails or comes back; 0, or more than `intervalMs`: no difference. */
  readonly fastIntervalMs: number;
  /** Share of the interval by which each probe is moved at random, 0 to 0.5. */
  readonly jitter: number;
  /** Method of a probe, other than INVITE, ACK and CANCEL. */
  readonly method: string;
  /** From URI of a probe. */
  readonly from: string;
  readonly accepted: ReplyCodes;
  /** Changes are logged as information, else for debugging only. */
  readonly verbose: boolean;
  readonly rise: number;
  readonly fall: number;
  /** How long a probe waits for its final reply (Timer F). */
  readonly timeoutMs: number;
}

/** Structured logging, as pino does it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What carries probes, whoever asks. */
export interface LineOptions {
  /** Addresses of the listeners in order, a wildcard among them or not; the same one twice is one. */
  readonly addresses: readonly string[];
  /** The address of this machine in whose network a peer is; when there is none, another address of this machine. */
  readonly towards: (address: string) => string;
  /** Opens a UDP socket with a port of the system's choice. @throws Error when the address cannot be bound */
  readonly openSocket: (address: string, receive: (text: string, source: Endpoint) => void) => Promise<ProbeSocket>;
  /** Absent: destinations over TCP and TLS are not probed. */
  readonly streams?: StreamProbes | undefined;
  readonly wheel: TimerWheel;
  readonly chance: Chance;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** What the User-Agent header says. */
  readonly userAgent: string;
}

/** What the balancer's prober needs of the rest of the program. */
export interface ProberOptions {
  readonly settings: ProbeSettings;
  readonly balancer: Pick<Balancer, "destinations" | "destination" | "isEnabled" | "isAutoReenable" | "capacityFactor" | "setStatus">;
  /** By which its probes go; others may use it, too. */
  readonly line: ProbeLine;
  readonly wheel: TimerWheel;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether it is this node that probes: in a cluster one does for all. Asked before each probe, and again when its result is there. Absent: always. */
  readonly mayProbe?: (() => boolean) | undefined;
  readonly log: Log;
}
