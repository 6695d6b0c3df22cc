import { type Balancer, type Destination, identityKey, type StatusChange } from "../balancer/index.ts";
import type { DrainChange, Drains } from "./drain.ts";

/** What an operator decided for one destination. Its identity is id, group and URI, the URI without regard to case. */
export interface DestinationState {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  /** False: an operator, or a drain that has ended, disabled it. What scripts and probes did is not told. */
  readonly enabled: boolean;
  /**
   * As `enabled`, as only an operator takes the right to enable it from the probes. But true when a drain that has ended disabled a destination that was
   * down already: undoing the drain leaves it to the probes.
   */
  readonly autoReenable: boolean;
  readonly draining: boolean;
  /** Wall clock, ms since 1970; 0: none. */
  readonly drainDeadlineMs: number;
  readonly drainBye: boolean;
  /** Wall clock, ms since 1970. */
  readonly changedAtMs: number;
  /** "drain": a drain that ended disabled it. */
  readonly cause: "mi" | "drain";
}

export interface OperatorStatePorts {
  readonly balancer: Pick<Balancer, "destination" | "setStatus" | "isAutoReenable">;
  readonly drains: Pick<Drains, "of" | "drained" | "resume" | "rememberDrained">;
  /** Writes a state down for the next start. Neither throws nor waits. */
  readonly save: (state: DestinationState) => void;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** A destination that came into the table got back what an operator decided for it before. */
  readonly onKept?: (destination: Destination, state: DestinationState) => void;
}

/**
 * Remembers what operators decided, through restarts, and through reloads that take a row away and bring it back: somebody switched a server off to work
 * on it, and no restart of the balancer may send calls there.
 */
export class OperatorStates {
  readonly #ports: OperatorStatePorts;
  /** By identity. Only those that differ from a destination that nobody has touched. */
  readonly #states = new Map<string, DestinationState>();
  #applying = false;

  constructor(ports: OperatorStatePorts) {
    this.#ports = ports;
  }

  /** True while decisions from before are put into force again: such a change of status is no news. */
  get applying(): boolean {
    return this.#applying;
  }

  /** What was written down before the start. To be called before the first table. */
  load(states: Iterable<DestinationState>): void {
    for (const state of states) if (!isUntouched(state)) this.#states.set(identityKey(state), state);
  }

  /** To be told of a new table in the same step, so that no call comes in between. @param added ids of its new rows */
  tableChanged(added: readonly number[]): void {
    if (this.#states.size === 0) return;
    this.#applying = true;
    try {
      for (const id of added) {
        const destination = this.#ports.balancer.destination(id);
        const state = destination && this.#states.get(destination.key);
        if (state !== undefined) this.#apply(destination!, state);
      }
    } finally {
      this.#applying = false;
    }
  }

  /** To be told of every change of a status. Those by probes and scripts change nothing of what an operator decided. */
  statusChanged({ destination }: StatusChange): void {
    this.#keep(destination);
  }

  /** To be told of every change of a drain. */
  drainChanged({ destination }: DrainChange): void {
    this.#keep(destination);
  }

  /** To be told when an operator disabled what a drain had disabled: no status changes then. */
  drainOverruled(destination: Destination): void {
    this.#keep(destination);
  }

  #apply(destination: Destination, state: DestinationState): void {
    const { balancer, drains, onKept } = this.#ports;
    if (!state.enabled) {
      balancer.setStatus(destination.id, false, state.cause);
      if (state.cause === "drain") drains.rememberDrained(destination, state.autoReenable ? "down" : "up");
    }
    if (state.draining) drains.resume(destination, { deadlineMs: state.drainDeadlineMs, bye: state.drainBye });
    onKept?.(destination, state);
  }

  #keep(destination: Destination): void {
    if (this.#applying) return;
    const { balancer, drains, save, wallMs } = this.#ports;
    const { id, group, uri, key } = destination;
    const drain = drains.of(destination);
    const enabled = balancer.isAutoReenable(destination);
    const drained = enabled ? undefined : drains.drained(destination);
    const state: DestinationState = {
      id,
      group,
      uri,
      enabled,
      autoReenable: enabled || drained === "down",
      draining: drain !== undefined,
      drainDeadlineMs: drain?.deadlineMs ?? 0,
      drainBye: drain?.bye ?? false,
      changedAtMs: wallMs(),
      cause: drained === undefined ? "mi" : "drain",
    };
    const known = this.#states.get(key);
    if (known === undefined ? isUntouched(state) : isSame(known, state)) return;
    if (isUntouched(state)) this.#states.delete(key);
    else this.#states.set(key, state);
    save(state);
  }
}

/** Whether a state is that of a destination that nobody has touched: there is nothing to remember of it. */
export function isUntouched({ enabled, draining }: DestinationState): boolean {
  return enabled && !draining;
}

function isSame(a: DestinationState, b: DestinationState): boolean {
  return (
    a.enabled === b.enabled &&
    a.autoReenable === b.autoReenable &&
    a.draining === b.draining &&
    a.drainDeadlineMs === b.drainDeadlineMs &&
    a.drainBye === b.drainBye &&
    a.cause === b.cause
  );
}
