/** A script that Redis runs in one step. */
export interface LuaScript {
  /** Unique among the scripts of the program. */
  readonly name: string;
  readonly lua: string;
}

/** What a call of {@link ClusterLink} rejects with when there is no connection, or no answer came in time. Whether Redis did it is not known then. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/**
 * Redis, as the parts of the cluster see it. Nothing here waits for a connection: without one everything fails at once, so that no memory grows and
 * no call waits. What is sent is carried out in the order in which it was sent, and answers come in that order.
 */
export interface ClusterLink {
  /** Commands can be sent and messages are received. */
  readonly isUp: boolean;
  /** Runs one command. @throws LinkError @throws Error what Redis answered */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Runs a script. @throws LinkError @throws Error what Redis answered */
  run(script: LuaScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Tells all nodes, this one too. Nobody is told while there is no connection; that is counted. */
  publish(channel: string, message: string): void;
  /** Receives what is told on a channel, from now on and again after each loss of the connection; what was told meanwhile is lost. */
  subscribe(channel: string, receive: (message: string) => void): void;
  /** The connection came up, also again; subscriptions hold. Listeners run in the order in which they were added. */
  onUp(run: () => void): void;
  onDown(run: () => void): void;
}

/** Time, as the parts of the cluster see it. */
export interface ClusterClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Wall clock of this machine, milliseconds since 1970. It may be wrong. */
  wallMs(): number;
  /** Runs something once, later; what it answers takes it back. */
  after(ms: number, run: () => void): () => void;
}

/** This node, as it presents itself to the others. */
export interface NodeIdentity {
  readonly clusterId: number;
  /** 1 to 2147483647, another one for each node. */
  readonly nodeId: number;
  /** Another one at each start: letters and digits. */
  readonly incarnation: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Addresses that SIP is taken on, such as `udp:192.0.2.1:5060`. */
  readonly sip: readonly string[];
  /** Address of the management interface, for people to read. */
  readonly managementUrl: string;
}

/** Where log lines go; the shape of pino. */
export interface ClusterLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How calls of other nodes are counted for a resource. */
export type LoadSharing = "off" | "shared" | "exact";
