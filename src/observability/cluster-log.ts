import type { Log } from "../proxy/index.ts";

/** A node of the cluster, as the log names it. */
export interface LoggedNode {
  readonly nodeId: number;
  readonly version: string;
  readonly sip: readonly string[];
}

/** What became of a sharing tag on this node. */
export interface LoggedTag {
  readonly tag: string;
  readonly cluster: number;
  readonly state: "active" | "backup";
  /** How often the tag has moved. */
  readonly epoch: number;
  /** Why, as the second half of a sentence. */
  readonly reason: string;
}

/** A node joined the cluster, or its lease ended. */
export function logNode({ nodeId, version, sip }: LoggedNode, isAlive: boolean, log: Log): void {
  if (isAlive) log.info({ nodeId, version, sip }, `node ${nodeId} is in the cluster`);
  else log.warn({ nodeId, version, sip }, `node ${nodeId} is gone from the cluster: its lease has ended`);
}

/** A sharing tag became active or backup on this node. */
export function logTag({ tag, cluster, state, epoch, reason }: LoggedTag, log: Log): void {
  log.info({ tag, cluster, state, epoch }, `sharing tag "${tag}" is ${state} on this node: ${reason}`);
}

/** Redis is reached, slow or lost. @param rttMs time that the last answer took, in milliseconds */
export function logRedis(state: "connected" | "slow" | "lost", rttMs: number | undefined, log: Log): void {
  if (state === "connected") log.info({ rttMs }, "Redis is reached: what the nodes know is compared again");
  else if (state === "slow") log.warn({ rttMs }, `Redis is slow${rttMs === undefined ? "" : `: ${Math.round(rttMs)} ms for an answer`}`);
  else log.warn({}, "Redis is lost: calls go on by what is known");
}

/** Another process holds the id of this node. `seen` tells who, such as its management address. */
export function logDuplicate(nodeId: number, seen: string, log: Log): void {
  log.error(
    { nodeId },
    `another node with id ${nodeId} is alive${seen === "" ? "" : `, ${seen}`}: want another cluster.node_id for each node`,
  );
}
