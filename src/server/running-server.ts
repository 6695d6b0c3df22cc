import type { Config } from "../config/index.ts";

/** The running program. */
export interface RunningServer {
  /** Addresses that SIP is taken on, such as `udp:127.0.0.1:5060`. */
  readonly sip: readonly string[];
  /** Address of the management interface. */
  readonly managementUrl: string;
  /** Loads the destinations again, and the parts of a new configuration that can change while running. Rejects and changes nothing when they cannot be used. */
  reload(config?: Config): Promise<void>;
  /** Has a new process take over. Answers its id; rejects with a sentence, and nothing has changed, when it cannot. */
  restart(): Promise<number>;
  /** The id of a process that has taken over, once a restart that is under way has come to its end. Undefined: this process goes on. */
  successor(): Promise<number | undefined>;
  /** Refuses new calls, waits up to `sip.stop_timeout` for requests in flight, closes everything. */
  stop(): Promise<void>;
}
