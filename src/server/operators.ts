import type { Balancer, Destination, StatusChange, TableChange } from "../balancer/index.ts";
import { type DestinationState, type DrainChange, type DrainPorts, Drains, OperatorStates } from "../health/index.ts";
import { drainCalls, type ManagementPorts } from "../management/index.ts";
import { logDrain, logKept } from "../observability/drain-log.ts";
import type { Log } from "../proxy/index.ts";
import type { DestinationStateStore } from "../store/index.ts";

export interface OperatorsPorts extends Pick<ManagementPorts, "dialogs" | "endDialog"> {
  readonly balancer: Balancer;
  readonly after: DrainPorts["after"];
  readonly store: DestinationStateStore;
  readonly log: Log;
  /** Milliseconds since 1970 that deadlines are measured by; in a cluster that of all its nodes. @default Date.now */
  readonly wallMs?: () => number;
  /** When what is being decided now was decided: in a cluster another node may have done it a while ago. @default wallMs */
  readonly decidedAtMs?: () => number;
}

/** What operators decide for destinations: drains, and statuses that a restart does not forget. */
export class Operators {
  readonly drains: Drains;
  /** Are told of each change of a drain. */
  readonly drainListeners: ((change: DrainChange) => void)[];
  /** Are told when an operator disables a destination that a drain had disabled before. */
  readonly overruleListeners: ((destination: Destination) => void)[] = [];
  readonly #states: OperatorStates;
  readonly #store: DestinationStateStore;
  readonly #log: Log;

  constructor({ balancer, dialogs, endDialog, after, store, log, wallMs = Date.now, decidedAtMs = wallMs }: OperatorsPorts) {
    this.#store = store;
    this.#log = log;
    this.drains = new Drains({
      balancer,
      wallMs,
      after,
      ...drainCalls({ balancer, dialogs, endDialog, log }),
      onOverruled: (destination) => {
        this.#states.drainOverruled(destination);
        for (const tell of this.overruleListeners) tell(destination);
      },
      onChange: (change) => {
        for (const tell of this.drainListeners) tell(change);
      },
    });
    this.#states = new OperatorStates({
      balancer,
      drains: this.drains,
      save: (state) => store.save(state),
      wallMs: decidedAtMs,
      onKept: (destination, state) => logKept(destination, state, log),
    });
    this.drainListeners = [(change) => logDrain(change, log), (change) => this.#states.drainChanged(change)];
  }

  /** True while decisions from before are put into force again: such a change of status is no news. */
  get applying(): boolean {
    return this.#states.applying;
  }

  /** How often each thing happened, for the statistics. */
  get counters(): Record<string, number> {
    const { counters, pending, isUnwritable } = this.#store;
    return { ...this.drains.counters, ...counters, states_pending: pending, states_unwritable: Number(isUnwritable) };
  }

  /**
   * Reads what was decided before the start, and answers it. To be called before the first table.
   *
   * @throws Error when the database cannot be read
   */
  async load(): Promise<readonly DestinationState[]> {
    const { states, problems } = await this.#store.load();
    for (const problem of problems) this.#log.warn({}, problem);
    this.#states.load(states);
    return states;
  }

  /**
   * Whether all that was decided so far is on the disk, so that the answer to an operator says no more than is true. Waits a second at most and
   * never rejects.
   */
  settled(): Promise<boolean> {
    return this.#store.settled();
  }

  statusChanged(change: StatusChange): void {
    this.drains.statusChanged(change);
    this.#states.statusChanged(change);
  }

  /** To be told of a new table in the same step: what was decided holds for new rows before the next call comes. */
  tableChanged({ added }: TableChange): void {
    this.drains.tableChanged();
    this.#states.tableChanged(added);
  }

  /** Writes down what waits for it. */
  async close(): Promise<void> {
    this.drains.stop();
    await this.#store.close();
  }
}
